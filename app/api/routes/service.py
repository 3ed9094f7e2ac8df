"""The service and its lake in figures."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.api.deps import HouseDep, LakeDep
from app.operations.prometheus import CONTENT_TYPE, metrics_page
from barlake.stats import lake_stats

__all__ = ["Stats", "SymbolStats", "router"]

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


class Stats(BaseModel):
    """Figures of the lake, from its manifest."""

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
def stats(lake: LakeDep) -> Stats:
    """Files, bytes and bars of the lake, by feed and symbol."""
    report = lake_stats(lake.store, lake.manifest)
    facts = {name: value for name, value in vars(report).items() if name != "symbols"}
    return Stats(**facts, symbols=[SymbolStats(**row) for row in report.symbols.iter_rows(named=True)])


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
