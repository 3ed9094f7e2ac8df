"""Jobs over HTTP: what waits, runs and is over, and a hand on each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.api.cursors import make_cursor, read_cursor
from app.api.deps import QueueDep
from app.api.paging import number_of
from app.api.parameters import Cursor
from app.api.work_answers import JobAnswer, JobList
from app.jobs.job import Agent, JobState
from app.jobs.queue import JobQueue, Place

__all__ = ["router"]

router = APIRouter(prefix="/jobs", tags=["jobs"])

JobId = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9/._:^=@+-]{0,199}(#[0-9]{1,9})?$",
        description="As `GET /jobs` lists it; `#` is written `%23` in an address.",
        examples=["bars/sip/SPY/2024-01"],
    ),
]


@router.get("")
def jobs(
    queue: QueueDep,
    prefix: Annotated[
        str,
        Query(
            pattern=r"^[A-Za-z0-9/._:^=@+#-]{0,210}$", description="Only ids that begin so.", examples=["bars/sip/SPY"]
        ),
    ] = "",
    status: Annotated[JobState | None, Query(description="Only jobs that stand so.")] = None,
    agent: Annotated[Agent | None, Query(description="Only jobs of this agent.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Jobs of a page.")] = 100,
    cursor: Cursor = None,
) -> JobList:
    """List jobs, those asked for last first; what is asked for between two pages moves nothing."""
    question = {"prefix": prefix, "status": status, "agent": agent}
    before = None if cursor is None else _place(read_cursor(cursor, question))
    found, behind = queue.page(
        prefix=prefix,
        status=status,
        agent=agent,
        limit=limit,
        before=before,
    )
    return JobList(
        items=[JobAnswer.model_validate(one) for one in found],
        next_cursor=None if behind is None else make_cursor(question, {"at": str(behind[0]), "id": behind[1]}),
    )


@router.post("/{job_id:path}/cancel")
def cancel(queue: QueueDep, job_id: JobId) -> JobAnswer:
    """Have a job not done, or not done to its end; a running one stops within seconds and keeps what it stored."""
    queue.cancel(job_id)
    return _one(queue, job_id)


@router.post("/{job_id:path}/retry")
def retry(queue: QueueDep, job_id: JobId) -> JobAnswer:
    """Queue a job again that failed or was cancelled."""
    queue.retry(job_id)
    return _one(queue, job_id)


@router.post("/{job_id:path}/pause")
def pause(queue: QueueDep, job_id: JobId) -> JobAnswer:
    """Set a job aside until it is resumed; a running one stops within seconds and keeps what it stored."""
    queue.pause(job_id)
    return _one(queue, job_id)


@router.post("/{job_id:path}/resume")
def resume(queue: QueueDep, job_id: JobId) -> JobAnswer:
    """Queue a paused job again."""
    queue.resume(job_id)
    return _one(queue, job_id)


@router.get("/{job_id:path}")
def one_job(queue: QueueDep, job_id: JobId) -> JobAnswer:
    """Tell everything about one job: how far it is, what it gave, why it failed."""
    return _one(queue, job_id)


def _place(spelled: Mapping[str, str | None]) -> Place:
    return number_of(spelled, "at"), spelled.get("id") or ""


def _one(queue: JobQueue, job_id: str) -> JobAnswer:
    return JobAnswer.model_validate(queue.get(job_id))
