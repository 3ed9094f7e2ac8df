"""The paths under `/_emu`, by which a test or a rehearsal tells the emulator what is to happen.

They ask for no key: serve the emulator on the loopback interface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from barlake.errors import InvalidInputError
from ingest_service.emulator.answers import json_response
from ingest_service.emulator.fault_rules import FaultRule, FaultRules
from ingest_service.emulator.faults import Fault
from ingest_service.emulator.state import EmulatorState
from ingest_service.emulator.stream_faults import StreamFault

__all__ = ["add_control_routes"]


class FaultOrder(BaseModel, extra="forbid"):
    """Body of `POST /_emu/faults`: kinds to inject by chance, rules for single requests, or both.

    What is not given stays as it is; `"clear": true` drops the rules that are left first.
    """

    faults: list[Fault] | None = None
    period: int | None = Field(None, ge=2)
    seed: int | None = Field(None, ge=0)
    rules: list[FaultRule] = []
    clear: bool = False


class ClockOrder(BaseModel, extra="forbid"):
    """Body of `POST /_emu/clock`; null is real time, and a speed that is not given stays as it is."""

    now: AwareDatetime | None
    speed: float | None = Field(None, ge=0)


class StreamOrder(BaseModel, extra="forbid"):
    """Body of `POST /_emu/stream`; `"clear": true` ends the faults that are in force first."""

    faults: list[StreamFault] = []
    clear: bool = False


class RevisionOrder(BaseModel, extra="forbid"):
    """Body of `POST /_emu/revise`: the values of a bar that change."""

    symbol: str
    timestamp: AwareDatetime
    values: dict[Literal["open", "high", "low", "close", "volume", "trade_count", "vwap"], float] = Field(min_length=1)


def add_control_routes(app: FastAPI, state: EmulatorState, *, on_clock_set: Callable[[], None]) -> None:
    """Give an application the paths that control it; `on_clock_set` is called whenever one moved the clock."""

    @app.exception_handler(InvalidInputError)
    async def refused(_request: Request, error: InvalidInputError) -> Response:
        return json_response(422, {"message": str(error)}, state.basic_headers())

    @app.get("/_emu/log")
    async def log() -> list[dict[str, object]]:
        return list(state.log)

    @app.post("/_emu/reset")
    async def reset() -> dict[str, str]:
        state.reset()
        on_clock_set()
        return {"message": "reset"}

    _add_what_changes(app, state, on_clock_set)
    _add_what_goes_wrong(app, state)


def _add_what_goes_wrong(app: FastAPI, state: EmulatorState) -> None:
    @app.post("/_emu/faults")
    async def faults(order: FaultOrder) -> dict[str, object]:
        period = state.config.fault_period if order.period is None else order.period
        seed = state.config.seed if order.seed is None else order.seed
        if order.faults is not None:
            state.arm(tuple(order.faults), period=period, seed=seed)
        if order.clear:
            state.rules = FaultRules()
        state.rules.add(order.rules)
        return {"faults": state.faults.faults, "period": period, "seed": seed, "rules": state.rules.rules}

    @app.post("/_emu/stream")
    async def stream(order: StreamOrder) -> dict[str, object]:
        if order.clear:
            state.stream_faults.clear()
        state.stream_faults.add(order.faults, state.clock.now())
        return {"faults": state.stream_faults.faults}


def _add_what_changes(app: FastAPI, state: EmulatorState, on_clock_set: Callable[[], None]) -> None:
    @app.post("/_emu/clock")
    async def set_clock(order: ClockOrder) -> dict[str, object]:
        state.clock.set(order.now, speed=order.speed)
        on_clock_set()
        return {"now": state.clock.now(), "speed": state.clock.speed}

    @app.post("/_emu/revise")
    async def revise(order: RevisionOrder) -> dict[str, int]:
        state.pages.clear()
        effective_us = state.revisions.post(
            order.symbol,
            order.timestamp,
            {str(name): value for name, value in order.values.items()},
            now=state.clock.now(),
        )
        return {"effective_us": effective_us}

    @app.post("/_emu/actions")
    async def actions(order: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
        state.pages.clear()
        return {"announced": state.actions.post(order)}
