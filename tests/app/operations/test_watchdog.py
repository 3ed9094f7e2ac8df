"""The watchdog on a real lake: what is wrong is an alert once, and over when it is mended."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import update

import barlake
from app.jobs.job import Job
from app.jobs.queue import JobQueue, open_queue
from app.operations import Operations, open_operations
from app.operations.database import writing
from app.operations.tables import heartbeats, watched
from app.operations.watchdog import check, watched_securities
from barlake.clock import FileClock
from barlake.lake import Lake
from barlake.receipts import Receipt
from barlake.records import Answer, AnswerStatus, RowRank
from barlake.settings import Settings
from barlake.testing import make_bars
from barlake.writer import Progress

DAY = dt.date(2024, 7, 2)
LONG_AGO = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
RECEIPT = Receipt(
    requested_at=LONG_AGO, source="alpaca", endpoint="/v2/stocks/bars", feed="sip", symbol="SPY", start=LONG_AGO,
    end=LONG_AGO, page_token=None, next_page_token=None, rows=0, status=503, complete=False, attempt=1,
    duration_ms=4.0, request_id=None, rate_limit_remaining=150, error="HTTP 503",
)  # fmt: skip


@dataclass(frozen=True)
class Watched:
    symbol: str
    start: dt.date | None = None


@pytest.fixture
def settings(tmp_path: Path, operations_url: str | None, monkeypatch: pytest.MonkeyPatch) -> Settings:
    if operations_url is not None:
        monkeypatch.setenv("BARLAKE_OPERATIONS_URL", operations_url)
    clock = tmp_path / "clock.json"
    FileClock.set(clock, dt.datetime(2024, 7, 3, 3, tzinfo=dt.UTC), speed=0)
    monkeypatch.setenv("BARLAKE_CLOCK", str(clock))
    monkeypatch.setenv("BARLAKE_ROOT", str(tmp_path / "lake"))
    return Settings(_env_file=None)


@pytest.fixture
def lake(settings: Settings) -> Iterator[Lake]:
    with barlake.open(settings=settings) as opened:
        yield opened


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    with open_operations(settings) as opened:
        yield opened


@pytest.fixture
def queue(settings: Settings) -> Iterator[JobQueue]:
    with open_queue(settings) as opened:
        yield opened


def clock(lake: Lake) -> FileClock:
    assert lake.settings.clock_file is not None
    return FileClock(lake.settings.clock_file)


def active(operations: Operations) -> list[str]:
    # The disk of this machine is nobody's fault.
    return [alert.key for alert in operations.alerts.active() if alert.key != "disk"]


def test_nothing_is_wrong_with_an_empty_lake(operations: Operations, lake: Lake, queue: JobQueue) -> None:
    check(operations, lake, queue, clock(lake), [])
    check(operations, lake, None, clock(lake), None)
    assert active(operations) == []


def test_a_worker_that_falls_silent_is_an_alert_until_it_is_back(operations: Operations, lake: Lake) -> None:
    operations.heartbeats.beat(worker="w1", agent="live", state="streaming")
    check(operations, lake, None, clock(lake))
    assert active(operations) == []
    with writing(operations.engine) as connection:
        then = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
        connection.execute(update(heartbeats).values(beat_at=then))
    check(operations, lake, None, clock(lake))
    check(operations, lake, None, clock(lake))
    assert active(operations) == ["stalled/w1"]
    operations.heartbeats.beat(worker="w1", agent="live", state="streaming")
    check(operations, lake, None, clock(lake))
    assert active(operations) == []
    assert [one.key for one in operations.alerts.history() if one.key != "disk"] == ["stalled/w1"]


def test_a_worker_that_has_been_gone_for_a_day_is_forgotten(operations: Operations, lake: Lake) -> None:
    operations.heartbeats.beat(worker="w1", agent="live", state="streaming")
    with writing(operations.engine) as connection:
        then = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
        connection.execute(update(heartbeats).values(beat_at=then))
    check(operations, lake, None, clock(lake))
    assert operations.heartbeats.all() == []
    assert active(operations) == []


def test_a_source_that_fails_on_and_on_is_an_alert_until_it_answers(operations: Operations, lake: Lake) -> None:
    lake.manifest.add_receipts([RECEIPT] * 4)
    check(operations, lake, None, clock(lake))
    assert active(operations) == []
    lake.manifest.add_receipts([RECEIPT])
    check(operations, lake, None, clock(lake))
    assert active(operations) == ["source/alpaca"]
    lake.manifest.add_receipts([replace(RECEIPT, status=200, error=None)])
    check(operations, lake, None, clock(lake))
    assert active(operations) == []


def test_a_session_is_late_until_a_source_answered_for_it(operations: Operations, lake: Lake) -> None:
    symbols = [Watched("SPY"), Watched("QQQ", DAY), Watched("GLD", DAY + dt.timedelta(days=1))]
    check(operations, lake, None, clock(lake), symbols)
    assert active(operations) == []  # what was due before anybody watched is history
    with writing(operations.engine) as connection:
        connection.execute(update(watched).values(since=dt.datetime(2024, 7, 2, 12, tzinfo=dt.UTC)))
    check(operations, lake, None, clock(lake), symbols)
    (alert,) = (one for one in operations.alerts.active() if one.key != "disk")
    assert (alert.key, alert.details["symbols"]) == ("late/sip/2024-07-02", ["QQQ", "SPY"])
    answer = Progress(answers=[Answer(DAY, AnswerStatus.COMPLETE)])
    for symbol in ("SPY", "QQQ"):
        lake.writer.write(make_bars([DAY]), feed="sip", symbol=symbol, source="alpaca", progress=answer)
    check(operations, lake, None, clock(lake), symbols)
    assert active(operations) == []


def test_streamed_bars_that_nobody_made_final_are_late(operations: Operations, lake: Lake) -> None:
    check(operations, lake, None, clock(lake), [Watched("SPY")])
    with writing(operations.engine) as connection:
        connection.execute(update(watched).values(since=dt.datetime(2024, 7, 2, 12, tzinfo=dt.UTC)))
    answer = Progress(answers=[Answer(DAY, AnswerStatus.COMPLETE)])
    lake.writer.write(make_bars([DAY]), feed="sip", symbol="SPY", source="alpaca", progress=answer)
    lake.writer.write(make_bars([DAY]), feed="iex", symbol="SPY", source="alpaca", rank=RowRank.BAR)
    check(operations, lake, None, clock(lake), [Watched("SPY")])
    assert active(operations) == ["late/iex/2024-07-02"]
    lake.writer.write(make_bars([DAY]), feed="iex", symbol="SPY", source="alpaca")
    check(operations, lake, None, clock(lake), [Watched("SPY")])
    assert active(operations) == []


def test_what_has_no_sessions_of_minute_bars_is_not_watched(lake: Lake) -> None:
    assert watched_securities(lake) is None
    indices = "[{symbol: SPX, names: {alpaca: SPY}}, {symbol: VIX, names: {yahoo: ^VIX}}]"
    text = f"securities:\n  etfs: [SPY]\n  crypto: [BTC/USD]\n  indices: {indices}\n"
    (lake.root / "securities.yaml").write_text(text, encoding="utf-8")
    found = watched_securities(lake)
    assert found is not None
    assert [one.symbol for one in found] == ["SPY", "SPX"]


def test_a_part_that_cannot_be_looked_at_stops_no_other(
    operations: Operations, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    lake.manifest.add_receipts([RECEIPT] * 5)
    queue = open_queue(lake.settings)
    queue.put(Job("bars/sip/SPY/2024-07", "bars"))
    queue._engine.dispose()
    if lake.settings.operations_url is not None:
        pytest.skip("the queue is lost with the whole server")
    (lake.root / "operations" / "jobs.sqlite").write_bytes(b"no database" * 1000)
    for leftover in (lake.root / "operations").glob("jobs.sqlite-*"):
        leftover.unlink()
    check(operations, lake, queue, clock(lake))
    assert active(operations) == ["source/alpaca"]
    assert "a rule could not be checked" in caplog.text
    queue.close()


def test_several_watchdogs_raise_one_alert(operations: Operations, lake: Lake) -> None:
    lake.manifest.add_receipts([RECEIPT] * 5)
    ready = threading.Barrier(4)

    def watch() -> None:
        with open_operations(lake.settings) as own:
            ready.wait()
            check(own, lake, None, clock(lake))

    watchers = [threading.Thread(target=watch) for _ in range(4)]
    for one in watchers:
        one.start()
    for one in watchers:
        one.join()
    assert [alert.key for alert in operations.alerts.history() if alert.key != "disk"] == ["source/alpaca"]
