"""Features follow their bars: built when those have landed, again when one is corrected, and never for nothing."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.jobs.loops import LoopContext
from app.jobs.names import Identity
from app.jobs.queue import JobQueue
from app.jobs.tasks.features import LONGEST_UNREST, QUIET, Rest, watch_bars
from app.operations import Operations
from barlake.clock import FileClock
from barlake.lake import open_lake
from barlake.settings import Settings
from barlake.testing import make_bars
from tests.app.jobs.probing import eventually

NOW = dt.datetime(2024, 1, 31, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
DAYS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]


def test_bars_that_keep_coming_are_built_from_when_they_rest_or_after_a_while() -> None:
    rest = Rest()
    assert not rest.is_over(None, NOW)
    assert not rest.is_over(NOW, NOW)
    assert not rest.is_over(NOW, NOW + QUIET - SECOND)
    assert rest.is_over(NOW, NOW + QUIET)
    assert not rest.is_over(NOW, NOW + 2 * QUIET)  # nothing new
    begun = NOW + dt.timedelta(hours=1)
    built = [second for second in range(0, 1860, 10) if rest.is_over(begun + second * SECOND, begun + second * SECOND)]
    minutes = LONGEST_UNREST // SECOND
    assert built == [minutes, 2 * minutes + 10]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    clock, watched = tmp_path / "clock.json", tmp_path / "securities.yaml"
    FileClock.set(clock, NOW, speed=100.0)
    watched.write_text("securities: {etfs: [SPY, QQQ]}\n", encoding="utf-8")
    changes = {"root": str(tmp_path / "lake"), "clock_file": clock, "securities_file": watched, "heartbeat_s": 0.3}
    return Settings(_env_file=None).model_copy(update=changes)


@pytest.fixture
def watching(settings: Settings, jobs: JobQueue, operations: Operations) -> Iterator[None]:
    """Somebody watches for bars that came to rest."""
    stop = threading.Event()
    context = LoopContext(
        "features-watch", settings, FileClock(settings.clock_file or Path()), operations, jobs, stop,
        Identity.here("w"), 0.3,
    )  # fmt: skip
    thread = threading.Thread(target=watch_bars, args=(context,))
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.usefixtures("watching")
def test_a_correction_has_features_built_anew_and_nothing_new_has_not(
    settings: Settings, jobs: JobQueue, drain: Callable[..., Any]
) -> None:
    bars = make_bars(DAYS)
    with open_lake(settings=settings) as lake:
        lake.write_bars(bars, feed="sip", symbol="SPY")

        def put() -> list[str]:
            return [one.id for one in jobs.list(prefix="features/core/")]

        (first,) = eventually(put)
        assert first.startswith("features/core/SPY/")
        drain(agents=["features"])
        result = jobs.get(first).result or {}
        assert (result["status"], result["rows"]) == ("done", bars.height)

        corrected = bars.head(1).with_columns(close=bars["low"][:1])
        lake.write_bars(corrected, feed="sip", symbol="SPY")
        _, second = eventually(lambda: len(put()) == 2 and put())
        assert second != first
        drain(agents=["features"])
        rebuilt = jobs.get(second).result or {}
        assert (rebuilt["status"], rebuilt["version"]) == ("done", result["version"])

        lake.write_bars(bars.tail(5), feed="sip", symbol="SPY")  # known already
        seen = lake.manifest.last_commit_at()
        lake.write_bars(make_bars(DAYS, seed=2), feed="iex", symbol="SPY")  # another feed
        assert lake.manifest.last_commit_at() != seen
        clock = FileClock(settings.clock_file or Path())
        until = clock.now() + 4 * QUIET
        eventually(lambda: clock.now() > until)
        assert put() == [first, second]
