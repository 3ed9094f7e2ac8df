"""Real bars over real HTTP, whatever the source does and whenever the process dies."""

from __future__ import annotations

import datetime as dt
import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests
from pydantic import SecretStr

import barlake
from barlake.settings import Settings
from barlake.testing import temporary_lake
from ingest_service.alpaca import AlpacaSource
from ingest_service.backfill import backfill
from ingest_service.emulator import EmulatorConfig, Fault, serve

DUCKDB = Path(sys.executable).with_name("duckdb")
HOW_MANY = "select symbol, count(*) as bars from bars group by 1"

WHOLE = ("--start", "2024-03-26", "--end", "2025-04-03")
# QQQ has two pages in each of these months, so that pages have borders.
SPRING = ("--start", "2024-04-01", "--end", "2024-06-01")
SPRING_PAGES = 4

POISONS = [Fault.NAN, Fault.MISSING_FIELD]
SILENCES = [Fault.NULL_BARS, Fault.NULL_SYMBOL, Fault.MISSING_SESSION, Fault.PARTIAL_SESSION]
FAULTS = [fault for fault in Fault if fault not in {Fault.NONE, Fault.HANG, *POISONS, *SILENCES}]


@dataclass(frozen=True)
class Truth:
    """What a lake must hold: worked out from the files, by another way in than HTTP."""

    spring: str
    whole: str


@pytest.fixture(scope="session")
def truth(year: Path) -> Truth:
    with temporary_lake() as lake:
        for symbol in ("SPY", "QQQ"):
            lake.import_bars(year / f"{symbol}.parquet", feed="sip")
        return Truth(lake.snapshot(["QQQ"], SPRING[1], SPRING[3]).root_hash, lake.snapshot(["SPY", "QQQ"]).root_hash)


def content(root: Path, *symbols: str) -> str:
    """Hash over all values held, after it is clear that no minute is there twice."""
    with barlake.open(root) as lake:
        frame = lake.bars(symbols)
        assert frame.select("symbol", "timestamp").is_duplicated().sum() == 0
        counted = dict(lake.sql(HOW_MANY).iter_rows())
        assert counted == dict(frame.group_by("symbol").len().iter_rows())
        return lake.snapshot(symbols).root_hash


# --- the year as it is --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def whole_lake(barlake_command: Any, _real_year: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that `barlake ingest` filled with the whole range."""
    root = tmp_path_factory.mktemp("whole")
    _real_year.reset()
    barlake_command.run("ingest", "SPY", "QQQ", *WHOLE, "--root", root, **_real_year.settings)
    return root


@pytest.mark.parametrize(("symbol", "rows"), [("SPY", 102_236), ("QQQ", 207_071)])
def test_the_lake_holds_row_for_row_what_the_files_hold(whole_lake: Path, year: Path, symbol: str, rows: int) -> None:
    theirs = pl.read_parquet(year / f"{symbol}.parquet")
    with barlake.open(whole_lake) as lake:
        ours = lake.bars(symbol).select(theirs.columns)
    assert ours.height == rows
    assert ours.equals(theirs.cast(ours.schema))


def test_the_lake_has_the_hash_of_a_lake_made_from_the_files(whole_lake: Path, truth: Truth) -> None:
    assert content(whole_lake, "SPY", "QQQ") == truth.whole


def test_every_regular_minute_is_there_but_the_last_36_of_spy(whole_lake: Path) -> None:
    with barlake.open(whole_lake) as lake:
        span = lake.calendar.in_range(dt.date(2024, 3, 26), dt.date(2025, 4, 3))
        expected = span.select((pl.col("close") - pl.col("open")).dt.total_minutes().sum()).item()
        regular = {name: lake.bars(name, session="regular") for name in ("SPY", "QQQ")}
        covered = lake.coverage(["SPY", "QQQ"])
    assert expected == 99_300
    assert {name: frame.height for name, frame in regular.items()} == {"SPY": 99_264, "QQQ": 99_300}
    assert regular["SPY"].join(regular["QQQ"], on="timestamp").height == 99_264
    assert covered["regular_bars"].sum() == 99_264 + 99_300
    assert covered["expected_bars"].sum() == 2 * 99_300


def test_the_36_absent_minutes_are_a_confirmed_absence_of_trades(whole_lake: Path, barlake_command: Any) -> None:
    (gap,) = barlake_command.json("gaps", "SPY", "QQQ", "--root", whole_lake)
    assert (gap["symbol"], gap["session"], gap["class"]) == ("SPY", "2025-04-02", "no_trade")
    assert (gap["expected_bars"], gap["held_bars"], gap["missing_bars"]) == (390, 354, 36)
    assert gap["evidence"].startswith("answered 2 time(s)")


