"""A picture's worth of candles: any range of any length in at most two thousand rows, with what is absent marked.

The length of a candle follows from the range. What is absent, and why, is what the lake knows of it: nothing is
concluded from a hole between two candles.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl

from app.use_cases.absences import absent_buckets, absent_sessions
from app.use_cases.candle_intervals import (
    AUTO,
    CandleInterval,
    lengthen,
    parse_interval,
    shortest_interval,
)
from barlake.actions import RATIO_KINDS, ActionKind
from barlake.adjust import parse_adjustment
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import Adjustment, SessionFilter, Timeframe, parse_symbol
from barlake.lake import Lake
from barlake.partitions import reading_errors
from barlake.ranges import Boundary, TimeRange, parse_instant, time_range
from barlake.sessions import session_bounds

__all__ = ["CANDLES", "COMFORTABLE", "MOST_CANDLES", "CandleFacts", "Candles", "candles"]

MOST_CANDLES = 2_000
"""As many as a wide screen has columns: more would be sent for nothing."""

COMFORTABLE = 700
"""So many can be told apart; as many `auto` gives at most."""

_STAMP = pl.Datetime("us", "UTC")
CANDLES: dict[str, pl.DataType] = {
    "session": pl.Date(),  # the first one in it
    "last_session": pl.Date(),  # the last one in it
    "timestamp": _STAMP,  # opening instant; null for what is absent for a whole session or longer
    "open": pl.Float64(),  # dollars; null where nothing is held
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
    "minutes": pl.Int64(),  # minute bars held
    "missing": pl.Int64(),  # regular minutes that are absent
    "whole_sessions": pl.Int64(),  # sessions without any bar that the row stands for
    "class": pl.String(),  # of most of the absent minutes: values of `GapClass`
    "evidence": pl.String(),
}
"""One row per candle, and one for each place where a candle is absent."""


@dataclass(frozen=True)
class CandleFacts:
    """A range in a few figures.

    Parameters
    ----------
    change
        From the first open to the last close, a fraction.
    minutes
        Minute bars.
    """

    last_close: float
    change: float
    low: float
    high: float
    volume: float
    minutes: int


@dataclass(frozen=True)
class Candles:
    """Rows for one picture of one symbol.

    Parameters
    ----------
    wanted
        The interval asked for; None when the shortest that fits was.
    interval
        The one it became.
    span
        What was asked for, within what is held.
    held
        First and last session of the symbol.
    rows
        Columns of `CANDLES`, oldest first. Sessions without any bar that follow each other are one row.
    actions
        Splits and dividends that count, with an ex-date in the range: columns of `Lake.corporate_actions`.
    """

    symbol: str
    feed: str
    wanted: CandleInterval | None
    interval: CandleInterval
    span: TimeRange
    held: tuple[dt.date, dt.date]
    rows: pl.DataFrame
    actions: pl.DataFrame

    @property
    def is_longer_than_wanted(self) -> bool:
        """Whether candles of the length asked for would have been too many."""
        return self.wanted is not None and self.wanted is not self.interval

    @property
    def count(self) -> int:
        """How many candles there are, places without one left aside."""
        return self.rows["open"].count()

    @property
    def facts(self) -> CandleFacts | None:
        """The range in a few figures; None without a candle."""
        held = self.rows.filter(pl.col("open").is_not_null())
        if held.is_empty():
            return None
        figures = held.select(
            pl.col("close").last().alias("last_close"),
            (pl.col("close").last() / pl.col("open").first() - 1).alias("change"),
            pl.col("low").min(),
            pl.col("high").max(),
            pl.col("volume", "minutes").sum(),
        )
        return CandleFacts(**figures.row(0, named=True))

    @property
    def absent(self) -> pl.DataFrame:
        """One row per class of absent minutes: class, minutes, whole_sessions."""
        found = self.rows.filter(pl.col("class").is_not_null())
        counted = found.group_by("class").agg(pl.col("missing").sum().alias("minutes"), pl.col("whole_sessions").sum())
        return counted.sort("minutes", "class", descending=[True, False])


def candles(
    lake: Lake,
    symbol: str,
    start: Boundary = None,
    end: Boundary = None,
    *,
    timeframe: str = AUTO,
    session: str = SessionFilter.REGULAR,
    feed: str | None = None,
    as_of: dt.datetime | str | None = None,
    adjustment: str = Adjustment.RAW,
    most: int | None = None,
) -> Candles:
    """Candles of one symbol over [start, end): one row each, and one for each place where one is absent.

    Parameters
    ----------
    start, end, session, feed, as_of, adjustment
        As `Lake.bars` has them. With `as_of`, of what is absent only whole sessions are marked.
    timeframe
        A value of `CandleInterval`, or `auto`. Where there would be too many, the next longer one that fits.
    most
        Never more rows than that; None takes 700 for `auto`, which can be told apart, and 2,000 for a length named.

    Raises
    ------
    NotFoundError
        If the symbol is not held, or a dividend to adjust by has no close to be measured by.
    InvalidInputError
        If the range is reversed or lacks its zone, an option is not known, or `most` is below 10.
    """
    wanted, parts = parse_interval(timeframe), SessionFilter.parse(session)
    most = (COMFORTABLE if wanted is None else MOST_CANDLES) if most is None else most
    if most < _FEWEST:
        raise InvalidInputError(f"most {most} makes no picture: give {_FEWEST} or more.")
    name, moment = parse_symbol(symbol), parse_instant(as_of, "as_of")
    view = _View(lake, name, lake.feed_of(name, feed), parts, parse_adjustment(adjustment), moment)
    held = lake.held(moment, feed=view.feed, symbol=name)
    first, last = view.life(held)
    span = _within(time_range(start, end, view.feed), first, last, view.feed)
    interval, rows = view.fitting(held, span, wanted or CandleInterval.MINUTE, most)
    return Candles(name, view.feed, wanted, interval, span, (first, last), rows, view.actions(span))


_FEWEST = 10


def _within(span: TimeRange, first: dt.date, last: dt.date, feed: str) -> TimeRange:
    """The part of a range in which a symbol is held; without length where it is held in none."""
    low, high = session_bounds(first, last + dt.timedelta(days=1), feed)
    start = min(max(span.start or low, low), high)
    return TimeRange(start, max(min(span.end or high, high), start), span.zone)


@dataclass(frozen=True)
class _View:
    """Whose bars, and in which terms."""

    lake: Lake
    symbol: str
    feed: str
    session: SessionFilter
    adjustment: Adjustment
    as_of: dt.datetime | None

    def life(self, held: pl.DataFrame) -> tuple[dt.date, dt.date]:
        """First and last session held."""
        if held.is_empty():
            raise NotFoundError(f"no bars of {self.symbol!r} were held at {self.as_of}: ask for a later instant.")
        first, last = held.select(pl.col("session").min().alias("first"), pl.col("session").max().alias("last")).row(0)
        return first, last

    def fitting(
        self, held: pl.DataFrame, span: TimeRange, least: CandleInterval, most: int
    ) -> tuple[CandleInterval, pl.DataFrame]:
        """The shortest interval from `least` on that fits, and its rows."""
        first, end = span.first_session, span.end_session
        if first is None or end is None or span.start == span.end:
            return least, pl.DataFrame(schema=CANDLES)
        there = held.filter(pl.col("session").is_between(first, end, closed="left"))
        missed = absent_sessions(self.lake, self.symbol, first, end, feed=self.feed, as_of=self.as_of)
        known = there.join(self.lake.calendar.of(self.feed).frame, on="session", how="left", maintain_order="left")
        interval = shortest_interval(known, self.session, span, most=most, least=least)
        # The count leaves out what is absent for whole sessions: it takes rows of its own.
        while (rows := self._rows(span, interval, there["session"], missed)).height > most and interval.longer:
            interval = interval.longer
        return interval, rows

    def _rows(self, span: TimeRange, interval: CandleInterval, held: pl.Series, missed: pl.DataFrame) -> pl.DataFrame:
        absent = absent_buckets(
            self.lake, self.symbol, span, missed, held,
            feed=self.feed, interval=interval, session=self.session, as_of=self.as_of,
        )  # fmt: skip
        return _joined(self._candles(span, interval), absent, is_intraday=interval.is_intraday)

    def _candles(self, span: TimeRange, interval: CandleInterval) -> pl.DataFrame:
        """bucket, session, last_session, and the values of each candle that has any."""
        timeframe = interval.timeframe
        # Lazy: of years of minutes, only sums are ever in memory.
        lazy = self.lake.bars(
            self.symbol, span.start, span.end, timeframe=timeframe, session=self.session, feed=self.feed,
            as_of=self.as_of, adjustment=self.adjustment, output="lazy",
        )  # fmt: skip
        minutes = pl.lit(1, pl.Int64).alias("minutes") if timeframe is Timeframe.MINUTE else pl.col("minutes")
        prices = [pl.col(name) for name in ("open", "high", "low", "close")]
        chosen = lazy.select("session", "timestamp", *prices, pl.col("volume").cast(pl.Float64), minutes)
        with reading_errors():
            bars = chosen.collect()
        if not interval.is_intraday:
            return lengthen(bars, interval)
        return bars.with_columns(pl.col("timestamp").alias("bucket"), pl.col("session").alias("last_session"))

    def actions(self, span: TimeRange) -> pl.DataFrame:
        """Splits and dividends that count, with an ex-date among the sessions of a range."""
        told = self.lake.corporate_actions(self.symbol, as_of=self.as_of)
        kinds = [kind.value for kind in (*RATIO_KINDS, ActionKind.DIVIDEND)]
        inside = pl.col("ex_date").is_between(span.first_session, span.end_session, closed="left")
        return told.filter("counts", pl.col("kind").is_in(kinds), inside).sort("ex_date", "kind")


def _joined(found: pl.DataFrame, absent: pl.DataFrame, *, is_intraday: bool) -> pl.DataFrame:
    """Candles and what is absent in one order; whole sessions that are absent in a row are one row."""
    rows = found.join(absent, on="bucket", how="full", coalesce=True, suffix="_absent").sort("bucket")
    is_absent = pl.col("open").is_null()
    stamp = pl.when(is_absent & (pl.col("whole_sessions") == 0)).then("bucket") if is_intraday else None
    rows = rows.with_columns(
        pl.coalesce("session", "session_absent").alias("session"),
        pl.coalesce("last_session", "last_session_absent").alias("last_session"),
        pl.col("timestamp") if stamp is None else pl.coalesce("timestamp", stamp).alias("timestamp"),
        pl.col("minutes", "missing", "whole_sessions").fill_null(0),
    )
    merges = is_absent & (pl.col("whole_sessions") > 0)
    follows = merges & merges.shift(1, fill_value=False) & pl.col("class").eq_missing(pl.col("class").shift(1))
    values = ("timestamp", "open", "high", "low", "close", "volume", "minutes", "class", "evidence")
    return (
        rows.group_by((~follows).cum_sum().alias("row"), maintain_order=True)
        .agg(
            pl.col("session").first(),
            pl.col("last_session").last(),
            pl.col("missing", "whole_sessions").sum(),
            pl.col(values).first(),
        )
        .select(pl.col(name).cast(kind) for name, kind in CANDLES.items())
    )
