"""`barlake update`: what is due is done, told by symbol, and told by the exit code."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests as http
from filelock import FileLock
from sqlalchemy import select

import barlake
from barlake import tables
from barlake.clock import FileClock
from barlake.sessions import Calendar
from barlake.testing import make_bars
from ingest_service.emulator import EmulatorConfig, serve

Cli = Callable[..., Any]

NOW = dt.datetime(2024, 7, 9, 6, 30, tzinfo=dt.UTC)
WATCHED = """start: 2024-07-01
securities:
  etfs: [SYNA, SYNB]
  stocks: [SYNC]
  indices: [VIX]
"""


@pytest.fixture(scope="module")
def _served() -> Iterator[str]:
    with serve(EmulatorConfig(now=NOW, requests_per_window=10_000), calendar=Calendar.default()) as url:
        yield url


@pytest.fixture
def market(_served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root of an empty lake whose settings lead to an emulator, on the morning of 2024-07-09."""
    config = EmulatorConfig()
    FileClock.set(tmp_path / "clock.json", NOW, speed=1.0)
    for name, value in {
        "NO_PROXY": "127.0.0.1",
        "ALPACA_API_KEY_ID": config.key_id,
        "ALPACA_API_SECRET_KEY": config.secret_key,
        "ALPACA_DATA_URL": _served,
        "ALPACA_FEED": "synthetic",
        "BARLAKE_CLOCK": str(tmp_path / "clock.json"),
        "BARLAKE_ROOT": str(tmp_path / "lake"),
    }.items():
        monkeypatch.setenv(name, value)
    Path("securities.yaml").write_text(WATCHED, encoding="utf-8")
    return tmp_path / "lake"


def by_symbol(outcome: Any) -> dict[str, tuple[str, int]]:
    return {row["symbol"]: (row["status"], row["jobs_done"]) for row in outcome.data["symbols"]}


def test_a_dry_run_tells_what_is_due_and_does_nothing(cli: Cli, market: Path) -> None:
    found = cli("update", "--dry-run", "--json").data
    assert [row["job"] for row in found["due"]] == [
        "bars/synthetic/SYNA/2024-07", "bars/synthetic/SYNB/2024-07", "bars/synthetic/SYNC/2024-07",
        "actions/2024-07-09", "calendar/2024-07-09",
    ]  # fmt: skip
    assert found["due"][0]["why"] == "5 sessions are missing"
    assert [note["symbol"] for note in found["notes"]] == ["VIX"]
    assert "5 sessions are missing" in cli("update", "--dry-run", "--categories", "etfs", "--skip", "SYNB").out
    with barlake.open(market) as lake:
        assert lake.manifest.receipts().is_empty()


def test_what_is_not_on_the_list_is_refused_and_not_quietly_left_out(cli: Cli, market: Path) -> None:
    del market
    for words, said in (
        (["--categories", "etf"], "Did you mean 'etfs'?"),
        (["--only", "SYNA,SYMB"], "Did you mean 'SYNB'?"),
        (["--do", "bar"], "Did you mean 'bars'?"),
        (["--only", "SYNA", "--skip", "SYNA"], "nothing is selected"),
    ):
        refused = cli("update", "--dry-run", *words)
        assert (refused.code, said in refused.errors) == (1, True)


def test_no_watch_list_is_said_with_the_way_to_one(cli: Cli, market: Path) -> None:
    del market
    Path("securities.yaml").unlink()
    found = cli("update")
    assert (found.code, "barlake securities init" in found.errors) == (1, True)


def test_a_second_run_beside_one_is_refused(cli: Cli, market: Path) -> None:
    (market / "operations").mkdir(parents=True)
    with FileLock(market / "operations" / ".update.lock"):
        refused = cli("update", "--do", "calendar")
    assert (refused.code, "another update of" in refused.errors) == (1, True)
    assert cli("update", "--do", "calendar").code == 0


