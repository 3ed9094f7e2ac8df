"""Metrics: what the databases say when somebody asks, in the words of Prometheus."""

from __future__ import annotations

import datetime as dt
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import barlake
from app.jobs.job import Job
from app.jobs.queue import open_queue
from app.operations import open_operations
from app.operations.metrics import FAMILIES
from app.operations.observer import Observer
from app.operations.prometheus import serving_metrics
from barlake.clock import FileClock, clock_of
from barlake.errors import InvalidInputError
from barlake.receipts import Receipt
from barlake.settings import Settings
from barlake.testing import make_bars

DAY = dt.date(2024, 7, 3)  # closes at 17:00 UTC
LONG_AGO = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
ANSWER = Receipt(
    requested_at=LONG_AGO, source="alpaca", endpoint="/v2/stocks/bars", feed="sip", symbol="SPY", start=LONG_AGO,
    end=LONG_AGO, page_token=None, next_page_token=None, rows=210, status=200, complete=True, attempt=1,
    duration_ms=4.0, request_id=None, rate_limit_remaining=150, error=None,
)  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, operations_url: str | None, monkeypatch: pytest.MonkeyPatch) -> Settings:
    if operations_url is not None:
        monkeypatch.setenv("BARLAKE_OPERATIONS_URL", operations_url)
    path = tmp_path / "clock.json"
    FileClock.set(path, dt.datetime(2024, 7, 3, 15, 0, 30, tzinfo=dt.UTC), speed=0)
    monkeypatch.setenv("BARLAKE_CLOCK", str(path))
    monkeypatch.setenv("BARLAKE_ROOT", str(tmp_path / "lake"))
    return Settings(_env_file=None)


@pytest.fixture
def observer(settings: Settings) -> Iterator[Observer]:
    with (
        barlake.open(settings=settings) as lake,
        open_operations(settings) as operations,
        open_queue(settings) as queue,
    ):
        # The first 80 minutes from 13:30: the newest bar ends at 14:50.
        lake.writer.write(make_bars([DAY], minutes=80), feed="sip", symbol="SPY", source="alpaca")
        lake.manifest.add_receipts([ANSWER, ANSWER, replace(ANSWER, status=429, rows=0, error="HTTP 429")])
        queue.put(Job("bars/sip/SPY/2024-07", "bars"))
        operations.heartbeats.beat(worker="w1", agent="backfill", state="running")
        operations.alerts.fire("late/sip/2024-07-02", level="error", message="late")
        yield Observer(lake, operations, queue, clock_of(settings), slow_s=0)


def scraped(url: str) -> dict[tuple[str, ...], float]:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the page of this test
        text = answer.read().decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_what_the_databases_say(observer: Observer) -> None:
    with serving_metrics(observer, port=0) as url:
        assert url.startswith("http://127.0.0.1:")
        found = scraped(url)
    assert found["barlake_bars_held", "sip"] == 80
    assert found["barlake_rows_received_total", "alpaca"] == 420
    assert found["barlake_requests_total", "alpaca", "200"] == 2
    assert found["barlake_requests_total", "alpaca", "429"] == 1
    assert found["barlake_rate_limit_remaining", "alpaca"] == 150
    assert found["barlake_source_failures_in_a_row", "alpaca"] == 1
    assert found["barlake_lag_seconds", "sip"] == 10 * 60  # at 15:00:30 the minute that ended at 15:00 could be there
    assert found["barlake_jobs", "backfill", "queued"] == 1
    assert found["barlake_jobs", "live", "running"] == 0
    assert 0 <= found["barlake_job_oldest_age_seconds", "backfill", "queued"] < 600
    assert 0 <= found["barlake_heartbeat_age_seconds", "backfill", "w1"] < 600
    assert found["barlake_alerts_active", "error"] == 1
    assert found["barlake_alerts_active", "critical"] == 0
    assert 0 < found["barlake_disk_free_bytes",] < found["barlake_disk_total_bytes",]
    assert found["barlake_last_commit_timestamp_seconds",] > 0
    assert found["barlake_up", "queue"] == found["barlake_up", "manifest"] == 1


def test_a_counter_goes_on_with_what_is_new(observer: Observer) -> None:
    with serving_metrics(observer, port=0) as url:
        scraped(url)
        observer.lake.manifest.add_receipts([ANSWER])
        assert scraped(url)["barlake_requests_total", "alpaca", "200"] == 3


def test_a_feed_is_not_behind_a_market_that_is_closed(observer: Observer, settings: Settings) -> None:
    assert settings.clock_file is not None
    FileClock.set(settings.clock_file, dt.datetime(2024, 7, 7, 12, tzinfo=dt.UTC), speed=0)
    (feed,) = observer.look().feeds
    # Friday's session of four hundred minutes less ten is missing, not the weekend: its close is at 20:00.
    assert feed.lag == dt.datetime(2024, 7, 5, 20, tzinfo=dt.UTC) - dt.datetime(2024, 7, 3, 14, 50, tzinfo=dt.UTC)
    assert observer.look().market.phase == "closed"


def test_a_port_that_is_taken_is_said_so(observer: Observer) -> None:
    with serving_metrics(observer, port=0) as url:
        port = int(re.findall(r":(\d+)/", url)[0])
        with (
            pytest.raises(InvalidInputError, match=f"port {port} of 127.0.0.1 cannot be had"),
            serving_metrics(observer, port=port),
        ):
            pass


def test_every_metric_is_on_the_page_about_operations() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(barlake_[a-z_]+)`", page))
    assert named == {family.name + ("_total" if family.grows else "") for family in FAMILIES}
