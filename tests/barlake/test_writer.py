"""Writes: which periods, which types, one commit, and nothing left behind when there is none."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path
from typing import Any

import polars as pl
import polars.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake import layout
from barlake.errors import InvalidInputError, StorageError
from barlake.keys import Period, PeriodLength
from barlake.lake import Lake
from barlake.manifest import Manifest
from barlake.partition_write import WriteReport, choose_periods
from barlake.records import Commit
from barlake.schemas import BAR_VALUES
from barlake.testing import make_bars
from barlake.writer import BarWriter

pytestmark = pytest.mark.both_databases

DAYS = st.dates(dt.date(2022, 6, 1), dt.date(2024, 9, 30))
LENGTHS = st.sampled_from(list(PeriodLength))
OPEN, CLOSED = dt.date(2024, 3, 11), dt.date(2024, 2, 1)
LAST_YEAR = dt.date(2023, 12, 29)


# --- periods -----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.lists(DAYS, min_size=1), LENGTHS, DAYS), min_size=1, max_size=5))
def test_periods_are_disjoint_and_cover_each_session_once(
    writes: list[tuple[list[dt.date], PeriodLength, dt.date]],
) -> None:
    counting: set[Period] = set()
    for sessions, longest, today in writes:
        chosen = choose_periods(sessions, sorted(counting), longest=longest, today=today)
        for session in sessions:
            assert sum(period.covers(Period.of_session(session)) for period in chosen) == 1
        assert all(one.end <= other.start for one, other in itertools.pairwise(chosen))
        assert all(any(period.covers(Period.of_session(day)) for day in sessions) for period in chosen)
        counting = {old for old in counting if not any(period.covers(old) for period in chosen)} | set(chosen)
        ordered = sorted(counting)
        assert all(one.end <= other.start for one, other in itertools.pairwise(ordered))


@given(st.lists(DAYS, min_size=1), LENGTHS, DAYS)
def test_only_closed_periods_hold_more_than_a_session(
    sessions: list[dt.date], longest: PeriodLength, today: dt.date
) -> None:
    order = list(PeriodLength)
    for period in choose_periods(sessions, [], longest=longest, today=today):
        assert period.length is PeriodLength.SESSION or period.end <= today
        assert order.index(period.length) <= order.index(longest)


def labels(lake: Lake, symbol: str = "SPY") -> list[str]:
    return [file.key.period.label for file in lake.manifest.files(symbol=symbol)]


def write(lake: Lake, *sessions: dt.date, seed: int = 0, longest: PeriodLength = PeriodLength.MONTH) -> WriteReport:
    bars = make_bars(sessions, seed=seed, minutes=30)
    return lake.writer.write(bars, feed="sip", symbol="SPY", source="test", longest=longest)


def test_a_session_of_the_open_month_has_a_file_of_its_own_and_a_closed_month_one(lake: Lake) -> None:
    assert (
        write(lake, LAST_YEAR, CLOSED, CLOSED + dt.timedelta(days=1), OPEN, OPEN + dt.timedelta(days=1)).files_written
        == 4
    )
    assert labels(lake) == ["2023-12", "2024-02", "2024-03-11", "2024-03-12"]


def test_a_write_into_a_month_that_closed_meanwhile_takes_its_session_files_in(lake: Lake, clock: Any) -> None:
    write(lake, OPEN, OPEN + dt.timedelta(days=1))
    before = lake.bars("SPY")
    clock.moment += dt.timedelta(days=30)
    write(lake, OPEN + dt.timedelta(days=2))
    assert labels(lake) == ["2024-03"]
    pl.testing.assert_frame_equal(lake.bars("SPY", end="2024-03-13"), before)


def test_a_write_into_a_year_file_stays_in_it(lake: Lake) -> None:
    write(lake, LAST_YEAR, longest=PeriodLength.YEAR)
    write(lake, LAST_YEAR - dt.timedelta(days=1), longest=PeriodLength.SESSION)
    assert labels(lake) == ["2023"]
    assert lake.symbols()["bars"].item() == 60


# --- what is given -----------------------------------------------------------------------------------


def test_the_same_rows_again_write_nothing(lake: Lake) -> None:
    assert write(lake, OPEN) == WriteReport(inserted=30, files_written=1)
    files = lake.manifest.known_paths()
    assert write(lake, OPEN) == WriteReport(unchanged=30)
    assert lake.manifest.known_paths() == files


def test_changed_rows_keep_their_old_values_and_the_rest_their_instant(lake: Lake, clock: Any) -> None:
    bars = make_bars([OPEN], minutes=3)
    lake.writer.write(bars, feed="sip", symbol="SPY", source="test")
    first, clock.moment = clock.moment, clock.moment + dt.timedelta(hours=1)
    changed = bars.with_columns(volume=pl.when(pl.int_range(3) == 1).then(7).otherwise("volume"))
    report = lake.writer.write(changed, feed="sip", symbol="SPY", source="test")
    assert report == WriteReport(unchanged=2, changed=1, files_written=2)
    assert lake.bars("SPY")["ingested_at"].to_list() == [first, clock.moment, first]
    [old] = lake.manifest.files(dataset=layout.REVISIONS)
    row = pl.read_parquet(lake.root / old.path).row(0, named=True)
    assert row["volume"] == bars.item(1, "volume")
    assert (row["ingested_at"], row["superseded_at"]) == (first, clock.moment)


def test_count_and_vwap_may_be_missing_and_columns_in_any_order_and_width(lake: Lake) -> None:
    bars = make_bars([OPEN], minutes=3).with_columns(pl.col("timestamp").dt.cast_time_unit("ns"))
    lean = bars.select("close", "low", "high", "open", pl.col("volume").cast(pl.UInt16), "timestamp")
    lake.writer.write(lean, feed="sip", symbol="SPY", source="test")
    found = lake.bars("SPY")
    assert found["vwap"].null_count() == found["trade_count"].null_count() == 3
    assert found.schema["timestamp"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("volume", [1.5, float("nan"), 1e30])
def test_a_volume_that_is_no_whole_number_is_put_aside_and_never_rounded(lake: Lake, volume: float) -> None:
    bars = make_bars([OPEN], minutes=3).with_columns(volume=pl.Series([5.0, volume, 7.0]))
    report = lake.writer.write(bars, feed="sip", symbol="SPY", source="test")
    assert (report.inserted, report.quarantined) == (2, 1)
    assert lake.bars("SPY")["volume"].to_list() == [5, 7]
    assert lake.manifest.quarantine()["reason"].to_list() == ["volume is missing or not a whole number"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (pl.lit("ten").alias("open"), "a column that is not numbers"),
        (pl.col("timestamp").dt.replace_time_zone(None), "without a time zone: give instants with a zone"),
        (pl.col("timestamp").dt.epoch("s"), "column timestamp is Int64"),
    ],
)
def test_columns_of_a_wrong_kind_are_refused(lake: Lake, expression: pl.Expr, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        lake.write_bars(make_bars([OPEN], minutes=3).with_columns(expression), feed="sip", symbol="SPY")
    assert lake.symbols().is_empty()


def test_a_missing_column_is_named(lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="bars lack the columns low, volume"):
        lake.write_bars(make_bars([OPEN], minutes=3).drop("low", "volume"), feed="sip", symbol="SPY")


def test_no_rows_write_nothing(lake: Lake) -> None:
    assert lake.write_bars(make_bars([OPEN], minutes=3).clear(), feed="sip", symbol="SPY") == WriteReport()
    assert lake.symbols().is_empty()


# --- what goes wrong ---------------------------------------------------------------------------------


class InterruptedManifest(Manifest):
    """A manifest whose commits are interrupted, as by Ctrl-C, just before or just after they happen."""

    after = False

    def commit(self, commit: Commit) -> None:
        if self.after:
            super().commit(commit)
        raise KeyboardInterrupt


@pytest.mark.parametrize("after", [False, True])
def test_an_interrupt_around_the_commit_leaves_the_lake_before_or_after_it(lake: Lake, after: bool) -> None:  # noqa: FBT001 - a parameter of the test
    write(lake, OPEN)
    manifest = InterruptedManifest(lake.manifest.place)
    manifest.after = after
    writer = BarWriter(lake.store, manifest, lambda: lake.calendar, lake.now)
    with pytest.raises(KeyboardInterrupt):
        writer.write(make_bars([OPEN], seed=1, minutes=40), feed="sip", symbol="SPY", source="test")
    manifest.close()
    assert lake.bars("SPY").height == (40 if after else 30)
    files = {path.relative_to(lake.root).as_posix() for path in (lake.root / "parquet").rglob("*.parquet")}
    assert files == lake.manifest.known_paths()


def test_a_write_refused_half_way_leaves_no_file(lake: Lake) -> None:
    bars = make_bars([OPEN], minutes=10)
    lake.writer.write(bars, feed="sip", symbol="SPY", source="test")
    before = lake.bars("SPY")
    # The new bars can be written, the old values cannot.
    (lake.root / "parquet" / layout.REVISIONS).write_text("in the way")
    with pytest.raises(StorageError, match="Nothing was half written"):
        write(lake, OPEN, seed=1)
    pl.testing.assert_frame_equal(lake.bars("SPY"), before)
    assert len(list((lake.root / "parquet").rglob("*.parquet"))) == 1
    (lake.root / "parquet" / layout.REVISIONS).unlink()
    assert write(lake, OPEN, seed=1).changed == 10


def test_rows_are_the_same_whatever_periods_they_came_in_by(lake: Lake) -> None:
    bars = make_bars([LAST_YEAR, CLOSED, OPEN], minutes=20)
    for number, longest in enumerate(PeriodLength):
        for piece in bars.iter_slices(7):
            lake.writer.write(piece, feed="sip", symbol=f"S{number}", source="test", longest=longest)
    snapshots = [lake.snapshot(f"S{number}") for number in range(3)]
    values = [lake.bars(f"S{number}").select("timestamp", *BAR_VALUES) for number in range(3)]
    assert all(frame.equals(bars) for frame in values)
    assert len({one.symbols[0].rows for one in snapshots}) == 1
    hashes = [lake.coverage(f"S{number}")["content_hash"].to_list() for number in range(3)]
    assert hashes[0] == hashes[1] == hashes[2]
    assert [Path(file.path).parts[-2] for file in lake.manifest.files(symbol="S2")] == [
        "dt=2023",
        "dt=2024-02",
        "dt=2024-03-11",
    ]
