"""Days of the market in minutes: what a source can do to us, and workers killed at random; in the end, the truth."""

from __future__ import annotations

import datetime as dt
import os
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


def live_through(world: World, session: dt.date, troubles: list[Trouble], killer: Callable[[], None]) -> None:
    """One session from before its open until its bars are final, with trouble on the way."""
    with barlake.open(world.root) as lake:
        row = lake.calendar.in_range(session, session + dt.timedelta(days=1)).row(0, named=True)
    world.leap(row["open"] - dt.timedelta(minutes=20))
    pause = (row["close"] - row["open"]) / (len(troubles) + 1)
    for number, trouble in enumerate(troubles, start=1):
        world.run_until(row["open"] + number * pause, speed=OPEN_SPEED, meanwhile=killer)
        trouble(world)
    world.run_until(row["close"] + dt.timedelta(minutes=10), speed=OPEN_SPEED, meanwhile=killer)
    world.run_until(row["post_close"] + dt.timedelta(minutes=25), speed=EVENING_SPEED, meanwhile=killer)
    world.wait_for(f"{session} is final", lambda: is_final(world.root, session))


def is_final(root: Path, session: dt.date) -> bool:
    with barlake.open(root) as lake:
        held_rows = lake.manifest.held(feed=FEED, start=session, end=session + dt.timedelta(days=1))
        answers = lake.manifest.answers(feed=FEED, start=session, end=session + dt.timedelta(days=1))
        open_ends = [lake.manifest.provisional(feed=FEED, symbol=name) for name in SYMBOLS]
    answered = set(answers["symbol"].to_list()) & set(held_rows["symbol"].to_list())
    return answered >= set(SYMBOLS) and all(
        frame.filter(pl.col("session") == session).is_empty() for frame in open_ends
    )


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


def assert_asked_once(world: World) -> None:
    """No page was answered well more often than there is a reason for."""
    asked = answered_pages(world.requests.values())
    kills = sum(world.kills.values())
    for page, times in sorted(asked.items(), key=lambda item: -item[1])[:12]:
        print(f"{times} times: {page}")
    print(f"{asked.total()} pages answered well, {len(asked)} different ones; {kills} kills")


def episodes(bell: Bell) -> Counter[tuple[str, str]]:
    """How often each alert was told, by key and event."""
    return Counter((note["key"], note["event"]) for note in bell.heard)


def be_away(world: World, name: str) -> None:
    """Kill a worker and leave it dead for so long that somebody must notice."""
    world.kill(name)
    world.wait_for(
        f"an alert that {name} is silent",
        lambda: any(one["key"].startswith(f"stalled/{name}/") for one in world.command("alerts", "list")),
    )
    world.start(name, *WORKERS[name])


def have_an_outage(world: World, session: dt.date) -> None:
    """The source is down from the end of a session until it should have been final for a while."""
    with barlake.open(world.root) as lake:
        end = lake.calendar.in_range(session, session + dt.timedelta(days=1))["post_close"].item()
    strike(world, "status", path="/v*", status=503, probability=1.0)
    world.run_until(end + dt.timedelta(hours=2, minutes=20), speed=EVENING_SPEED)
    world.wait_for(
        f"an alert that {session} is late",
        lambda: any(one["key"] == f"late/{FEED}/{session}" for one in world.command("alerts", "list")),
    )
    world.order("faults", clear=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_days(make_world: Callable[..., World], bell: Bell) -> None:
    live_ten_days(make_world, bell, DAYS[: int(os.environ.get("DAYS", "10"))], seed=11)


def live_ten_days(make_world: Callable[..., World], bell: Bell, days: list[dt.date], *, seed: int) -> None:
    world = make_world(days[0], seed=seed)
    for name, agents in WORKERS.items():
        world.start(name, *agents)
    killer = Killer(world, WORKERS, every_s=20)
    for number, session in enumerate(days):
        print(f"{time.strftime('%H:%M:%S')} {session}", flush=True)
        live_through(world, session, TROUBLES[number % len(TROUBLES)], killer)
    world.wait_for("nothing is left to do", lambda: all_is_quiet(world))
    assert_truth(world, days[0] - dt.timedelta(days=3), days[-1] + dt.timedelta(days=1))
    assert_asked_once(world)
    print(episodes(bell))


def all_is_quiet(world: World) -> bool:
    return not [job for job in world.command("jobs", "list") if job["state"] in {"queued", "running"}]
