"""Daily bars, news and macro values: ask for what is not known to have been asked, and a little of what was.

What a source says of the past may still be mended, so the newest stretch is asked for again each time. How far each
symbol was asked for is kept beside its rows: an empty answer is an answer too, and is not asked for again.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from barlake.errors import InvalidInputError
from barlake.keys import parse_symbol
from barlake.lake import Lake
from barlake.layout import DAILY, MACRO, NEWS
from barlake.receipts import Receipt
from barlake.record_kinds import KINDS, RecordKind, Rows, empty_versions
from barlake.record_store import RecordReport
from barlake.sessions import NEW_YORK
from barlake.versions import newest
from ingest_service.asked_spans import AskedSpans
from ingest_service.sources.courier import Courier
from ingest_service.sources.failover import Failover
from ingest_service.sources.interface import Dataset, SourcePage

__all__ = ["FetchStep", "Fetched", "fetch_daily", "fetch_macro", "fetch_news"]

_DAY = dt.timedelta(days=1)
_SYMBOLS_IN_ONE_REQUEST = 50
_MENDED = 0.01
"""Prices of a source that adjusts them may be mended by that share; beyond it, all of them are in other terms."""


@dataclass(frozen=True)
class FetchStep:
    """How far a run has come; sent after each symbol."""

    symbol: str
    done: int
    total: int
    rows: int


@dataclass(frozen=True)
class Fetched:
    """What was fetched of one symbol or series.

    Parameters
    ----------
    sources
        Who answered.
    requests
        HTTP requests that were made, repeated ones included.
    failure
        Why the source calls the request wrong; None when it does not.
    """

    symbol: str
    sources: tuple[str, ...] = ()
    requests: int = 0
    written: RecordReport = RecordReport()  # noqa: RUF009 - frozen
    failure: str | None = None


_ALL = "*"
"""Stands for all symbols at once."""

PagesOf = Callable[..., Iterable[SourcePage]]
OnStep = Callable[[FetchStep], None]


def fetch_daily(
    lake: Lake,
    sources: Failover,
    symbols: Iterable[str],
    start: dt.date,
    end: dt.date | None = None,
    *,
    overlap: dt.timedelta = dt.timedelta(days=7),
    on_step: OnStep = lambda _step: None,
) -> list[Fetched]:
    """Fetch the daily bars of symbols in [start, end) that are missing, and those of the newest stretch again.

    Parameters
    ----------
    start, end
        Session dates; None ends with the present session, whose bar is kept once it is over.
    overlap
        How much of what was asked for before is asked for again.

    Raises
    ------
    CredentialsError, SourceError
        If no source answers; symbols that were finished before are kept.
    """
    run = _Run(lake, sources, KINDS[DAILY], overlap, lake.write_daily, on_step)
    return run.each(symbols, start, end or run.tomorrow, lambda courier: courier.daily)


def fetch_macro(
    lake: Lake,
    sources: Failover,
    series: Iterable[str],
    start: dt.date | None = None,
    end: dt.date | None = None,
    *,
    overlap: dt.timedelta = dt.timedelta(days=7),
    on_step: OnStep = lambda _step: None,
) -> list[Fetched]:
    """Fetch the values of series that were released in [start, end), revisions included.

    Parameters
    ----------
    start, end
        Dates of release; None begins with the first release there was and ends with today's.
    overlap, on_step
        As in `fetch_daily`.

    Raises
    ------
    CredentialsError, SourceError
        If no source answers; series that were finished before are kept.
    """
    run = _Run(lake, sources, KINDS[MACRO], overlap, lake.write_macro, on_step)
    return run.each(series, start or dt.date(1776, 7, 4), end or run.tomorrow, lambda courier: courier.macro)


def fetch_news(
    lake: Lake,
    sources: Failover,
    symbols: Sequence[str],
    start: dt.date,
    end: dt.date | None = None,
    *,
    overlap: dt.timedelta = dt.timedelta(days=2),
    on_step: OnStep = lambda _step: None,
) -> list[Fetched]:
    """Fetch the articles about symbols published or revised on the UTC dates [start, end); of no symbol, all articles.

    Symbols for which the same stretch is missing are asked for together. Parameters and errors are those of
    `fetch_daily`.
    """
    run = _Run(lake, sources, KINDS[NEWS], overlap, lake.write_news, on_step)
    return run.together([parse_symbol(one) for one in symbols], start, end or run.tomorrow)


class _Run:
    """One fetch of one kind."""

    def __init__(
        self,
        lake: Lake,
        sources: Failover,
        kind: RecordKind,
        overlap: dt.timedelta,
        write: Callable[..., RecordReport],
        on_step: OnStep,
    ) -> None:
        self._lake = lake
        self._sources = sources
        self._kind = kind
        self._overlap = overlap
        self._write = write
        self._on_step = on_step
        self._asked = AskedSpans(lake, kind.dataset)
        self._found = Fetched("")
        self.tomorrow = lake.now().astimezone(NEW_YORK).date() + _DAY

    def each(
        self, symbols: Iterable[str], start: dt.date, end: dt.date, pages_of: Callable[[Courier], PagesOf]
    ) -> list[Fetched]:
        """What came of each symbol by itself."""
        names = _checked([parse_symbol(one) for one in symbols], start, end)
        done: list[Fetched] = []
        try:
            for name in names:
                self._found = Fetched(name)
                try:
                    self._sources.first_answer(name, functools.partial(self._one, name, start, end, pages_of))
                except InvalidInputError as error:
                    self._found = replace(self._found, failure=str(error))
                done.append(self._found)
                self._step(done, len(names))
        finally:
            self._publish(done)
        return done

    def _one(
        self, name: str, start: dt.date, end: dt.date, pages_of: Callable[[Courier], PagesOf],
        courier: Courier, called: str,
    ) -> None:  # fmt: skip
        """Bring in what this source was not asked for yet; and all of it anew, once it is told in other terms."""
        held = self._closes(courier, name) if self._asked.of(courier.source, name) else None
        windows = self._missing(courier, name, start, end)
        while windows:
            for first, beyond in windows:
                for page in pages_of(courier)(called, first, beyond, on_receipt=self._keep):
                    self._write_page(page)
                self._asked.add(courier.source, name, first, beyond)
            windows = []
            if _are_other_terms(held, self._closes(courier, name)):
                held, windows = None, self._asked.forget(courier.source, name)

    def _closes(self, courier: Courier, name: str) -> pl.DataFrame | None:
        """Session and close of the daily bars held of a source that adjusts them; None where nothing is adjusted."""
        if self._kind.dataset != DAILY or Dataset.DAILY not in courier.capabilities.adjusted:
            return None
        versions = self._lake.records.read(self._kind, parts=[name], source=self._sources.source)
        return newest(versions, keys=("source", *self._kind.keys)).select("session", "close")

    def together(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> list[Fetched]:
        """What came of the symbols, those with the same windows in one request."""
        names = _checked(symbols or [_ALL], start, end)
        self._found = Fetched(" ".join(names))
        try:
            self._sources.first_answer(None, lambda courier, _: self._batches(courier, names, start, end))
        finally:
            self._publish([self._found])
        return [self._found]

    def _batches(self, courier: Courier, names: Sequence[str], start: dt.date, end: dt.date) -> None:
        called = {_ALL: _ALL} if names == [_ALL] else self._sources.names_at(courier, names)
        groups: dict[tuple[tuple[dt.date, dt.date], ...], list[str]] = {}
        for name in called:
            groups.setdefault(tuple(self._missing(courier, name, start, end)), []).append(name)
        done = 0
        for windows, group in groups.items():
            for place in range(0, len(group), _SYMBOLS_IN_ONE_REQUEST):
                batch = group[place : place + _SYMBOLS_IN_ONE_REQUEST]
                asked = [called[name] for name in batch if name != _ALL]
                for first, beyond in windows:
                    for page in courier.news(asked, _midnight(first), _midnight(beyond), on_receipt=self._keep):
                        self._write_page(page)
                    for name in batch:
                        self._asked.add(courier.source, name, first, beyond)
                done += len(batch)
                self._on_step(FetchStep(batch[-1], done, len(called), self._found.written.inserted))

    def _missing(self, courier: Courier, name: str, start: dt.date, end: dt.date) -> list[tuple[dt.date, dt.date]]:
        return self._asked.missing(courier.source, name, start, end, overlap=self._overlap)

    # --- what came ----------------------------------------------------------------------------------

    def _write_page(self, page: SourcePage) -> None:
        """Keep a page under the name of the source that gave it; what could not be read goes to quarantine."""
        source, found = self._sources.source, self._found
        rows = page.rows
        if self._kind.part is not None:
            rows = rows.with_columns(pl.lit(found.symbol).alias(self._kind.part))
        report = self._write(rows, source=source, publish=False)
        if page.refused:
            bad = [(number, one.reason, json.dumps(one.row, default=str)) for number, one in enumerate(page.refused)]
            frame = pl.DataFrame(bad, schema=_REFUSED, orient="row")
            report += self._lake.records.write(self._kind, Rows(empty_versions(self._kind), frame), source=source)
        sources = tuple(dict.fromkeys((*found.sources, source)))
        self._found = replace(found, written=found.written + report, sources=sources)

    def _keep(self, receipt: Receipt) -> None:
        self._found = replace(self._found, requests=self._found.requests + 1)
        self._lake.manifest.add_receipts([receipt])

    def _step(self, done: Sequence[Fetched], total: int) -> None:
        rows = sum(one.written.inserted + one.written.changed for one in done)
        self._on_step(FetchStep(done[-1].symbol, len(done), total, rows))

    def _publish(self, done: Iterable[Fetched]) -> None:
        if any(one.written.files_written or one.written.quarantined for one in done):
            self._lake.publish()


_REFUSED = {"row_number": pl.Int64(), "reason": pl.String(), "raw": pl.String()}


def _checked(names: Iterable[str], start: dt.date, end: dt.date) -> list[str]:
    found = list(dict.fromkeys(names))
    if not found:
        raise InvalidInputError("no symbol was given: name at least one, such as 'SPY'.")
    if start >= end:
        raise InvalidInputError(f"start {start} is not before end {end}: ranges leave their end out.")
    return found


def _are_other_terms(before: pl.DataFrame | None, after: pl.DataFrame | None) -> bool:
    """Whether prices of days held before are others by so much that shares were split, and no price mended."""
    if before is None or after is None:
        return False
    pairs = before.join(after, on="session", suffix="_after")
    return bool(((pairs["close_after"] / pairs["close"] - 1).abs() > _MENDED).any())


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
