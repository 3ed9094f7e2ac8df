"""Rows of DBOS, in our words: its states, its instants, and what a paused job is called there."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dbos import WorkflowStatus
from sqlalchemy import TableClause, column, table

from app.jobs.job import Agent, JobProgress, JobRecord, JobState
from barlake.keys import parse_member

__all__ = [
    "HELD", "NEEDS_KEY", "STATES", "agent_of", "instant_of", "jobs_table", "record_of", "state_of", "words_of",
]  # fmt: skip

HELD, NEEDS_KEY = "held", "needs_key"
"""Attributes of a job that is paused: why, and whether a key that is mended lets it go on."""

STATES = {
    "DELAYED": JobState.QUEUED,
    "ENQUEUED": JobState.QUEUED,
    "PENDING": JobState.RUNNING,
    "SUCCESS": JobState.DONE,
    "ERROR": JobState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}
"""DBOS's words, and what they mean here. A job that is held is cancelled there and paused here."""


def jobs_table(schema: str | None) -> TableClause:
    """What is read of DBOS's own table: https://docs.dbos.dev/explanations/system-tables."""
    names = (
        "attributes", "created_at", "updated_at", "workflow_uuid", "name", "status", "queue_name", "executor_id",
        "owner_xid",
    )  # fmt: skip
    return table("workflow_status", *(column(name) for name in names), schema=schema)


def record_of(found: WorkflowStatus, said: dict[str, Any] | None = None) -> JobRecord:
    """A job from DBOS's row of it.

    Parameters
    ----------
    said
        Its progress, as the task last published it.
    """
    assert found.input is not None  # noqa: S101 - it is asked for
    task, arguments, agent = found.input["args"]
    held = (found.attributes or {}).get(HELD)
    state = STATES[found.status]
    if state is JobState.CANCELLED and held is not None:
        state = JobState.PAUSED
    return JobRecord(
        id=found.workflow_id,
        task=task,
        arguments=arguments,
        agent=agent,
        priority=found.priority or 0,
        state=state,
        worker=found.executor_id,
        attempts=found.recovery_attempts or 0,
        created_at=instant_of(found.created_at),
        updated_at=instant_of(found.updated_at),
        started_at=None if found.dequeued_at is None else instant_of(found.dequeued_at),
        finished_at=None if found.completed_at is None else instant_of(found.completed_at),
        progress=None if said is None else _progress(said),
        result=found.output,
        error=_error(found, state, held),
    )


def state_of(name: JobState | str) -> JobState:
    """A state by its name; errors as `parse_member`."""
    return parse_member(JobState, "status", name)


def agent_of(name: str) -> Agent:
    """An agent by its name; errors as `parse_member`."""
    return parse_member(Agent, "agent", name)


def words_of(state: JobState) -> list[str]:
    """DBOS's words for a state; paused is one of ours within its cancelled."""
    meant = JobState.CANCELLED if state is JobState.PAUSED else state
    return [word for word, known in STATES.items() if known is meant]


def instant_of(epoch_ms: int | None) -> dt.datetime:
    """Milliseconds since 1970 as an instant, UTC."""
    return dt.datetime.fromtimestamp((epoch_ms or 0) / 1000, dt.UTC)


def _progress(said: dict[str, Any]) -> JobProgress:
    return JobProgress(**{**said, "at": dt.datetime.fromisoformat(said["at"])})


def _error(found: WorkflowStatus, state: JobState, held: str | None) -> str | None:
    if state is JobState.PAUSED:
        return held
    if found.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
        return f"{found.recovery_attempts} workers ended in the middle of it: it is not tried again unless asked for."
    return None if found.error is None else str(found.error)
