"""Which function does which task: filled when the modules of `app/jobs/tasks` are imported."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.jobs.context import JobContext
from app.jobs.job import Agent
from barlake.errors import InvalidInputError

__all__ = ["Task", "find_task", "load_tasks", "task"]

Work = Callable[..., dict[str, Any]]
WorkT = TypeVar("WorkT", bound=Work)

_tasks: dict[str, Task] = {}


@dataclass(frozen=True)
class Task:
    """A kind of work: its name, whose it is, the account it needs, and the function that does it."""

    name: str
    agent: Agent
    account: str
    work: Work

    def __call__(self, context: JobContext, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the function returns."""
        return self.work(context, **arguments)


def task(name: str, *, agent: str, account: str | None = None) -> Callable[[WorkT], WorkT]:
    """Decorator that makes a function the one that does this task.

    The function takes a `JobContext` and the job's arguments, and returns what JSON can hold, with `status`
    `done`, `partial` or `nothing`. It may be called again for work that is half done: it must find that out by
    itself and do the rest. A `SourceError`, `StorageError` or `ConflictError` has it called again after a wait; a
    `CredentialsError` pauses the jobs that need the same account; any other error ends the job.

    Parameters
    ----------
    account
        Whose key the work needs, where the job's arguments have no `source` that says it; None is the task's name.
    """

    def register(work: WorkT) -> WorkT:
        known = _tasks.get(name)
        if known is not None and (known.work.__module__, known.work.__qualname__) != (
            work.__module__,
            work.__qualname__,
        ):
            raise InvalidInputError(f"task {name!r} is done by {known.work.__module__} already: give it another name.")
        _tasks[name] = Task(name, Agent(agent), account or name, work)
        return work

    return register


def find_task(name: str) -> Task:
    """The task of this name.

    Raises
    ------
    InvalidInputError
        If there is none, as when another release enqueued the job.
    """
    load_tasks()
    if name not in _tasks:
        raise InvalidInputError(
            f"task {name!r} is not one of this release ({', '.join(sorted(_tasks))}): run a worker of the release that "
            "enqueued it, or cancel the job."
        )
    return _tasks[name]


def load_tasks() -> None:
    """Import every module of `app/jobs/tasks`."""
    package = importlib.import_module("app.jobs.tasks")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
