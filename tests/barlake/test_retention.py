"""What is older than wanted goes in one commit, and nothing else does."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import InvalidInputError
from barlake.keys import PeriodLength
from barlake.retention import parse_cut, plan_retention, retain
from barlake.stats import lake_stats
from barlake.testing import make_bars
from tests.barlake.conftest import Clock

pytestmark = pytest.mark.both_databases

DAYS = [dt.date(2023, 1, 3), dt.date(2023, 6, 1), dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 2, 1)]
CUT = dt.date(2024, 1, 3)


@pytest.fixture
def full(lake: Lake) -> Lake:
    for symbol in ("SPY", "QQQ"):
        for seed in (0, 1):
            bars = make_bars(DAYS, seed=seed, minutes=3)
            lake.writer.write(bars, feed="sip", symbol=symbol, source="import", longest=PeriodLength.YEAR)
    return lake


def test_older_sessions_go_with_their_old_values_and_answers_and_the_rest_stays(full: Lake) -> None:
    bars, old = full.bars(["SPY", "QQQ"]), full.revisions(["SPY", "QQQ"])
    gone = retain(full.store, full.manifest, CUT, now=full.now, symbols=["SPY"])
    assert [(one.symbol, one.sessions, one.bars) for one in gone] == [("SPY", tuple(DAYS[:3]), 9)]
    stays = (pl.col("symbol") == "QQQ") | (pl.col("session") >= CUT)
    assert full.bars(["SPY", "QQQ"]).equals(bars.filter(stays))
    assert full.revisions(["SPY", "QQQ"]).equals(old.filter(stays))
    assert full.manifest.answers(symbol="SPY")["session"].to_list() == DAYS[3:]
    assert full.verify().is_sound
    assert retain(full.store, full.manifest, CUT, now=full.now, symbols=["SPY"]) == []


def test_a_plan_changes_nothing_and_the_vacuum_frees_the_bytes(full: Lake, clock: Clock) -> None:
    before = full.manifest.held()
    assert [one.symbol for one in plan_retention(full.manifest, CUT)] == ["QQQ", "SPY"]
    assert full.manifest.held().equals(before)
    clock.moment += dt.timedelta(seconds=1)
    full.vacuum(grace=dt.timedelta(0))
    retain(full.store, full.manifest, CUT, now=full.now)
    clock.moment += dt.timedelta(seconds=1)
    stats = lake_stats(full.store, full.manifest)
    assert (stats.bars, stats.dead_files) == (12, 8)
    assert full.vacuum(grace=dt.timedelta(0)).files == 8
    assert lake_stats(full.store, full.manifest).dead_bytes == 0


def test_figures_of_a_lake_add_up(full: Lake) -> None:
    stats = lake_stats(full.store, full.manifest)
    assert (stats.bars, stats.revisions) == (30, 30)
    assert stats.symbols["bars"].sum() == 30
    assert stats.symbols["symbol"].to_list() == ["QQQ", "SPY"]
    counting = [*full.manifest.files(), *full.manifest.files(dataset="revisions")]
    assert stats.bytes == sum((full.root / file.path).stat().st_size for file in counting)


def test_an_empty_lake_has_figures(lake: Lake) -> None:
    stats = lake_stats(lake.store, lake.manifest)
    assert (stats.files, stats.bytes_per_bar, stats.symbols.height) == (0, None, 0)


@pytest.mark.parametrize("text", ["", "5", "0d", "9999y", "2024-13-01", "5 years", "2030-01-01"])
def test_an_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_cut(text, today=dt.date(2024, 3, 1))