def test_a_second_ingest_sends_no_request_and_writes_no_bar_file(
    whole_lake: Path, barlake_command: Any, real_year: Any
) -> None:
    before = bar_files(whole_lake)
    report = barlake_command.json("ingest", "SPY", "QQQ", *WHOLE, "--root", whole_lake, **real_year.settings)
    assert [one["requests"] for one in report["symbols"]] == [0, 0]
    assert real_year.log() == []
    assert bar_files(whole_lake) == before


def bar_files(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (root / "parquet").rglob("*.parquet")}


# --- a source with faults ------------------------------------------------------------------------


def struck(log: list[dict[str, Any]]) -> set[str]:
    return {entry["fault"] for entry in log if entry["fault"]}


@pytest.mark.parametrize("fault", FAULTS)
def test_two_months_are_the_same_under_every_fault(fault: Fault, real_year: Any, truth: Truth) -> None:
    real_year.reset(fault.value, period=2)
    with temporary_lake() as lake:
        source = client(real_year.url)
        (report,) = backfill(lake, source, ["QQQ"], SPRING[1], SPRING[3], feed="sip").symbols
        assert lake.snapshot(["QQQ"]).root_hash == truth.spring
        if fault is Fault.MISSING_MINUTES:
            assert report.sessions_confirmed == report.expected
        else:
            assert struck(real_year.log()) == {fault.value}
        (again,) = backfill(lake, source, ["QQQ"], SPRING[1], SPRING[3], feed="sip").symbols
        assert again.requests == 0


@pytest.mark.parametrize("fault", POISONS)
def test_rows_that_cannot_be_read_are_in_quarantine_and_all_others_in_the_lake(
    fault: Fault, real_year: Any, year: Path
) -> None:
    real_year.reset(fault.value, period=2)
    truth = pl.read_parquet(year / "QQQ.parquet")
    with temporary_lake() as lake:
        backfill(lake, client(real_year.url), ["QQQ"], SPRING[1], SPRING[3], feed="sip")
        ours = lake.bars("QQQ").select(truth.columns)
        lost = truth.filter(pl.col("timestamp").is_between(ours["timestamp"][0], ours["timestamp"][-1])).join(
            ours, on="timestamp", how="anti"
        )
        assert ours.join(truth, on=truth.columns, how="anti", nulls_equal=True).is_empty()
        kept = "".join(lake.manifest.quarantine()["raw"]).replace("T", " ")
        assert all(f"{stamp:%Y-%m-%d %H:%M}" in kept for stamp in lost["timestamp"])
        assert struck(real_year.log()) == {fault.value}


@pytest.mark.parametrize("fault", SILENCES)
@pytest.mark.parametrize("page", [1, 2])
def test_what_is_withheld_without_a_sign_between_other_bars_is_missed_and_asked_for_again(
    fault: Fault, page: int, real_year: Any
) -> None:
    regular = 44 * 390  # no half day among them, and QQQ trades in every minute
    real_year.reset()
    order = {"rules": [{"fault": fault.value, "after": page, "times": 1}]}
    requests.post(f"{real_year.url}/_emu/faults", json=order, timeout=30).raise_for_status()
    with temporary_lake() as lake:
        backfill(lake, client(real_year.url), ["QQQ"], SPRING[1], SPRING[3], feed="sip")
        assert struck(real_year.log()) == {fault.value}
        # Outside the regular minutes nothing tells a source's silence from no trade.
        assert lake.bars("QQQ", session="regular").height == regular


def test_an_answer_that_never_comes_is_asked_for_again(year: Path, truth: Truth) -> None:
    config = EmulatorConfig(bars=year, faults=(Fault.HANG,), fault_period=2)
    with serve(config) as url, temporary_lake() as lake:
        source = client(url, timeout=(1.0, 0.5))
        (report,) = backfill(lake, source, ["QQQ"], SPRING[1], SPRING[3], feed="sip").symbols
        assert report.requests > SPRING_PAGES
        assert lake.snapshot(["QQQ"]).root_hash == truth.spring


