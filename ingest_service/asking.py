"""How anything is asked of a source: again after a transient failure, with a receipt for each try.

What a request is, and what its answer means, is for those who ask: `alpaca.py`, `sources/courier.py`.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import tenacity

from barlake.errors import SourceError
from barlake.receipts import Receipt
from ingest_service.paced_http import Exchange, Line, raise_if_set
from ingest_service.pages import Page, Question
from ingest_service.refusals import TransientError

__all__ = ["Asker", "Question"]

logger = logging.getLogger(__name__)

PageT = TypeVar("PageT", bound=Page)

_LONGEST_BACKOFF_SECONDS = 30.0


@dataclass
class Asker:
    """Asks one source until it answers, or until that is hopeless.

    Parameters
    ----------
    source, address
        Who is asked, and where, for receipts and messages.
    line
        What the requests are made over.
    stop
        Ends waits and retries at once when set; `SourceError` is raised then.
    attempts
        Tries for one page, at least 1.
    backoff_seconds
        Mean first wait after a failure that names no instant; doubles at each further one, up to 30 s.
    secrets
        Texts to blank out of every message.
    """

    source: str
    address: str
    line: Line
    stop: threading.Event
    attempts: int = 6
    backoff_seconds: float = 1.0
    secrets: Sequence[str] = ()

    def ask(
        self, question: Question, answer: Callable[[], PageT | Exception], on_receipt: Callable[[Receipt], None]
    ) -> PageT:
        """The page that `answer` gives.

        Parameters
        ----------
        answer
            Makes one request. An error is returned and not raised where the library's exception holds the
            request with its secrets: one raised while another is handled keeps it as its context.

        Raises
        ------
        SourceError
            If no attempt gave a usable page, or `stop` was set.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=tenacity.wait_exception(self._wait_after),
            stop=tenacity.stop_any(tenacity.stop_after_attempt(self.attempts), tenacity.stop_when_event_set(self.stop)),
            sleep=tenacity.sleep_using_event(self.stop),
            before_sleep=lambda state: self._say_again(question, state),
            reraise=True,
        )
        attempts = itertools.count(1)
        try:
            return retrying(lambda: self._attempt(question, answer, next(attempts), on_receipt))
        except TransientError as error:
            raise SourceError(
                f"no usable page of {question} from {self.address} after {error.attempt} attempt(s); the "
                f"last one: {error}. Check the network and the address, wait a little, and run the same "
                "command again: what is already stored is kept and not asked for again."
            ) from error

    def redacted(self, text: str) -> str:
        """The text without a secret, also as addresses spell it."""
        for secret in self.secrets:
            for spelled in (secret, quote(secret, safe="")):
                text = text.replace(spelled, "***")
        return text

    def _say_again(self, question: Question, state: tenacity.RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action is not None else 0.0
        error = state.outcome.exception() if state.outcome is not None else None
        said = {"symbol": question.symbol, "stage": "fetch", "feed": question.feed}
        logger.info("asking %s for %s again in %.3g s: %s", self.source, question.symbol, seconds, error, extra=said)

    def _attempt(
        self,
        question: Question,
        answer: Callable[[], PageT | Exception],
        attempt: int,
        on_receipt: Callable[[Receipt], None],
    ) -> PageT:
        raise_if_set(self.stop)
        self.line.last = None
        outcome = answer()
        if isinstance(outcome, TransientError):
            outcome.attempt = attempt
        if self.line.last is not None:
            receipt = self._receipt(question, attempt, self.line.last, outcome)
            _log(receipt)
            on_receipt(receipt)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _wait_after(self, error: BaseException) -> float:
        blocked = self.line.throttle.blocked_seconds()
        if blocked > 0 or not isinstance(error, TransientError):
            return blocked
        exponential = self.backoff_seconds * 2.0 ** (error.attempt - 1)
        return min(exponential, _LONGEST_BACKOFF_SECONDS) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter

    def _receipt(self, question: Question, attempt: int, exchange: Exchange, outcome: Page | Exception) -> Receipt:
        page = None if isinstance(outcome, Exception) else outcome
        return Receipt(
            requested_at=exchange.requested_at,
            source=self.source,
            endpoint=self.redacted(exchange.path) or question.endpoint,
            feed=question.feed,
            symbol=question.symbol,
            start=question.start,
            end=question.end,
            page_token=question.page_token,
            next_page_token=page.next_page_token if page is not None else None,
            rows=len(page.rows) if page is not None else 0,
            status=exchange.status,
            complete=page is not None and page.next_page_token is None,
            attempt=attempt,
            duration_ms=(time.monotonic() - exchange.started) * 1000.0,
            request_id=exchange.request_id,
            rate_limit_remaining=exchange.rate_limit_remaining,
            error=None if page is not None else str(outcome),
        )


def _log(receipt: Receipt) -> None:
    """One line a request, whatever came of it."""
    if logger.isEnabledFor(logging.INFO):
        facts = {
            "stage": "fetch", "symbol": receipt.symbol, "feed": receipt.feed, "source": receipt.source,
            "endpoint": receipt.endpoint, "status": receipt.status, "rows": receipt.rows, "attempt": receipt.attempt,
            "duration_ms": round(receipt.duration_ms, 1), "remaining": receipt.rate_limit_remaining,
            "error": receipt.error,
        }  # fmt: skip
        said = {name: value for name, value in facts.items() if value is not None}
        logger.info("asked %s for %s", receipt.source, receipt.symbol, extra=said)
