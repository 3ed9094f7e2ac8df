"""Bars on their way out of the lake: a range of any size in pieces of one symbol and one year.

All pieces show the lake as it was at one instant, whatever is written meanwhile. At most one piece is in
memory: about 100 bytes a minute bar, so some 10 MB for a symbol's year of regular hours and 25 MB with the
hours around them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from barlake.errors import NotFoundError
from barlake.keys import Adjustment, SessionFilter, Timeframe, is_always_open, parse_symbols
from barlake.lake import Lake
from barlake.ranges import Boundary, TimeRange, parse_instant, time_range
from barlake.sessions import session_bounds
from barlake.snapshots import Snapshot

__all__ = ["BarExport", "BarSelection", "OnPiece", "Piece", "table_name", "tell_nobody"]

_VIEW_OF = {
    Timeframe.MINUTE: "bars",
    Timeframe.MINUTE_5: "bars_5m",
    Timeframe.MINUTE_15: "bars_15m",
    Timeframe.HOUR: "bars_1h",
    Timeframe.DAY: "bars_1d",
}

OnPiece = Callable[[str, int, int], None]
"""Told which symbol is being read, how many pieces are done, and how many there are."""


def tell_nobody(_symbol: str, _done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class BarSelection:
    """Which bars, in the words of `Lake.bars`.

    Parameters
    ----------
    symbols
        None means all: of the feed, or of every feed where none is named.
    """

    symbols: Sequence[str] | None = None
    start: Boundary = None
    end: Boundary = None
    timeframe: str = Timeframe.MINUTE
    session: str = SessionFilter.ALL
    feed: str | None = None
    as_of: dt.datetime | str | None = None
    adjustment: str = Adjustment.RAW


@dataclass(frozen=True)
class Piece:
    """The bars of one symbol in one range; the ranges of a symbol follow each other without a hole."""

    feed: str
    symbol: str
    span: TimeRange
    rows: pl.DataFrame


def table_name(timeframe: str, adjustment: str) -> str:
    """Name for a table of such bars: that of the catalogue's view, and how prices are adjusted.

    Examples
    --------
    >>> table_name("1Min", "raw"), table_name("1Day", "split")
    ('bars', 'bars_1d_split')
    """
    view = _VIEW_OF[Timeframe.parse(timeframe)]
    return view if adjustment == Adjustment.RAW else f"{view}_{adjustment.lower()}"


class BarExport:
    """A selection of bars at one instant.

    Parameters
    ----------
    snapshot
        Moment and root of what is read, as `Lake.snapshot` gives them.

    Raises
    ------
    NotFoundError
        If a symbol is not held, or the lake is empty.
    InvalidInputError
        If the range is reversed or lacks its zone, or an option is not known.
    """

    def __init__(self, lake: Lake, selection: BarSelection) -> None:
        self._lake = lake
        self.selection = selection
        self.symbols = None if selection.symbols is None else parse_symbols(selection.symbols)
        self.span = time_range(selection.start, selection.end)
        self.name = table_name(selection.timeframe, selection.adjustment)
        self.snapshot = self._snapshot()
        self.moment = parse_instant(selection.as_of, "as_of") or self.snapshot.moment
        self._sources = self._find_sources()
        self._plan = list(self._pieces())
        feed, symbol, _ = self._plan[0]
        # Options that are wrong are refused here, before anything is opened for writing.
        nothing = TimeRange(dt.datetime(1901, 1, 1, tzinfo=dt.UTC), dt.datetime(1901, 1, 2, tzinfo=dt.UTC))
        self.schema = self._read(feed, symbol, nothing).schema
        # Volumes of coins are fractions: beside them those of shares are numbers of the same type.
        if any(is_always_open(source[0]) for source in self._sources):
            self.schema = pl.Schema({**self.schema, "volume": pl.Float64()})

    def _snapshot(self) -> Snapshot:
        chosen, symbols = self.selection, self.symbols
        if symbols is None and chosen.feed is not None:
            symbols = self._lake.symbols(chosen.feed)["symbol"].to_list() or None
        return self._lake.snapshot(symbols, chosen.start, chosen.end, feed=chosen.feed, as_of=chosen.as_of)

    def _find_sources(self) -> list[tuple[str, str, dt.date, dt.date]]:
        """Feed, symbol, first and last session of everything that is read."""
        chosen, held = self.selection, self._lake.symbols(self.selection.feed)
        if self.symbols is not None:
            feed = self._lake.feed_of(self.symbols, chosen.feed)
            order = pl.DataFrame({"symbol": self.symbols})
            held = order.join(held.filter(pl.col("feed") == feed), on="symbol", how="inner", maintain_order="left")
        if held.is_empty():
            where = "" if chosen.feed is None else f" for feed {chosen.feed!r}"
            raise NotFoundError(f"the lake has no bars{where}: `barlake symbols` lists what is here.")
        return list(held.select("feed", "symbol", "first", "last").iter_rows())

    def _pieces(self) -> Iterator[tuple[str, str, TimeRange]]:
        """Ranges to read: cut at each New Year that lies between the sessions held, the outer sides as asked for."""
        for feed, symbol, first, last in self._sources:
            years = [session_bounds(day, day, feed)[0] for day in _new_years(first, last)]
            span = time_range(self.selection.start, self.selection.end, feed)
            start, end = span.start, span.end
            inside = [cut for cut in years if (start is None or start < cut) and (end is None or cut < end)]
            for one, other in pairwise([start, *inside, end]):
                yield feed, symbol, TimeRange(one, other)

    def pieces(self, on_piece: OnPiece = tell_nobody) -> Iterator[Piece]:
        """The bars, by symbol in the order given, then by time; a range without bars is an empty piece."""
        for done, (feed, symbol, span) in enumerate(self._plan):
            on_piece(symbol, done, len(self._plan))
            rows = self._read(feed, symbol, span)
            yield Piece(feed, symbol, span, rows.with_columns(pl.col("volume").cast(self.schema["volume"])))

    def _read(self, feed: str, symbol: str, span: TimeRange) -> pl.DataFrame:
        chosen = self.selection
        return self._lake.bars(
            symbol, span.start, span.end, timeframe=chosen.timeframe, session=chosen.session, feed=feed,
            as_of=self.moment, adjustment=chosen.adjustment,
        )  # fmt: skip

    def description(self) -> dict[str, str]:
        """What was exported, as names and texts: the instant, the root if it is known, and each option."""
        chosen = self.selection
        facts = {
            "moment": self.moment.isoformat(),
            "root": self.snapshot.root_hash,
            "symbols": None if self.symbols is None else ",".join(self.symbols),
            "start": self.span.start and self.span.start.isoformat(),
            "end": self.span.end and self.span.end.isoformat(),
            "feed": chosen.feed,
            "timeframe": Timeframe.parse(chosen.timeframe).value,
            "session": SessionFilter.parse(chosen.session).value,
            "adjustment": chosen.adjustment.lower(),
        }
        return {name: str(text) for name, text in facts.items() if text is not None}


def _new_years(first: dt.date, last: dt.date) -> list[dt.date]:
    return [dt.date(year, 1, 1) for year in range(first.year + 1, last.year + 1)]
