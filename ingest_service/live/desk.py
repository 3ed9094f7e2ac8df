"""What the parts of a live agent share: where bars go, what became of them, and what is told about it."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import polars as pl

from barlake.clock import Clock
from barlake.keys import parse_feed, parse_symbols
from barlake.lake import Lake
from barlake.partition_write import WriteReport
from ingest_service.live.finalise import provenance
from ingest_service.live.polling import LiveSource

__all__ = ["Beat", "LiveDesk", "LiveState"]

logger = logging.getLogger(__name__)

VACUUM_EVERY = dt.timedelta(hours=1)
_MINUTE = dt.timedelta(minutes=1)


class LiveState(StrEnum):
    """What a live agent does."""

    WAITING = "waiting for the open"
    RECONCILING = "reconciling"
    CONNECTING = "connecting"
    STREAMING = "streaming"
    POLLING = "polling"
    SETTLING = "waiting for the session to settle"
    FINALISING = "finalising"
    STOPPED = "stopped"


_FOLLOWING = {LiveState.RECONCILING, LiveState.CONNECTING, LiveState.STREAMING, LiveState.POLLING}


@dataclass(frozen=True)
class Beat:
    """A sign of life.

    Parameters
    ----------
    message_age_s
        Machine seconds since the stream said something; None when it never did.
    lag_s
        Market seconds from the end of the newest minute stored to now; None while no session is followed.
    rows
        Bars stored since the start.
    done, total
        Symbols, while a session is made final.
    halted
        Symbols whose trading is halted, as far as the stream told.
    note
        Why it is so, such as what the stream said last.
    """

    state: LiveState
    session: dt.date | None = None
    message_age_s: float | None = None
    lag_s: float | None = None
    rows: int = 0
    done: int | None = None
    total: int | None = None
    halted: tuple[str, ...] = ()
    note: str = ""


class LiveDesk:
    """Bars of some symbols of one feed on their way into a lake.

    Parameters
    ----------
    source
        REST, for the names it is kept under and its clock.
    clock
        Market time.
    stop
        Set when the agent is to end.
    names
        What the source calls a symbol, where it is another name.
    """

    def __init__(
        self,
        lake: Lake,
        source: LiveSource,
        *,
        symbols: Sequence[str],
        feed: str,
        clock: Clock,
        stop: threading.Event,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.lake = lake
        self.source = source
        self.feed = parse_feed(feed)
        self.clock = clock
        self.stop = stop
        self._symbols = list(dict.fromkeys(parse_symbols(symbols)))
        self._names = dict(names or {})
        self._refused: set[str] = set()
        self._beat = Beat(LiveState.WAITING)
        self._heard_at: float | None = None
        self._stored_to: dt.datetime | None = None
        self._halted: set[str] = set()
        self._shown_whole: dt.date | None = None
        self._vacuumed = clock.now()

    @property
    def symbols(self) -> list[str]:
        """Those the source can read."""
        return [name for name in self._symbols if name not in self._refused]

    def name_of(self, symbol: str) -> str:
        """What the source calls a symbol."""
        return self._names.get(symbol, symbol)

    @property
    def names(self) -> list[str]:
        """What the source calls the symbols, each once."""
        return list(dict.fromkeys(self.name_of(symbol) for symbol in self.symbols))

    def known_as(self, name: str) -> list[str]:
        """The symbols that a source's name stands for."""
        return [symbol for symbol in self.symbols if self.name_of(symbol) == name]

    def refuse(self, symbol: str, why: str) -> None:
        """Leave a symbol out that the source cannot read."""
        logger.error("%s is left out: %s", symbol, why, extra={"symbol": symbol, "feed": self.feed, "stage": "fetch"})
        self._refused.add(symbol)

    def store(self, rows: pl.DataFrame, *, session: dt.date, origin: str) -> None:
        """Store provisional bars in one commit, and show them."""
        if rows.is_empty():
            return
        report = WriteReport()
        for source, symbols in self._provenances(rows["symbol"].unique().to_list()).items():
            own = rows.filter(pl.col("symbol").is_in(symbols))
            report += self.lake.writer.write_many(own, feed=self.feed, source=source, origin=origin)
        newest = rows["timestamp"].max()
        if isinstance(newest, dt.datetime):
            self._stored_to = newest if self._stored_to is None else max(self._stored_to, newest)
        if report.files_written:
            self._beat = replace(self._beat, rows=self._beat.rows + report.inserted + report.changed)
            self._show(session)

    def _provenances(self, symbols: Sequence[str]) -> dict[str, list[str]]:
        """Symbols by what the source of their rows is called: all the same, but for those with another's name."""
        found: dict[str, list[str]] = {}
        for symbol in symbols:
            found.setdefault(provenance(self.source.source, symbol, self.name_of(symbol)), []).append(symbol)
        return found

    def _show(self, session: dt.date) -> None:
        """Publish: the minutes at once, and once a session what hangs on its being there, such as factors."""
        self.lake.publish_session(self.feed, session)
        if self._shown_whole != session:
            self.lake.publish()
            self._shown_whole = session
        if self.clock.now() - self._vacuumed > VACUUM_EVERY:
            self._vacuumed = self.clock.now()
            self.lake.vacuum()

    def begin(self) -> None:
        """Forget what was known of an earlier session."""
        self._stored_to, self._halted = None, set()

    def heard(self) -> None:
        """Take note that the stream said something."""
        self._heard_at = time.monotonic()

    def halted(self, symbol: str, code: str, words: str) -> None:
        """Take note of a trading status; `code` is one of https://docs.alpaca.markets/docs/real-time-stock-pricing-data."""
        facts = {"symbol": symbol, "feed": self.feed, "stage": "status", "code": code}
        logger.info("%s: %s", symbol, words or code, extra=facts)
        (self._halted.add if code in {"2", "H", "P", "Q"} else self._halted.discard)(symbol)

    def set(self, state: LiveState, **facts: Any) -> None:
        """Say what is done now; facts are those of `Beat`, and what is not given is nothing."""
        if state is not self._beat.state:
            logger.info(
                "%s", state.value, extra={"feed": self.feed, "stage": "live", "note": facts.get("note") or None}
            )
        empty: dict[str, Any] = {"session": None, "done": None, "total": None, "note": ""}
        self._beat = replace(self._beat, state=state, **(empty | facts))

    def beat(self) -> Beat:
        """What is done now, and how far it has come."""
        age = None if self._heard_at is None else time.monotonic() - self._heard_at
        lag = None
        if self._stored_to is not None and self._beat.state in _FOLLOWING:
            lag = max((self.clock.now() - self._stored_to - _MINUTE).total_seconds(), 0.0)
        return replace(self._beat, message_age_s=age, lag_s=lag, halted=tuple(sorted(self._halted)))

    @contextlib.contextmanager
    def beating(self, on_beat: Callable[[Beat], None], period_s: float) -> Iterator[None]:
        """Call back with a sign of life every period, from a thread of its own, until the block ends."""
        ended = threading.Event()

        def tell() -> None:
            on_beat(self.beat())
            while not ended.wait(period_s):
                on_beat(self.beat())

        thread = threading.Thread(target=tell, name="live-beats", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            on_beat(self.beat())
