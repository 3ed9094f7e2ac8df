"""Jobs of the agent `research`: one key for one question, whatever face it was asked at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from app.jobs.job import Job, JobRecord, JobState
from app.jobs.queue import JobQueue
from barlake.artifacts import canonical_json

__all__ = ["newest_jobs", "research_job"]

_DIGITS = 12


def research_job(task: str, symbols: Sequence[str], options: Mapping[str, Any]) -> Job:
    """The job of a task with these options, in any order of their names.

    Parameters
    ----------
    task
        `train` or `simulate`.
    options
        As JSON can hold them; those that are None are left out.
    """
    arguments = {
        "symbols": list(symbols),
        "options": {name: value for name, value in options.items() if value is not None},
    }
    digest = hashlib.sha256(canonical_json(arguments).encode()).hexdigest()[:_DIGITS]
    return Job(f"{task}/{symbols[0]}/{digest}", task, arguments, "research")


def newest_jobs(queue: JobQueue, task: str, *, limit: int = 5) -> list[JobRecord]:
    """The jobs of a task that were asked for last, the newest first; those that run with their progress."""
    found = queue.list(prefix=f"{task}/", newest=True, limit=limit)
    return [queue.get(one.id) if one.state is JobState.RUNNING else one for one in found]
