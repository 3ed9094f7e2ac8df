"""When workers bring the lake up to date by themselves."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from app.api.deps import LakeDep, OperationsDep, QueueDep
from app.schedules.scheduler import fire_now
from app.use_cases.schedules import schedules_of, schedules_standing

__all__ = ["Fired", "OneSchedule", "ScheduleList", "Switched", "router"]

router = APIRouter(prefix="/schedule", tags=["work"])

Name = Annotated[str, Path(max_length=64, description="Of the schedule.", examples=["daily"])]


class OneSchedule(BaseModel):
    """One schedule; instants are UTC, by market time."""

    name: str = Field(examples=["daily"])
    when: str = Field(description="Its trigger in words.", examples=["30 6 * * 2-6 UTC"])
    paused: bool
    next_due: dt.datetime | None = Field(description="Null while it is paused, or waits for no time.")
    last_due: dt.datetime | None
    last_job: str | None
    last_state: str | None = Field(examples=["done"])
    work: dict[str, Any] = Field(description="What it updates; empty is everything.", examples=[{"parts": ["bars"]}])


class ScheduleList(BaseModel):
    """Every schedule, by name."""

    items: list[OneSchedule]


class Switched(BaseModel):
    """Whether a schedule is paused now."""

    name: str
    paused: bool


class Fired(BaseModel):
    """The job that waits for a worker now."""

    name: str
    job: str = Field(examples=["update/daily/2024-01-03T06:30Z"])


@router.get("")
def schedule(lake: LakeDep, operations: OperationsDep, queue: QueueDep) -> ScheduleList:
    """Every schedule, with when it goes next and what became of its last job."""
    found = schedules_standing(lake, schedules_of(lake, operations), queue)
    return ScheduleList(items=[OneSchedule(**vars(one)) for one in found])


@router.post("/{name}/pause")
def pause(name: Name, lake: LakeDep, operations: OperationsDep) -> Switched:
    """Let the times of a schedule pass until it is resumed."""
    schedules_of(lake, operations).pause(name)
    return Switched(name=name, paused=True)


@router.post("/{name}/resume")
def resume(name: Name, lake: LakeDep, operations: OperationsDep) -> Switched:
    """Let a schedule go on with its next time; those that passed in the pause are not caught up."""
    schedules_of(lake, operations).resume(name, lake.now())
    return Switched(name=name, paused=False)


@router.post("/{name}/run", status_code=202)
def run(name: Name, lake: LakeDep, operations: OperationsDep, queue: QueueDep) -> Fired:
    """Have a worker do at once what a schedule does, also of a paused one."""
    return Fired(name=name, job=fire_now(schedules_of(lake, operations), queue, name, lake.now()))
