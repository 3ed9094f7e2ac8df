"""The live agent: waits for a session, stores its bars while they come, makes it final when it is over.

Bars come over the stream where the plan has one, and by polling where it has none, while it is away, and now and then
beside it. Nothing is held only in memory for longer than one batch. Whatever was missed, by a lost connection or a
killed process, is asked for by REST as soon as somebody listens again; and what even that misses comes with the one
request for the whole session that makes it final.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from barlake.catalogue import is_current
from barlake.clock import Clock
from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.inspection import check_changed
from barlake.lake import Lake
from ingest_service.live.desk import Beat, LiveDesk, LiveState
from ingest_service.live.finalise import finalise_session, is_final
from ingest_service.live.following import Following, StreamSettings
from ingest_service.live.hours import LiveSession, is_over, session_at
from ingest_service.live.polling import LiveSource

__all__ = ["Beat", "LiveAgent", "LiveState", "StreamSettings"]

logger = logging.getLogger(__name__)

BEAT_S = 2.0

LONGEST_BEHIND = dt.timedelta(minutes=5)
"""So far behind ours a source's clock is waited for, before its session is left to the next look."""


class LiveAgent:
    """Keeps some symbols of one feed up to the minute.

    Parameters
    ----------
    source
        REST; nobody else uses it meanwhile.
    clock
        Market time.
    stop
        Ends `run` within a second or two, after what was heard is stored.
    stream
        None polls.
    has_recent
        Whether REST gives out the newest minutes of the feed on this plan; None finds out from the stream.
    on_beat
        Called every `beat_s` from a thread of its own.
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
        stream: StreamSettings | None = None,
        has_recent: bool | None = None,
        on_beat: Callable[[Beat], None] = lambda _beat: None,
        beat_s: float = BEAT_S,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._desk = LiveDesk(lake, source, symbols=symbols, feed=feed, clock=clock, stop=stop, names=names)
        self._stream = stream
        self._has_recent = has_recent
        self._on_beat = on_beat
        self._beat_s = beat_s
        self._followed: dt.date | None = None

    def run(self) -> None:
        """Work until `stop` is set.

        Raises
        ------
        CredentialsError
            If Alpaca refuses the key.
        StorageError
            If the disk is full or refuses.
        """
        desk = self._desk
        with desk.beating(self._on_beat, self._beat_s):
            try:
                while not desk.stop.is_set():
                    self._one_session()
            finally:
                desk.set(LiveState.STOPPED)

    def _one_session(self) -> None:
        desk = self._desk
        self._finalise_what_is_left()
        session = session_at(desk.lake.calendar, desk.clock.now())
        if self._wait(session.begin, LiveState.WAITING, session):
            return
        if desk.clock.now() < session.end:
            self._followed = session.session
            Following(desk, session, self._stream, has_recent=self._has_recent).run()
        if not self._wait(session.final_from, LiveState.SETTLING, session):
            # The source judges by its own clock, which is told in whole seconds and may be behind ours.
            behind = min(desk.clock.now() - desk.source.server_now(), LONGEST_BEHIND)
            self._wait(session.final_from + behind, LiveState.SETTLING, session)

    def _wait(self, instant: dt.datetime, state: LiveState, session: LiveSession) -> bool:
        """Wait for an instant of market time; whether the agent is to stop."""
        desk = self._desk
        if desk.clock.now() < instant:
            desk.set(state, session=session.session, note=f"until {instant:%Y-%m-%d %H:%M} UTC")
        return desk.clock.wait_until(instant, desk.stop)

    # --- final -----------------------------------------------------------------------------------

    def _finalise_what_is_left(self) -> None:
        """Make final what this agent, or one before it, left provisional, and what it followed to the end."""
        desk = self._desk
        now = min(desk.clock.now(), desk.source.server_now())
        left: dict[dt.date, set[str]] = {}
        for symbol, day in desk.lake.manifest.provisional_sessions(feed=desk.feed):
            left.setdefault(day, set()).add(symbol)
        if self._followed is not None:
            left.setdefault(self._followed, set())
        for day in sorted(left):
            if not is_over(desk.lake.calendar, day, now):
                continue
            wanted = sorted(left[day].union(desk.symbols))
            names = [name for name in wanted if not is_final(desk.lake, name, day, desk.feed)]
            if names and not desk.stop.is_set():
                self._finalise(day, names)
            if day == self._followed:
                self._followed = None

    def _finalise(self, day: dt.date, names: Sequence[str]) -> None:
        desk = self._desk
        lake = desk.lake
        done: list[str] = []
        for number, name in enumerate(names):
            if desk.stop.is_set():
                break
            desk.set(LiveState.FINALISING, session=day, done=number, total=len(names), note=name)
            try:
                finalise_session(lake, desk.source, name, day, desk.feed, asked_as=desk.name_of(name))
            except CredentialsError:
                raise
            except InvalidInputError as error:
                desk.refuse(name, str(error))
            except SourceError as error:
                # It stays provisional, and is tried again after the next session, or by whoever plans what is due.
                facts = {"symbol": name, "feed": desk.feed, "stage": "finalise"}
                logger.warning("%s of %s is not final yet: %s", day, name, error, extra=facts)
            else:
                done.append(name)
        self._tell_the_absent(day, done)
        if done:
            check_changed(lake, desk.feed, done)
        if not is_current(lake):
            lake.publish()
        lake.vacuum()

    def _tell_the_absent(self, day: dt.date, names: Sequence[str]) -> None:
        desk = self._desk
        held = desk.lake.manifest.held(feed=desk.feed, start=day, end=day + dt.timedelta(days=1))
        for name in sorted(set(names).difference(held["symbol"])):
            facts = {"symbol": name, "feed": desk.feed, "stage": "finalise"}
            logger.warning("%s has no bar on %s: is it listed, and spelled rightly?", name, day, extra=facts)
