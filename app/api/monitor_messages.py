"""Events as they are sent, on either way: one JSON object each, whose `event` says which."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.jobs.job import JobRecord, JobState
from app.operations.heartbeats import Heartbeat
from app.use_cases.monitor import Change, NewBars, Picture, Topic, Trouble
from barlake.freshness import SymbolHeld

__all__ = ["MonitorMessage", "PingMessage", "StateMessage", "Told", "state_of", "told_of"]


class _Seen(BaseModel):
    """Made of what the lower floors call alike."""

    model_config = ConfigDict(from_attributes=True)


class JobMoment(_Seen):
    """How far a running job has come."""

    done: int | None
    total: int | None
    unit: str
    rows: int
    next_step: str | None
    seconds_left: float | None


class JobMessage(_Seen):
    """A job that is new, or is no longer as it was."""

    event: Literal["job"] = "job"
    id: str = Field(examples=["bars/sip/SPY/2024-01"])
    task: str = Field(examples=["bars"])
    agent: str = Field(examples=["backfill"])
    state: JobState
    worker: str | None = Field(description="Who runs it, or ran it last.")
    attempts: int
    created_at: dt.datetime
    updated_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    progress: JobMoment | None = Field(description="Of the twelve oldest that run.")
    error: str | None = Field(description="Why it failed, or why it is paused.")


class HeartbeatMessage(_Seen):
    """What an agent of a worker does now."""

    event: Literal["heartbeat"] = "heartbeat"
    worker: str
    agent: str = Field(examples=["backfill"])
    state: str = Field(
        description="As its last beat said; `stalled` once three did not come, `gone` once its worker ended in order.",
        examples=["working"],
    )
    job: str | None
    symbol: str | None
    done: int | None
    total: int | None
    next_step: str | None
    beat_at: dt.datetime = Field(description="Machine time, UTC.")


class CoverageMessage(_Seen):
    """What is held of a symbol of which more, less or something else is held than before."""

    event: Literal["coverage"] = "coverage"
    feed: str = Field(description="`synthetic` bars are made up.", examples=["sip"])
    symbol: str = Field(examples=["SPY"])
    sessions: int
    bars: int
    first: dt.date = Field(description="First session held.")
    last: dt.date = Field(description="Last session held.")
    newest: dt.datetime = Field(description="Opening instant of the newest bar, UTC.")


class BarsMessage(_Seen):
    """Bars that came."""

    event: Literal["bars"] = "bars"
    feed: str = Field(description="`synthetic` bars are made up.", examples=["sip"])
    symbol: str = Field(examples=["SPY"])
    count: int = Field(description="How many more there are.")
    newest: dt.datetime = Field(description="Opening instant of the newest bar now held, UTC.")


class ProblemMessage(_Seen):
    """A part that cannot be looked at, or can again; told whatever the topics."""

    event: Literal["problem"] = "problem"
    part: str = Field(examples=["queue"])
    text: str | None = Field(description="Why; null once it can be looked at again.")


class StateMessage(BaseModel):
    """The whole state: first on every connection, and again when something was missed."""

    event: Literal["state"] = "state"
    at: dt.datetime = Field(description="Machine time of the look, UTC.")
    missed: bool = Field(description="Whether changes since the last event were not told one by one.")
    jobs: list[JobMessage] | None = Field(
        description="Those that run and the 200 that changed last; null unless asked."
    )
    heartbeats: list[HeartbeatMessage] | None = Field(description="Null unless the topic is asked for.")
    coverage: list[CoverageMessage] | None = Field(description="Null unless coverage or bars are asked for.")
    problems: Mapping[str, str] = Field(
        description="Parts that cannot be looked at; of them it is the last known state."
    )


class PingMessage(BaseModel):
    """Nothing happened for a while; by websocket alone, streams of events have comments for it."""

    event: Literal["ping"] = "ping"


MonitorMessage = Annotated[
    StateMessage | JobMessage | HeartbeatMessage | CoverageMessage | BarsMessage | ProblemMessage,
    Field(discriminator="event"),
]

_FORMS: dict[type, type[_Seen]] = {
    JobRecord: JobMessage,
    Heartbeat: HeartbeatMessage,
    SymbolHeld: CoverageMessage,
    NewBars: BarsMessage,
    Trouble: ProblemMessage,
}


@dataclass(frozen=True)
class Told:
    """An event as it is sent; all who listen share its text."""

    topic: Topic | None
    event: str
    text: str


def told_of(change: Change) -> Told:
    """An event of a change."""
    form = _FORMS[type(change.what)]
    return Told(change.topic, form.model_fields["event"].default, form.model_validate(change.what).model_dump_json())


def state_of(picture: Picture, topics: frozenset[Topic], *, has_missed: bool) -> StateMessage:
    """The whole state, as far as somebody wants to know it."""
    jobs = [JobMessage.model_validate(one) for one in picture.jobs.values()]
    beats = [HeartbeatMessage.model_validate(one) for one in picture.heartbeats.values()]
    held = [CoverageMessage.model_validate(one) for one in picture.coverage.values()]
    return StateMessage(
        at=picture.at,
        missed=has_missed,
        jobs=jobs if Topic.JOB in topics else None,
        heartbeats=beats if Topic.HEARTBEAT in topics else None,
        coverage=held if topics & {Topic.COVERAGE, Topic.BARS} else None,
        problems=picture.problems,
    )
