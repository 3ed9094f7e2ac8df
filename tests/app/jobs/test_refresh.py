"""The daily refresh of corporate actions and the calendar, against the emulator."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.jobs.context import JobContext
from app.jobs.planning import Part, plan
from app.jobs.registry import find_task
from app.operations import Operations
from barlake.clock import clock_of
from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.settings import Settings
from ingest_service.emulator import EmulatorConfig, serve
from ingest_service.watch_list import Security, WatchList

NOW = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
ROWS = """symbol,ex_date,kind,ratio,cash_usd,source
SPY,2024-03-15,dividend,,1.594937,issuer
SPY,2024-06-21,dividend,,1.759024,issuer
NVDA,2024-06-10,split,10:1,,issuer
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Settings]]:
    """A function that starts an emulator and gives the settings that lead to it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def start(calendar: Calendar | None = None, rows: str = ROWS) -> Settings:
        path = tmp_path / f"{len(running)}.csv"
        path.write_text(rows, encoding="utf-8")
        config = EmulatorConfig(actions=path, now=NOW)
        server = serve(config, calendar=calendar or Calendar.default())
        running.append(server)
        keys = {"ALPACA_API_KEY_ID": config.key_id, "ALPACA_API_SECRET_KEY": config.secret_key}
        return Settings.model_validate(keys | {"ALPACA_DATA_URL": server.__enter__(), "BARLAKE_ROOT": str(tmp_path)})

    yield start
    for server in running:
        server.__exit__(None, None, None)


@pytest.fixture
def perform(operations: Operations, tmp_path: Path) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """A function that does what is due, in this thread."""
    lakes: list[Lake] = []

    def run(settings: Settings, part: Part, *symbols: str, now: dt.datetime = NOW) -> list[dict[str, Any]]:
        lake = Lake(tmp_path / "lake", settings, now=lambda: now)
        lakes.append(lake)
        watched = WatchList(Path("securities.yaml"), tuple(Security(name) for name in symbols), ())
        results = []
        for job in plan(lake, watched, now, parts={part}).jobs:
            context = JobContext(
                job_id=job.key, agent="backfill", lake=lake, settings=settings, clock=clock_of(settings),
                operations=operations, stop=threading.Event(),
            )  # fmt: skip
            results.append(find_task(job.task)(context, dict(job.arguments)))
        return results

    yield run
    for lake in lakes:
        lake.close()


def test_actions_come_whole_once_and_then_a_trailing_window_for_all_symbols_at_once(
    started: Callable[..., Settings], perform: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    settings = started()
    (first,) = perform(settings, Part.ACTIONS, "SPY", "NVDA")
    assert (first["status"], first["inserted"]) == ("done", 3)
    assert perform(settings, Part.ACTIONS, "SPY", "NVDA") == []
    (again,) = perform(settings, Part.ACTIONS, "SPY", "NVDA", now=NOW + dt.timedelta(days=1))
    assert (again["inserted"], again["symbols"]) == (0, 2)
    with Lake(tmp_path / "lake", settings) as lake:
        asked = lake.manifest.receipts().select("symbol", "start").rows()
    assert [symbol for symbol, _ in asked] == ["SPY", "NVDA", "*"]
    assert asked[2][1].date() == dt.date(2024, 6, 2)
    changed = started(rows=ROWS + "SPY,2024-06-24,dividend,,0.5,issuer\n")
    (found,) = perform(changed, Part.ACTIONS, "SPY", "NVDA", now=NOW + dt.timedelta(days=2))
    assert found["inserted"] == 1


def test_a_symbol_that_is_refused_does_not_keep_the_others_from_being_asked_about(
    started: Callable[..., Settings], perform: Callable[..., list[dict[str, Any]]]
) -> None:
    settings = started()
    (found,) = perform(settings, Part.ACTIONS, "BTC-USD", "SPY")
    assert (found["status"], found["refused"], found["inserted"]) == ("partial", ["BTC-USD"], 2)


def test_calendars_that_agree_are_done(
    started: Callable[..., Settings], perform: Callable[..., list[dict[str, Any]]], operations: Operations
) -> None:
    settings = started()
    (found,) = perform(settings, Part.CALENDAR, "SPY")
    assert found == {"status": "done", "differences": []}
    assert operations.alerts.active() == []
    assert perform(settings, Part.CALENDAR, "SPY") == []


def test_a_difference_is_an_alert_and_changes_no_session(
    started: Callable[..., Settings],
    perform: Callable[..., list[dict[str, Any]]],
    operations: Operations,
    tmp_path: Path,
) -> None:
    frame = Calendar.default().frame
    other = frame.filter(pl.col("session") != dt.date(2024, 6, 12)).with_columns(
        close=pl.when(pl.col("session") == dt.date(2024, 7, 3))
        .then(pl.lit(dt.datetime(2024, 7, 3, 20, tzinfo=dt.UTC)).cast(pl.Datetime("us", "UTC")))
        .otherwise("close")
    )
    settings = started(Calendar(other))
    (found,) = perform(settings, Part.CALENDAR, "SPY")
    assert found["differences"] == [
        "2024-06-12: the lake has a session, 09:30-16:00, and Alpaca has none",
        "2024-07-03: the lake has 09:30-13:00, Alpaca 09:30-16:00",
    ]
    assert [one.key for one in operations.alerts.active()] == ["calendar"]
    with Lake(tmp_path / "lake", settings) as lake:
        assert lake.calendar.frame.equals(frame)
    perform(started(), Part.CALENDAR, "SPY", now=NOW + dt.timedelta(days=1))
    assert operations.alerts.active() == []