def client(url: str, **options: Any) -> AlpacaSource:
    config = EmulatorConfig()
    keys = {
        "alpaca_key_id": SecretStr(config.key_id),
        "alpaca_secret_key": SecretStr(config.secret_key),
        "alpaca_data_url": url,
    }
    settings = Settings(_env_file=None).model_copy(update=keys)
    return AlpacaSource.from_settings(settings, **{"backoff_seconds": 0.01, **options})


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_the_whole_range_is_the_same_under_every_fault(
    fault: Fault, real_year: Any, barlake_command: Any, truth: Truth, tmp_path: Path
) -> None:
    real_year.reset(fault.value)
    began = time.monotonic()
    first = ingest_all(barlake_command, real_year.settings, tmp_path)
    print(f"{fault}: {first} requests, {time.monotonic() - began:.1f} s")  # noqa: T201 - figures of a campaign
    if fault is not Fault.MISSING_MINUTES:
        assert struck(real_year.log()) == {fault.value}
    assert content(tmp_path, "SPY", "QQQ") == truth.whole
    assert ingest_all(barlake_command, real_year.settings, tmp_path) == 0


@pytest.mark.slow
def test_the_whole_range_is_the_same_when_answers_never_come(
    year: Path, barlake_command: Any, real_year: Any, truth: Truth, tmp_path: Path
) -> None:
    config = EmulatorConfig(bars=year, faults=(Fault.HANG,), hang_seconds=1.0, requests_per_window=10_000)
    with serve(config) as url:
        settings = real_year.settings | {"ALPACA_DATA_URL": url}
        assert ingest_all(barlake_command, settings, tmp_path) > 0
        assert content(tmp_path, "SPY", "QQQ") == truth.whole
        assert ingest_all(barlake_command, settings, tmp_path) == 0


@pytest.mark.slow
def test_the_whole_range_is_the_same_under_all_faults_of_answers_together(
    real_year: Any, barlake_command: Any, truth: Truth, tmp_path: Path
) -> None:
    # Not with withheld minutes: a page that breaks and comes back whole hides that its neighbour lacked rows
    # outside the regular minutes, and nothing tells a source's silence there from no trade.
    real_year.reset(*(fault for fault in FAULTS if fault is not Fault.MISSING_MINUTES))
    ingest_all(barlake_command, real_year.settings, tmp_path)
    assert content(tmp_path, "SPY", "QQQ") == truth.whole


def ingest_all(command: Any, settings: dict[str, str], root: Path) -> int:
    """Requests that the whole range took."""
    report = command.json("ingest", "SPY", "QQQ", *WHOLE, "--root", root, **settings)
    return sum(one["requests"] for one in report["symbols"])


# --- a process that dies ----------------------------------------------------------------------------


def kill_after_requests(command: Any, emulator: Any, count: int, delay_seconds: float, *arguments: object) -> None:
    """Start an ingest and kill it a moment after the source was asked so many times more, if it lasts so long."""
    seen = len(emulator.log())
    with command.start("ingest", *arguments, **emulator.settings) as process:
        while process.poll() is None and len(emulator.log()) < seen + count:
            time.sleep(0.005)
        time.sleep(delay_seconds)
        process.kill()
        process.communicate()


def test_three_kills_in_a_row_lose_and_double_nothing(
    real_year: Any, barlake_command: Any, truth: Truth, tmp_path: Path
) -> None:
    arguments = ("QQQ", *SPRING, "--root", tmp_path)
    chosen = random.Random()  # noqa: S311 - no secret
    for _ in range(3):
        kill_after_requests(barlake_command, real_year, 1, chosen.uniform(0, 0.15), *arguments)
    (report,) = barlake_command.json("ingest", *arguments, **real_year.settings)["symbols"]
    assert report["bars_held"] > 0
    assert content(tmp_path, "QQQ") == truth.spring
    (again,) = barlake_command.json("ingest", *arguments, **real_year.settings)["symbols"]
    assert again["requests"] == 0


@pytest.mark.slow
def test_ten_kills_at_random_moments_each_heal_with_one_restart(
    real_year: Any, barlake_command: Any, truth: Truth, tmp_path: Path
) -> None:
    began = time.monotonic()
    ingest_all(barlake_command, real_year.settings, tmp_path / "whole")
    usual_seconds = time.monotonic() - began
    chosen = random.Random()  # noqa: S311 - no secret
    for number in range(10):
        root, moment = tmp_path / str(number), chosen.uniform(0.5, usual_seconds)
        with barlake_command.start("ingest", "SPY", "QQQ", *WHOLE, "--root", root, **real_year.settings) as process:
            time.sleep(moment)
            process.kill()
            process.communicate()
        held = bars_held(root)
        requests = ingest_all(barlake_command, real_year.settings, root)
        print(f"killed at {moment:.2f} s with {held:,} bars held; {requests} requests healed it")  # noqa: T201 - figures
        assert content(root, "SPY", "QQQ") == truth.whole
        assert ingest_all(barlake_command, real_year.settings, root) == 0


