from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.throttle import Throttle

EPOCH = 1_700_000_000.0
CAP = 65.0


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds

    def epoch(self) -> float:
        return EPOCH + self.now


def make(clock: Clock, *, local_error: float = 0.0, pace: int = 200, reserve: int = 1) -> Throttle:
    return Throttle(
        pace,
        reserve=reserve,
        cap_seconds=CAP,
        clock=clock,
        wall_clock=lambda: clock.epoch() + local_error,
        sleep=clock.sleep,
        jitter=lambda: 0.5,
    )


def limits(clock: Clock, remaining: int, reset_in: float, **more: str) -> dict[str, str]:
    return {
        "date": formatdate(clock.epoch(), usegmt=True),
        "x-ratelimit-limit": "200",
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(clock.epoch() + reset_in)),
        **more,
    }


def test_without_headers_requests_keep_the_local_pace() -> None:
    clock = Clock()
    throttle = make(clock, pace=200)
    for _ in range(11):
        throttle.acquire()
        throttle.observe(200, {})
    assert clock.now - 1000.0 == pytest.approx(10 * 0.3)


def test_requests_run_freely_while_the_server_says_some_remain() -> None:
    clock = Clock()
    throttle = make(clock)
    for remaining in range(199, 150, -1):
        throttle.acquire()
        throttle.observe(200, limits(clock, remaining, 60))
    assert clock.slept == []


def test_at_the_reserve_the_next_request_waits_for_the_reset() -> None:
    clock = Clock()
    throttle = make(clock, reserve=2)
    throttle.acquire()
    throttle.observe(200, limits(clock, 2, 20))
    assert throttle.acquire() == pytest.approx(20 + 0.25 + 0.125, abs=1e-6)


def test_waits_are_by_the_server_s_clock_not_the_local_one() -> None:
    for local_error in (-3600.0, -30.0, 30.0, 3600.0):
        clock = Clock()
        throttle = make(clock, local_error=local_error)
        throttle.acquire()
        throttle.observe(200, limits(clock, 0, 20))
        assert throttle.acquire() == pytest.approx(20.375, abs=1e-6)
        assert throttle.server_time() == pytest.approx(clock.epoch(), abs=1.0)


def test_the_local_clock_serves_until_a_response_tells_the_time() -> None:
    clock = Clock()
    assert make(clock, local_error=30.0).server_time() == pytest.approx(clock.epoch() + 30.0)


def test_the_server_s_clock_sharpens_with_every_response() -> None:
    clock = Clock(now=1000.9)
    throttle = make(clock)
    throttle.observe(200, {"date": formatdate(clock.epoch(), usegmt=True)})
    assert clock.epoch() - throttle.server_time() == pytest.approx(0.9)
    clock.now = 1003.1
    throttle.observe(200, {"date": formatdate(clock.epoch(), usegmt=True)})
    assert clock.epoch() - throttle.server_time() == pytest.approx(0.1)
    clock.now = 1004.8
    throttle.observe(200, {"date": formatdate(clock.epoch(), usegmt=True)})
    assert clock.epoch() - throttle.server_time() == pytest.approx(0.1)


def test_a_refusal_waits_for_the_reset() -> None:
    clock = Clock()
    throttle = make(clock)
    throttle.acquire()
    throttle.observe(429, limits(clock, 0, 7))
    assert throttle.blocked_seconds() == pytest.approx(7.375, abs=1e-6)
    assert throttle.acquire() == pytest.approx(7.375, abs=1e-6)


def test_retry_after_goes_before_the_reset() -> None:
    clock = Clock()
    throttle = make(clock)
    throttle.acquire()
    throttle.observe(429, limits(clock, 0, 50, **{"retry-after": "3"}))
    assert throttle.acquire() == pytest.approx(3.375, abs=1e-6)


def test_retry_after_may_be_a_date() -> None:
    clock = Clock()
    throttle = make(clock)
    throttle.acquire()
    until = formatdate(clock.epoch() + 9, usegmt=True)
    throttle.observe(503, {"date": formatdate(clock.epoch(), usegmt=True), "retry-after": until})
    assert throttle.acquire() == pytest.approx(9.375, abs=1e-6)


