from __future__ import annotations

import pytest

from ingest_service.emulator.limiter import FixedWindowLimiter, LimiterKind, TokenBucketLimiter, limiter_of


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_window_opens_with_its_first_request_and_ends_on_time() -> None:
    seconds = Seconds()
    limiter = FixedWindowLimiter(2, 10, seconds=seconds)
    assert [limiter.take("key").allowed for _ in range(3)] == [True, True, False]
    seconds.now = 109.9
    assert not limiter.take("key").allowed
    seconds.now = 110.0
    budget = limiter.take("key")
    assert (budget.allowed, budget.remaining, budget.reset_in_seconds) == (True, 1, 10)


def test_keys_do_not_share_a_budget() -> None:
    limiter = FixedWindowLimiter(1, 10, seconds=Seconds())
    assert limiter.take("one").allowed
    assert limiter.take("two").allowed


def test_a_bucket_refills_bit_by_bit_and_names_the_next_token() -> None:
    seconds = Seconds()
    limiter = TokenBucketLimiter(2, 10, seconds=seconds)
    assert [limiter.take("key").allowed for _ in range(3)] == [True, True, False]
    seconds.now += 4
    refused = limiter.take("key")
    assert (refused.allowed, refused.remaining, refused.reset_in_seconds) == (False, 0, pytest.approx(1))
    seconds.now += 1
    assert limiter.take("key").allowed


@pytest.mark.parametrize("kind", LimiterKind)
def test_a_clock_that_is_set_back_gives_a_whole_budget(kind: LimiterKind) -> None:
    seconds = Seconds()
    limiter = limiter_of(kind, 1, 10, seconds=seconds)
    assert [limiter.take("key").allowed for _ in range(2)] == [True, False]
    seconds.now -= 50
    assert limiter.take("key").allowed


def test_a_key_may_have_a_limit_of_its_own() -> None:
    limiter = FixedWindowLimiter(1, 10, seconds=Seconds())
    assert [limiter.take("key", 3).remaining for _ in range(3)] == [2, 1, 0]
