from __future__ import annotations

import datetime as dt

from ingest_service.emulator.clock import VirtualClock
from ingest_service.emulator.limiter import FixedWindowLimiter


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_window_opens_with_its_first_request_and_ends_on_time() -> None:
    seconds = Seconds()
    limiter = FixedWindowLimiter(2, 10, monotonic=seconds)
    assert [limiter.take("key").allowed for _ in range(3)] == [True, True, False]
    seconds.now = 109.9
    assert not limiter.take("key").allowed
    seconds.now = 110.0
    budget = limiter.take("key")
    assert (budget.allowed, budget.remaining, budget.reset_in_seconds) == (True, 1, 10)


def test_keys_do_not_share_a_budget() -> None:
    limiter = FixedWindowLimiter(1, 10, monotonic=Seconds())
    assert limiter.take("one").allowed
    assert limiter.take("two").allowed


def test_a_clock_that_was_set_runs_on_from_there() -> None:
    seconds = Seconds()
    start = dt.datetime(2024, 1, 2, 9, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    clock = VirtualClock(start, monotonic=seconds)
    seconds.now += 90
    assert clock.now() == start + dt.timedelta(seconds=90)
    assert clock.now().tzinfo is dt.UTC


def test_a_clock_that_was_not_set_shows_real_time() -> None:
    clock = VirtualClock(dt.datetime(2024, 1, 2, tzinfo=dt.UTC))
    clock.set(None)
    assert abs(clock.now() - dt.datetime.now(tz=dt.UTC)) < dt.timedelta(seconds=5)
