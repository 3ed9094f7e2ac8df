"""Daily bars, news, macro values and bars of coins: what is due is done, and then it is not due any more."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.jobs.context import JobContext
from app.jobs.planning import Part, Plan, plan
from app.jobs.registry import find_task
from app.operations import Operations
from barlake.clock import clock_of
from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.settings import Settings
from ingest_service.emulator import EmulatorConfig, serve
from ingest_service.watch_list import Security, WatchList
from tests.scripted_server import serve as serve_script
from tests.scripted_server import status

NOW = dt.datetime(2024, 7, 9, 15, tzinfo=dt.UTC)
"""A Tuesday, while the session is on."""

EVENING = NOW.replace(hour=21)
FIRST = dt.date(2024, 7, 1)


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with serve(EmulatorConfig(now=EVENING, requests_per_window=10_000), calendar=Calendar.default()) as url:
        yield url


@pytest.fixture
def known(emulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BARLAKE_CRYPTO_SOURCES", "alpaca-crypto")
    config = EmulatorConfig()
    return Settings.model_validate(
        {
            "ALPACA_API_KEY_ID": config.key_id,
            "ALPACA_API_SECRET_KEY": config.secret_key,
            "ALPACA_DATA_URL": emulator,
            "ALPACA_RPM": "10000",
            "ALPACA_FEED": "synthetic",
            "BARLAKE_ROOT": str(tmp_path),
        }
    )


class Clock:
    now = NOW


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lake(known: Settings, clock: Clock, tmp_path: Path) -> Iterator[Lake]:
    with Lake(tmp_path / "lake", known, now=lambda: clock.now) as lake:
        yield lake


def watch(*securities: Security, **options: Any) -> WatchList:
    return WatchList(Path("securities.yaml"), securities, (), **options)


@pytest.fixture
def perform(lake: Lake, operations: Operations) -> Callable[[Plan], list[dict[str, Any]]]:
    """A function that does what is due, in this thread."""

    def run(due: Plan) -> list[dict[str, Any]]:
        results = []
        for job in due.jobs:
            context = JobContext(
                job_id=job.key, agent="backfill", lake=lake, settings=lake.settings, clock=clock_of(lake.settings),
                operations=operations, stop=threading.Event(),
            )  # fmt: skip
            results.append(find_task(job.task)(context, dict(job.arguments)))
        return results

    return run


Perform = Callable[[Plan], list[dict[str, Any]]]


def test_daily_bars_are_due_until_the_last_session_that_is_over(lake: Lake, clock: Clock, perform: Perform) -> None:
    index = Security("SPX", "indices", names={"alpaca": "SYNB"}, start=FIRST)
    unknown = Security("VIX", "indices", start=FIRST)
    wanted = watch(Security("SYNA", start=FIRST), index, unknown, records=("daily",))
    due = plan(lake, wanted, NOW, parts={Part.DAILY})
    assert [one.job.key for one in due.due] == ["daily/alpaca/SYNA/2024", "daily/alpaca/SPX/2024"]
    one, two = perform(due)
    assert (one["status"], one["inserted"], one["sources"]) == ("done", 5, ["alpaca"])
    assert two["sources"] == ["alpaca-synb"]
    assert plan(lake, wanted, NOW, parts={Part.DAILY}).due == ()
    clock.now = EVENING
    again = plan(lake, wanted, EVENING, parts={Part.DAILY})
    assert len(again.due) == 2
    assert [one["inserted"] for one in perform(again)] == [1, 1]
    assert plan(lake, wanted, EVENING, parts={Part.DAILY}).due == ()
    assert lake.daily("SPX")["session"].to_list()[-1] == dt.date(2024, 7, 9)


def test_news_are_due_once_a_day_for_all_together(lake: Lake, clock: Clock, perform: Perform) -> None:
    wanted = watch(Security("SYNA"), Security("SYNB"), records=("news",))
    due = plan(lake, wanted, NOW, parts={Part.NEWS})
    assert [one.job.key for one in due.due] == ["news/alpaca/2024-07-09"]
    (one,) = perform(due)
    assert one["inserted"] > 0
    assert plan(lake, wanted, NOW, parts={Part.NEWS}).due == ()
    clock.now = NOW + dt.timedelta(days=1)
    assert len(plan(lake, wanted, clock.now, parts={Part.NEWS}).due) == 1


def test_series_are_due_once_a_day(lake: Lake, clock: Clock, perform: Perform, monkeypatch: pytest.MonkeyPatch) -> None:
    row = '<observation realtime_start="2024-06-27" realtime_end="9999-12-31" date="2024-01-01" value="1.5"/>'
    empty = [status(200, "<observations/>")] * 8
    with serve_script(*empty[:7], status(200, f"<observations>{row}</observations>"), *empty) as script:
        monkeypatch.setenv("FRED_API_KEY", "KEY-OF-THE-TEST")
        monkeypatch.setenv("FRED_BASE_URL", script.url)
        monkeypatch.setenv("FRED_RPM", "10000")
        lake.settings = lake.settings.model_copy(update={"sources": Settings().sources})
        wanted = watch(macro=("GDP",))
        due = plan(lake, wanted, NOW, securities=[], parts={Part.MACRO})
        assert [one.job.key for one in due.due] == ["macro/fred/GDP"]
        (one,) = perform(due)
    assert (one["status"], one["inserted"]) == ("done", 1)
    assert plan(lake, wanted, NOW, securities=[], parts={Part.MACRO}).due == ()
    clock.now = NOW + dt.timedelta(days=1)
    assert len(plan(lake, wanted, clock.now, securities=[], parts={Part.MACRO}).due) == 1


def test_records_nobody_wants_are_not_due(lake: Lake) -> None:
    assert plan(lake, watch(Security("SYNA")), NOW, parts={Part.DAILY, Part.NEWS, Part.MACRO}).due == ()


def test_bars_of_coins_are_due_on_every_day_in_the_feed_of_their_source(lake: Lake, perform: Perform) -> None:
    wanted = watch(Security("BTC/USD", "crypto", start=dt.date(2024, 7, 6)))
    due = plan(lake, wanted, NOW, parts={Part.BARS})
    assert [(one.job.key, one.why) for one in due.due] == [
        ("bars/alpaca-crypto/BTC/USD/2024-07", "3 sessions are missing"),
    ]
    (one,) = perform(due)
    assert (one["status"], one["bars_held"]) == ("done", 3 * 1440)
    assert plan(lake, wanted, NOW, parts={Part.BARS}).due == ()


def test_coins_whose_source_cannot_be_used_are_noted_with_the_reason(lake: Lake) -> None:
    lake.settings = lake.settings.model_copy(update={"alpaca_key_id": None})
    found = plan(lake, watch(Security("BTC/USD", "crypto")), NOW, parts={Part.BARS})
    assert found.due == ()
    assert "ALPACA_API_KEY_ID is not set" in found.notes[0].text


def test_bars_of_stocks_come_from_the_sources_of_the_settings(lake: Lake, perform: Perform) -> None:
    wanted = watch(
        Security("SYNA", start=dt.date(2024, 7, 8)),
        Security("SPX", "indices", names={"alpaca": "SYNB"}, start=dt.date(2024, 7, 8)),
    )
    results = perform(plan(lake, wanted, NOW, parts={Part.BARS}))
    assert [one["status"] for one in results] == ["done", "done"]
    assert {"alpaca", "alpaca-synb"} <= set(lake.manifest.commits()["source"])
