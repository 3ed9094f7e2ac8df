"""Recent bars by REST: one request for many symbols, in a thread of its own.

A source that does not answer is asked again for a minute and longer; what the stream says meanwhile must not wait.
"""

from __future__ import annotations

import datetime as dt
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from barlake.errors import BarlakeError, SourceError
from barlake.receipts import Receipt
from barlake.records import RowRank
from ingest_service.backfill import BarSource
from ingest_service.live.minutes import table_of
from ingest_service.pages import ManyRequest
from ingest_service.refusals import InvalidSymbolError

__all__ = ["LiveSource", "PollFailed", "Polled", "Poller", "Refusal"]

logger = logging.getLogger(__name__)

SETTLED_AFTER = dt.timedelta(seconds=95)
"""After its opening instant a bar has been computed for the second time; before, REST knows no more than the stream."""

SYMBOLS_AT_ONCE = 200
"""In one address; a longer one is refused."""


class LiveSource(BarSource, Protocol):
    """Whom bars are asked from: `AlpacaSource`."""

    def fetch(self, request: Any, *, on_receipt: Callable[[Receipt], None]) -> Any:
        """The page that a request describes."""
        ...


@dataclass(frozen=True)
class Refusal:
    """A symbol that the source cannot read; the others are asked for without it."""

    symbol: str
    why: str


@dataclass(frozen=True)
class Polled:
    """Bars of one page, for `BarWriter.write_many`; `is_last` when all symbols were asked about up to `end`."""

    rows: pl.DataFrame
    end: dt.datetime
    is_last: bool


@dataclass(frozen=True)
class PollFailed:
    """No usable page came; what came before was handed out."""

    error: BarlakeError


Outcome = Polled | PollFailed | Refusal


class Poller:
    """Fetches one window after the other; every outcome goes into a queue.

    Parameters
    ----------
    source
        Used by this thread alone while it works.
    outcomes
        Gets an `Outcome` for everything that happens.
    on_receipt
        Called from the thread with a receipt of each request.
    """

    def __init__(
        self, source: LiveSource, feed: str, outcomes: queue.Queue[Any], *, on_receipt: Callable[[Receipt], None]
    ) -> None:
        self._source = source
        self._feed = feed
        self._outcomes = outcomes
        self._on_receipt = on_receipt
        self._orders: queue.Queue[tuple[tuple[str, ...], dt.datetime, dt.datetime] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="bar-poller", daemon=True)

    def start(self) -> None:
        """Begin to wait for orders."""
        self._thread.start()

    def close(self) -> None:
        """End after the request under way, which the source's own `stop` ends at once."""
        self._orders.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def ask(self, symbols: Sequence[str], start: dt.datetime, end: dt.datetime) -> None:
        """Fetch the bars of these symbols in [start, end), whole minutes, until the last `Polled` or a `PollFailed`."""
        self._orders.put((tuple(symbols), start, end))

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            for outcome in self._fetch(*order):
                self._outcomes.put(outcome)

    def _fetch(self, symbols: Sequence[str], start: dt.datetime, end: dt.datetime) -> Iterator[Outcome]:
        groups = [list(symbols[begin : begin + SYMBOLS_AT_ONCE]) for begin in range(0, len(symbols), SYMBOLS_AT_ONCE)]
        try:
            for number, names in enumerate(groups):
                yield from self._fetch_group(names, start, end, is_last=number == len(groups) - 1)
        except BarlakeError as error:
            yield PollFailed(error)
        except Exception as error:
            logger.exception("a poll broke", extra={"stage": "poll"})
            yield PollFailed(SourceError(f"a poll broke: {error}"))

    def _fetch_group(
        self, names: list[str], start: dt.datetime, end: dt.datetime, *, is_last: bool
    ) -> Iterator[Outcome]:
        token: str | None = None
        while names:
            request = ManyRequest(tuple(names), start, end, self._feed, token)
            try:
                page = self._source.fetch(request, on_receipt=self._on_receipt)
            except InvalidSymbolError as error:
                if error.symbol not in names:
                    raise
                names.remove(error.symbol)
                yield Refusal(error.symbol, str(error))
                continue
            token = page.next_page_token
            rows = [(symbol, self._rank(row), row) for symbol, row in page.rows]
            yield Polled(table_of(rows), end, is_last and token is None)
            if token is None:
                return
        if is_last:
            yield Polled(table_of([]), end, is_last=True)

    def _rank(self, row: Any) -> RowRank:
        stamp = row.get("t") if isinstance(row, dict) else None
        settled = (self._source.server_now() - SETTLED_AFTER).strftime("%Y-%m-%dT%H:%M:%SZ")
        return RowRank.REST if isinstance(stamp, str) and stamp <= settled else RowRank.BAR
