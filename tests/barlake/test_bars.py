"""One query, five forms: the same rows in each, and a lazy one that reads no more than it needs."""

from __future__ import annotations

import datetime as dt
import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import polars.testing
import pyarrow as pa
import pytest

from barlake.errors import InvalidInputError, NotFoundError
from barlake.lake import Lake
from barlake.testing import make_bars

ROOT = Path(__file__).parents[2]
MONDAY, TUESDAY = dt.date(2024, 3, 11), dt.date(2024, 3, 12)
ACTIONS = "symbol,ex_date,kind,ratio,cash_usd\nSPY,2024-03-12,split,4,\nSPY,2024-03-12,dividend,,0.5\n"
OPTIONS: list[dict[str, Any]] = [
    {},
    {"timeframe": "5Min"},
    {"timeframe": "1Day", "session": "regular"},
    {"session": "pre"},
    {"adjustment": "all"},
    {"adjustment": "split", "timeframe": "1Hour", "session": "regular"},
    {"as_of": "2024-03-15T12:30:00Z"},
    {"as_of": "2024-03-15T12:30:00Z", "adjustment": "all", "timeframe": "15Min"},
    {"start": TUESDAY, "session": "regular"},
    {"start": "2030-01-01"},
    {"start": "2030-01-01", "timeframe": "1Day"},
]


@pytest.fixture
def two(lake: Lake, clock: Any, tmp_path: Path) -> Lake:
    """SPY and QQQ from an hour before the opening, SPY with two actions and, an hour later, a correction."""
    for seed, symbol in enumerate(("SPY", "QQQ")):
        bars = make_bars([MONDAY, TUESDAY], minutes=90, seed=seed)
        lake.writer.write(
            bars.with_columns(pl.col("timestamp") - dt.timedelta(hours=1)), feed="sip", symbol=symbol, source="test"
        )
    statements = tmp_path / "actions.csv"
    statements.write_text(ACTIONS, encoding="utf-8")
    lake.import_actions(statements, source="test")
    clock.moment += dt.timedelta(hours=1)
    changed = lake.bars("SPY").head(5).with_columns(volume=pl.lit(7))
    lake.writer.write(changed, feed="sip", symbol="SPY", source="test")
    return lake


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_form_has_the_same_rows_in_the_same_order(two: Lake, options: dict[str, Any]) -> None:
    symbols = ["SPY", "QQQ"]
    frame = two.bars(symbols, **options)
    assert frame.is_empty() == ("2030-01-01" in options.values())
    assert frame["symbol"].unique(maintain_order=True).to_list() == ([] if frame.is_empty() else symbols)
    lazy = two.bars(symbols, output="lazy", **options)
    pl.testing.assert_frame_equal(lazy.collect(), frame)
    table = two.bars(symbols, output="arrow", **options)
    assert isinstance(table, pa.Table)
    pl.testing.assert_frame_equal(pl.DataFrame(table), frame)
    relation = two.bars(symbols, output="duckdb", **options)
    gc.collect()
    assert isinstance(relation, duckdb.DuckDBPyRelation)
    pl.testing.assert_frame_equal(relation.pl(), frame)
    assert relation.filter("volume >= 0").aggregate("count(*)").fetchall() == [(frame.height,)]
    found = two.bars(symbols, output="pandas", **options)
    assert list(found.columns) == frame.columns
    types = {"session": pl.Date, "timestamp": pl.Datetime("us", "UTC")}
    pl.testing.assert_frame_equal(pl.from_pandas(found).cast(types), frame)  # type: ignore[arg-type]


def test_a_form_that_is_not_known_is_refused_with_those_there_are(two: Lake) -> None:
    with pytest.raises(InvalidInputError, match="output 'numpy' is not known: use one of polars, lazy, arrow, pandas"):
        two.bars("SPY", output="numpy")  # type: ignore[call-overload]


# --- lazy --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"session": "regular"}, {"adjustment": "all"}, {"as_of": "2024-03-15T12:30:00Z"}], ids=str
)
def test_a_filter_on_the_symbol_reads_no_file_of_another(two: Lake, options: dict[str, Any]) -> None:
    wanted = two.bars(["SPY", "QQQ"], output="lazy", **options).filter(pl.col("symbol") == "QQQ")
    pl.testing.assert_frame_equal(wanted.collect(), two.bars("QQQ", **options))
    assert "symbol=QQQ" in wanted.explain()
    assert "symbol=SPY" not in wanted.explain()


@pytest.mark.parametrize("options", [{}, {"session": "regular"}, {"adjustment": "all"}], ids=str)
def test_a_filter_on_time_and_a_choice_of_columns_reach_the_files(two: Lake, options: dict[str, Any]) -> None:
    lazy = two.bars("SPY", output="lazy", **options)
    since = dt.datetime(2024, 3, 12, tzinfo=dt.UTC)
    plan = lazy.filter(pl.col("timestamp") >= since).select("close").explain()
    scan = plan[plan.index("Parquet SCAN") :]
    assert 'SELECTION: col("timestamp") >= 2024-03-12' in scan
    assert "PROJECT 2/12 COLUMNS" in scan or "PROJECT 3/12 COLUMNS" in scan


