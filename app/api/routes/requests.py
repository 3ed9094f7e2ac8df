"""Asking for work over HTTP: bars, features, a model, a simulation. Each becomes jobs, which workers do."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.deps import HouseDep
from app.api.research_requests import SimulateRequest, TrainRequest
from app.api.work_answers import Asked, asked
from app.jobs.job import Agent
from app.use_cases.ingest import ask_for_bars
from app.use_cases.rebuilding import queue_features

__all__ = ["router"]

router = APIRouter(tags=["requests"])

Symbol = Annotated[str, Path(min_length=1, max_length=40, description="Its name.", examples=["SPY"])]
Feed = Annotated[str, Field(max_length=40)]


class IngestRequest(BaseModel):
    """Which bars: sessions [start, end) of a feed."""

    model_config = ConfigDict(extra="forbid")

    start: dt.date | None = Field(None, description="First session; null: 30 days ago.", examples=["2024-01-02"])
    end: dt.date | None = Field(None, description="First session that is left out; null: tomorrow.")
    feed: Feed | None = Field(None, description="Null: ALPACA_FEED; auto means sip.")
    force: bool = Field(False, description="Ask again for what the lake holds, too.")


class RebuildRequest(BaseModel):
    """Which feature tables."""

    model_config = ConfigDict(extra="forbid")

    sets: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(["core"], min_length=1, max_length=20)
    feed: Feed | None = Field(None, description="Null: sip, then iex, then the only other feed.")


@router.post("/ingest/{symbol:path}", status_code=202)
def ingest(
    house: HouseDep,
    request: Request,
    response: Response,
    symbol: Symbol,
    wanted: IngestRequest | None = None,
) -> Asked:
    """Ask for the minute bars that a symbol lacks: one job for each month, the newest first; none where all is held.

    Asking twice does it once. `GET /jobs/{id}` tells how far a job is.
    """
    chosen = wanted or IngestRequest()
    ids = ask_for_bars(
        house.lake, house.queue, [symbol], chosen.start, chosen.end, feed=chosen.feed, refetch=chosen.force
    )
    return asked(house, request, response, ids, Agent.BACKFILL)


@router.post("/features/{symbol:path}/rebuild", status_code=202)
def rebuild(
    house: HouseDep,
    request: Request,
    response: Response,
    symbol: Symbol,
    wanted: RebuildRequest | None = None,
) -> Asked:
    """Ask for a symbol's feature tables whose bars have changed; none where all are current."""
    chosen = wanted or RebuildRequest()
    ids = queue_features(house.lake, house.queue, symbol, chosen.sets, feed=chosen.feed)
    return asked(house, request, response, ids, Agent.FEATURES)


@router.post("/train", status_code=202)
def train(house: HouseDep, request: Request, response: Response, wanted: TrainRequest) -> Asked:
    """Ask for a model; the result of the job names it. Equal options on equal features are one model.

    Code of one's own is trained from the command line only.
    """
    from app.use_cases.training import queue_training  # noqa: PLC0415 - scikit-learn, for the first who trains

    job_id = queue_training(house.lake, house.queue, wanted.symbols, wanted.options())
    return asked(house, request, response, [job_id], Agent.RESEARCH)


@router.post("/simulate", status_code=202)
def simulate(house: HouseDep, request: Request, response: Response, wanted: SimulateRequest) -> Asked:
    """Ask for a simulation; the result of the job names the run. Equal options on equal bars are one run.

    Strategies and signals of one's own are simulated from the command line only.
    """
    from app.use_cases.simulation import queue_simulation  # noqa: PLC0415 - the simulator, for the first who asks

    job_id = queue_simulation(house.lake, house.queue, wanted.symbols, wanted.options())
    return asked(house, request, response, [job_id], Agent.RESEARCH)
