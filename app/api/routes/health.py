"""Whether the service lives, and whether it can answer."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.deps import HouseDep

__all__ = ["Health", "Live", "router"]

router = APIRouter(prefix="/health", tags=["service"])


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = True


class Health(Live):
    """Whether the service can answer, and what is in the way."""

    ready: bool
    reasons: dict[str, str] = Field(
        description="Parts that cannot be asked, each with a sentence; none when it is ready.",
        examples=[{"queue": "the database of the queue cannot be reached"}],
    )


@router.get("/live")
async def live() -> Live:
    """Say that the process answers; asks nothing else."""
    return Live()


@router.get("")
@router.get("/ready")
def ready(house: HouseDep, response: Response) -> Health:
    """Say whether the lake, the queue and the operations database can be asked; status 503 when one cannot."""
    problems = dict(house.observer.look().problems)
    response.status_code = 503 if problems else 200
    return Health(ready=not problems, reasons=problems)
