"""The service and its lake in figures."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.api.deps import HouseDep
from app.operations.prometheus import CONTENT_TYPE, metrics_page
from app.use_cases.overview import overview
from barlake.stats import lake_stats

__all__ = ["FeedStats", "NeedStats", "Stats", "SymbolStats", "router"]

router = APIRouter(tags=["service"])


class SymbolStats(BaseModel):
    """What is held of one symbol of one feed."""

    feed: str = Field(examples=["sip"])
    symbol: str = Field(examples=["SPY"])
    sessions: int
    bars: int
    files: int
    bytes: int
    bytes_per_bar: float | None
    sessions_per_file: float | None = Field(description="Few sessions a file are what makes reading slow.")


class FeedStats(BaseModel):
    """How fresh one feed is."""

    feed: str = Field(description="`synthetic` bars are made up.", examples=["sip"])
    bars: int
    newest: dt.datetime = Field(description="Opening instant of the newest bar, UTC.")
    lag_s: float = Field(description="Market time by which that is behind the market, seconds.")


class NeedStats(BaseModel):
    """One thing that needs somebody."""

    gravity: str = Field(examples=["warning"])
    text: str
    place: str = Field(description="Where it is mended: jobs, agents, logs or settings.", examples=["jobs"])


class Stats(BaseModel):
    """The lake at one look, and the figures of its manifest."""

    at: dt.datetime = Field(description="Machine time of the look, UTC.")
    market_now: dt.datetime = Field(description="Market time of the look, UTC.")
    market_phase: str = Field(description="open, pre, post or closed.", examples=["closed"])
    last_commit: dt.datetime | None = Field(description="When the lake last changed.")
    feeds: list[FeedStats]
    needs: list[NeedStats] = Field(description="What needs somebody, the gravest first.")
    jobs: dict[str, int] = Field(description="How many jobs are in each state.", examples=[{"done": 40, "queued": 2}])
    workers: list[str] = Field(description="Those whose heart beats.")
    models: int
    runs: int
    files: int = Field(description="Files that count.")
    bytes: int
    bars: int
    revisions: int = Field(description="Bars that a later answer replaced.")
    records: int = Field(description="Versions of daily bars, articles and macro values.")
    bytes_per_bar: float | None
    dead_files: int = Field(description="Files that count no more, or never did, and wait for the vacuum.")
    dead_bytes: int
    symbols: list[SymbolStats] = Field(description="Those with most files first.")


@router.get("/stats")
def stats(house: HouseDep) -> Stats:
    """What is here, how fresh it is, what needs somebody; files, bytes and bars by feed and symbol."""
    seen, report = overview(house.observer), lake_stats(house.lake.store, house.lake.manifest)
    figures = {name: value for name, value in vars(report).items() if name != "symbols"}
    return Stats(
        **figures,
        symbols=[SymbolStats(**row) for row in report.symbols.iter_rows(named=True)],
        at=seen.at,
        market_now=seen.market_now,
        market_phase=seen.market.phase,
        last_commit=seen.last_commit,
        feeds=[
            FeedStats(feed=one.feed, bars=one.bars, newest=one.newest, lag_s=one.lag.total_seconds())
            for one in seen.feeds
        ],
        needs=[NeedStats(**vars(one)) for one in seen.needs],
        jobs=seen.jobs,
        workers=list(seen.workers),
        models=seen.models,
        runs=seen.runs,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Metrics as Prometheus reads them.",
            "content": {CONTENT_TYPE: {"schema": {"type": "string"}}},
        }
    },
)
def metrics(house: HouseDep, request: Request) -> Response:
    """Metrics of the lake, its workers and this service, for Prometheus."""
    page = metrics_page(house.observer, request.app.state.metrics.registry)
    return Response(page, media_type=CONTENT_TYPE)
