"""Days of the market in minutes: what a source can do to us, and workers killed at random; in the end, the truth."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import barlake
from tests.campaign.market_days import FEED, Bell, World, answered_pages, held, new_york

WATCH_LIST = """\
start: {start}
securities:
  etfs: [SYNA, SYNB]
  stocks: [THIN, HALT, TYPO]
"""
SYMBOLS = ("SYNA", "SYNB", "THIN", "HALT")
OPEN_SPEED, EVENING_SPEED = 480.0, 3600.0

# A zone change on 3 November, a holiday on the 28th, a half day on the 29th; between them three weeks without us.
DAYS = [
    *(dt.date(2024, 10, 31), dt.date(2024, 11, 1), dt.date(2024, 11, 4), dt.date(2024, 11, 5), dt.date(2024, 11, 6)),
    *(dt.date(2024, 11, 26), dt.date(2024, 11, 27), dt.date(2024, 11, 29), dt.date(2024, 12, 2), dt.date(2024, 12, 3)),
]


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def make_world(tmp_path: Path, bell: Bell) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []
    with bell.listening() as webhook:

        def make(first: dt.date, *, seed: int) -> World:
            watch_list = WATCH_LIST.format(start=first - dt.timedelta(days=3))
            world = World(tmp_path, watch_list=watch_list, start=new_york(first, 8), seed=seed, webhook=webhook)
            worlds.append(world)
            return world

        try:
            yield make
        finally:
            for world in worlds:
                world.close()


def strike(world: World, fault: str, **options: Any) -> None:
    world.order("faults", rules=[{"fault": fault, **options}])


def break_stream(world: World, fault: str, **options: Any) -> None:
    world.order("stream", faults=[{"fault": fault, **options}])


Trouble = Callable[[World], None]
TROUBLES: list[list[Trouble]] = [
    [
        lambda world: strike(world, "rate_limit", times=25),
        lambda world: break_stream(world, "late_bar", n=6, seconds=90),
    ],
    [
        lambda world: strike(world, "server_error", times=12),
        lambda world: break_stream(world, "disconnect_after", n=7),
    ],
    [
        lambda world: strike(world, "truncated_json", times=6),
        lambda world: break_stream(world, "mute", seconds=5400),
    ],
    [
        lambda world: strike(world, "duplicate_page", times=3),
        lambda world: break_stream(world, "garbage_frame", n=2),
        lambda world: strike(world, "out_of_order", times=3),
    ],
    [
        lambda world: strike(world, "hang", seconds=15, times=1),
        lambda world: break_stream(world, "duplicate_bar", n=20),
        lambda world: strike(world, "missing_minutes", times=2),
    ],
]


class Killer:
    """Kills a worker now and then, and starts it again."""

    def __init__(self, world: World, workers: dict[str, tuple[str, ...]], *, every_s: float) -> None:
        self._world, self._workers, self._every_s = world, workers, every_s
        self._next = self._draw()

    def _draw(self) -> float:
        return time.monotonic() + self._world.generator.expovariate(1 / self._every_s)

    def __call__(self) -> None:
        if time.monotonic() < self._next:
            return
        name = self._world.generator.choice(sorted(self._workers))
        self._world.kill(name)
        self._world.start(name, *self._workers[name])
        self._next = self._draw()


def hours_of(world: World, session: dt.date) -> dict[str, Any]:
    with barlake.open(world.root) as lake:
        return lake.calendar.in_range(session, session + dt.timedelta(days=1)).row(0, named=True)


def live_through(
    world: World,
    session: dt.date,
    troubles: list[Trouble],
    killer: Callable[[], None],
    *,
    evening: Callable[[World, dt.date], None] | None = None,
) -> None:
    """One session from before its open until its bars are final, with trouble on the way."""
    hours = hours_of(world, session)
    world.leap(hours["open"] - dt.timedelta(minutes=20))
    pause = (hours["close"] - hours["open"]) / (len(troubles) + 1)
    for number, trouble in enumerate(troubles, start=1):
        world.run_until(hours["open"] + number * pause, speed=OPEN_SPEED, meanwhile=killer)
        trouble(world)
    world.run_until(hours["close"] + dt.timedelta(minutes=10), speed=OPEN_SPEED, meanwhile=killer)
    if evening is not None:
        evening(world, session)
    else:
        world.run_until(hours["post_close"] + dt.timedelta(minutes=25), speed=EVENING_SPEED, meanwhile=killer)
    world.wait_for(f"{session} is final", lambda: is_final(world.root, session))


def is_final(root: Path, session: dt.date) -> bool:
    with barlake.open(root) as lake:
        span = {"start": session, "end": session + dt.timedelta(days=1)}
        answered = set(lake.manifest.answers(feed=FEED, **span)["symbol"])
        return answered >= set(SYMBOLS) and session not in {
            day for _, day in lake.manifest.provisional_sessions(feed=FEED)
        }


def assert_truth(world: World, first: dt.date, beyond: dt.date) -> None:
    """The lake holds what the source says in the end, row for row and bit for bit."""
    world.order("faults", clear=True)
    for symbol in SYMBOLS:
        theirs = world.truth(symbol, first, beyond)
        ours = held(world.root, symbol).filter(pl.col("timestamp") >= new_york(first, 0))
        assert theirs.height > 0
        missing, extra = theirs.join(ours, on=ours.columns, how="anti"), ours.join(theirs, on=ours.columns, how="anti")
        assert (missing.height, extra.height) == (0, 0), f"{symbol}: {missing.head()} {extra.head()}"
        assert ours["timestamp"].is_sorted()
        assert not ours["timestamp"].is_duplicated().any()


WORKERS = {"history": ("backfill", "features"), "stream": ("live",)}

MOST_ANSWERS = 5
"""Of a session's bars after its end: by the live agent, by the job of the same minute, once more where minutes were
absent, and in the re-checks of the two mornings after."""


def assert_asked_for_a_reason(world: World) -> None:
    """No window that had ended was answered well more often than there is a reason for; a kill is one, for a page."""
    answers: Counter[tuple[str, str]] = Counter()
    for page, times in answered_pages(world.requests.values()).items():
        if "," not in page.symbols:
            answers[page.symbols, f"{page.start} {page.page_token or ''}"] += times
    kills = sum(world.kills.values())
    too_often = {page: times for page, times in answers.items() if times > MOST_ANSWERS}
    assert sum(times - MOST_ANSWERS for times in too_often.values()) <= kills, too_often
    needed = len(answers)
    assert answers.total() <= 2.5 * needed + kills, f"{answers.total()} answers where {needed} windows were asked for"


def be_away(world: World, name: str) -> None:
    """Kill a worker and leave it dead for so long that somebody must notice."""
    world.kill(name)
    world.wait_for(f"an alert that {name} is silent", lambda: f"stalled/{name}" in active(world))
    world.start(name, *WORKERS[name])
    world.wait_for(f"{name} is back", lambda: f"stalled/{name}" not in active(world))


def have_an_outage(world: World, session: dt.date) -> None:
    """The source is down from the end of a session until it should have been final for a while."""
    world.order("faults", rules=[{"fault": "status", "path": "/v*", "status": 503, "probability": 1.0}])
    world.run_until(hours_of(world, session)["post_close"] + dt.timedelta(hours=2, minutes=20), speed=EVENING_SPEED)
    world.wait_for(f"an alert that {session} is late", lambda: f"late/{FEED}/{session}" in active(world))
    world.order("faults", clear=True)
    world.wait_for(f"{session} is late no more", lambda: f"late/{FEED}/{session}" not in active(world))


def active(world: World) -> set[str]:
    return {one["key"] for one in world.command("alerts", "list")}


def assert_told_once(bell: Bell, *keys: str) -> None:
    """Each of these alerts was told once when it began and once when it ended, and whatever began has ended."""
    # The disk of whoever runs this may be full enough for an alert of its own.
    told = Counter((note["key"], note["event"]) for note in bell.heard if note["key"] != "disk")
    for key in keys:
        assert (told[key, "fired"], told[key, "cleared"]) == (1, 1), f"{key}: {told}"
    expected = {*keys, "source/alpaca"}
    for key, event in told:
        assert key in expected, f"nobody expected {key}: {[one for one in bell.heard if one['key'] == key]}"
        assert told[key, "fired"] == told[key, "cleared"], f"{key} {event}: {told}"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_days(make_world: Callable[..., World], bell: Bell) -> None:
    world = make_world(DAYS[0], seed=11)
    for name, agents in WORKERS.items():
        world.start(name, *agents)
    killer = Killer(world, WORKERS, every_s=25)
    away, outage = DAYS[3], DAYS[6]
    for number, session in enumerate(DAYS):
        troubles = list(TROUBLES[number % len(TROUBLES)])
        if session == away:
            troubles.append(lambda world: be_away(world, "history"))
        live_through(world, session, troubles, killer, evening=have_an_outage if session == outage else None)
    world.wait_for("nothing is left to do", lambda: all_is_quiet(world))
    assert_truth(world, DAYS[0] - dt.timedelta(days=3), DAYS[-1] + dt.timedelta(days=1))
    assert_asked_for_a_reason(world)
    assert_told_once(bell, "stalled/history", f"late/{FEED}/{outage}")
    world.command("verify")


@pytest.mark.timeout(900)
def test_a_half_day_with_workers_that_are_killed(make_world: Callable[..., World], bell: Bell) -> None:
    session = dt.date(2024, 11, 29)
    world = make_world(session, seed=5)
    for name, agents in WORKERS.items():
        world.start(name, *agents)
    live_through(world, session, TROUBLES[1], Killer(world, WORKERS, every_s=12))
    world.wait_for("nothing is left to do", lambda: all_is_quiet(world))
    assert_truth(world, session - dt.timedelta(days=3), session + dt.timedelta(days=1))
    assert_asked_for_a_reason(world)
    assert_told_once(bell)


def all_is_quiet(world: World) -> bool:
    return not [job for job in world.command("jobs", "list") if job["state"] in {"queued", "running"}]
