"""History: find what is missing, ask for it month by month, and commit page by page.

Each page's rows and the token of the next page are one commit, so a run that dies goes on at the page it
had reached. A session counts as answered only when the last page of its request was stored.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import polars as pl

from barlake.catalogue import is_current
from barlake.coverage import finished_sessions
from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.inspection import check_changed
from barlake.keys import parse_feed, parse_symbol
from barlake.lake import Lake
from barlake.partition_write import WriteReport
from barlake.ranges import Boundary, parse_session_range
from barlake.receipts import Receipt
from barlake.records import Answer, AnswerStatus, Cursor
from barlake.sessions import session_bounds
from barlake.writer import Progress
from ingest_service.gaps import Window, missing_sessions, request_windows, suspicious_sessions
from ingest_service.normalize import normalize_bars
from ingest_service.pages import BarsPage
from ingest_service.watch_list import Security

__all__ = [
    "BackfillReport",
    "BackfillStep",
    "BarSource",
    "Publisher",
    "SymbolReport",
    "backfill",
    "fill_sessions",
]

PUBLISH_EVERY_S = 5.0
"""How old the catalogue may grow while a long run writes."""


class BarSource(Protocol):
    """Whom bars are asked from."""

    @property
    def source(self) -> str:
        """Who gave the last page; kept beside its rows."""
        ...

    def server_now(self) -> dt.datetime:
        """Present instant by the source's clock, UTC."""
        ...

    def latest_allowed_end(self, feed: str) -> dt.datetime:
        """Latest instant that may end a window."""
        ...

    def fetch_page(
        self,
        symbol: str,
        start: dt.datetime,
        end: dt.datetime,
        *,
        feed: str,
        page_token: str | None = None,
        on_receipt: Callable[[Receipt], None],
    ) -> BarsPage:
        """One page of raw bars in [start, end)."""
        ...


@dataclass(frozen=True)
class BackfillStep:
    """How far a run has come; sent after each page."""

    symbol: str
    sessions_done: int
    sessions_total: int
    pages: int
    rows: int


@dataclass
class SymbolReport:
    """What a run did for one symbol. `sessions_asked` counts first requests, `sessions_confirmed` repeated ones."""

    symbol: str
    expected: int = 0
    sessions_asked: int = 0
    sessions_confirmed: int = 0
    requests: int = 0
    written: WriteReport = field(default_factory=WriteReport)
    bars_held: int = 0


@dataclass
class BackfillReport:
    """What a run did; `not_yet` are sessions of the range that have not ended.

    `failures` are symbols the source calls invalid, with what it said; the others were fetched.
    """

    feed: str
    start: dt.date
    end: dt.date
    not_yet: int
    symbols: list[SymbolReport] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


def backfill(
    lake: Lake,
    source: BarSource,
    symbols: Sequence[str],
    start: Boundary,
    end: Boundary,
    *,
    feed: str,
    on_step: Callable[[BackfillStep], None] = lambda _step: None,
) -> BackfillReport:
    """Bring the sessions in [start, end) of these symbols into the lake; what is there is not asked for.

    Parameters
    ----------
    start, end
        Session dates.

    Raises
    ------
    InvalidInputError
        If the range is reversed, or the source calls every symbol invalid.
    SourceError
        If the source gives no usable page after all retries; what came before is stored.
    StorageError
        If the disk is full or refuses; the same holds.
    """
    first, beyond = parse_session_range(start, end)
    names = list(dict.fromkeys(parse_symbol(name) for name in symbols))
    if not names:
        raise InvalidInputError("no symbol was given: name at least one, such as 'SPY'.")
    in_range = lake.calendar.of(parse_feed(feed)).in_range(first, beyond)
    expected = finished_sessions(in_range, source.server_now())
    report = BackfillReport(parse_feed(feed), first, beyond, not_yet=in_range.height - expected.height)
    publisher, checked = Publisher(), 0
    try:
        for name in names:
            try:
                done = fill_sessions(
                    lake,
                    source,
                    name,
                    expected,
                    feed=report.feed,
                    on_step=on_step,
                    on_page=lambda: publisher.keep_fresh(lake),
                )
            except InvalidInputError as error:
                report.failures.append((name, str(error)))
            else:
                report.symbols.append(done)
        if not report.symbols:
            raise InvalidInputError(report.failures[0][1])
        lake.rollup(names, feed=report.feed)
        checked = check_changed(lake, report.feed, [one.symbol for one in report.symbols])
    finally:
        is_idle = bool(report.symbols) and not report.failures and not any(one.requests for one in report.symbols)
        if checked or not (is_idle and is_current(lake)):
            lake.publish()
        lake.vacuum()
    return report


