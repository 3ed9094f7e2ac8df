"""Heartbeats: one row an agent of a worker, stalled after three beats that did not come."""

from __future__ import annotations

import datetime as dt

import pytest

from app.operations import Operations
from app.operations.heartbeats import Heartbeat

NOON = dt.datetime(2024, 7, 3, 12, tzinfo=dt.UTC)


def beat(**facts: object) -> Heartbeat:
    return Heartbeat(**{"worker": "w1", "agent": "live", "state": "streaming", "beat_at": NOON, **facts})


def test_the_last_word_of_each_agent_of_each_worker_counts(operations: Operations) -> None:
    operations.heartbeats.beat(worker="w1", agent="live", state="connecting")
    operations.heartbeats.beat(worker="w2", agent="live", state="idle")
    operations.heartbeats.beat(
        worker="w1",
        agent="live",
        state="streaming",
        symbol="SPY",
        done=3,
        total=9,
        next_step="wait",
        details={"lag": 2},
    )
    first, second = operations.heartbeats.all()
    assert (first.worker, first.state, first.symbol, first.done, first.total) == ("w1", "streaming", "SPY", 3, 9)
    assert (first.next_step, first.details) == ("wait", {"lag": 2})
    assert (second.worker, second.state, second.job) == ("w2", "idle", None)


def test_an_agent_that_ended_in_order_is_forgotten(operations: Operations) -> None:
    operations.heartbeats.beat(worker="w1", agent="live", state="idle")
    operations.heartbeats.beat(worker="w1", agent="schedule", state="idle")
    operations.heartbeats.forget("w1", "live")
    assert [one.agent for one in operations.heartbeats.all()] == ["schedule"]
    operations.heartbeats.forget("w1")
    assert operations.heartbeats.all() == []


def test_a_machine_whose_clock_is_off_is_not_dead(operations: Operations, monkeypatch: pytest.MonkeyPatch) -> None:
    off = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    monkeypatch.setattr("app.operations.heartbeats.utc_now", lambda: off)
    operations.heartbeats.beat(worker="w1", agent="live", state="idle", period_s=60)
    (found,) = operations.heartbeats.all()
    assert not found.is_stalled(operations.heartbeats.now())


@pytest.mark.parametrize(("seconds", "is_stalled"), [(0, False), (15, False), (15.1, True), (-60, False)])
def test_three_beats_that_did_not_come_are_a_stall(seconds: float, is_stalled: bool) -> None:  # noqa: FBT001
    assert beat().is_stalled(NOON + dt.timedelta(seconds=seconds)) is is_stalled


def test_an_agent_with_a_slower_beat_is_given_more_time() -> None:
    assert not beat(period_s=60).is_stalled(NOON + dt.timedelta(seconds=170))
    assert beat(period_s=60).is_stalled(NOON + dt.timedelta(seconds=181))
