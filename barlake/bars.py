"""Bars out of a lake: what was asked, and the forms the answer comes in.

The manifest is asked when a query is answered, the files are read when rows are needed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import polars as pl

from barlake import publish
from barlake.adjust import adjust, parse_adjustment
from barlake.bar_sources import with_source
from barlake.errors import InvalidInputError
from barlake.factors import factors_of
from barlake.keys import Adjustment, Names, SessionFilter, Timeframe, parse_symbols
from barlake.partitions import as_arrow, reading_errors
from barlake.ranges import Boundary, TimeRange, parse_instant, time_range
from barlake.reader import read_bars, read_present
from barlake.resample import Bars, filter_session, resample

if TYPE_CHECKING:
    import pandas as pd

    from barlake.lake import Lake

__all__ = ["BarOptions", "BarQuery", "Output"]

Output = Literal["polars", "lazy", "arrow", "pandas", "duckdb"]
"""The forms bars come in."""


class BarOptions(TypedDict, total=False):
    """Which bars, and in which terms; said in full at `Lake.bars`."""

    timeframe: str
    session: str
    feed: str | None
    as_of: dt.datetime | str | None
    adjustment: str
    with_source: bool


@dataclass(frozen=True)
class BarQuery:
    """What was asked of a lake, understood: `Lake.bars` says what each part means."""

    lake: Lake
    symbols: tuple[str, ...]
    feed: str
    span: TimeRange
    timeframe: Timeframe
    session: SessionFilter
    as_of: dt.datetime | None
    adjustment: Adjustment
    with_source: bool

    @classmethod
    def parse(
        cls,
        lake: Lake,
        symbols: Names,
        start: Boundary,
        end: Boundary,
        *,
        timeframe: str = Timeframe.MINUTE,
        session: str = SessionFilter.ALL,
        feed: str | None = None,
        as_of: dt.datetime | str | None = None,
        adjustment: str = Adjustment.RAW,
        with_source: bool = False,
    ) -> BarQuery:
        """The query in these words, of symbols that the lake holds."""
        names = parse_symbols(symbols)
        chosen = lake.feed_of(names, feed)
        return cls(
            lake=lake,
            symbols=tuple(names),
            span=time_range(start, end, chosen),
            timeframe=Timeframe.parse(timeframe),
            session=SessionFilter.parse(session),
            as_of=parse_instant(as_of, "as_of"),
            adjustment=parse_adjustment(adjustment),
            feed=chosen,
            with_source=with_source,
        )

    def answer(self, output: str) -> Any:
        """The bars in the form of that name, whose type the overloads of `Lake.bars` know.

        Raises
        ------
        InvalidInputError
            If there is no such form; the message lists those there are.
        """
        if output not in get_args(Output):
            raise InvalidInputError(f"output {output!r} is not known: use one of {', '.join(get_args(Output))}.")
        if output == "lazy":
            return self.lazy()
        frame = self.polars()
        if output == "polars":
            return frame
        if output == "pandas":
            return as_pandas(frame)
        return as_arrow(frame) if output == "arrow" else publish.relation(as_arrow(frame))

    def lazy(self) -> pl.LazyFrame:
        """Bars to be read when collected: what is asked of the frame reaches the files as they are now."""
        with reading_errors():
            return pl.concat([self._in_terms(symbol, self._rows(symbol)) for symbol in self.symbols])

    def polars(self) -> pl.DataFrame:
        """Bars in memory."""
        lake, is_minutes = self.lake, self.timeframe is Timeframe.MINUTE
        if is_minutes and self.as_of is None and self.adjustment is Adjustment.RAW and not self.with_source:
            return filter_session(self._present(self.symbols), lake.calendar.of(self.feed).frame, self.session)
        _ = lake.calendar  # made once, not by every thread
        # As many symbols are in memory as there are threads.
        with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
            return pl.concat(pool.map(self._of_one, self.symbols))

    def _of_one(self, symbol: str) -> pl.DataFrame:
        if self.as_of is None:
            return self._in_terms(symbol, self._present([symbol]))
        with reading_errors():
            return self._in_terms(symbol, self._rows(symbol).collect())

    def _present(self, symbols: Sequence[str]) -> pl.DataFrame:
        return read_present(self.lake.store, self.lake.manifest, feed=self.feed, symbols=symbols, span=self.span)

    def _rows(self, symbol: str) -> pl.LazyFrame:
        lake = self.lake
        return read_bars(lake.store, lake.manifest, feed=self.feed, symbol=symbol, span=self.span, as_of=self.as_of)

    def factors(self, symbol: str) -> pl.DataFrame | None:
        """By what the bars of a symbol are adjusted, as the lake knows it now or knew it then; None: by nothing."""
        lake, calendar = self.lake, self.lake.calendar.of(self.feed).frame
        if self.adjustment is Adjustment.RAW:
            return None
        return factors_of(lake.store, lake.manifest, calendar, feed=self.feed, symbol=symbol, as_of=self.as_of)

    def in_terms(self, symbol: str, rows: Bars, factors: pl.DataFrame | None) -> Bars:
        """Raw minute bars of one symbol, of whole sessions or of all that is asked for, as they were asked for.

        Parameters
        ----------
        factors
            What `factors` gives.
        """
        calendar = self.lake.calendar.of(self.feed).frame
        if factors is not None:
            rows = adjust(rows, factors, self.adjustment)
        rows = filter_session(rows, calendar, self.session)
        rows = rows if self.timeframe is Timeframe.MINUTE else resample(rows, self.timeframe, calendar)
        if not self.with_source:
            return rows
        named = with_source(rows.lazy(), self.lake.manifest, feed=self.feed, symbol=symbol)
        return named.collect() if isinstance(rows, pl.DataFrame) else named

    def _in_terms(self, symbol: str, rows: Bars) -> Bars:
        return self.in_terms(symbol, rows, self.factors(symbol))


def as_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """The same rows and columns in pandas, numbered from 0.

    Returns
    -------
    Instants as `datetime64[us, UTC]`, `session` as midnight without zone, names as `str`, `trade_count` as
    nullable `Int64` whether or not one is null, everything else as NumPy has it.
    """
    table = as_arrow(frame)
    found: pd.DataFrame = table.to_pandas(date_as_object=False)
    found["trade_count"] = table["trade_count"].to_pandas().astype("Int64")
    return found