@pytest.mark.parametrize("reset_in", [None, -30.0], ids=["no headers", "reset in the past"])
def test_refusals_that_name_no_instant_back_off_further_each_time(reset_in: float | None) -> None:
    clock = Clock()
    throttle = make(clock)
    waits = []
    for _ in range(9):
        throttle.acquire()
        throttle.observe(429, {} if reset_in is None else limits(clock, 0, reset_in))
        waits.append(throttle.blocked_seconds())
    assert waits == pytest.approx([1.375, 2.375, 4.375, 8.375, 16.375, 32.375, 64.375, CAP, CAP])


@pytest.mark.parametrize("reset_in", [600.0, 1e6, EPOCH * 1000])
def test_no_instant_is_waited_for_longer_than_the_cap(reset_in: float) -> None:
    clock = Clock()
    throttle = make(clock)
    throttle.acquire()
    throttle.observe(429, limits(clock, 0, reset_in))
    assert throttle.acquire() == pytest.approx(CAP)
    throttle.observe(429, limits(clock, 0, 50, **{"retry-after": "86400"}))
    assert throttle.acquire() == pytest.approx(CAP)


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "-inf"])
def test_unreadable_headers_are_as_good_as_none(text: str) -> None:
    clock = Clock()
    throttle = make(clock)
    headers = dict.fromkeys(["date", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"], text)
    throttle.acquire()
    throttle.observe(200, headers)
    assert throttle.acquire() == pytest.approx(0.3)


def test_one_waiter_finds_out_about_a_window_that_is_over() -> None:
    clock = Clock()
    throttle = make(clock)
    throttle.acquire()
    throttle.observe(200, limits(clock, 0, 10))
    clock.now += 11
    assert throttle.try_acquire() == 0.0
    assert throttle.try_acquire() > 0.0
    throttle.observe(200, limits(clock, 150, 60))
    assert throttle.try_acquire() == 0.0
    assert throttle.try_acquire() == 0.0


def test_when_the_scout_gets_no_response_the_next_waiter_goes() -> None:
    clock = Clock()
    throttle = make(clock)
    throttle.acquire()
    throttle.observe(200, limits(clock, 0, 10))
    clock.now += 11
    throttle.acquire()
    throttle.release()
    assert throttle.try_acquire() == 0.0


def test_a_scout_that_never_returns_is_replaced() -> None:
    clock = Clock()
    throttle = make(clock)
    throttle.acquire()
    throttle.observe(200, limits(clock, 0, 10))
    clock.now += 11
    throttle.acquire()
    assert throttle.acquire() == pytest.approx(40.0)


def test_an_overtaken_response_does_not_reopen_the_gate() -> None:
    clock = Clock()
    throttle = make(clock)
    throttle.acquire()
    throttle.acquire()
    old = limits(clock, 5, 10)
    clock.now += 1
    throttle.observe(200, limits(clock, 0, 9))
    throttle.observe(200, old)
    assert throttle.try_acquire() > 0.0


def test_requests_under_way_count_against_what_remains() -> None:
    clock = Clock()
    throttle = make(clock, reserve=0)
    throttle.observe(200, limits(clock, 3, 60))
    assert [throttle.try_acquire() == 0.0 for _ in range(4)] == [True, True, True, False]


def test_a_sleep_that_raises_leaves_the_throttle_usable() -> None:
    clock = Clock()

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    throttle = Throttle(clock=clock, wall_clock=clock.epoch, sleep=interrupted)
    throttle.acquire()
    throttle.observe(200, limits(clock, 0, 10))
    with pytest.raises(KeyboardInterrupt):
        throttle.acquire()
    clock.now += 11
    assert throttle.acquire() == 0.0


@dataclass
class Server:
    """A rate limiter as Alpaca's may be: a fixed window, or a bucket that refills evenly."""

    clock: Clock
    limit: int
    window: float
    bucket: bool
    stated: bool  # whether headers are sent
    tokens: float = 0.0
    updated: float = 0.0
    per_window: Counter[int] = field(default_factory=Counter)
    refused_per_window: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.tokens, self.updated = float(self.limit), self.clock.now

    def _window(self) -> int:
        return int(self.clock.epoch() // self.window)

    def _refill(self) -> None:
        if self.bucket:
            rate = self.limit / self.window
            self.tokens = min(self.limit, self.tokens + (self.clock.now - self.updated) * rate)
        elif int((EPOCH + self.updated) // self.window) != self._window():
            self.tokens = float(self.limit)
        self.updated = self.clock.now

    def _reset(self) -> float:
        if self.bucket:
            return self.clock.epoch() + self.window / self.limit
        return (self._window() + 1) * self.window

    def take(self) -> bool:
        self._refill()
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def answer(self) -> tuple[int, dict[str, str]]:
        accepted = self.take()
        (self.per_window if accepted else self.refused_per_window)[self._window()] += 1
        headers = {"date": formatdate(self.clock.epoch(), usegmt=True)}
        if self.stated:
            headers["x-ratelimit-remaining"] = str(int(self.tokens))
            headers["x-ratelimit-reset"] = str(-int(-self._reset() // 1))
        return (200 if accepted else 429), headers


@dataclass(frozen=True)
class Case:
    limit: int
    window: float
    bucket: bool
    local_error: float
    latencies: list[float]
    start: float
    others: list[int]  # requests of another process with the same key, before each of ours


cases = st.builds(
    Case,
    limit=st.integers(1, 40),
    window=st.sampled_from([1.0, 2.0, 10.0, 60.0]),
    bucket=st.booleans(),
    local_error=st.floats(-7200, 7200),
    latencies=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=7),
    start=st.floats(0.0, 500.0),
    others=st.lists(st.integers(0, 3), min_size=1, max_size=5),
)


@settings(deadline=None, max_examples=150)
@given(cases)
def test_a_stated_limit_is_kept_and_no_wait_exceeds_the_cap(case: Case) -> None:
    clock = Clock(now=case.start)
    server = Server(clock, case.limit, case.window, bucket=case.bucket, stated=True)
    throttle = make(clock, local_error=case.local_error)
    for number in range(60):
        for _ in range(case.others[number % len(case.others)]):
            server.take()
        assert throttle.acquire() <= CAP + 1e-6
        status, headers = server.answer()
        clock.now += case.latencies[number % len(case.latencies)]
        throttle.observe(status, headers)
    if not any(case.others):
        assert server.refused_per_window.total() == 0
    elif not case.bucket:
        # Each refusal teaches: the next request leaves in a later window.
        assert max(server.refused_per_window.values(), default=0) <= 1


@settings(deadline=None, max_examples=60)
@given(limit=st.integers(60, 200), bucket=st.booleans(), pace=st.integers(30, 60))
def test_an_unstated_limit_is_kept_by_the_local_pace(
    limit: int,
    bucket: bool,  # noqa: FBT001 - hypothesis calls by name
    pace: int,
) -> None:
    clock = Clock()
    server = Server(clock, limit, 60.0, bucket=bucket, stated=False)
    throttle = make(clock, pace=pace)
    for _ in range(200):
        throttle.acquire()
        status, headers = server.answer()
        assert status == 200
        throttle.observe(status, headers)


def test_threads_together_keep_the_limit() -> None:
    lock = threading.Lock()
    accepted: Counter[int] = Counter()
    refused = 0
    window, limit = 1.0, 20
    throttle = Throttle(reserve=1)

    def answer() -> tuple[int, dict[str, str]]:
        nonlocal refused
        with lock:
            now = time.time()
            number = int(now // window)
            accepted[number] += 1
            ok = accepted[number] <= limit
            refused += not ok
            remaining = max(limit - accepted[number], 0)
        headers = {
            "date": formatdate(now, usegmt=True),
            "x-ratelimit-remaining": str(remaining),
            "x-ratelimit-reset": str((number + 1) * window),
        }
        return (200 if ok else 429), headers

    def work() -> None:
        for _ in range(6):
            throttle.acquire()
            status, headers = answer()
            time.sleep(0.002)
            throttle.observe(status, headers)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(accepted.values()) == 48
    assert refused == 0


@pytest.mark.parametrize("bucket", [False, True])
def test_history_gets_nine_tenths_of_the_limit_and_leaves_the_reserve_to_others(*, bucket: bool) -> None:
    clock = Clock(now=60_000.0)
    server = Server(clock, 200, 60.0, bucket=bucket, stated=True)
    throttle = make(clock)
    begun, asked, left = clock.now, 0, 200.0
    while clock.now < begun + 600:
        throttle.acquire(reserve_share=0.05)
        status, headers = server.answer()
        asked, left = asked + 1, min(left, server.tokens)
        clock.now += 0.05  # four requests under way, a fifth of a second each
        throttle.observe(status, headers | {"x-ratelimit-limit": "200"})
    assert server.refused_per_window.total() == 0
    assert asked / 10 >= 0.9 * 200
    assert left >= 9
