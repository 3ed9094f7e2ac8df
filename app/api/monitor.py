"""Those who listen: one look a second for all of them, and for each no more than it can hold.

Nobody listening, nothing is looked at. All of this runs on the event loop, but for the looks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Query, status
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from app.api.deps import HouseDep
from app.api.house import House
from app.api.monitor_messages import StateMessage, Told, state_of, told_of
from app.use_cases.monitor import Picture, Topic, changes, parse_topics
from app.use_cases.monitor_looks import Looks

__all__ = ["LOOK_S", "MOST_LISTENERS", "MOST_PENDING", "QUIET_S", "Listener", "ListenerDep", "Monitor"]

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between the beginnings of two looks."""

QUIET_S = 10.0
"""After so long without an event something is sent all the same: proxies end what is quiet."""

MOST_LISTENERS = 100
MOST_PENDING = 500
"""Events kept for one who does not read them; then they are dropped, and the whole state is told again."""

_STOP_S = 0.1
_RETRY_AFTER_S = 10


class Listener:
    """One who listens, and what was not sent to him yet.

    Parameters
    ----------
    topics
        What he wants to hear of.
    """

    def __init__(self, topics: frozenset[Topic]) -> None:
        self._topics = topics
        self._pending: deque[Told] = deque()
        self._picture: Picture | None = None
        self._wants_state = True
        self._has_missed = False
        self._is_over = False
        self._woken = asyncio.Event()

    def hear(self, picture: Picture, told: Sequence[Told]) -> None:
        """Take in what a look has shown; never waits."""
        self._picture = picture
        if not self._wants_state:
            mine = [one for one in told if one.topic is None or one.topic in self._topics]
            self._pending.extend(mine)
            if picture.is_torn or len(self._pending) > MOST_PENDING:
                self._pending.clear()
                self._wants_state = self._has_missed = True
        if self._wants_state or self._pending:
            self._woken.set()

    def end(self) -> None:
        """Have the one who listens told that nothing more comes."""
        self._is_over = True
        self._woken.set()

    async def next(self) -> Sequence[Told] | None:
        """What came since; empty after `QUIET_S` without anything, None when nothing more comes."""
        try:
            async with asyncio.timeout(QUIET_S):
                await self._woken.wait()
        except TimeoutError:
            return ()
        self._woken.clear()
        if self._is_over:
            return None
        told = list(self._pending)
        self._pending.clear()
        return [self._whole()] if self._wants_state else told

    def _whole(self) -> Told:
        assert self._picture is not None  # noqa: S101 - he is woken by a picture
        message: StateMessage = state_of(self._picture, self._topics, has_missed=self._has_missed)
        self._wants_state = self._has_missed = False
        return Told(None, message.event, message.model_dump_json())


class Monitor:
    """Looks while somebody listens, and tells all of them what changed.

    Parameters
    ----------
    look
        Takes a picture; called in a thread, one at a time.
    is_stopping
        Whether the service ends.
    """

    def __init__(self, look: Callable[[], Picture], is_stopping: Callable[[], bool]) -> None:
        self._look = look
        self._is_stopping = is_stopping
        self._picture: Picture | None = None
        self._task: asyncio.Task[None] | None = None
        self.listeners: set[Listener] = set()

    def join(self, topics: frozenset[Topic]) -> Listener:
        """A new listener, who hears the whole state first.

        Raises
        ------
        HTTPException
            429 when as many listen as may.
        """
        if len(self.listeners) >= MOST_LISTENERS:
            detail = f"{MOST_LISTENERS} streams of events are open, and no more may be: end one of them, or ask later."
            headers = {"Retry-After": str(_RETRY_AFTER_S)}
            raise HTTPException(status.HTTP_429_TOO_MANY_REQUESTS, detail, headers=headers)
        listener = Listener(topics)
        self.listeners.add(listener)
        if self._picture is not None:
            listener.hear(self._picture, ())
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="monitor")
        return listener

    def leave(self, listener: Listener) -> None:
        """Tell this one nothing more."""
        self.listeners.discard(listener)

    async def _watch(self) -> None:
        try:
            await self._look_on()
        except Exception:
            logger.exception("the events of the service broke off", extra={"stage": "events"})
        finally:
            self._task = self._picture = None
            for listener in self.listeners:
                listener.end()

    async def _look_on(self) -> None:
        loop = asyncio.get_running_loop()
        while self.listeners:
            began = loop.time()
            look = asyncio.ensure_future(to_thread.run_sync(self._look))
            if not await self._unless_stopping(look):
                return
            self._tell(look.result())
            rest = asyncio.ensure_future(asyncio.sleep(began + LOOK_S - loop.time()))
            if not await self._unless_stopping(rest):
                return

    def _tell(self, picture: Picture) -> None:
        before, self._picture = self._picture, picture
        told = [] if before is None else [told_of(one) for one in changes(before, picture)]
        for listener in self.listeners:
            listener.hear(picture, told)

    async def _unless_stopping(self, future: asyncio.Future[None] | asyncio.Future[Picture]) -> bool:
        """Wait for something; whether it came before the service was told to end."""
        while not future.done():
            if self._is_stopping():
                return False
            await asyncio.wait({future}, timeout=_STOP_S)
        return not self._is_stopping()


def monitor_of(house: House, connection: HTTPConnection) -> Monitor:
    """The one monitor of an application; made when the first one listens."""
    state = connection.app.state
    known: tuple[House, Monitor] | None = getattr(state, "monitor", None)
    if known is None or known[0] is not house:
        looks = Looks(house.lake, house.operations, house.queue)
        known = state.monitor = (house, Monitor(looks.look, house.stopping.is_set))
    return known[1]


async def _listener(
    connection: HTTPConnection,
    house: HouseDep,
    topics: Annotated[
        str | None,
        Query(
            max_length=200, description="Only these, by commas: job, heartbeat, coverage, bars.", examples=["job,bars"]
        ),
    ] = None,
) -> AsyncIterator[Listener]:
    monitor = monitor_of(house, connection)
    listener = monitor.join(parse_topics(topics))
    try:
        yield listener
    finally:
        monitor.leave(listener)


ListenerDep = Annotated[Listener, Depends(_listener)]
