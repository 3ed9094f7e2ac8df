"""`python -m feature_service.main`, as a user runs it."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

import barlake
from barlake.testing import make_bars
from feature_service import main as door
from feature_service.main import main

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("door") / "lake"
    with barlake.open(root) as lake:
        for seed, symbol in enumerate(("SPY", "QQQ")):
            lake.write_bars(make_bars(SESSIONS, seed=seed), feed="synthetic", symbol=symbol)
    return root


def test_named_symbols_are_built_and_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["SPY", "--root", str(root)]) == 0
    assert capsys.readouterr().out.startswith("SPY synthetic core v=")


def test_json_holds_the_report_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(root), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {one["symbol"]: one["rows"] for one in report["symbols"]} == {"SPY": 780, "QQQ": 780}
    assert main(["--root", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files_written"] == 0


def test_it_runs_as_a_module_and_honours_the_environment(root: Path, tmp_path: Path) -> None:
    environment = {
        "BARLAKE_ROOT": str(tmp_path / "empty"),
        "SOURCE_DUCKDB_PATH": str(root / "duckdb" / "market.duckdb"),
        "DEST_PARQUET_DIR": str(tmp_path / "tables"),
        "DEST_DUCKDB_PATH": str(tmp_path / "features.duckdb"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "feature_service.main", "SPY", "QQQ", "--feed", "synthetic", "--session", "all"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert len(done.stdout.splitlines()) == 2
    assert len(list((tmp_path / "tables").rglob("*.parquet"))) == 2
    with duckdb.connect(tmp_path / "features.duckdb", read_only=True) as connection:
        assert connection.sql("select count(*) from features_core").fetchall() == [(1560,)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["SPYY"], "symbol 'SPYY' has no bars in this lake. Did you mean 'SPY'?"),
        (["SPY", "--feed", "sip"], "symbol 'SPY' has no bars for feed 'sip'"),
        (["SPY!"], "symbol 'SPY!' is not a symbol"),
    ],
)
def test_a_wrong_request_is_one_message_and_exit_1(
    arguments: list[str], message: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--root", str(root)]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [["--session", "night"], ["--adjustment", "other"], ["--nothing"]])
def test_a_wrong_option_is_exit_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2


def test_an_interrupt_is_one_message_and_exit_130(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(door, "build_features", interrupted)
    assert main(["--root", str(root)]) == 130
    assert "nothing is half written" in capsys.readouterr().err


def test_help_names_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in ("SOURCE_DUCKDB_PATH", "DEST_PARQUET_DIR", "DEST_DUCKDB_PATH"))


def test_the_table_reads_back_through_the_lake(root: Path) -> None:
    assert main(["SPY", "--root", str(root)]) == 0
    with barlake.open(root) as lake:
        key = lake.feature_tables.latest("core", "SPY")
        found = lake.feature_tables.read(key, "SPY", columns=["rsi_14"], start="2024-01-03")
    assert found.height == 390
    assert found.schema["rsi_14"] == pl.Float32()