@pytest.mark.slow
def test_ten_kills_in_a_row_on_one_lake_lose_and_double_nothing(
    real_year: Any, barlake_command: Any, truth: Truth, tmp_path: Path
) -> None:
    chosen = random.Random()  # noqa: S311 - no secret
    for _ in range(10):
        count, delay = chosen.randrange(1, 5), chosen.uniform(0, 0.3)
        kill_after_requests(barlake_command, real_year, count, delay, "SPY", "QQQ", *WHOLE, "--root", tmp_path)
        print(f"killed {delay:.2f} s after {count} requests; {bars_held(tmp_path):,} bars held")  # noqa: T201 - figures
    ingest_all(barlake_command, real_year.settings, tmp_path)
    assert content(tmp_path, "SPY", "QQQ") == truth.whole
    assert ingest_all(barlake_command, real_year.settings, tmp_path) == 0


def bars_held(root: Path) -> int:
    with barlake.open(root) as lake:
        return int(lake.symbols()["bars"].sum())


# --- a reader beside a writer ---------------------------------------------------------------------------


def ask_duckdb(root: Path) -> dict[str, int]:
    """Bars by symbol, from DuckDB's own command line."""
    if not DUCKDB.exists():
        pytest.skip("the DuckDB command line (package duckdb-cli) is not installed beside this Python")
    database = root / "duckdb" / "market.duckdb"
    asked = subprocess.run(
        [DUCKDB, "-readonly", "-json", database, HOW_MANY], capture_output=True, text=True, check=False, timeout=60
    )
    assert asked.returncode == 0, asked.stderr
    return {row["symbol"]: row["bars"] for row in json.loads(asked.stdout or "[]")}


def answers_while_ingesting(command: Any, emulator: Any, root: Path, *arguments: object) -> list[dict[str, int]]:
    """What DuckDB answers, again and again, between an ingest's first request and its end."""
    answers = []
    with command.start("ingest", *arguments, "--root", root, **emulator.settings) as process:
        while process.poll() is None:
            if emulator.log() and (root / "duckdb" / "market.duckdb").exists():
                answer = ask_duckdb(root)
                if process.poll() is None:
                    answers.append(answer)
            time.sleep(0.05)
        errors = process.communicate()[1]
    assert process.returncode == 0, errors
    return answers


def test_the_duckdb_command_line_answers_while_an_ingest_is_running(
    real_year: Any, barlake_command: Any, year: Path, tmp_path: Path
) -> None:
    with barlake.open(tmp_path) as lake:
        lake.import_bars(year / "SPY.parquet", feed="sip")
    real_year.reset("slow", period=2)
    answers = answers_while_ingesting(barlake_command, real_year, tmp_path, "QQQ", *SPRING)
    assert len(answers) > 1
    assert all(answer["SPY"] == 102_236 for answer in answers)
    assert ask_duckdb(tmp_path)["QQQ"] > 0


@pytest.mark.slow
def test_the_duckdb_command_line_sees_the_bars_grow(real_year: Any, barlake_command: Any, tmp_path: Path) -> None:
    real_year.reset("slow", period=2)
    answers = answers_while_ingesting(barlake_command, real_year, tmp_path, "SPY", "QQQ", *WHOLE)
    totals = [sum(answer.values()) for answer in answers]
    print(f"{len(totals)} answers, {sorted(set(totals))}")  # noqa: T201 - figures of a campaign
    assert totals == sorted(totals)
    assert 0 < totals[0] < 102_236 + 207_071
    assert ask_duckdb(tmp_path) == {"SPY": 102_236, "QQQ": 207_071}


def test_two_ingests_at_once_into_a_new_lake_agree(
    real_year: Any, barlake_command: Any, truth: Truth, tmp_path: Path
) -> None:
    arguments = ("ingest", "QQQ", *SPRING, "--root", tmp_path)
    processes = [barlake_command.start(*arguments, **real_year.settings) for _ in range(2)]
    for process in processes:
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 0, errors
    assert content(tmp_path, "QQQ") == truth.spring
