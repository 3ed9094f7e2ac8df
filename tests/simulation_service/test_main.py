from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake import Lake
from simulation_service import main as door
from simulation_service.main import main


@pytest.fixture
def signals_file(predictions: pl.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "signals.csv"
    predictions.select("timestamp", "signal").write_csv(path)
    return path


def test_signals_file_is_simulated_and_shown_as_a_table(
    lake: Lake, signals_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--signals", str(signals_file), "--symbol", "SPY", "--root", str(lake.root)]) == 0
    shown = capsys.readouterr()
    assert "next_open" in shown.out
    assert "(optimistic)" in shown.out
    assert "report.html" in shown.out
    assert shown.err == ""


def test_json_carries_exact_values_of_both_fills(
    lake: Lake, make_model: Any, predictions: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", make_model(predictions), "--symbol", "SPY", "--root", str(lake.root), "--json"]
    assert main(options) == 0
    shown = json.loads(capsys.readouterr().out)
    for fill in ("next_open", "same_close"):
        assert {"final_value", "final_value_usd", "fills", "shares_bought"} <= set(shown[fill])
    assert Path(shown["report"]).is_file()


def test_door_opens_as_a_module(lake: Lake, signals_file: Path) -> None:
    command = [sys.executable, "-m", "simulation_service.main", "--signals", str(signals_file), "--symbol", "SPY"]
    command += ["--cash", "5000", "--fill", "same_close", "--start", "2024-01-03", "--end", "2024-01-04"]
    done = subprocess.run(
        [*command, "--root", str(lake.root), "--json"], capture_output=True, text=True, check=True, timeout=60
    )
    shown = json.loads(done.stdout)
    assert (shown["cash_usd"], shown["fill"], shown["sessions"]) == ("5000.00", "same_close", 1)


def test_failure_is_one_line_on_stderr_and_exit_code_1(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--signals", "gone.csv", "--symbol", "SPY", "--root", str(lake.root)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: signals file gone.csv does not exist")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--symbol", "SPY"],
        ["--model", "a", "--signals", "b", "--symbol", "SPY"],
        ["--model", "a", "--symbol", "SPY", "--set", "fast=5"],
        ["--signals", "a", "--symbol", "SPY", "--stop-loss", "tight"],
    ],
)
def test_wrong_usage_is_exit_code_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_interruption_is_exit_code_130_and_leaves_nothing(
    lake: Lake, signals_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = door.simulate

    def pressed(*arguments: Any, progress: Any, **options: Any) -> Any:
        def at_the_last_step(doing: str, done: int, of: int) -> None:
            if doing == "writing the run":
                raise KeyboardInterrupt
            progress(doing, done, of)

        return real(*arguments, progress=at_the_last_step, **options)

    monkeypatch.setattr(door, "simulate", pressed)
    assert main(["--signals", str(signals_file), "--symbol", "SPY", "--root", str(lake.root)]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not list((lake.root / "runs").glob("*"))
