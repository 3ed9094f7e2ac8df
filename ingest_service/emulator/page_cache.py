"""Pages that were made once and cannot change any more, ready to be sent again.

The emulator shares the machine with what it tests: a page that is asked for again, by a second run or a second worker,
should cost as little as on another machine.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from typing import NamedTuple

from ingest_service.emulator.answers import PackedBody
from ingest_service.emulator.query import BarsQuery
from ingest_service.emulator.revisions import CORRECTION_US
from ingest_service.emulator.source import MINUTE_US

__all__ = ["KeptPage", "PageCache", "is_settled"]


class KeptPage(NamedTuple):
    """A page as it is sent, and its rows."""

    body: PackedBody
    rows: int


class PageCache:
    """The pages that were asked for last.

    Parameters
    ----------
    most_bytes
        How much of them is kept.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._pages: OrderedDict[str, KeptPage] = OrderedDict()
        self._bytes = 0

    def get(self, identity: str) -> KeptPage | None:
        """Page of a request, by its path and query."""
        page = self._pages.get(identity)
        if page is not None:
            self._pages.move_to_end(identity)
        return page

    def put(self, identity: str, page: KeptPage) -> None:
        """Keep a page; the least recently used ones make room."""
        self._pages[identity] = page
        self._bytes += len(page.body)
        while self._bytes > self._most_bytes:
            self._bytes -= len(self._pages.popitem(last=False)[1].body)

    def clear(self) -> None:
        """Forget all of them: bars or actions have changed."""
        self._pages.clear()
        self._bytes = 0


def is_settled(query: BarsQuery, now: dt.datetime) -> bool:
    """Whether no clock can change the answer: raw minutes that are over and revised."""
    is_raw = query.minutes == 1 and not query.adjustments
    return is_raw and query.end_us + MINUTE_US + CORRECTION_US < int(now.timestamp() * 1e6)
