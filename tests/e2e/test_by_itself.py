"""A new user's first evening: three symbols in a file, one worker, a look at it, a kill, a restart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import barlake
from tests.campaign.market_days import FEED, Bell, World, held, new_york

WATCH_LIST = """\
start: 2024-09-03
securities:
  etfs: [SYNA, SYNB]
  stocks: [THIN]
"""
FIRST, TODAY = dt.date(2024, 9, 3), dt.date(2024, 10, 31)
SYMBOLS = {"SYNA", "SYNB", "THIN"}

pytestmark = pytest.mark.timeout(900)  # half a dozen processes, each of which imports everything


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    bell = Bell()
    with bell.listening() as webhook:
        made = World(tmp_path, watch_list=WATCH_LIST, start=new_york(TODAY, 8), seed=3, webhook=webhook)
        try:
            yield made
        finally:
            made.close()


def finished(world: World) -> set[str]:
    """Symbols whose history is there up to yesterday."""
    with barlake.open(world.root) as lake:
        days = lake.calendar.in_range(FIRST, TODAY)["session"].to_list()
        answered = lake.manifest.answers(feed=FEED).filter(pl.col("session").is_in(days))
        counts = dict(answered.group_by("symbol").len().iter_rows())
    return {symbol for symbol, count in counts.items() if count == len(days)}


@pytest.mark.slow  # a half day with killed workers, in test_market_days, is walked through each time
def test_three_symbols_a_worker_a_look_a_kill_and_a_restart(world: World) -> None:
    world.leap(new_york(TODAY, 8))  # from here on, time passes
    nothing = world.command("watch", "--once")
    assert nothing["heartbeats"] == []
    world.start("first", "backfill", "live", "features")
    world.wait_for("a page of history", lambda: any(frame_rows(world)))
    world.kill("first")
    before = {symbol: frame for symbol, frame in rows(world).items() if not frame.is_empty()}
    assert before

    world.start("second")
    world.wait_for("history", lambda: finished(world) == SYMBOLS)
    seen = world.command("watch", "--once")
    assert {one["agent"] for one in seen["heartbeats"]} >= {"backfill", "live", "features"}
    world.wait_for("features", lambda: with_features(world) == SYMBOLS)
    world.wait_for("nothing is left to do", lambda: not waiting(world))
    assert world.end("second") == 0

    for symbol in SYMBOLS:
        ours = held(world.root, symbol).filter(pl.col("timestamp") < new_york(TODAY, 0))
        assert ours.equals(world.truth(symbol, FIRST, TODAY))


def rows(world: World) -> dict[str, pl.DataFrame]:
    with barlake.open(world.root) as lake:
        return {symbol: held(world.root, symbol) for symbol in lake.symbols(FEED)["symbol"]}


def frame_rows(world: World) -> list[int]:
    return [frame.height for frame in rows(world).values()]


def waiting(world: World) -> list[str]:
    return [job["id"] for job in world.command("jobs", "list") if job["state"] in {"queued", "running"}]


def with_features(world: World) -> set[str]:
    """Symbols that have a feature table; the agent waits until their bars have come to rest."""
    with barlake.open(world.root) as lake:
        return set(lake.sql("select distinct symbol from feature_versions")["symbol"])
