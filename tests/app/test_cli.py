"""Every command, printed for people and as JSON."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests

import barlake
from app.cli import run
from barlake.clock import FileClock
from barlake.keys import ArtifactKind
from ingest_service.emulator.config import PLACEHOLDER_KEY_ID, PLACEHOLDER_SECRET_KEY

RANGE = ("--start", "2024-01-02", "--end", "2024-01-24")
BARS = 15 * 390


@pytest.fixture(scope="session")
def researched(example: Path) -> dict[str, str]:
    """Features, one model and one run in the example lake, made through the command line."""
    root = ("--root", str(example))
    assert run(["features", *root]) == 0
    assert run(["train", "SPY,QQQ", "--folds", "2", *root]) == 0
    with barlake.open(example) as lake:
        (model,) = lake.artifacts.list(ArtifactKind.MODEL)
    assert run(["simulate", "--model", model.id, "--symbol", "SPY", *root]) == 0
    with barlake.open(example) as lake:
        (made,) = lake.artifacts.list(ArtifactKind.RUN)
    return {"model": model.id, "run": made.id}


READING = [
    (("symbols",), "5,849"),
    (("coverage", "SPY"), "2024-01-23"),
    (("gaps",), "unconfirmed"),
    (("bars", "SPY", "--limit", "3"), "20:59Z"),
    (("bars", "SPY", "--timeframe", "1Day"), "390"),
    (("sql", "select symbol, count(*) as n from bars group by 1 order by 1"), "5,850"),
    (("runs", "list"), "synthetic"),
]


@pytest.mark.usefixtures("researched")
@pytest.mark.parametrize(("arguments", "shown"), READING)
def test_a_reading_command_prints_a_table(cli: Any, example: Path, arguments: tuple[str, ...], shown: str) -> None:
    done = cli(*arguments, "--root", example)
    assert (done.code, done.errors) == (0, "")
    assert shown in done.out


@pytest.mark.usefixtures("researched")
@pytest.mark.parametrize(("arguments", "shown"), READING)
def test_a_reading_command_prints_one_json_list_of_rows(
    cli: Any, example: Path, arguments: tuple[str, ...], shown: str
) -> None:
    del shown
    done = cli(*arguments, "--root", example, "--json")
    assert (done.code, done.errors) == (0, "")
    assert all(isinstance(row, dict) for row in done.data)
    assert done.data


def test_json_holds_every_bar_with_its_zone(cli: Any, example: Path) -> None:
    rows = cli("bars", "SPY", "--root", example, "--json").data
    assert len(rows) == BARS
    assert rows[0]["timestamp"].endswith("+00:00")
    assert rows[0]["session"] == "2024-01-02"


def test_a_limit_is_for_each_symbol_and_takes_the_newest(cli: Any, example: Path) -> None:
    rows = cli("bars", "SPY", "QQQ", "--limit", "2", "--root", example, "--json").data
    assert [(row["symbol"], row["timestamp"][11:16]) for row in rows] == [
        ("SPY", "20:58"), ("SPY", "20:59"), ("QQQ", "20:57"), ("QQQ", "20:58"),
    ]  # fmt: skip


def test_an_empty_lake_says_how_to_fill_it(cli: Any, tmp_path: Path) -> None:
    assert "barlake demo" in cli("symbols", "--root", tmp_path).out
    assert cli("symbols", "--root", tmp_path, "--json").data == []
    assert "No runs yet" in cli("runs", "list", "--root", tmp_path).out
    assert cli("runs", "list", "--root", tmp_path, "--json").data == []


def test_the_root_comes_from_the_environment_too(cli: Any, example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARLAKE_ROOT", str(example))
    assert len(cli("symbols", "--json").data) == 2


# --- files in --------------------------------------------------------------------------------------


def test_an_import_counts_what_it_did_and_a_second_one_changes_nothing(
    cli: Any, bar_folder: Path, tmp_path: Path
) -> None:
    arguments = ("import", bar_folder, "--feed", "sip", "--root", tmp_path, "--json")
    first, second = cli(*arguments).data["total"], cli(*arguments).data["total"]
    assert (first["inserted"], first["unchanged"]) == (BARS, 0)
    assert (second["inserted"], second["unchanged"], second["files_written"]) == (0, BARS, 0)


def test_an_import_shows_a_table_of_its_files(cli: Any, bar_folder: Path, tmp_path: Path) -> None:
    done = cli("import", bar_folder, "--feed", "sip", "--root", tmp_path)
    assert done.code == 0
    assert "SPY.parquet" in done.out
    assert "5,850" in done.out


# --- ingest -----------------------------------------------------------------------------------------

SPELLINGS = [
    (("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY", "ALPACA_API_BASE_URL"), ""),
    (("ALPACA_KEY_ID", "ALPACA_SECRET_KEY", "ALPACA_BASE_URL"), "/"),
    (("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY", "ALPACA_DATA_URL"), "/v2/"),
]


@pytest.mark.parametrize(("names", "slash"), SPELLINGS)
def test_every_spelling_of_the_settings_leads_to_the_source(
    cli: Any, alpaca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str, str], slash: str
) -> None:
    values = (PLACEHOLDER_KEY_ID, PLACEHOLDER_SECRET_KEY, alpaca + slash)
    for name in ("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"):
        monkeypatch.delenv(name)
    for name, value in zip(names, values, strict=True):
        monkeypatch.setenv(name, value)
    done = cli("ingest", "SPY", "--start", "2024-01-02", "--end", "2024-01-03", "--root", tmp_path, "--json")
    assert (done.code, done.errors) == (0, "")
    assert done.data["symbols"][0]["inserted"] == 390


def test_an_ingest_prints_a_table_and_json_the_same_figures(
    cli: Any, alpaca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    done = cli("ingest", "spy", *RANGE, "--root", tmp_path)
    assert (done.code, done.errors) == (0, "")
    assert "5,850" in done.out
    (again,) = cli("ingest", "SPY", *RANGE, "--root", tmp_path, "--json").data["symbols"]
    assert (again["bars_held"], again["requests"], again["inserted"]) == (BARS, 0, 0)


def test_sessions_that_are_still_to_come_are_counted_and_not_asked_for(
    cli: Any, alpaca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    with barlake.open(tmp_path) as lake:
        last = lake.calendar.last
    done = cli("ingest", "SPY", "--start", last.replace(day=1), "--end", last, "--root", tmp_path, "--json")
    assert done.code == 0
    assert done.data["sessions_not_yet"] > 15
    assert done.data["symbols"][0]["requests"] == 0


def test_a_token_of_iex_cloud_gets_one_sentence_and_the_ingest_goes_on(
    cli: Any, alpaca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    monkeypatch.setenv("IEX_TOKEN", "sk_0123456789")
    done = cli("ingest", "SPY", *RANGE, "--root", tmp_path, "--json")
    assert done.code == 0
    assert done.errors.count("IEX Cloud closed in August 2024") == 1
    assert "sk_0123456789" not in done.errors + done.out


def test_an_ingest_shows_progress_only_to_a_terminal(
    cli: Any, alpaca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    assert cli("ingest", "SPY", *RANGE, "--root", tmp_path).errors == ""


# --- research -----------------------------------------------------------------------------------------


def test_features_that_are_up_to_date_are_left_alone(cli: Any, example: Path, researched: dict[str, str]) -> None:
    del researched
    again = cli("features", "SPY", "QQQ", "--root", example, "--json").data
    assert again["files_written"] == 0
    assert [one["symbol"] for one in again["symbols"]] == ["SPY", "QQQ"]
    assert "SPY" in cli("features", "--root", example).out


def test_the_same_training_is_the_same_model(cli: Any, example: Path, researched: dict[str, str]) -> None:
    again = cli("train", "SPY,QQQ", "--folds", "2", "--root", example, "--json").data
    assert (again["model_id"], again["created"]) == (researched["model"], False)
    assert "baseline" in cli("train", "SPY", "QQQ", "--folds", "2", "--root", example).out


def test_a_simulation_names_its_inputs_and_both_fills(cli: Any, example: Path, researched: dict[str, str]) -> None:
    arguments = ("simulate", "--model", researched["model"][:6], "--symbol", "SPY", "--root", example)
    shown = cli(*arguments, "--json").data
    assert shown["run_id"] == researched["run"]
    assert shown["same_close"]["optimistic"] is True
    assert shown["final_value"] == shown["next_open"]["final_value"]
    text = cli(*arguments).out
    assert "next_open" in text
    assert "optimistic" in text


def test_signals_of_a_file_are_traded(cli: Any, example: Path, tmp_path: Path) -> None:
    with barlake.open(example) as lake:
        bars = lake.bars("SPY", "2024-01-22")
    bars.select("timestamp", signal=(pl.int_range(pl.len()) == 0).cast(pl.Int8)).write_csv(tmp_path / "signals.csv")
    arguments = ("simulate", "--signals", tmp_path / "signals.csv", "--symbol", "SPY", "--root", example, "--json")
    shown = cli(*arguments, "--start", "2024-01-22", "--cash", "1000").data
    assert shown["fills"] == 2
    assert shown["cash_usd"] == "1000.00"


def test_a_run_can_be_looked_at_by_its_first_digits(cli: Any, example: Path, researched: dict[str, str]) -> None:
    shown = cli("runs", "show", researched["run"][:6], "--root", example, "--json").data
    assert shown["id"] == researched["run"]
    assert Path(shown["folder"], "report.html").is_file()
    told = cli("runs", "show", researched["run"], "--root", example).out
    beside = (
        "same close",
        "+ volume cap and delay",
        "break-even",
        "held, first open",
        "entered at random",
        "on record",
    )
    assert [words for words in (researched["run"], *beside) if words not in told] == []


# --- emulate, help ---------------------------------------------------------------------------------------


def test_an_emulator_says_where_it_serves_what_and_stops_at_ctrl_c(start_process: Any) -> None:
    with start_process("emulate", "--port", 0, "--symbol", "SYNA", "--json") as process:
        facts = json.loads("".join(itertools.takewhile(lambda line: line != "}\n", process.stdout)) + "}")
        assert facts["feed"] == "synthetic"
        answer = requests.get(f"{facts['url']}/v2/clock", timeout=10, proxies={"http": ""})
        assert answer.status_code == 401
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    assert process.returncode in {0, 130}
    assert "Traceback" not in errors


def test_an_emulator_keeps_the_clock_that_the_environment_names(start_process: Any, tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    options = ("--now", "2024-07-03T13:25:00Z", "--speed", 0, "--plan", "plus", "--json")
    with start_process("emulate", "--port", 0, *options, BARLAKE_CLOCK=str(file)) as process:
        facts = json.loads("".join(itertools.takewhile(lambda line: line != "}\n", process.stdout)) + "}")
        keys = {"APCA-API-KEY-ID": facts["key_id"], "APCA-API-SECRET-KEY": facts["secret_key"]}
        answer = requests.get(f"{facts['url']}/v2/clock", headers=keys, timeout=10, proxies={"http": ""})
        assert answer.json()["timestamp"] == "2024-07-03T09:25:00-04:00"
        assert FileClock(file).now().isoformat() == "2024-07-03T13:25:00+00:00"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_every_command_has_help_with_json_and_root(cli: Any) -> None:
    listed = cli("--help").out
    lake, research = ["import", "bars", "symbols", "coverage", "gaps", "sql"], ["features", "train", "simulate"]
    for command in ["demo", "ingest", "emulate", *lake, *research]:
        assert f"  {command} " in listed
        text = cli(command, "--help").out
        assert "--json" in text, command
        assert "--root" in text, command


def test_no_command_shows_the_help(cli: Any) -> None:
    done = cli()
    assert "Commands" in done.out + done.errors


def test_no_command_waits_for_libraries_that_only_some_of_them_need() -> None:
    heavy = "{'numba', 'pandas', 'sklearn', 'scipy', 'cvxpy', 'exchange_calendars', 'fastapi', 'streamlit'}"
    asks = f"import sys, app.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asks], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