def fill_sessions(
    lake: Lake,
    source: BarSource,
    symbol: str,
    expected: pl.DataFrame,
    *,
    feed: str,
    asked_as: str | None = None,
    refetch_as: str | None = None,
    on_step: Callable[[BackfillStep], None] = lambda _step: None,
    on_page: Callable[[], None] = lambda: None,
) -> SymbolReport:
    """Bring some sessions of one symbol into the lake, and leave publishing and tidying to the caller.

    A run that was killed goes on at the page it had reached.

    Parameters
    ----------
    expected
        Rows of the calendar.
    asked_as
        What the source calls the symbol; None is the symbol itself.
    refetch_as
        Ask for every session, held or not; the name tells this refetch from another one.
    on_page
        Called after each page.

    Raises
    ------
    InvalidInputError, SourceError, StorageError
        As `backfill`.
    """
    run = _SymbolRun(lake, source, feed, symbol, asked_as or symbol, expected, on_step, on_page)
    if refetch_as is None:
        run.fill()
    else:
        run.refetch(refetch_as)
    return run.report


class Publisher:
    """Keeps the catalogue from growing old while runs write; may be shared by threads."""

    def __init__(self) -> None:
        self._published = time.monotonic()
        self._busy = threading.Lock()

    def keep_fresh(self, lake: Lake) -> None:
        """Publish if that was long ago and nobody is at it."""
        if time.monotonic() - self._published > PUBLISH_EVERY_S and self._busy.acquire(blocking=False):
            try:
                lake.publish()
                self._published = time.monotonic()
            finally:
                self._busy.release()


