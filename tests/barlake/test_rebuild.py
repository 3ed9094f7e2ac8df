"""A manifest made from the tree counts what the lost one counted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from barlake import Lake, layout
from barlake.bar_files import write_bar_file
from barlake.errors import InvalidInputError
from barlake.keys import PartitionKey, Period, PeriodLength
from barlake.manifest import Manifest
from barlake.rebuild import RebuildReport, TreeFile, decide, rebuild
from barlake.records import FileRecord, RowRank, new_commit_id
from barlake.rollup import rollup
from barlake.sessions import Calendar, session_bounds
from barlake.settings import Settings
from barlake.stores import LocalStore
from barlake.testing import make_bars, temporary_lake
from barlake.writer import BarWriter
from tests.barlake.conftest import Clock

DAYS = [dt.date(2023, 12, 28), dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 2, 1)]
DAY = PartitionKey("sip", "SPY", Period.parse("2024-01-02"))
MONTH = PartitionKey("sip", "SPY", Period.parse("2024-01"))
YEAR = PartitionKey("sip", "SPY", Period.parse("2023"))


def lose_the_manifest(lake: Lake) -> None:
    lake.manifest.close()
    for path in (lake.root / "manifest").glob("manifest.sqlite*"):
        path.unlink()


def make_again(lake: Lake) -> RebuildReport:
    report = rebuild(lake.store, lake.root, Calendar.default(), now=lake.now)
    lake.manifest = Manifest(lake.root / layout.MANIFEST_FILE)
    lake.writer = BarWriter(lake.store, lake.manifest, lambda: lake.calendar, lake.now)
    return report


def counting(lake: Lake) -> list[FileRecord]:
    return [file for data in ("bars", "revisions") for file in lake.manifest.files(dataset=data)]


def write(lake: Lake, bars: pl.DataFrame, symbol: str = "SPY") -> None:
    lake.writer.write(bars, feed="sip", symbol=symbol, source="test")


@pytest.fixture
def full(lake: Lake) -> Lake:
    """Two symbols over three months, and one session corrected."""
    for seed, symbol in enumerate(("SPY", "BTC/USD")):
        write(lake, make_bars(DAYS, seed=seed), symbol)
    write(lake, make_bars(DAYS[:1]).with_columns(pl.col("volume") + 1))
    return lake


# What counts ---------------------------------------------------------------------------------------

steps = st.one_of(
    st.tuples(
        st.just("write"),
        st.sampled_from(["SPY", "QQQ"]),
        st.sets(st.integers(0, len(DAYS) - 1), min_size=1),
        st.integers(0, 3),
        st.sampled_from(list(PeriodLength)),
        st.sampled_from([RowRank.FINAL, RowRank.FINAL, RowRank.BAR]),
    ),
    st.tuples(st.just("finalise"), st.sampled_from(["SPY", "QQQ"])),
    st.tuples(st.just("rollup")),
    st.tuples(st.just("vacuum")),
    st.tuples(st.just("pass time"), st.integers(0, 40)),
    st.tuples(st.just("rebuild")),
)


class Moment:
    """A clock that may stand still."""

    def __init__(self) -> None:
        self.now = dt.datetime(2024, 1, 4, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


def take(lake: Lake, clock: Moment, step: tuple) -> None:  # type: ignore[type-arg] # a step's shape follows its name
    match step:
        case ("write", symbol, days, seed, longest, rank):
            bars = make_bars([DAYS[day] for day in sorted(days)], seed=seed, minutes=3)
            lake.writer.write(bars, feed="sip", symbol=symbol, source="test", longest=longest, rank=rank)
        case ("finalise", symbol):
            lake.writer.finalise(DAYS, feed="sip", symbol=symbol, source="test")
        case ("rollup",):
            lake.rollup()
        case ("vacuum",):
            lake.vacuum(grace=dt.timedelta(0))
        case ("pass time", days):
            clock.now += dt.timedelta(days=days)
        case ("rebuild",):
            if counting(lake):
                lake.manifest.close()
                make_again(lake)


@settings(max_examples=10, phases=(Phase.generate,))
@given(st.lists(steps, min_size=1, max_size=10))
def test_after_any_history_the_same_files_sessions_and_root(history: list[tuple]) -> None:  # type: ignore[type-arg]
    clock = Moment()
    with temporary_lake(now=clock) as lake:
        for step in history:
            take(lake, clock, step)
        before, held, root = counting(lake), lake.manifest.held(), lake.snapshot().root_hash
        if not list((lake.root / "parquet").rglob("*.parquet")):
            return
        lose_the_manifest(lake)
        report = make_again(lake)
        assert counting(lake) == before
        assert lake.manifest.held().equals(held)
        assert lake.snapshot().root_hash == root
        assert (report.unreadable, report.disputed) == ((), ())
        assert lake.verify().is_sound


def tree_file(
    key: PartitionKey, at: int, *, replaces: tuple[TreeFile, ...] = (), rows: int = 1, dataset: str = "bars"
) -> TreeFile:
    commit = f"20240101T{at:012d}-00000000"
    path = f"{layout.partition_path(dataset, key)}/{commit}.parquet"
    edges = session_bounds(key.period.start, key.period.end)
    return TreeFile(FileRecord(path, dataset, key, rows, 1, *edges), frozenset(one.record.path for one in replaces))


def test_a_file_that_another_replaced_does_not_count_whatever_the_clock_said() -> None:
    old = tree_file(DAY, 9)
    new = tree_file(MONTH, 1, replaces=(old,))
    verdict = decide([old, new])
    assert (verdict.counting, verdict.replaced, verdict.disputed) == ((new,), ((old, new),), ())


def test_of_overlapping_files_the_later_commit_counts() -> None:
    """The one between them was deleted, and a vacuum was cut short before the oldest went."""
    old, new, elsewhere = tree_file(DAY, 1), tree_file(MONTH, 2), tree_file(YEAR, 1)
    verdict = decide([elsewhere, old, new])
    assert set(verdict.counting) == {new, elsewhere}
    assert verdict.disputed == (old,)


def test_two_writes_from_one_file_are_decided_by_their_order_and_the_loser_takes_its_old_values_along() -> None:
    base = tree_file(MONTH, 1)
    one, other = tree_file(MONTH, 2, replaces=(base,)), tree_file(MONTH, 3, replaces=(base,))
    values = [tree_file(MONTH, at, dataset="revisions") for at in (2, 3)]
    verdict = decide([*values, base, one, other])
    assert set(verdict.counting) == {other, values[1]}
    assert set(verdict.disputed) == {one, values[0]}


def test_old_values_of_one_period_count_side_by_side_and_a_rolled_up_file_counts_once() -> None:
    first, second, third = (tree_file(MONTH, at, dataset="revisions") for at in (1, 2, 3))
    rolled = tree_file(MONTH, 9, dataset="revisions", replaces=(first, second), rows=2)
    fuller = tree_file(MONTH, 8, dataset="revisions", replaces=(first, second, third), rows=3)
    assert set(decide([first, second, third]).counting) == {first, second, third}
    assert set(decide([first, second, third, rolled]).counting) == {third, rolled}
    assert decide([first, second, third, rolled, fuller]).counting == (fuller,)


# The lake afterwards -------------------------------------------------------------------------------


def test_whole_sessions_are_imported_and_unfinished_ones_are_asked_for_again(lake: Lake) -> None:
    write(lake, make_bars(DAYS[:1]))
    write(lake, make_bars(DAYS[1:2], keep=0.5))
    lose_the_manifest(lake)
    report = make_again(lake)
    answers = lake.manifest.answers().select("session", "status", "attempts").rows()
    assert answers == [(DAYS[0], "imported", 0)]
    assert (report.sessions, report.unanswered) == (2, 1)


def test_a_session_stored_while_it_was_on_is_asked_for_again() -> None:
    clock = Moment()
    clock.now = dt.datetime(2023, 12, 28, 21, 30, tzinfo=dt.UTC)
    with temporary_lake(now=clock) as lake:
        write(lake, make_bars(DAYS[:1]))
        lose_the_manifest(lake)
        make_again(lake)
        assert lake.manifest.answers().is_empty()


def test_the_old_manifest_is_kept_and_can_be_read(full: Lake) -> None:
    held = full.manifest.held()
    full.manifest.close()
    report = make_again(full)
    assert report.kept is not None
    kept = Manifest(full.root / report.kept / "manifest.sqlite")
    assert kept.held().equals(held)
    kept.close()


def test_a_manifest_that_is_no_database_is_kept_too(full: Lake) -> None:
    lose_the_manifest(full)
    (full.root / layout.MANIFEST_FILE).write_bytes(b"broken")
    report = make_again(full)
    assert report.kept is not None
    assert (full.root / report.kept / "manifest.sqlite").read_bytes() == b"broken"


def test_what_was_replaced_goes_with_the_next_vacuum_and_reads_and_writes_go_on(full: Lake, clock: Clock) -> None:
    before = full.bars(["SPY", "BTC/USD"])
    lose_the_manifest(full)
    report = make_again(full)
    assert report.replaced == 1
    assert full.vacuum().files == 0, "its grace begins anew"
    clock.moment += dt.timedelta(minutes=1)
    assert full.vacuum(grace=dt.timedelta(0)).files == 1
    assert full.bars(["SPY", "BTC/USD"]).equals(before)
    write(full, make_bars(DAYS[1:2]).with_columns(pl.col("volume") + 2))
    assert full.verify().is_sound
    assert full.bars("SPY").height == before.filter(pl.col("symbol") == "SPY").height


def test_an_earlier_state_can_still_be_read(full: Lake) -> None:
    full.publish()
    corrected = full.bars("SPY")
    since = corrected["ingested_at"].max()
    assert isinstance(since, dt.datetime)
    early = full.bars("SPY", as_of=since - dt.timedelta(microseconds=1))
    lose_the_manifest(full)
    make_again(full)
    assert full.bars("SPY", as_of=since - dt.timedelta(microseconds=1)).equals(early)
    assert not early.equals(corrected)


def test_damaged_files_do_not_count_and_are_kept(full: Lake) -> None:
    first, second, *_ = full.manifest.files(symbol="SPY")
    content = bytearray((full.root / first.path).read_bytes())
    content[len(content) // 2] ^= 4
    (full.root / first.path).write_bytes(content)
    (full.root / second.path).write_bytes(b"broken")
    lose_the_manifest(full)
    report = make_again(full)
    assert set(report.unreadable) == {first.path, second.path}
    assert (full.root / "damaged" / first.path).read_bytes() == content
    assert {first.path, second.path}.isdisjoint(file.path for file in counting(full))
    assert full.verify().is_sound


def test_a_file_in_a_foreign_place_does_not_count(full: Lake) -> None:
    file = full.manifest.files(symbol="SPY")[0]
    wrong = full.root / file.path.replace("symbol=SPY", "symbol=QQQ")
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes((full.root / file.path).read_bytes())
    lose_the_manifest(full)
    assert make_again(full).unreadable == (wrong.relative_to(full.root).as_posix(),)
    assert "QQQ" not in full.manifest.feeds()["sip"]


def test_a_file_whose_commit_never_happened_counts_as_the_write_it_was(full: Lake) -> None:
    """Its rows are those of the file it was merged from and what came: the state after, not before."""
    file = full.manifest.files(symbol="SPY")[0]
    rows = pl.read_parquet(full.root / file.path, hive_partitioning=False).with_columns(pl.col("volume") + 7)
    commit = new_commit_id(dt.datetime.now(tz=dt.UTC))
    orphan = write_bar_file(full.store, "bars", file.key, rows, commit_id=commit, replaces=[file.path])
    lose_the_manifest(full)
    make_again(full)
    assert orphan.path in {one.path for one in counting(full)}
    assert file.path not in {one.path for one in counting(full)}
    assert full.verify().is_sound


def test_nothing_to_make_a_manifest_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no bar file"):
        rebuild(LocalStore(tmp_path), tmp_path, Calendar.default(), now=Moment())
    assert not (tmp_path / "manifest").exists()


@pytest.fixture
def published(full: Lake) -> Lake:
    full.publish()
    return full


def test_a_lost_catalogue_is_made_by_the_next_query(published: Lake) -> None:
    query = "select count(*) from bars"
    before = published.sql(query).item()
    published.catalogue_path.unlink()
    assert published.sql(query).item() == before
    with Lake(published.root, Settings(_env_file=None)) as again:
        assert again.sql(query).item() == before


def test_what_was_removed_stays_removed_when_the_file_that_said_so_was_rolled_up_and_swept(lake: Lake) -> None:
    """The vacuum was cut short: the file of old values is gone, the bars it took the place of are still there."""
    for day in DAYS[:2]:
        lake.writer.write(make_bars([day]), feed="sip", symbol="SPY", source="test", rank=RowRank.BAR,
                          longest=PeriodLength.SESSION)  # fmt: skip
        lake.writer.finalise([day], feed="sip", symbol="SPY", source="test")
    removals = [file.path for file in counting(lake)]
    assert [file.dataset for file in counting(lake)] == ["revisions", "revisions"]
    before = lake.snapshot().root_hash
    rollup(lake.store, lake.manifest, today=dt.date(2024, 6, 1))
    rollup(lake.store, lake.manifest, today=dt.date(2025, 6, 1))
    for path in removals:
        (lake.root / path).unlink()
    lose_the_manifest(lake)
    make_again(lake)
    assert lake.snapshot().root_hash == before
    assert lake.symbols().is_empty()