def test_a_lazy_frame_shows_the_lake_of_the_moment_it_was_made(two: Lake) -> None:
    before, lazy = two.bars("QQQ"), two.bars("QQQ", output="lazy")
    two.writer.write(make_bars([MONDAY, TUESDAY], seed=9), feed="sip", symbol="QQQ", source="test")
    assert lazy.collect().equals(before)
    assert not two.bars("QQQ").equals(before)


def test_what_cannot_be_adjusted_is_refused_before_anything_is_collected(lake: Lake, tmp_path: Path) -> None:
    early = make_bars([MONDAY, TUESDAY], minutes=5).with_columns(pl.col("timestamp") - dt.timedelta(hours=1))
    lake.writer.write(early, feed="sip", symbol="SPY", source="test")
    statements = tmp_path / "actions.csv"
    statements.write_text("symbol,ex_date,kind,ratio,cash_usd\nSPY,2024-03-12,dividend,,0.5\n", encoding="utf-8")
    lake.import_actions(statements, source="test")
    for output in ("lazy", "polars"):
        with pytest.raises(NotFoundError, match="ex-date 2024-03-12 cannot be applied"):
            lake.bars("SPY", adjustment="all", output=output)
        assert lake.bars("SPY", TUESDAY, adjustment="all", output=output) is not None


# --- pandas ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trade_count", [3, None])
def test_pandas_has_the_same_types_whatever_the_rows(lake: Lake, trade_count: int | None) -> None:
    bars = make_bars([MONDAY], minutes=3).with_columns(trade_count=pl.lit(trade_count, pl.Int64))
    lake.writer.write(bars, feed="sip", symbol="SPY", source="test")
    found = lake.bars("SPY", output="pandas")
    assert {name: str(kind) for name, kind in found.dtypes.items()} == {
        "feed": "str", "symbol": "str", "session": "datetime64[ms]", "timestamp": "datetime64[us, UTC]",
        **dict.fromkeys(("open", "high", "low", "close", "vwap"), "float64"),
        "volume": "int64", "trade_count": "Int64", "ingested_at": "datetime64[us, UTC]",
    }  # fmt: skip
    assert found["trade_count"].isna().all() == (trade_count is None)
    assert list(found.index) == [0, 1, 2]
    assert found["session"][0] == pd.Timestamp("2024-03-11")
    indexed = found.set_index("timestamp")
    assert indexed.loc["2024-03-11 09:31-04:00", "close"] == found["close"][1]


def test_pandas_is_imported_only_when_it_is_asked_for(two: Lake) -> None:
    script = (
        "import sys, barlake, app.cli\n"
        f"lake = barlake.open({str(two.root)!r})\n"
        "lake.writer.write(lake.bars('SPY').tail(9), feed='sip', symbol='NEW', source='test')\n"
        "lake.rollup(), lake.quality(), lake.publish(), lake.sql('SELECT * FROM bars')\n"
        "lake.bars('SPY', session='regular'), lake.bars('SPY', output='arrow'), lake.bars('SPY', output='duckdb')\n"
        "assert 'pandas' not in sys.modules\n"
        "lake.bars('SPY', output='pandas')\n"
        "assert 'pandas' in sys.modules\n"
    )
    assert two.calendar.frame.height > 0
    subprocess.run([sys.executable, "-c", script], check=True, cwd=two.root)


# --- types -------------------------------------------------------------------------------------------


def test_a_type_checker_knows_every_form(tmp_path: Path) -> None:
    script = tmp_path / "asks.py"
    script.write_text(
        "from typing import assert_type\n"
        "import duckdb, pandas as pd, polars as pl\n"
        "from barlake import Lake\n"
        "def asks(lake: Lake) -> None:\n"
        "    assert_type(lake.bars('SPY'), pl.DataFrame)\n"
        "    assert_type(lake.bars(['SPY'], '2024-01-02', timeframe='1Day', output='lazy'), pl.LazyFrame)\n"
        "    assert_type(lake.bars('SPY', feed='sip', output='pandas'), pd.DataFrame)\n"
        "    assert_type(lake.bars('SPY', adjustment='all', output='duckdb'), duckdb.DuckDBPyRelation)\n"
        "    lake.bars('SPY', output='numpy')  # refused\n"
        "    lake.bars('SPY', timefrme='1Day')  # refused\n",
        encoding="utf-8",
    )
    # The cache of `make types` makes this quick.
    found = subprocess.run(
        [sys.executable, "-m", "mypy", str(script)], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert [line.split(":")[1] for line in found.stdout.splitlines() if ": error:" in line] == ["9", "10", "10"]