def test_actions_and_calendar_are_asked_for_once_a_day(cli: Cli, market: Path) -> None:
    first = cli("update", "--do", "actions,calendar", "--json")
    assert (first.code, by_symbol(first)["(all)"]) == (0, ("done", 2))
    with barlake.open(market) as lake:
        asked = lake.manifest.receipts()["endpoint"].to_list()
    assert sorted(asked) == [*["/v1/corporate-actions"] * 3, "/v2/calendar"]
    second = cli("update", "--do", "actions,calendar", "--json")
    assert second.code == 0
    with barlake.open(market) as lake:
        assert lake.manifest.receipts().height == len(asked)


def test_features_are_built_once(cli: Cli, market: Path) -> None:
    with barlake.open(market) as lake:
        lake.write_bars(make_bars([dt.date(2024, 7, 5)]), feed="synthetic", symbol="SYNA")
    first = cli("update", "--do", "features", "--only", "SYNA", "--json")
    assert (first.code, by_symbol(first)) == (0, {"SYNA": ("done", 1)})
    second = cli("update", "--do", "features", "--only", "SYNA", "--json")
    assert (second.code, by_symbol(second)) == (0, {"SYNA": ("done", 0)})


def test_a_refused_key_ends_with_exit_code_1_and_asks_once(
    cli: Cli, market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_API_SECRET_KEY", "another")
    found = cli("update", "--do", "calendar,actions")
    assert (found.code, "ALPACA_API_SECRET_KEY" in found.errors) == (1, True)
    with barlake.open(market) as lake:
        assert lake.manifest.receipts().height == 1


def requests(market: Path) -> list[tuple[str, str]]:
    with barlake.open(market) as lake:
        return [tuple(row) for row in lake.manifest.receipts().select("endpoint", "symbol").rows()]


def test_everything_due_is_done_and_then_nothing_is(cli: Cli, market: Path) -> None:
    first = cli("update", "--json")
    assert first.code == 0
    assert by_symbol(first) == {
        "SYNA": ("done", 2), "SYNB": ("done", 2), "SYNC": ("done", 2), "(all)": ("done", 3),
    }  # fmt: skip
    assert all(row["bars_held"] > 5 * 200 for row in first.data["symbols"][:3])
    asked = requests(market)
    with barlake.open(market) as lake:
        assert lake.sql("SELECT count(DISTINCT symbol) AS n FROM bars").item() == 3
        assert lake.feature_tables.versions()["symbol"].to_list() == ["SYNA", "SYNB", "SYNC"]
    second = cli("update")
    assert (second.code, "nothing was due" in second.out) == (0, True)
    assert requests(market) == asked


def test_the_last_two_sessions_are_looked_at_again_the_next_morning(cli: Cli, market: Path, tmp_path: Path) -> None:
    cli("update", "--only", "SYNA", "--do", "bars")
    before = len(requests(market))
    FileClock.set(tmp_path / "clock.json", NOW + dt.timedelta(hours=5), speed=1.0)
    found = cli("update", "--only", "SYNA", "--do", "bars,recheck", "--json")
    assert (found.code, by_symbol(found)["SYNA"]) == (0, ("done", 2))
    assert len(requests(market)) == before + 2
    assert cli("update", "--only", "SYNA", "--do", "bars,recheck").out.startswith("nothing was due")


def test_a_symbol_that_the_source_does_not_have_is_a_partial_success_until_it_is_mended(cli: Cli, market: Path) -> None:
    Path("securities.yaml").write_text(WATCHED.replace("SYNC", "SYNC, ZZZZ"), encoding="utf-8")
    for jobs in (1, 0):
        found = cli("update", "--do", "bars", "--json")
        rows = {row["symbol"]: row for row in found.data["symbols"]}
        assert (found.code, found.data["exit_code"], rows["ZZZZ"]["jobs_done"]) == (3, 3, jobs)
        assert rows["ZZZZ"]["why"].startswith("the source has no bars of it since 2024-07-01")
        assert rows["SYNA"]["status"] == "done"
    assert ("/v2/stocks/bars", "ZZZZ") in requests(market)
    assert cli("update", "--do", "bars", "--only", "ZZZZ").code == 1
    assert cli("update", "--do", "bars", "--skip", "ZZZZ").code == 0


def test_what_another_instrument_says_is_kept_under_its_own_name(cli: Cli, market: Path) -> None:
    Path("securities.yaml").write_text(
        "start: 2024-07-08\nsecurities:\n  indices:\n    - {symbol: SPX, names: {alpaca: SYNA}}\n", encoding="utf-8"
    )
    found = cli("update", "--do", "bars")
    assert (found.code, "is not the index" in found.errors) == (0, True)
    assert requests(market) == [("/v2/stocks/bars", "SYNA")]
    with barlake.open(market) as lake, lake.manifest.engine.connect() as connection:
        said = connection.execute(select(tables.commits.c.symbol, tables.commits.c.source).distinct()).all()
    assert [tuple(row) for row in said] == [("SPX", "alpaca-syna")]


def test_ctrl_c_ends_it_with_what_is_finished(
    market: Path, start_process: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("securities.yaml").write_text("start: 2020-01-02\nsecurities: {etfs: [SYNA, SYNB]}\n", encoding="utf-8")
    monkeypatch.setenv("BARLAKE_SECURITIES", str(Path("securities.yaml").absolute()))
    names = ("ALPACA_", "BARLAKE_")
    environment = {name: value for name, value in os.environ.items() if name.startswith(names)}
    with start_process("update", "--do", "bars", "--json", **environment) as run:
        deadline = time.monotonic() + 60
        while not (market.exists() and requests(market)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        out, errors = run.communicate(timeout=60)
    assert (run.returncode, "nothing is half written" in errors) == (130, True), out + errors
    last = {row["symbol"]: row for row in json.loads(out)["symbols"]}["SYNB"]
    assert (last["status"], last["why"]) == ("failed", "not done: the run was stopped")
    with barlake.open(market) as lake:
        assert lake.verify().faults == ()


def test_daily_bars_news_and_coins_come_along_where_the_watch_list_wants_them(
    cli: Cli, market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BARLAKE_CRYPTO_SOURCES", "alpaca-crypto")
    Path("securities.yaml").write_text(
        "start: 2024-07-05\nrecords: [daily, news]\nsecurities: {etfs: [SYNA], crypto: [BTC/USD]}\n", encoding="utf-8"
    )
    found = cli("update", "--do", "bars,daily,news", "--json")
    assert found.code == 0
    rows = {row["symbol"]: row for row in found.data["symbols"]}
    assert (rows["SYNA"]["jobs_done"], rows["BTC/USD"]["jobs_done"]) == (2, 1)
    assert rows["BTC/USD"]["bars_held"] > 1000
    with barlake.open(market) as lake:
        assert not lake.daily("SYNA").is_empty()
        assert lake.symbols("alpaca-crypto")["symbol"].to_list() == ["BTC/USD"]
    asked = requests(market)
    assert cli("update", "--do", "bars,daily,news").out.startswith("nothing was due")
    assert requests(market) == asked


def test_a_correction_of_the_source_is_found_the_next_morning_and_features_follow(
    cli: Cli, market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(EmulatorConfig(now=NOW, requests_per_window=10_000), calendar=Calendar.default()) as url:
        monkeypatch.setenv("ALPACA_DATA_URL", url)
        assert cli("update", "--only", "SYNA").code == 0
        with barlake.open(market) as lake:
            bar = lake.bars("SYNA", "2024-07-08", session="regular").row(7, named=True)
            before = lake.feature_tables.versions()
        order = {"symbol": "SYNA", "timestamp": bar["timestamp"].isoformat(), "values": {"volume": bar["volume"] + 7}}
        assert http.post(f"{url}/_emu/revise", json=order, timeout=60).ok
        FileClock.set(tmp_path / "clock.json", NOW + dt.timedelta(hours=5), speed=1.0)
        found = cli("update", "--only", "SYNA", "--json")
        assert (found.code, by_symbol(found)["SYNA"]) == (0, ("done", 3))  # two sessions again, one table
        with barlake.open(market) as lake:
            assert lake.bars("SYNA", bar["timestamp"])["volume"][0] == bar["volume"] + 7
            assert lake.revisions("SYNA").height == 1
            after = lake.feature_tables.versions()
        assert after["version"].to_list() == before["version"].to_list()
        assert after["created_at"][0] > before["created_at"][0]
        assert cli("update", "--only", "SYNA").out.startswith("nothing was due")
