"""What is told is what changed between two looks; who does not read is told the state again, and holds little."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace

from app.api import monitor
from app.api.monitor_messages import told_of
from app.operations.heartbeats import Heartbeat
from app.use_cases.monitor import GONE, Change, NewBars, Picture, Topic, Trouble, changes, parse_topics
from barlake.freshness import SymbolHeld

NOON = dt.datetime(2024, 1, 2, 17, tzinfo=dt.UTC)
SPY = SymbolHeld("sip", "SPY", 1, 30, NOON.date(), NOON.date(), NOON)
BEAT = Heartbeat(worker="me", agent="live", state="idle", beat_at=NOON)


def picture(*held: SymbolHeld, beats: tuple[Heartbeat, ...] = (), problems: Mapping[str, str] | None = None) -> Picture:
    return Picture(
        at=NOON,
        jobs={},
        heartbeats={(one.worker, one.agent): one for one in beats},
        coverage={(one.feed, one.symbol): one for one in held},
        problems=problems or {},
    )


def test_nothing_changed_is_nothing_told() -> None:
    assert changes(picture(SPY, beats=(BEAT,)), picture(SPY, beats=(BEAT,))) == []


def test_more_bars_are_coverage_and_bars_and_a_correction_is_coverage_alone() -> None:
    more = replace(SPY, bars=33, newest=NOON + dt.timedelta(minutes=3))
    assert changes(picture(SPY), picture(more)) == [
        Change(Topic.COVERAGE, more),
        Change(Topic.BARS, NewBars("sip", "SPY", 3, more.newest)),
    ]
    fewer = replace(SPY, bars=29)
    assert changes(picture(SPY), picture(fewer)) == [Change(Topic.COVERAGE, fewer)]


def test_a_worker_that_ended_and_a_part_that_failed_are_told() -> None:
    before, after = picture(beats=(BEAT,)), picture(problems={"queue": "refused"})
    assert changes(before, after) == [
        Change(None, Trouble("queue", "refused")),
        Change(Topic.HEARTBEAT, replace(BEAT, state=GONE)),
    ]
    assert changes(after, picture()) == [Change(None, Trouble("queue", None))]


def test_who_does_not_read_holds_little_and_hears_that_something_was_missed() -> None:
    async def listen() -> list[str]:
        listener = monitor.Listener(parse_topics("coverage"))
        listener.hear(picture(SPY), ())
        first = await listener.next()
        told = [told_of(Change(Topic.COVERAGE, SPY))] * (monitor.MOST_PENDING // 2 + 1)
        for _ in range(3):
            listener.hear(picture(SPY), told)
        again = await listener.next()
        return [one.text for one in [*(first or ()), *(again or ())]]

    heard = [json.loads(text) for text in asyncio.run(listen())]
    assert [(one["event"], one["missed"]) for one in heard] == [("state", False), ("state", True)]