class _SymbolRun:
    """The backfill of one symbol."""

    def __init__(
        self,
        lake: Lake,
        source: BarSource,
        feed: str,
        symbol: str,
        asked_as: str,
        expected: pl.DataFrame,
        on_step: Callable[[BackfillStep], None],
        on_page: Callable[[], None],
    ) -> None:
        self._lake = lake
        self._source = source
        self._feed = feed
        self._calendar = lake.calendar.of(feed).frame
        self._symbol = symbol
        self._asked_as = asked_as
        self._expected = expected
        self._on_step = on_step
        self._step = BackfillStep(symbol, 0, 0, 0, 0)
        self._done_before = 0
        self._on_page = on_page
        self.report = SymbolReport(symbol, expected=expected.height)

    @property
    def _kept_as(self) -> str:
        """Whose rows the last page has; the name is told where it may mean another instrument."""
        answered = self._source.source
        if self._asked_as == self._symbol:
            return answered
        return Security(self._symbol, names={answered: self._asked_as}).provenance(answered)

    def fill(self) -> None:
        """Ask for what is missing, then once or twice more for what looks incomplete."""
        manifest = self._lake.manifest
        missing = missing_sessions(self._expected, manifest.answers(feed=self._feed, symbol=self._symbol))
        self.report.sessions_asked = len(missing)
        self._step = replace(self._step, sessions_total=len(missing))
        self._on_step(self._step)
        for window in request_windows(missing, self._calendar):
            self._fetch(window, f"bars/{self._feed}/{self._symbol}/{window.start}/{window.end}")
        while doubtful := self._doubtful():
            self.report.sessions_confirmed += len(doubtful)
            self._step = replace(self._step, sessions_total=self._step.sessions_total + len(doubtful))
            for window in request_windows(doubtful, self._calendar):
                self._confirm(window)
        self._count_held()

    def refetch(self, name: str) -> None:
        """Ask for every session once more."""
        sessions = self._expected["session"].to_list()
        self.report.sessions_asked = len(sessions)
        self._step = replace(self._step, sessions_total=len(sessions))
        for window in request_windows(sessions, self._calendar):
            before = self._confirmable(window)
            self._fetch(window, f"refetch/{name}/{window.start}/{window.end}", before)
        self._count_held()

    def _confirmable(self, window: Window) -> dict[dt.date, str]:
        """Content of the sessions that lack minutes though a source answered for them: the same again confirms it."""
        span: dict[str, Any] = {"feed": self._feed, "symbol": self._symbol, "start": window.start, "end": window.end}
        answered = self._lake.manifest.answers(**span).filter(pl.col("status") != AnswerStatus.IMPORTED.value)
        minutes = (pl.col("close") - pl.col("open")).dt.total_minutes()
        held = self._lake.manifest.held(**span).join(self._calendar, on="session")
        lacking = held.filter(pl.col("regular_rows") < minutes).join(answered, on="session", how="semi")
        return dict(lacking.select("session", "content_hash").iter_rows())

    def _count_held(self) -> None:
        held = self._lake.manifest.held(feed=self._feed, symbol=self._symbol)
        self.report.bars_held = int(held["rows"].sum())

    def _doubtful(self) -> list[dt.date]:
        manifest = self._lake.manifest
        held = manifest.held(feed=self._feed, symbol=self._symbol)
        answers = manifest.answers(feed=self._feed, symbol=self._symbol)
        return suspicious_sessions(self._expected, held, answers, self._calendar)

    def _fetch(self, window: Window, key: str, before: Mapping[dt.date, str] = MappingProxyType({})) -> None:
        """Ask for a window from the page an earlier run had reached, and mark its sessions answered.

        Those that come back as they were `before` are confirmed as they are.
        """
        cursor = self._lake.manifest.cursor(key) or Cursor(key, None, 0, 0)
        try:
            self._fetch_pages(window, cursor)
        except (SourceError, InvalidInputError) as error:
            moved_on = self._lake.manifest.cursor(key) != cursor
            if cursor.page_token is None or moved_on or isinstance(error, CredentialsError):
                raise
            # A source may have forgotten an old page token; the first page needs none.
            self._fetch_pages(window, Cursor(key, None, 0, 0))
        after = self._hashes(window)
        same = {day for day in window.sessions if day in before and before[day] == after.get(day)}
        self._finish(window, key, self._answers(window, confirmed=same))

    def _confirm(self, window: Window) -> None:
        """Ask again for a window; a session that comes back the same is confirmed as it is."""
        before = self._hashes(window)
        self._fetch_pages(window, None)
        after = self._hashes(window)
        same = {day for day in window.sessions if before.get(day) == after.get(day)}
        self._finish(window, None, self._answers(window, confirmed=same))

    def _fetch_pages(self, window: Window, cursor: Cursor | None) -> None:
        """Store every page of a window; the cursor, where there is one, moves with them."""
        start, end = session_bounds(window.start, window.end, self._feed)
        end = min(end, self._source.latest_allowed_end(self._feed))
        token = cursor.page_token if cursor else None
        while True:
            page = self._source.fetch_page(
                self._asked_as, start, end, feed=self._feed, page_token=token, on_receipt=self._keep_receipt
            )
            if cursor is not None and page.next_page_token is not None:
                cursor = Cursor(cursor.key, page.next_page_token, cursor.pages + 1, cursor.rows + len(page.rows))
            self._store(page, window, cursor if page.next_page_token is not None else None)
            token = page.next_page_token
            if token is None:
                return

    def _store(self, page: BarsPage, window: Window, cursor: Cursor | None) -> None:
        rows = normalize_bars(page.rows)
        strays = pl.DataFrame(
            [(number, stray.reason, json.dumps(stray.row, default=str)) for number, stray in enumerate(page.strays)],
            schema=rows.bad.schema,
            orient="row",
        )
        report = self._lake.writer.write(
            rows.good,
            feed=self._feed,
            symbol=self._symbol,
            source=self._kept_as,
            origin=f"{self._source.source} {self._asked_as} {window.start} to {window.end}",
            refused=pl.concat([rows.bad, strays]),
            progress=Progress(cursor=cursor),
        )
        self.report.written += report
        self._step = replace(
            self._step, pages=self._step.pages + 1, rows=self._step.rows + len(page.rows),
            sessions_done=self._done_before + _sessions_before(window, rows.good),
        )  # fmt: skip
        self._on_step(self._step)
        self._on_page()

    def _keep_receipt(self, receipt: Receipt) -> None:
        self.report.requests += 1
        self._lake.manifest.add_receipts([receipt])

    def _hashes(self, window: Window) -> dict[dt.date, str]:
        held = self._lake.manifest.held(feed=self._feed, symbol=self._symbol, start=window.start, end=window.end)
        return dict(held.select("session", "content_hash").iter_rows())

    def _answers(self, window: Window, *, confirmed: AbstractSet[dt.date] = frozenset()) -> list[Answer]:
        manifest = self._lake.manifest
        span: dict[str, Any] = {"feed": self._feed, "symbol": self._symbol}
        earlier = manifest.answers(**span, start=window.start, end=window.end)
        attempts = dict(earlier.select("session", "attempts").iter_rows())
        holding = self._hashes(window)
        found = []
        for day in window.sessions:
            status = AnswerStatus.COMPLETE if day in holding else AnswerStatus.EMPTY
            if status is AnswerStatus.COMPLETE and day in confirmed:
                status = AnswerStatus.SPARSE
            found.append(Answer(day, status, attempts.get(day, 0) + 1))
        return found

    def _finish(self, window: Window, key: str | None, answers: list[Answer]) -> None:
        self._done_before += len(window.sessions)
        self._lake.writer.finalise(
            window.sessions,
            feed=self._feed,
            symbol=self._symbol,
            source=self._kept_as,
            progress=Progress(cursor_done=key, answers=answers),
        )
        self._step = replace(self._step, sessions_done=self._done_before)
        self._on_step(self._step)


def _sessions_before(window: Window, rows: pl.DataFrame) -> int:
    """How many sessions of a window ended before the newest of these rows."""
    newest = rows["timestamp"].max()
    return sum(day < newest.date() for day in window.sessions) if isinstance(newest, dt.datetime) else 0
