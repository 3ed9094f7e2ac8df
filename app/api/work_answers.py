"""Answers about work: jobs, agents and their workers, and what was asked for."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.house import House
from app.jobs.job import JobState
from app.operations.desired import Desired
from app.use_cases.agents import is_served

__all__ = ["AgentAnswer", "Asked", "JobAnswer", "JobList", "Progress", "WorkerAnswer", "asked"]


class Progress(BaseModel):
    """How far a job has come, as it last said."""

    model_config = ConfigDict(from_attributes=True)

    done: int | None = Field(description="In `unit`.", examples=[3])
    total: int | None = Field(examples=[12])
    unit: str = Field(examples=["sessions"])
    rows: int
    pages: int
    next_step: str | None
    seconds_left: float | None = Field(description="At the pace so far; null before there is one.")
    at: dt.datetime | None = Field(description="When it said so, machine time.")


class JobAnswer(BaseModel):
    """A job and what became of it; instants are machine time, UTC."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(
        description="The key, or the key and the number of its repetition.", examples=["bars/sip/SPY/2024-01"]
    )
    key: str = Field(description="Two jobs of one key are the same work.", examples=["bars/sip/SPY/2024-01"])
    task: str = Field(examples=["bars"])
    arguments: dict[str, Any]
    agent: str = Field(examples=["backfill"])
    priority: int = Field(description="Lower goes first within an agent's queue.")
    state: JobState
    worker: str | None = Field(description="Who does it, or did it last.")
    attempts: int
    created_at: dt.datetime
    updated_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    progress: Progress | None = Field(description="Told of one job alone, not in lists.")
    result: dict[str, Any] | None = Field(description="What it gave, once it is done.")
    error: str | None = Field(description="Why it failed, or why it is paused.")


class JobList(BaseModel):
    """Jobs, those asked for last first."""

    items: list[JobAnswer]
    next_cursor: str | None = Field(description="Of the next page; null on the last.")


class WorkerAnswer(BaseModel):
    """What one worker does for an agent, as it last said."""

    model_config = ConfigDict(from_attributes=True)

    worker: str
    state: str = Field(
        description="working, waiting, idle, paused, stopped, starting, ending, stalled, or as its own loop says.",
        examples=["idle"],
    )
    job: str | None
    symbol: str | None
    done: int | None
    total: int | None
    next_step: str | None
    beat_at: dt.datetime
    beat_age_s: float
    host: str | None
    pid: int | None


class AgentAnswer(BaseModel):
    """An agent: what is wanted of it, and what its workers do."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["backfill"])
    desired: Desired = Field(description="What is wanted of it in every worker.")
    since: dt.datetime | None = Field(description="Since when; null where nobody ever said so.")
    state: str = Field(description="That of the first worker that is there; `absent` where none is.", examples=["idle"])
    is_served: bool = Field(description="Whether a worker takes its jobs, or will when it is started.")
    workers: list[WorkerAnswer]
    queued: int
    running: int
    oldest: dt.datetime | None = Field(description="When the oldest of those was asked for.")


class Asked(BaseModel):
    """The jobs by which the work is done, now or already."""

    items: list[JobAnswer] = Field(description="Empty where nothing is missing.")
    is_served: bool = Field(description="Whether a worker is there to do them; `POST /agents/{name}/start` begins one.")


def asked(house: House, request: Request, response: Response, job_ids: list[str], agent: str) -> Asked:
    """The answer to whoever asked for work; `Location` names the first of the jobs."""
    found = [JobAnswer.model_validate(house.queue.get(job_id)) for job_id in job_ids]
    if found:
        response.headers["Location"] = request.app.url_path_for("one_job", job_id=found[0].id.replace("#", "%23"))
    return Asked(items=found, is_served=is_served(house.operations, agent))
