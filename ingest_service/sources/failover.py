"""Several sources in order: the first is asked, and when it fails, the next one in its place.

A source fails when it refuses the key, its plan has no such data, or it gives no usable answer after all its
retries. For a while the others are asked first then, and afterwards it is given another chance. What is wrong with
the request itself, such as a symbol, is nobody's failure.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from barlake.errors import InvalidInputError, SourceError
from barlake.receipts import Receipt
from ingest_service.pages import BarsPage
from ingest_service.sources.courier import Courier
from ingest_service.watch_list import Security

__all__ = ["Failover"]

logger = logging.getLogger(__name__)

AnswerT = TypeVar("AnswerT")

OnReceipt = Callable[[Receipt], None]

_MINUTE = dt.timedelta(minutes=1)


class Failover:
    """A source that does not fail while one of several answers; `BarSource` of `backfill`.

    Parameters
    ----------
    couriers
        The primary first.
    securities
        What the sources call them; others are called by their symbols.
    cool_down_s
        How long a source that failed is asked last.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        couriers: Sequence[Courier],
        *,
        securities: Iterable[Security] = (),
        cool_down_s: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not couriers:
            raise InvalidInputError("no source was given: name at least one, such as 'alpaca'.")
        self._couriers = tuple(couriers)
        self._securities = {one.symbol: one for one in securities}
        self._cool_down_s = cool_down_s
        self._clock = clock
        self._failed_until: dict[str, float] = {}
        self._kept_as = self._couriers[0].source

    @property
    def source(self) -> str:
        """Name of the source that answered last, as it is kept beside the rows of that answer."""
        return self._kept_as

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sources, the primary first."""
        return tuple(one.source for one in self._couriers)

    @property
    def feeds(self) -> tuple[str, ...]:
        """Feeds of the primary's minute bars."""
        return self._couriers[0].capabilities.feeds

    def get_to_know(self, securities: Iterable[Security]) -> None:
        """Learn what the sources call further securities."""
        self._securities |= {one.symbol: one for one in securities}

    def leave_to_others(self, share: float) -> None:
        """Leave a share of each source's limit to those who are in a hurry."""
        for one in self._couriers:
            one.line.reserve_share = share

    # --- minute bars -------------------------------------------------------------------------------

    def server_now(self) -> dt.datetime:
        """Present instant, UTC, as the primary tells it."""
        return self._couriers[0].server_now()

    def latest_allowed_end(self, feed: str) -> dt.datetime:
        """Latest whole minute that each source of the feed would allow to end a window."""
        return min(one.latest_allowed_end(feed) for one in self._of_feed(feed))

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
        """One page of minute bars in [start, end), of the first source of that feed that answers.

        A window is finished by the source that began it. When that one fails on the way, another goes on behind
        the last bar, so the bars of two sources of one tape stand beside each other and do not replace each other.
        """
        begun, resume, own = _read_token(page_token, start, self._couriers[0].source)
        asked = ""

        def page_of(courier: Courier, name: str) -> BarsPage:
            nonlocal asked
            asked = courier.source
            first, token = (start, own) if asked == begun else (resume, None)
            if first >= end:
                return BarsPage([], None)
            return courier.fetch_page(name, first, end, feed=feed, page_token=token, on_receipt=on_receipt)

        page = self._first_answer(self._of_feed(feed), symbol, page_of, begun)
        if page.next_page_token is None:
            return page
        newest = None if isinstance(page.rows, list) else page.rows["timestamp"].max()
        if isinstance(newest, dt.datetime):
            resume = max(resume, newest + _MINUTE)
        return replace(page, next_page_token=f"{asked}|{resume.isoformat()}|{page.next_page_token}")

    def _of_feed(self, feed: str) -> list[Courier]:
        """The sources whose minute bars are of that feed: bars of another tape do not stand in for them."""
        found = [one for one in self._couriers if feed in one.capabilities.feeds]
        if not found:
            raise InvalidInputError(f"none of {', '.join(self.names)} has minute bars of feed {feed!r}.")
        return found

    # --- whose turn it is --------------------------------------------------------------------------

    def first_answer(self, symbol: str | None, answer_of: Callable[[Courier, str], AnswerT]) -> AnswerT:
        """What `answer_of` gives for the first source that does not fail, and for what that source calls a symbol.

        None stands for what has no symbol. While an answer is made, `source` says whose it is.

        Raises
        ------
        InvalidInputError
            If none of the sources has such a symbol, or `answer_of` calls the request wrong.
        CredentialsError, SourceError
            As the last source raised it.
        """
        return self._first_answer(self._couriers, symbol, answer_of)

    def names_at(self, courier: Courier, symbols: Iterable[str]) -> dict[str, str]:
        """What a source calls each of the symbols that it has."""
        return {symbol: name for symbol in symbols if (name := self._name_at(courier, symbol)) is not None}

    def _first_answer(
        self,
        couriers: Iterable[Courier],
        symbol: str | None,
        answer_of: Callable[[Courier, str], AnswerT],
        begun: str | None = None,
    ) -> AnswerT:
        candidates = self._in_order(self._that_have(couriers, symbol), begun)
        for number, (courier, name) in enumerate(candidates, start=1):
            self._kept_as = self._provenance(courier, symbol)
            try:
                answer = answer_of(courier, name)
            except SourceError as error:
                if not self._goes_on(courier, error, is_last=number == len(candidates)):
                    raise
            else:
                self._recovered(courier)
                return answer
        raise AssertionError  # pragma: no cover - the last one answers or raises

    def _that_have(self, couriers: Iterable[Courier], symbol: str | None) -> list[tuple[Courier, str]]:
        """The sources that have something under a symbol, and what they call it.

        One that calls it by a name of its own may mean something else, as Alpaca's SPY is not the index SPX: it may
        be the primary, but nobody changes over to it.
        """
        if symbol is None:
            return [(one, "") for one in couriers]
        named = [(one, name) for one in couriers if (name := self._name_at(one, symbol)) is not None]
        if not named:
            raise InvalidInputError(
                f"none of {', '.join(self.names)} has {symbol}: the watch list may say what one of them calls it."
            )
        security = self._securities.get(symbol)
        spelt = [one for one in named[1:] if security is None or not security.is_renamed(one[0].source)]
        return [named[0], *spelt]

    def _name_at(self, courier: Courier, symbol: str) -> str | None:
        security = self._securities.get(symbol)
        return symbol if security is None else security.name_at(courier.source)

    def _in_order(self, named: list[tuple[Courier, str]], begun: str | None) -> list[tuple[Courier, str]]:
        """Who has begun the window first, who failed lately last."""
        now = self._clock()
        return sorted(named, key=lambda one: (self._failed_until.get(one[0].source, now) > now, one[0].source != begun))

    def _goes_on(self, courier: Courier, error: SourceError, *, is_last: bool) -> bool:
        """Take note of a failure; whether somebody else is to be asked."""
        if courier.line.stop is not None and courier.line.stop.is_set():
            return False
        is_new = courier.source not in self._failed_until
        self._failed_until[courier.source] = self._clock() + self._cool_down_s
        if is_new and not is_last:
            logger.warning(
                "%s fails, others are asked in its place for %.0f s: %s", courier.source, self._cool_down_s, error,
                extra={"stage": "failover", "source": courier.source},
            )  # fmt: skip
        return not is_last

    def _recovered(self, courier: Courier) -> None:
        if self._failed_until.pop(courier.source, None) is not None:
            logger.warning("%s answers again", courier.source, extra={"stage": "failover", "source": courier.source})

    def _provenance(self, courier: Courier, symbol: str | None) -> str:
        """The name of the source as rows keep it, with the symbol's name there where that may mean something else."""
        security = None if symbol is None else self._securities.get(symbol)
        return courier.source if security is None else security.provenance(courier.source)


def _read_token(page_token: str | None, start: dt.datetime, primary: str) -> tuple[str | None, dt.datetime, str | None]:
    """Who began the window, the instant behind its last bar, and its own token.

    A token that says no more than that was kept when there was one source, the primary.
    """
    if page_token is None:
        return None, start, None
    parts = page_token.split("|", maxsplit=2)
    if len(parts) != 3:  # noqa: PLR2004 - the three that `fetch_page` writes
        return primary, start, page_token
    name, instant, own = parts
    return name, dt.datetime.fromisoformat(instant), own
