"""Work that never ends, which a worker does beside its queues: the live stream, the schedule."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from app.jobs.job import Agent
from app.jobs.names import Identity
from app.jobs.queue import JobQueue
from app.jobs.registry import load_tasks
from app.operations import Operations
from app.operations.logs import log_context
from barlake.clock import Clock
from barlake.errors import CredentialsError
from barlake.settings import Settings

__all__ = ["Loop", "LoopContext", "Loops", "loop", "loops_of"]

logger = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 60.0
"""Before a loop that broke begins again."""

REST_LOOK_S = 0.2
"""How soon a loop that rests sees that it is to work."""

LoopT = TypeVar("LoopT", bound=Callable[["LoopContext"], None])


@dataclass(frozen=True)
class LoopContext:
    """The surroundings of a loop.

    Parameters
    ----------
    clock
        Market time.
    queue
        To put jobs into.
    stop
        Set when the worker ends, or the loop's agent is to rest: return then.
    """

    name: str
    settings: Settings
    clock: Clock
    operations: Operations
    queue: JobQueue
    stop: threading.Event
    worker: Identity
    period_s: float

    def beat(
        self,
        state: str,
        *,
        symbol: str | None = None,
        done: int | None = None,
        total: int | None = None,
        next_step: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what the loop does now; at least once a period, or it counts as stalled."""
        self.operations.heartbeats.beat(
            worker=self.worker.name, agent=self.name, state=state, symbol=symbol, done=done, total=total,
            next_step=next_step, details={**(details or {}), **self.worker.details()}, period_s=self.period_s,
        )  # fmt: skip


@dataclass(frozen=True)
class Loop:
    """A function that returns when its `stop` is set; `agent` None means that every worker runs it."""

    name: str
    agent: Agent | None
    work: Callable[[LoopContext], None]


_loops: dict[str, Loop] = {}


def loop(name: str, *, agent: str | None = None) -> Callable[[LoopT], LoopT]:
    """Decorator that makes a function a loop of each worker that runs this agent, or of every worker.

    The function stands in a module of `app/jobs/tasks`, takes a `LoopContext`, beats by it, and returns when
    `stop` is set. An error begins it anew after a wait; a `CredentialsError` ends it until the worker or its agent
    starts again.
    A loop named like its agent beats in the agent's place.
    """

    def register(work: LoopT) -> LoopT:
        _loops[name] = Loop(name, None if agent is None else Agent(agent), work)
        return work

    return register


def loops_of(agents: frozenset[Agent]) -> list[Loop]:
    """The loops that a worker of these agents runs."""
    load_tasks()
    return [one for one in _loops.values() if one.agent is None or one.agent in agents]


class Loops:
    """The running loops of a worker, each in a thread of its own.

    Parameters
    ----------
    context_of
        Surroundings of a loop, whose `stop` is the event that is handed in.
    """

    def __init__(self, loops: list[Loop], context_of: Callable[[Loop, threading.Event], LoopContext]) -> None:
        self._ending = threading.Event()
        self._running = [_Running(one, context_of(one, stop), self._ending) for one, stop in _with_stops(loops)]

    def start(self) -> None:
        """Begin."""
        for one in self._running:
            one.thread.start()

    def obey(self, rests: Mapping[str, str]) -> None:
        """Have the loops of these agents rest, and the others work.

        Parameters
        ----------
        rests
            By agent the state that its loops beat while they rest.
        """
        for one in self._running:
            one.rest_as(rests.get(one.loop.agent or ""))

    def end(self) -> None:
        """Have all of them return."""
        self._ending.set()
        for one in self._running:
            one.context.stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait for those that are to stop, but not longer than that for each."""
        for one in self._running:
            one.thread.join(timeout_s)


def _with_stops(loops: list[Loop]) -> list[tuple[Loop, threading.Event]]:
    return [(one, threading.Event()) for one in loops]


class _Running:
    """A loop and the thread that it runs in."""

    def __init__(self, loop: Loop, context: LoopContext, ending: threading.Event) -> None:
        self.loop = loop
        self.context = context
        self.thread = threading.Thread(target=self._run, name=f"loop-{loop.name}", daemon=True)
        self._ending = ending
        self._rests_as: str | None = None

    def rest_as(self, state: str | None) -> None:
        """Have the loop rest and beat this state, or work if it is None."""
        self._rests_as = state
        if state is not None:
            self.context.stop.set()

    def _run(self) -> None:
        with log_context(agent=self.loop.name):
            while not self._ending.is_set():
                if self._rests_as is not None:
                    self._rest(self._rests_as)
                elif self._begin() and not self.context.stop.is_set():
                    return

    def _begin(self) -> bool:
        """Work until the loop returns; whether it did so without an error."""
        self.context.stop.clear()
        if self._ending.is_set():  # it may have been set just before the event was cleared
            return True
        wait = FIRST_WAIT_S
        while not self.context.stop.is_set():
            try:
                self.loop.work(self.context)
            except CredentialsError as error:
                _wait_for_key(self.loop, self.context, error)
            except Exception:
                logger.exception("%s broke; it begins again in %.0f s", self.loop.name, wait, extra={"stage": "loop"})
                self.context.stop.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
            else:
                return True
        return False

    def _rest(self, state: str) -> None:
        self.context.beat(state)
        until = time.monotonic() + self.context.period_s
        while self._rests_as == state and time.monotonic() < until:
            if self._ending.wait(REST_LOOK_S):
                return


def _wait_for_key(one: Loop, context: LoopContext, error: CredentialsError) -> None:
    """Beat on until the loop is to stop: one that waits for a person is not stalled."""
    logger.error("%s ended: %s", one.name, error, extra={"stage": "loop"})
    message = f"{error} When the key is mended, start the worker again."
    context.operations.alerts.fire(f"credentials/{one.name}", level="error", message=message)
    while not context.stop.is_set():
        context.beat("refused", next_step=str(error))
        context.stop.wait(context.period_s)
