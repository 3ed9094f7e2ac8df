"""Daily bars, news and macro values as a lake's user meets them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from barlake.errors import InvalidInputError, NotFoundError, did_you_mean
from barlake.keys import Names, parse_feed, parse_symbols
from barlake.layout import DAILY, MACRO, NEWS
from barlake.manifest import Manifest
from barlake.ranges import Boundary, parse_instant, time_range
from barlake.record_kinds import KINDS, Rows, as_rows, dates, preferred
from barlake.record_store import RecordReport, RecordStore
from barlake.stores import Store
from barlake.versions import join_known, newest

if TYPE_CHECKING:
    from barlake.sessions import Calendar

__all__ = ["RecordFaces"]

_DAY = dt.timedelta(days=1)


class RecordFaces:
    """The part of `Lake` that holds daily bars, news and macro values.

    `as_of` is an instant of the lake: what it held then. `known_by` is one of the market: what could be known then,
    whenever the lake came to hold it. Both must carry a zone; None leaves nothing out, also not what a source has
    given before it may be used.
    """

    store: Store
    manifest: Manifest
    now: Callable[[], dt.datetime]

    @property
    def calendar(self) -> Calendar:
        """The sessions of XNYS."""
        raise NotImplementedError

    @property
    def records(self) -> RecordStore:
        """Daily bars, news and macro values without publishing, for whoever writes many."""
        return RecordStore(self.store, self.manifest, self.now)

    def publish(self) -> None:
        """Bring the DuckDB catalogue up to the manifest."""
        raise NotImplementedError

    # --- in ------------------------------------------------------------------------------------

    def write_daily(self, frame: pl.DataFrame, *, source: str, publish: bool = True) -> RecordReport:
        """Keep daily bars of one source; the same rows again write nothing.

        Parameters
        ----------
        frame
            symbol, session (a date), open, high, low, close; volume, trade_count and vwap may be missing or null.
            known_at (aware) is taken where given; else a bar may be used from the close of its XNYS session, and
            from the end of the UTC date where that is none or the symbol is a pair such as `BTC/USD`.
            A bar that may not be known yet is left out.
        source
            Who says so: `alpaca`, `yahoo` ...
        publish
            Whether the catalogue shows it when this returns.

        Raises
        ------
        InvalidInputError
            If a column is missing, or instants have no time zone.
        """
        rows = as_rows(KINDS[DAILY], self._with_closes(frame))
        ripe = rows.good["published_at"] <= self.now()
        report = self._keep(DAILY, Rows(rows.good.filter(ripe), rows.bad), source, publish=publish)
        return report + RecordReport(early=int((~ripe).sum()))

    def write_news(self, frame: pl.DataFrame, *, source: str, publish: bool = True) -> RecordReport:
        """Keep articles of one source; the same rows again write nothing.

        Parameters
        ----------
        frame
            article_id, created_at (aware), headline; updated_at, summary, content, author, url, symbols (a list, or
            text with spaces) and known_at may be missing. An article may be used from its latest of created_at and
            updated_at unless known_at says otherwise.
        source, publish
            As in `write_daily`.
        """
        published = pl.max_horizontal("created_at", "updated_at")
        return self._keep(NEWS, as_rows(KINDS[NEWS], frame, published=published), source, publish=publish)

    def write_macro(self, frame: pl.DataFrame, *, source: str, publish: bool = True) -> RecordReport:
        """Keep values of macro series of one source; the same rows again write nothing.

        Parameters
        ----------
        frame
            series, date (of the observation), value (may be null), known_at (aware): when this value was released.
            Several releases of one observation are rows of their own, in any order.
        source, publish
            As in `write_daily`.
        """
        return self._keep(MACRO, as_rows(KINDS[MACRO], frame), source, publish=publish)

    def _keep(self, dataset: str, rows: Rows, source: str, *, publish: bool) -> RecordReport:
        report = self.records.write(KINDS[dataset], rows, source=source)
        if publish and (report.files_written or report.quarantined):
            self.publish()
        return report

    # --- out -----------------------------------------------------------------------------------

    def daily(
        self,
        symbols: Names,
        start: Boundary = None,
        end: Boundary = None,
        *,
        source: str | None = None,
        as_of: dt.datetime | str | None = None,
        known_by: dt.datetime | str | None = None,
    ) -> pl.DataFrame:
        """Daily bars with start <= session < end, by symbol in the order given, session and source.

        Parameters
        ----------
        source
            Whose bars; `all` gives those of every source. None gives one for each symbol and session: of the first
            of alpaca, massive, alphavantage, yahoo that has it, then of the first by name. Sources may adjust
            prices differently: name one where that matters.

        Returns
        -------
        source, symbol, session, open, high, low, close, volume, trade_count, vwap, known_at, ingested_at.

        Raises
        ------
        NotFoundError
            If nothing is held of a symbol.
        """
        names = parse_symbols(symbols)
        every = source is not None and source.strip().lower() == "all"
        found = self._stood(DAILY, names, start, end, None if every else source, as_of, known_by)
        found = preferred(found) if source is None else found
        order = pl.col("symbol").cast(pl.Enum(names))
        return found.sort(order, "session", "source")

    def news(
        self,
        symbols: Names | None = None,
        start: Boundary = None,
        end: Boundary = None,
        *,
        source: str | None = None,
        as_of: dt.datetime | str | None = None,
        known_by: dt.datetime | str | None = None,
    ) -> pl.DataFrame:
        """Articles created in [start, end), oldest first: those that name one of the symbols, or all.

        Returns
        -------
        source, article_id, created_at, updated_at, headline, summary, content, author, url, symbols (a list),
        known_at, ingested_at.
        """
        span = time_range(start, end)
        found = self._stood(NEWS, None, start, end, source, as_of, known_by)
        found = found.with_columns(pl.col("symbols").str.split(" ").list.filter(pl.element() != ""))
        if span.start is not None:
            found = found.filter(pl.col("created_at") >= span.start)
        if span.end is not None:
            found = found.filter(pl.col("created_at") < span.end)
        if symbols is not None:
            wanted = [pl.col("symbols").list.contains(name) for name in parse_symbols(symbols)]
            found = found.filter(pl.any_horizontal(wanted))
        return found.sort("created_at", "source", "article_id")

    def macro(
        self,
        series: Names,
        start: Boundary = None,
        end: Boundary = None,
        *,
        source: str | None = None,
        as_of: dt.datetime | str | None = None,
        known_by: dt.datetime | str | None = None,
    ) -> pl.DataFrame:
        """Values of series observed on start <= date < end, as they stand, by series in the order given and date.

        Returns
        -------
        source, series, date, value, known_at, ingested_at.

        Raises
        ------
        NotFoundError
            If nothing is held of a series.
        """
        names = parse_symbols(series)
        found = self._stood(MACRO, names, start, end, source, as_of, known_by)
        return found.sort(pl.col("series").cast(pl.Enum(names)), "date", "source")

    def macro_known_at(
        self,
        frame: pl.DataFrame,
        series: Names,
        *,
        source: str | None = None,
        as_of: dt.datetime | str | None = None,
    ) -> pl.DataFrame:
        """The same rows with a column for each series: the value of its newest observation known by `known_at`.

        Nothing released after a row's `known_at` reaches it, revisions included; null where nothing was known yet.

        Parameters
        ----------
        frame
            Rows with `known_at` (aware). A minute bar's is its timestamp and a minute.

        Raises
        ------
        NotFoundError
            If nothing is held of a series.
        InvalidInputError
            If the frame lacks `known_at`, or several sources have the series and none is named.
        """
        names, moment = parse_symbols(series), parse_instant(as_of, "as_of")
        self._require(MACRO, names, source)
        for name in names:
            versions = self.records.read(KINDS[MACRO], parts=[name], source=source, as_of=moment)
            sources = versions["source"].unique().sort().to_list()
            if len(sources) > 1:
                raise InvalidInputError(f"{name} can be had from {', '.join(sources)}: name one with source=.")
            frame = join_known(frame, versions, name=name)
        return frame

    def _stood(
        self,
        dataset: str,
        parts: list[str] | None,
        start: Boundary,
        end: Boundary,
        source: str | None,
        as_of: dt.datetime | str | None,
        known_by: dt.datetime | str | None,
    ) -> pl.DataFrame:
        """The versions that stand, or stood at an instant of the lake, of the market, or of both."""
        kind, span = KINDS[dataset], time_range(start, end)
        moment, known = parse_instant(as_of, "as_of"), parse_instant(known_by, "known_by")
        if parts is not None:
            self._require(dataset, parts, source)
        found = self.records.read(
            kind, parts=parts, source=source, start=span.first_session, end=span.end_session, as_of=moment
        )
        return newest(found, keys=("source", *kind.keys), known_by=known).drop("published_at")

    def _require(self, dataset: str, names: list[str], source: str | None) -> None:
        """Refuse the first symbol or series of which nothing is held."""
        of_source = None if source is None else parse_feed(source)
        held = {file.key.symbol for file in self.manifest.files(dataset=dataset, feed=of_source)}
        where = "" if source is None else f" from source {source!r}"
        for name in names:
            if name not in held:
                raise NotFoundError(f"nothing of {dataset} is held of {name!r}{where}.{did_you_mean(name, held)}")

    def _with_closes(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Daily bars with `known_at`, made from the calendar where the source does not say it."""
        given = frame.schema.get("known_at", pl.Null())
        is_stated = given != pl.Null() and not (isinstance(given, pl.Datetime) and given.time_zone)
        if is_stated or not {"symbol", "session"} <= set(frame.columns):
            return frame  # what is wrong with it is said by `as_rows`
        stated = pl.lit(None) if given == pl.Null() else pl.col("known_at").dt.convert_time_zone("UTC")
        closes = self.calendar.frame.select(pl.col("session").alias("session_day"), "close")
        closes = closes.rename({"close": "session_close"})
        day = dates("session", frame.schema["session"])
        midnight = (pl.col("session_day") + _DAY).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        joined = frame.with_columns(day.alias("session_day")).join(
            closes, on="session_day", how="left", maintain_order="left"
        )
        is_pair = pl.col("symbol").cast(pl.String).str.contains("/", literal=True)
        end = pl.when(~is_pair).then(pl.coalesce("session_close", midnight)).otherwise(midnight)
        known = pl.coalesce(stated.cast(pl.Datetime("us", "UTC")), end)
        return joined.with_columns(known.alias("known_at")).drop("session_day", "session_close")
