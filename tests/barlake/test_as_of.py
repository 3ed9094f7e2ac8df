import datetime as dt
from collections.abc import Callable, Iterator

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.lake import Lake
from barlake.partitions import content_hashes
from barlake.records import Answer, AnswerStatus, RowRank
from barlake.repair import repair
from barlake.rollup import rollup
from barlake.schemas import BAR_VALUES
from barlake.sessions import session_of
from barlake.snapshots import lake_root, session_differences
from barlake.testing import make_bars, temporary_lake
from barlake.writer import Progress

pytestmark = pytest.mark.both_databases

FEED, SYMBOL = "synthetic", "SPY"
MONDAY, TUESDAY, WEDNESDAY = (dt.date(2024, 3, day) for day in (11, 12, 13))
LATER = dt.date(2025, 1, 5)


class Clock:
    def __init__(self) -> None:
        self.moment = dt.datetime(2024, 3, 15, 13, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lake(clock: Clock, database: None) -> Iterator[Lake]:  # noqa: ARG001 - settings are read when it is opened
    with temporary_lake(now=clock) as lake:
        yield lake


def write(lake: Lake, bars: pl.DataFrame, rank: RowRank = RowRank.FINAL) -> dt.datetime:
    """Write bars and hand back the instant of the commit."""
    lake.writer.write(bars, feed=FEED, symbol=SYMBOL, source="test", rank=rank)
    moment = lake.manifest.last_commit_at()
    assert moment is not None
    return moment


def values(lake: Lake, as_of: dt.datetime | None = None) -> pl.DataFrame:
    return lake.bars(SYMBOL, as_of=as_of).select("timestamp", *BAR_VALUES)


def test_three_corrections_replay_to_exactly_each_earlier_state_before_and_after_a_rollup(
    lake: Lake, clock: Clock
) -> None:
    bars = make_bars([MONDAY, TUESDAY], minutes=6)
    states = []
    for step in range(4):
        clock.moment += dt.timedelta(days=1)
        changed = pl.int_range(pl.len()) % (step + 1) == 0
        bars = bars.with_columns(pl.when(changed).then(pl.col("volume") + step).otherwise("volume").alias("volume"))
        states.append((write(lake, bars), values(lake)))
    for moment, state in states:
        assert values(lake, moment).equals(state)
    rollup(lake.store, lake.manifest, today=LATER)
    for moment, state in states:
        assert values(lake, moment).equals(state)


def test_before_the_first_commit_the_lake_held_nothing(lake: Lake) -> None:
    first = write(lake, make_bars([MONDAY], minutes=3))
    assert values(lake, first - dt.timedelta(microseconds=1)).is_empty()
    assert values(lake, first).height == 3


def test_a_row_that_was_committed_after_the_instant_is_not_seen_though_its_moment_is_earlier(lake: Lake) -> None:
    write(lake, make_bars([MONDAY], minutes=3))
    seen = lake.snapshot(SYMBOL)
    frozen = lake.manifest._now
    lake.manifest._now = lambda: frozen() + dt.timedelta(seconds=5)  # the commit comes five seconds after the moment
    write(lake, make_bars([TUESDAY], minutes=2))
    between = seen.moment + dt.timedelta(seconds=1)
    assert values(lake, between).height == 3
    assert values(lake).height == 5


def test_as_of_a_date_or_without_a_zone_is_refused(lake: Lake) -> None:
    write(lake, make_bars([MONDAY], minutes=1))
    with pytest.raises(InvalidInputError, match="as_of '2024-03-15' is a date: give an instant"):
        lake.bars(SYMBOL, as_of="2024-03-15")
    with pytest.raises(InvalidInputError, match="has no time zone"):
        lake.bars(SYMBOL, as_of="2024-03-15T10:00")


def test_a_lower_rank_never_replaces_a_higher_one_and_is_kept_once(lake: Lake) -> None:
    bars = make_bars([MONDAY], minutes=2)
    write(lake, bars)
    other = bars.with_columns(pl.col("volume") + 1)
    for _ in range(2):
        report = lake.writer.write(other, feed=FEED, symbol=SYMBOL, source="test", rank=RowRank.BAR)
        assert (report.outranked, report.changed, report.inserted) == (2, 0, 0)
    assert values(lake)["volume"].equals(bars["volume"])
    kept = lake.revisions(SYMBOL)
    assert kept["kind"].to_list() == ["refused", "refused"]
    assert kept["volume_old"].to_list() == other["volume"].to_list()
    assert kept["volume_new"].to_list() == bars["volume"].to_list()


def test_an_updated_bar_replaces_a_bar_and_a_final_answer_both(lake: Lake) -> None:
    bars = make_bars([MONDAY], minutes=2)
    for step, rank in enumerate((RowRank.BAR, RowRank.UPDATED_BAR, RowRank.REST, RowRank.FINAL)):
        write(lake, bars.with_columns(pl.col("volume") + step), rank)
        assert values(lake)["volume"].equals(bars["volume"] + step)
        provisional = lake.manifest.provisional(feed=FEED, symbol=SYMBOL)
        assert provisional["rank"].to_list() == ([] if rank is RowRank.FINAL else [rank, rank])


def test_a_bar_that_the_final_answer_lacks_is_removed_and_remembered(lake: Lake) -> None:
    streamed = make_bars([MONDAY], minutes=4)
    before = write(lake, streamed, RowRank.BAR)
    write(lake, streamed.head(3))
    report = lake.writer.finalise([MONDAY], feed=FEED, symbol=SYMBOL, source="test")
    assert report.removed == 1
    assert values(lake).height == 3
    assert values(lake, before).height == 4
    assert lake.revisions(SYMBOL)["kind"].to_list() == ["removed"]
    assert lake.coverage(SYMBOL)["bars"].to_list() == [3]


def test_a_session_whose_every_bar_is_removed_is_held_no_more(lake: Lake) -> None:
    write(lake, make_bars([MONDAY], minutes=2))
    streamed = write(lake, make_bars([TUESDAY], minutes=2), RowRank.BAR)
    lake.writer.finalise([TUESDAY], feed=FEED, symbol=SYMBOL, source="test")
    assert lake.coverage(SYMBOL)["session"].to_list() == [MONDAY]
    assert values(lake, streamed).height == 4


def test_revisions_show_each_old_value_beside_the_one_that_took_its_place(lake: Lake) -> None:
    bars = make_bars([MONDAY], minutes=1)
    moments = [write(lake, bars.with_columns(pl.lit(number).alias("volume"))) for number in (10, 20, 30)]
    found = lake.revisions(SYMBOL)
    assert found.select("volume_old", "volume_new").rows() == [(10, 20), (20, 30)]
    assert found["known_until"].to_list() == moments[1:]
    assert found["kind"].to_list() == ["replaced", "replaced"]


def test_roots_tell_where_two_lakes_differ_without_reading_a_bar(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BARLAKE_DATABASE_URL", raising=False)  # the other lake is not in the same database
    bars = make_bars([MONDAY, TUESDAY], minutes=3)
    write(lake, bars)
    with temporary_lake() as other:
        other.write_bars(bars, feed=FEED, symbol=SYMBOL)
        assert other.snapshot().root_hash == lake.snapshot().root_hash
        changed = make_bars([TUESDAY], minutes=3, seed=5)
        other.write_bars(changed, feed=FEED, symbol=SYMBOL)
        assert other.snapshot().root_hash != lake.snapshot().root_hash
        found = session_differences(lake.manifest.held(), other.manifest.held())
        assert found.select("session", "difference").rows() == [(TUESDAY, "differs")]


# --- what is here, as it was -------------------------------------------------------------------------


def everything(lake: Lake, as_of: dt.datetime | None = None) -> list[object]:
    """All that a lake says of what it holds."""
    snapshots = [lake.snapshot(as_of=as_of), lake.snapshot(end=TUESDAY, as_of=as_of)]
    frames = [
        lake.symbols(as_of=as_of),
        lake.coverage(as_of=as_of),
        lake.coverage(SYMBOL, TUESDAY, as_of=as_of),
        lake.gaps(as_of=as_of),
        lake.gaps(SYMBOL, as_of=as_of),
    ]
    return [*snapshots, *(frame.rows(named=True) for frame in frames)]


def by_sql(lake: Lake, as_of: dt.datetime) -> pl.DataFrame:
    columns = ", ".join(lake.bars(SYMBOL, as_of=as_of).columns)
    wanted = f"bars_as_of('{as_of.isoformat()}') WHERE symbol = '{SYMBOL}'"
    return lake.sql(f"SELECT {columns} FROM {wanted} ORDER BY timestamp")


def answered(lake: Lake, bars: pl.DataFrame, status: AnswerStatus, *, symbol: str = SYMBOL, attempts: int = 1) -> None:
    days = bars.select(session_of(pl.col("timestamp")).unique()).to_series().to_list()
    progress = Progress(answers=[Answer(day, status, attempts) for day in days])
    lake.writer.write(bars, feed=FEED, symbol=symbol, source="test", progress=progress)


def last_commit(lake: Lake) -> dt.datetime:
    moment = lake.manifest.last_commit_at()
    assert moment is not None
    return moment


def test_corrections_answers_removals_and_new_symbols_replay_in_every_read(lake: Lake, clock: Clock) -> None:
    bars = make_bars([MONDAY, TUESDAY], minutes=6)
    streamed = make_bars([WEDNESDAY], minutes=3)
    steps: list[Callable[[], object]] = [
        lambda: answered(lake, bars.head(4), AnswerStatus.COMPLETE),
        lambda: answered(lake, bars, AnswerStatus.COMPLETE, attempts=2),
        lambda: answered(lake, bars.with_columns(pl.col("volume") + 1).head(6), AnswerStatus.SPARSE),
        lambda: write(lake, streamed, RowRank.BAR),
        lambda: answered(lake, bars, AnswerStatus.COMPLETE, symbol="QQQ"),
        lambda: write(lake, bars.with_columns(pl.col("close") + 0.01).tail(2)),
        lambda: lake.writer.finalise([WEDNESDAY], feed=FEED, symbol=SYMBOL, source="test"),
        lambda: answered(lake, bars.with_columns(pl.col("volume") + 2), AnswerStatus.COMPLETE, attempts=3),
    ]
    states = []
    for step in steps:
        clock.moment += dt.timedelta(hours=1)
        step()
        states.append((last_commit(lake), everything(lake), lake.bars(SYMBOL)))
    assert len({str(state) for _, state, _ in states}) == len(steps)
    clock.moment = dt.datetime(2025, 1, 5, 12, tzinfo=dt.UTC)
    changes: list[Callable[[], object]] = [
        lambda: None, lake.rollup, lambda: lake.vacuum(grace=dt.timedelta(seconds=-1)),
    ]  # fmt: skip
    for change in changes:
        change()
        lake.publish()
        for moment, state, held in states:
            assert everything(lake, moment) == state
            assert by_sql(lake, moment).equals(held)
    before = states[0][0] - dt.timedelta(microseconds=1)
    assert lake.symbols(as_of=before).is_empty()
    assert lake.coverage(as_of=before).is_empty()
    assert lake.gaps(SYMBOL, as_of=before).is_empty()
    assert lake.snapshot(as_of=before).root_hash == lake_root(lake.coverage(as_of=before))
    assert by_sql(lake, before).is_empty()


def test_a_commit_after_the_instant_is_not_seen_by_any_read_though_its_moment_is_earlier(lake: Lake) -> None:
    bars = make_bars([MONDAY], minutes=3)
    write(lake, bars)
    moment, state, held = last_commit(lake), everything(lake), lake.bars(SYMBOL)
    frozen = lake.manifest._now
    lake.manifest._now = lambda: frozen() + dt.timedelta(seconds=5)
    write(lake, pl.concat([bars.with_columns(pl.col("volume") + 1), make_bars([TUESDAY], minutes=2)]))
    between = moment + dt.timedelta(seconds=1)
    lake.publish()
    assert lake.bars(SYMBOL, as_of=between).equals(held)
    assert by_sql(lake, between).equals(held)
    assert everything(lake, between) == state


def test_a_session_that_was_lost_and_fetched_again_is_known_from_then_on_in_every_read(
    lake: Lake, clock: Clock
) -> None:
    for day in (MONDAY, TUESDAY):
        answered(lake, make_bars([day], minutes=6), AnswerStatus.COMPLETE)
    first = last_commit(lake)
    [file] = lake.manifest.files(symbol=SYMBOL, start=TUESDAY)
    (lake.root / file.path).write_bytes(b"broken")
    clock.moment += dt.timedelta(hours=1)
    repair(lake.store, lake.manifest, lake.verify().faults, now=lake.now)
    without, lost = last_commit(lake), everything(lake)
    clock.moment += dt.timedelta(hours=1)
    answered(lake, make_bars([TUESDAY], minutes=6), AnswerStatus.COMPLETE)
    lake.publish()
    assert everything(lake, without) == lost
    for moment in (first, without):
        bars = lake.bars(SYMBOL, as_of=moment)
        assert lake.coverage(as_of=moment)["content_hash"].equals(content_hashes(bars)["content_hash"])
        assert by_sql(lake, moment).equals(bars)
    # What the source said of it is remembered, though its bars are not.
    assert lake.manifest.answers(as_of=first)["session"].to_list() == [MONDAY, TUESDAY]
    assert lake.manifest.answers(as_of=without)["session"].to_list() == [MONDAY]


Step = tuple[int, int, int]
STEPS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=6)


@settings(max_examples=6, deadline=None)
@given(STEPS)
def test_every_earlier_state_can_be_read_after_any_series_of_writes(steps: list[Step]) -> None:
    """A plain list of states is the model: what was read then is what `as_of` reads now."""
    clock = Clock()
    with temporary_lake(now=clock) as lake:
        states = []
        for seed, minutes, rank in steps:
            write(lake, make_bars([MONDAY, TUESDAY], minutes=minutes, seed=seed), RowRank(rank))
            states.append((lake.snapshot(SYMBOL).moment, values(lake), everything(lake)))
        lake.writer.finalise([MONDAY], feed=FEED, symbol=SYMBOL, source="test")
        states.append((lake.snapshot().moment, values(lake), everything(lake)))
        rollup(lake.store, lake.manifest, today=LATER)
        lake.publish()
        for moment, state, said in states:
            assert values(lake, moment).equals(state)
            assert by_sql(lake, moment).equals(lake.bars(SYMBOL, as_of=moment))
            assert everything(lake, moment) == said
