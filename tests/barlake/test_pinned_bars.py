"""Bars of one state of the lake, frame by frame: the same as in one piece, whatever is written meanwhile."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from collections.abc import Iterator

import polars as pl
import pytest

from barlake.bars import BarOptions
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import Adjustment, PeriodLength, SessionFilter, Timeframe
from barlake.lake import Lake
from barlake.pinned_bars import moment_of, pin_bars
from barlake.sessions import Calendar
from barlake.testing import make_bars, temporary_lake

DAYS = Calendar.default().in_range(dt.date(2023, 12, 20), dt.date(2024, 2, 10))["session"].to_list()
SPLIT = pl.DataFrame(
    {"symbol": ["AAA"], "ex_date": ["2024-01-16"], "kind": ["split"], "ratio": [4.0], "cash_usd": [None]}
)


class Clock:
    def __init__(self) -> None:
        self.instant = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        self.instant += dt.timedelta(seconds=1)
        return self.instant


@contextlib.contextmanager
def filled() -> Iterator[Lake]:
    with temporary_lake(now=Clock()) as made:
        bars = make_bars(DAYS, seed=1, minutes=60)
        made.writer.write(bars[:1_500], feed="mine", symbol="AAA", source="a", longest=PeriodLength.YEAR)
        made.writer.write(bars[1_500:], feed="mine", symbol="AAA", source="b", longest=PeriodLength.MONTH)
        yield made


@pytest.fixture
def lake() -> Iterator[Lake]:
    with filled() as made:
        yield made


@pytest.fixture(scope="module")
def still_lake() -> Iterator[Lake]:
    """One for all tests that only read."""
    with filled() as made:
        yield made


def correct(lake: Lake, *, by: float = 0.01) -> None:
    """Change some bars of two sessions."""
    rows = lake.bars("AAA", DAYS[3], DAYS[5])
    changed = rows.with_columns(pl.col("high") + by).select(
        "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap"
    )
    lake.writer.write(changed, feed="mine", symbol="AAA", source="c")


def split(lake: Lake, folder: str) -> None:
    path = f"{folder}/actions.csv"
    SPLIT.write_csv(path)
    lake.import_actions(path, source="me")


@pytest.mark.parametrize(
    "span", [(None, None), ("2024-01-03", "2024-01-20"), ("2024-01-03T15:00:00Z", "2024-01-05T14:45:00Z")]
)
@pytest.mark.parametrize("timeframe", [Timeframe.MINUTE, Timeframe.MINUTE_15, Timeframe.DAY])
@pytest.mark.parametrize("session", [SessionFilter.ALL, SessionFilter.REGULAR, SessionFilter.PRE])
def test_frames_are_the_bars_in_pieces(
    still_lake: Lake, span: tuple[str | None, str | None], timeframe: str, session: str
) -> None:
    options = BarOptions(timeframe=timeframe, session=session)
    whole = still_lake.bars("AAA", *span, **options)
    for rows in (130, 100_000):
        frames = list(pin_bars(still_lake, "AAA", *span, **options).batches(rows))
        assert pl.concat(frames).equals(whole)
        assert rows == 100_000 or all(frame.height <= max(rows, 60) for frame in frames)


@pytest.mark.parametrize("adjustment", list(Adjustment))
def test_frames_of_an_earlier_state_in_terms_of_then_are_the_bars_of_then(
    lake: Lake, adjustment: str, tmp_path: object
) -> None:
    split(lake, str(tmp_path))
    then = moment_of(lake.manifest)
    before = lake.bars("AAA", adjustment=adjustment)
    correct(lake)
    lake.rollup()
    now = pl.concat(pin_bars(lake, "AAA", adjustment=adjustment).batches(200))
    past = pl.concat(pin_bars(lake, "AAA", adjustment=adjustment, as_of=then).batches(200))
    assert past.equals(before)
    assert not now.equals(before)
    assert now.equals(lake.bars("AAA", adjustment=adjustment))


@pytest.mark.parametrize("adjustment", [Adjustment.RAW, Adjustment.ALL])
def test_who_began_to_read_is_not_shown_what_is_written_meanwhile(
    lake: Lake, adjustment: str, tmp_path: object
) -> None:
    before = lake.bars("AAA", adjustment=adjustment)
    frames = pin_bars(lake, "AAA", adjustment=adjustment).batches(100)
    first = list(itertools.islice(frames, 3))
    correct(lake)
    split(lake, str(tmp_path))
    lake.rollup()
    lake.vacuum()
    assert pl.concat([*first, *frames]).equals(before)
    assert not lake.bars("AAA", adjustment=adjustment).equals(before)


@pytest.mark.parametrize("timeframe", list(Timeframe))
@pytest.mark.parametrize("newest", [1, 3, 1_000, None])
def test_the_newest_bars_are_the_end_of_all_that_lie_in_the_newest_sessions(
    still_lake: Lake, timeframe: str, newest: int | None
) -> None:
    pinned = pin_bars(still_lake, "AAA", timeframe=timeframe, newest_sessions=newest)
    assert pinned.is_all is (newest not in {1, 3})
    whole = still_lake.bars("AAA", timeframe=timeframe)
    within = whole if newest is None else whole.filter(pl.col("session").is_in(DAYS[-newest:]))
    for count in (1, 5, 70, 10_000):
        assert pinned.newest(count).equals(within.tail(count))


def test_the_root_is_that_of_a_snapshot_and_follows_values_not_files(lake: Lake) -> None:
    def root() -> tuple[str, int]:
        pinned = pin_bars(lake, "AAA", DAYS[0], DAYS[-1] + dt.timedelta(days=1))
        return pinned.root_hash, pinned.old_rows

    first, old = root()
    assert first == lake.snapshot("AAA").symbols[0].content_hash
    lake.rollup()
    assert root() == (first, old)
    correct(lake)
    second, more = root()
    assert second != first
    assert more > old
    correct(lake, by=-0.01)
    third, most = root()
    assert (third == first, most > more) == (True, True), "the values of before, under other instants"


def test_the_moment_moves_with_bars_and_with_corporate_actions(lake: Lake, tmp_path: object) -> None:
    seen = [moment_of(lake.manifest)]
    correct(lake)
    seen.append(moment_of(lake.manifest))
    split(lake, str(tmp_path))
    seen.append(moment_of(lake.manifest))
    assert seen == sorted(set(seen), key=str)
    assert pin_bars(lake, "AAA").moment == seen[-1]
    with temporary_lake() as empty:
        assert moment_of(empty.manifest) is None


def test_a_range_without_bars_gives_one_empty_frame(still_lake: Lake) -> None:
    pinned = pin_bars(still_lake, "AAA", "2020-01-01", "2020-02-01")
    frames = list(pinned.batches())
    assert [frame.height for frame in frames] == [0]
    assert frames[0].columns == still_lake.bars("AAA").columns
    assert pinned.newest(5).height == 0


def test_what_cannot_be_asked_is_refused(still_lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="newest_sessions 0 asks for no session"):
        pin_bars(still_lake, "AAA", newest_sessions=0)
    with pytest.raises(NotFoundError, match="AAAA"):
        pin_bars(still_lake, "AAAA")
