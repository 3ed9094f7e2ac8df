"""The first hour of a stranger: import two folders, ask five things in three languages, break files, repair them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FOLDERS = {"vix": DATA / "bars_1m" / "vix_2019", "yahoo": DATA / "bars_1m" / "yahoo_2026"}
DUCKDB = Path(sys.executable).with_name("duckdb")

pytestmark = [
    pytest.mark.skipif(
        not all(folder.is_dir() for folder in FOLDERS.values()), reason="the folders of ../shared/data are not here"
    ),
    pytest.mark.timeout(1200),  # a dozen processes, each of which imports everything
]

ONE_SPLIT = "symbol,ex_date,kind,ratio,cash_usd\nAAPL,2019-02-13,split,4:1,\n"
LAST_CLOSES = "select symbol, arg_max(close, timestamp) as close from bars where feed = 'yahoo' group by 1 order by 1"
MOVES = "select symbol, timestamp from bars where feed = 'yahoo' order by abs(close / open - 1) desc, timestamp limit 1"
FROM_PYTHON = """
import json, barlake, polars as pl
with barlake.open() as lake:
    covered = lake.coverage("SPY", feed="yahoo")
    moves = lake.bars(["SPY", "QQQ", "UVXY", "NVDA", "SOXS"], feed="yahoo", output="lazy")
    by_size = moves.sort((pl.col("close") / pl.col("open") - 1).abs(), descending=True)
    biggest = by_size.select("symbol").head(1).collect()
    daily = lake.bars("AAPL", timeframe="1Day", session="regular", adjustment="split", output="pandas")
    last = lake.bars("SPY", feed="yahoo")["close"][-1]
    missing = int(lake.missing_minutes("SPY", feed="yahoo").filter(pl.col("class") != "closed")["minutes"].sum())
print(json.dumps([covered.height, biggest.item(), list(daily["close"].round(4)), last, missing]))
"""


@pytest.fixture
def imported(barlake_command: Any, tmp_path: Path) -> Any:
    """The command line in a folder of its own, with two folders imported as two feeds."""
    command = dataclasses.replace(barlake_command, folder=tmp_path)
    for feed, folder in FOLDERS.items():
        report = command.json("import", folder, "--feed", feed)
        assert (len(report["imported"]), report["failures"]) == (len(list(folder.glob("*.parquet"))), [])
    return command


def refused(command: Any, *arguments: object) -> str:
    """Everything a command prints that ends with exit 1."""
    with command.start(*arguments) as process:
        printed, errors = process.communicate(timeout=600)
    assert process.returncode == 1, printed
    return f"{printed}{errors}"


def from_files(feed: str, symbol: str) -> pl.DataFrame:
    return pl.read_parquet(FOLDERS[feed] / f"{symbol}.parquet").sort("timestamp")


def test_five_things_are_asked_in_sql_and_in_python(imported: Any, tmp_path: Path) -> None:
    statements = tmp_path / "actions.csv"
    statements.write_text(ONE_SPLIT, encoding="utf-8")
    imported.run("actions", "import", statements)
    spy, apple = from_files("yahoo", "SPY"), from_files("vix", "AAPL")
    sessions = spy["timestamp"].dt.date().n_unique()
    by_day = apple.group_by(pl.col("timestamp").dt.date().alias("day"), maintain_order=True).last()
    split = [close / 4 if str(day) < "2019-02-13" else close for day, close in by_day.select("day", "close").rows()]
    last = dict(zip(names := sorted(path.stem for path in FOLDERS["yahoo"].glob("*.parquet")),
                    (from_files("yahoo", name)["close"][-1] for name in names), strict=True))  # fmt: skip

    script = imported.folder / "ask.py"
    script.write_text(FROM_PYTHON, encoding="utf-8")
    asked = subprocess.run(
        [sys.executable, script],
        cwd=imported.folder,
        env=imported.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    covered, biggest, daily, spy_last, missing = json.loads(asked.stdout)
    assert covered == sessions == len(imported.json("coverage", "SPY", "--feed", "yahoo"))
    assert daily == [round(close, 4) for close in split]
    assert spy_last == last["SPY"]

    shown = {row["symbol"]: row["close"] for row in imported.json("sql", LAST_CLOSES)}
    assert shown == last
    assert imported.json("sql", MOVES)[0]["symbol"] == biggest
    gaps = imported.json("gaps", "SPY", "--feed", "yahoo")
    assert sum(row["missing_bars"] for row in gaps) == sessions * 390 - spy.height == missing
    if DUCKDB.exists():
        catalogue = imported.folder / "data" / "duckdb" / "market.duckdb"
        told = subprocess.check_output([DUCKDB, "-readonly", "-json", catalogue, LAST_CLOSES])
        assert {row["symbol"]: row["close"] for row in json.loads(told)} == last


@pytest.mark.slow  # by day `tests/app/test_care_commands.py` breaks files of a small lake
def test_files_broken_by_hand_are_named_and_mended(imported: Any) -> None:
    bars = imported.folder / "data" / "parquet" / "bars"
    [flipped] = bars.glob("feed=yahoo/symbol=SPY/*/*.parquet")
    [cut] = bars.glob("feed=yahoo/symbol=QQQ/*/*.parquet")
    [deleted] = bars.glob("feed=vix/symbol=GLD/*/*.parquet")
    content = bytearray(flipped.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(byte ^ 0xFF for byte in content[middle : middle + 64])
    flipped.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:20_000])
    deleted.unlink()

    asked = [("bars", "QQQ", "--feed", "yahoo"), ("bars", "GLD"), ("sql", "select count(close) from bars"), ("verify",)]
    assert all("`barlake repair`" in refused(imported, *question) for question in asked)
    found, _ = json.JSONDecoder().raw_decode(refused(imported, "verify", "--json"))
    assert {(row["feed"], row["symbol"]) for row in found["faults"]} == {
        ("yahoo", "SPY"),
        ("yahoo", "QQQ"),
        ("vix", "GLD"),
    }
    imported.run("repair")
    imported.run("verify")
    assert "has no bars for feed 'yahoo'" in refused(imported, "bars", "SPY", "--feed", "yahoo")

    for feed, folder in FOLDERS.items():
        assert imported.json("import", folder, "--feed", feed)["failures"] == []
    imported.run("verify")
    held = {(row["feed"], row["symbol"]): row["bars"] for row in imported.json("symbols")}
    assert held == {
        (feed, path.stem): pl.scan_parquet(path).select(pl.len()).collect().item()
        for feed, folder in FOLDERS.items()
        for path in folder.glob("*.parquet")
    }
