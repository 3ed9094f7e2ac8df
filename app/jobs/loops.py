"""Work that never ends, which a worker does beside its queues: the live stream, the schedule."""

from __future__ import annotations

import logging
import threading
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
        Set when the worker ends: return then.
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
    `stop` is set. An error begins it anew after a wait; a `CredentialsError` ends it until the worker starts again.
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
    """The running loops of a worker, each in a thread of its own."""

    def __init__(self, loops: list[Loop], context_of: Callable[[Loop], LoopContext]) -> None:
        self._threads = [
            threading.Thread(target=_run, args=(one, context_of(one)), name=f"loop-{one.name}", daemon=True)
            for one in loops
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for those that are to stop, but not longer than that for each."""
        for thread in self._threads:
            thread.join(timeout_s)


def _run(one: Loop, context: LoopContext) -> None:
    wait = FIRST_WAIT_S
    with log_context(agent=one.name):
        while not context.stop.is_set():
            try:
                one.work(context)
            except CredentialsError as error:
                _wait_for_key(one, context, error)
            except Exception:
                logger.exception("%s broke; it begins again in %.0f s", one.name, wait, extra={"stage": "loop"})
                context.stop.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
            else:
                return


def _wait_for_key(one: Loop, context: LoopContext, error: CredentialsError) -> None:
    """Beat on until the worker ends: a loop that waits for a person is not stalled."""
    logger.error("%s ended: %s", one.name, error, extra={"stage": "loop"})
    message = f"{error} Start the worker again when the key is mended."
    context.operations.alerts.fire(f"credentials/{one.name}", level="error", message=message)
    while not context.stop.is_set():
        context.beat("refused", next_step=str(error))
        context.stop.wait(context.period_s)
