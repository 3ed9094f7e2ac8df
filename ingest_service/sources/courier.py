"""A courier asks one source on behalf of the lake: at a permitted moment, again after a transient failure.

It gives every answer a receipt, takes rows nobody asked for out of it, and is the `BarSource` that `backfill`
wants. Sources of our own pace each request on their `line`; around a stranger's, each call is one request.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import polars as pl

from barlake.clock import clock_of
from barlake.errors import BarlakeError, InvalidInputError, SourceError
from barlake.keys import Adjustment
from barlake.receipts import Receipt
from barlake.settings import Settings
from ingest_service.asking import Asker
from ingest_service.paced_http import Line, breakage
from ingest_service.pages import BarsPage, Stray
from ingest_service.refusals import TransientError
from ingest_service.sources.interface import (
    COLUMNS,
    MAY_LACK,
    DailyBars,
    Dataset,
    Macro,
    MinuteBars,
    News,
    Source,
    SourcePage,
)
from ingest_service.throttle import Throttle

__all__ = ["Courier"]

OnReceipt = Callable[[Receipt], None]


@dataclass(frozen=True)
class _Question:
    """What a receipt says was asked."""

    endpoint: str
    symbol: str
    start: dt.datetime
    end: dt.datetime
    feed: str
    page_token: str | None

    def __str__(self) -> str:
        return f"{self.endpoint} data of {self.symbol} [{self.start:%Y-%m-%dT%H:%MZ}, {self.end:%Y-%m-%dT%H:%MZ})"


class Courier:
    """One source, asked with patience.

    Parameters
    ----------
    given
        The source. It may have a `line` its requests are made over, and `secrets` to blank out of messages.
    stop
        Ends waits and retries at once when set; `SourceError` is raised then.
    attempts, backoff_seconds
        As `Asker`.
    """

    def __init__(
        self,
        given: Source,
        settings: Settings,
        *,
        stop: threading.Event | None = None,
        attempts: int = 6,
        backoff_seconds: float = 1.0,
    ) -> None:
        self.given = given
        self.capabilities = given.capabilities
        self.source = self.capabilities.name
        self._clock = clock_of(settings)
        own = getattr(given, "line", None)
        self._paces_itself = own is not None
        self.line: Line = own or Line(Throttle(self.capabilities.requests_per_minute))
        self.line.stop = stop or threading.Event()
        self._asker = Asker(
            self.source,
            getattr(given, "base_url", self.source),
            self.line,
            self.line.stop,
            attempts=attempts,
            backoff_seconds=backoff_seconds,
            secrets=tuple(getattr(given, "secrets", ())),
        )

    def offers(self, dataset: Dataset) -> bool:
        """Whether it can be asked for that kind of data."""
        return dataset in self.capabilities.offers

    # --- what backfill asks ------------------------------------------------------------------------

    def server_now(self) -> dt.datetime:
        """Present instant, UTC: market time, or the source's own where it tells it."""
        own = getattr(self.given, "server_now", self._clock.now)
        now: dt.datetime = own()
        return now

    def latest_allowed_end(self, feed: str) -> dt.datetime:
        """Latest whole minute that may end a window of minute bars."""
        if own := getattr(self.given, "latest_allowed_end", None):
            latest: dt.datetime = own(feed)
            return latest
        return (self.server_now() - self.capabilities.embargo).replace(second=0, microsecond=0)

    def fetch_page(
        self,
        symbol: str,
        start: dt.datetime,
        end: dt.datetime,
        *,
        feed: str,
        page_token: str | None = None,
        on_receipt: OnReceipt,
    ) -> BarsPage:
        """One page of the raw minute bars in [start, end), oldest first; rows outside of it are strays.

        Raises
        ------
        InvalidInputError
            If the source has no such bars, or calls the symbol or the window wrong.
        CredentialsError, SourceError
            If it refuses the key; if no try gave a usable page.
        """
        source = self._minute_source(feed)
        first, beyond, token = self._part(start, end, page_token)
        question = _Question(Dataset.MINUTE.value, symbol, first, beyond, feed, token)
        page = self._ask(
            question,
            Dataset.MINUTE,
            lambda: source.minute(symbol, first, beyond, feed=feed, page_token=token),
            on_receipt,
        )
        inside = pl.col("timestamp").is_between(first, beyond, closed="left")
        strays = [
            Stray(symbol, row, "timestamp is outside the window that was asked for")
            for row in page.rows.filter(~inside).to_dicts()
        ]
        strays += [Stray(symbol, one.row, one.reason) for one in page.refused]
        return BarsPage(page.rows.filter(inside), self._following(first, beyond, end, page.next_page_token), strays)

    def _part(
        self, start: dt.datetime, end: dt.datetime, page_token: str | None
    ) -> tuple[dt.datetime, dt.datetime, str | None]:
        """The part of a window that one request may have, and the source's own token in it."""
        span = self.capabilities.longest_span
        if span is None:
            return start, end, page_token
        if page_token is not None:
            instant, _, own = page_token.partition("|")
            return (first := dt.datetime.fromisoformat(instant)), min(first + span, end), own or None
        return start, min(start + span, end), None

    def _following(self, first: dt.datetime, beyond: dt.datetime, end: dt.datetime, token: str | None) -> str | None:
        if self.capabilities.longest_span is None:
            return token
        if token is not None:
            return f"{first.isoformat()}|{token}"
        return f"{beyond.isoformat()}|" if beyond < end else None

    # --- the other kinds ---------------------------------------------------------------------------

    def daily(self, symbol: str, start: dt.date, end: dt.date, *, on_receipt: OnReceipt) -> Iterator[SourcePage]:
        """Pages of the daily bars of the sessions in [start, end)."""
        source = cast("DailyBars", self._offering(Dataset.DAILY))
        return self._pages(
            Dataset.DAILY, symbol, _midnight(start), _midnight(end), on_receipt,
            lambda token: source.daily(symbol, start, end, page_token=token),
        )  # fmt: skip

    def news(
        self, symbols: Sequence[str], start: dt.datetime, end: dt.datetime, *, on_receipt: OnReceipt
    ) -> Iterator[SourcePage]:
        """Pages of the articles published or revised in [start, end)."""
        source = cast("News", self._offering(Dataset.NEWS))
        return self._pages(
            Dataset.NEWS, ",".join(symbols) or "*", start, end, on_receipt,
            lambda token: source.news(symbols, start, end, page_token=token),
        )  # fmt: skip

    def macro(self, series: str, start: dt.date, end: dt.date, *, on_receipt: OnReceipt) -> Iterator[SourcePage]:
        """Pages of every value of a series released in [start, end)."""
        source = cast("Macro", self._offering(Dataset.MACRO))
        return self._pages(
            Dataset.MACRO, series, _midnight(start), _midnight(end), on_receipt,
            lambda token: source.macro(series, start, end, page_token=token),
        )  # fmt: skip

    def _pages(
        self,
        dataset: Dataset,
        symbol: str,
        start: dt.datetime,
        end: dt.datetime,
        on_receipt: OnReceipt,
        page_at: Callable[[str | None], SourcePage],
    ) -> Iterator[SourcePage]:
        token: str | None = None
        seen: set[str] = set()
        while True:
            question = _Question(dataset.value, symbol, start, end, "-", token)
            page = self._ask(question, dataset, lambda at=token: page_at(at), on_receipt)  # type: ignore[misc]
            yield page
            token = page.next_page_token
            if token is None:
                return
            if token in seen:
                raise SourceError(f"{self.source} gives the page token {token!r} again, so its pages would never end.")
            seen.add(token)

    def _ask(
        self, question: _Question, dataset: Dataset, call: Callable[[], SourcePage], on_receipt: OnReceipt
    ) -> SourcePage:
        return self._asker.ask(question, lambda: self._outcome(call, dataset), on_receipt)

    def _outcome(self, call: Callable[[], SourcePage], dataset: Dataset) -> SourcePage | Exception:
        """The page in its types, or the error to raise, which holds nothing of the library's."""
        if not self._paces_itself:
            self.line.leave()
        try:
            page = call()
            found = SourcePage(_typed(page.rows, dataset, self.source), page.next_page_token, page.refused)
        except TransientError as error:
            return TransientError(self._asker.redacted(str(error)))
        except BarlakeError as error:
            # An error that was raised beside the library's own holds it, and with it what was sent.
            error.args = tuple(self._asker.redacted(str(part)) for part in error.args)
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - a client library may raise anything
            return self._unexpected(error)
        else:
            return found
        finally:
            if not self._paces_itself:
                self.line.broke()

    def _unexpected(self, error: Exception) -> Exception:
        if meaning := breakage(error):
            return TransientError(self._asker.redacted(meaning))
        return SourceError(
            f"{self.source} failed with {type(error).__name__}: {self._asker.redacted(str(error))[:200]}. "
            "What is already stored is kept."
        )

    def _minute_source(self, feed: str) -> MinuteBars:
        source = cast("MinuteBars", self._offering(Dataset.MINUTE))
        if feed not in self.capabilities.feeds:
            raise InvalidInputError(
                f"{self.source} has no bars of feed {feed!r}: its own are {', '.join(self.capabilities.feeds)}. "
                "Bars of different feeds are not mixed."
            )
        adjustment = self.capabilities.adjusted.get(Dataset.MINUTE, Adjustment.RAW)
        if adjustment is not Adjustment.RAW:
            raise InvalidInputError(
                f"{self.source} gives minute bars with adjusted prices ({adjustment}), and the lake keeps raw ones: "
                "take them from another source."
            )
        return source

    def _offering(self, dataset: Dataset) -> Source:
        """The source, known to have the method named like the kind of data."""
        if self.offers(dataset):
            return self.given
        offered = ", ".join(sorted(self.capabilities.offers))
        raise InvalidInputError(f"source {self.source!r} has no {dataset} data: it offers {offered}.")


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


def _typed(rows: pl.DataFrame, dataset: Dataset, source: str) -> pl.DataFrame:
    """The columns of a kind in their types; what a source may leave out becomes null."""
    wanted = COLUMNS[dataset]
    absent = [name for name in wanted if name not in rows.columns]
    if missing := [name for name in absent if name not in MAY_LACK]:
        raise SourceError(f"{source} gave {dataset} rows without {', '.join(missing)}: its module is to be mended.")
    try:
        return rows.with_columns(pl.lit(None).alias(name) for name in absent).select(
            pl.col(name).cast(kind) for name, kind in wanted.items()
        )
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"{source} gave {dataset} rows of another type: {str(error).splitlines()[0]}") from error
