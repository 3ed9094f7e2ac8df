"""What is good of a damaged file stays, what is lost is asked for again, and nothing is made up or thrown away."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from barlake import Lake
from barlake.keys import PeriodLength
from barlake.records import Answer, AnswerStatus, Commit, Cursor, FileRecord
from barlake.repair import Mended, repair
from barlake.sessions import Calendar
from barlake.testing import make_bars

pytestmark = pytest.mark.both_databases

DAYS = Calendar.default().in_range(dt.date(2023, 1, 1), dt.date(2024, 1, 1))["session"].to_list()


def write(lake: Lake, bars: pl.DataFrame, symbol: str = "SPY") -> None:
    lake.writer.write(bars, feed="sip", symbol=symbol, source="test", longest=PeriodLength.YEAR)


def the_file(lake: Lake, dataset: str = "bars") -> FileRecord:
    (file,) = lake.manifest.files(dataset=dataset, symbol="SPY")
    return file


def mend(lake: Lake) -> list[Mended]:
    return repair(lake.store, lake.manifest, lake.verify().faults, now=lake.now)


def damage(path: Path, *, at: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 4
    path.write_bytes(content)


@pytest.fixture
def year(lake: Lake) -> Lake:
    """SPY: one file of 250 sessions of 100 minutes, in two row groups."""
    write(lake, make_bars(DAYS, minutes=100))
    answers = [Answer(day, AnswerStatus.COMPLETE) for day in DAYS]
    lake.manifest.commit(Commit("answers", "test", "sip", "SPY", answers=answers))
    return lake


def test_a_whole_lake_is_left_alone(year: Lake) -> None:
    file = the_file(year)
    assert mend(year) == []
    assert the_file(year) == file


def test_sessions_that_can_still_be_read_stay_with_their_first_instant(year: Lake) -> None:
    before = year.bars("SPY")
    damage(year.root / the_file(year).path, at=0.9)
    (mended,) = mend(year)
    after = year.bars("SPY")
    assert len(mended.saved) + len(mended.lost) == len(DAYS)
    assert 150 < len(mended.saved) < len(DAYS)
    assert after.equals(before.filter(pl.col("session").is_in(list(mended.saved))))
    assert (mended.rows_saved, mended.rows_lost) == (after.height, before.height - after.height)
    assert year.verify().is_sound


def test_lost_sessions_lose_their_answers_and_half_finished_requests(year: Lake) -> None:
    for name in ("SPY", "SPYG"):
        cursor = Cursor(f"bars/sip/{name}/2023-01-01/2023-02-01", "token", 1, 1)
        year.manifest.commit(Commit(f"cursor {name}", "test", "sip", name, cursor=cursor))
    damage(year.root / the_file(year).path, at=0.9)
    (mended,) = mend(year)
    answered = set(year.manifest.answers(symbol="SPY")["session"])
    assert answered == set(mended.saved)
    assert year.manifest.cursor("bars/sip/SPY/2023-01-01/2023-02-01") is None
    assert year.manifest.cursor("bars/sip/SPYG/2023-01-01/2023-02-01") is not None


def test_writing_the_lost_sessions_again_gives_the_root_from_before(year: Lake) -> None:
    root = year.snapshot().root_hash
    damage(year.root / the_file(year).path, at=0.9)
    mend(year)
    assert year.snapshot().root_hash != root
    write(year, make_bars(DAYS, minutes=100))
    assert year.snapshot().root_hash == root


def test_the_damaged_file_is_kept_to_the_byte(year: Lake) -> None:
    file = the_file(year)
    damage(year.root / file.path, at=0.9)
    content = (year.root / file.path).read_bytes()
    (mended,) = mend(year)
    assert mended.aside == f"damaged/{file.path}"
    assert (year.root / mended.aside).read_bytes() == content
    year.vacuum(grace=dt.timedelta(0))
    assert (year.root / mended.aside).read_bytes() == content
    assert not (year.root / file.path).exists()


def test_what_the_file_replaced_helps_as_long_as_it_is_there(year: Lake) -> None:
    before = year.bars("SPY")
    write(year, make_bars(DAYS[:1], minutes=100).with_columns(pl.col("volume") + 1))
    (year.root / the_file(year).path).unlink()
    (mended,) = mend(year)
    assert mended.lost == (DAYS[0],)
    assert mended.aside is None
    assert year.bars("SPY").equals(before.filter(pl.col("session") != DAYS[0]))


def test_old_values_do_not_come_back_as_bars(lake: Lake) -> None:
    bars = make_bars(DAYS[:1], minutes=5)
    write(lake, bars)
    old = the_file(lake)
    write(lake, bars.with_columns(pl.col("volume") + 1))
    (lake.root / the_file(lake).path).unlink()
    (mended,) = mend(lake)
    assert (mended.saved, mended.lost) == ((), (DAYS[0],))
    assert lake.manifest.files() == []
    assert not (lake.root / old.path).exists(), "a rebuild would take it for the newest"
    assert (lake.root / "damaged" / old.path).exists()


def test_a_file_that_is_another_gives_no_rows(lake: Lake) -> None:
    for symbol, seed in (("SPY", 0), ("QQQ", 1)):
        write(lake, make_bars(DAYS[:2], minutes=5, seed=seed), symbol)
    (other,) = lake.manifest.files(symbol="QQQ")
    (lake.root / the_file(lake).path).write_bytes((lake.root / other.path).read_bytes())
    (mended,) = mend(lake)
    assert (mended.saved, mended.lost) == ((), tuple(DAYS[:2]))
    assert lake.manifest.feeds() == {"sip": {"QQQ"}}


def test_old_values_that_can_be_read_stay(lake: Lake) -> None:
    bars = make_bars(DAYS, minutes=100)
    write(lake, bars)
    write(lake, bars.with_columns(pl.col("volume") + 1))
    before = lake.revisions("SPY")
    damage(lake.root / the_file(lake, "revisions").path, at=0.9)
    (mended,) = mend(lake)
    after = lake.revisions("SPY")
    assert (mended.saved, mended.lost, mended.fault.dataset)[1:] == ((), "revisions")
    assert 0 < after.height < before.height == after.height + mended.rows_lost
    assert after.join(before, on=before.columns, how="anti", nulls_equal=True).is_empty()
    assert lake.verify().is_sound


def test_sessions_that_no_file_holds_are_forgotten(year: Lake) -> None:
    file = the_file(year)
    (year.root / file.path).unlink()
    faults = year.verify().faults
    assert [one.lost for one in repair(year.store, year.manifest, faults, now=year.now)] == [tuple(DAYS)]
    assert year.manifest.held().is_empty()
    assert year.manifest.answers().is_empty()


def test_a_file_replaced_since_it_was_found_damaged_is_left_alone(year: Lake) -> None:
    faults = year.verify().faults
    damage(year.root / the_file(year).path, at=0.9)
    faults = year.verify().faults
    mend(year)
    assert repair(year.store, year.manifest, faults, now=year.now) == []


def test_repairing_again_after_a_stop_half_way_comes_to_the_same(year: Lake) -> None:
    """The file was set aside and the new one written, and then the power went."""
    file = the_file(year)
    damage(year.root / file.path, at=0.9)
    target = year.root / "damaged" / file.path
    target.parent.mkdir(parents=True)
    target.hardlink_to(year.root / file.path)
    (mended,) = mend(year)
    assert mended.aside == f"damaged/{file.path}"
    assert year.verify().is_sound


@pytest.mark.parametrize("seed", range(12))
def test_whatever_bit_flips_no_wrong_row_is_kept(lake: Lake, seed: int) -> None:
    write(lake, make_bars(DAYS[:60], minutes=300))
    before = lake.bars("SPY")
    damage(lake.root / the_file(lake).path, at=seed / 12 + 0.04)
    mended = mend(lake)
    after = lake.bars("SPY") if lake.manifest.files() else before.clear()
    lost = {day for one in mended for day in one.lost}
    assert after.equals(before.filter(~pl.col("session").is_in(list(lost))))
