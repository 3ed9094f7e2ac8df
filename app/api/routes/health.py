"""Whether the service lives, and whether it can answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from app.api.access import Caller, anyone
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


_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "Not ready, and why."}}


@router.get("", responses=_NOT_READY)
@router.get("/ready", responses=_NOT_READY)
def ready(house: HouseDep, caller: Annotated[Caller | None, Depends(anyone)], response: Response) -> Health:
    """Say whether the lake, the queue and the operations database can be asked; status 503 when one cannot.

    Why it cannot is told to those who may ask the service; others learn which part it is.
    """
    problems = dict(house.observer.look().problems)
    response.status_code = 503 if problems else 200
    reasons = problems if caller else dict.fromkeys(problems, "a key is needed to read why")
    return Health(ready=not problems, reasons=reasons)
