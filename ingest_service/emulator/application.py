"""The routes: Alpaca's paths under `/v1` and `/v2`, control of the emulator under `/_emu`.

Requests are answered one at a time on the event loop (a page of 10,000 bars takes about 20 ms), so the
order of faults and budgets is the order of the requests. The control paths ask for no key: serve the
emulator on the loopback interface.
"""

from __future__ import annotations

import datetime as dt

from fastapi import FastAPI, Request, Response
from pydantic import AwareDatetime, BaseModel, Field
from starlette.exceptions import HTTPException

from barlake.sessions import Calendar
from ingest_service.emulator.answers import json_response
from ingest_service.emulator.config import EmulatorConfig
from ingest_service.emulator.desk import Desk
from ingest_service.emulator.faults import Fault
from ingest_service.emulator.state import EmulatorState

__all__ = ["create_app"]


class FaultOrder(BaseModel, extra="forbid"):
    """Body of `POST /_emu/faults`."""

    faults: list[Fault]
    period: int | None = Field(None, ge=2)
    seed: int | None = Field(None, ge=0)


class ClockOrder(BaseModel, extra="forbid"):
    """Body of `POST /_emu/clock`; null is real time."""

    now: AwareDatetime | None


def create_app(config: EmulatorConfig, *, calendar: Calendar | None = None) -> FastAPI:
    """An application that answers as Alpaca does.

    Parameters
    ----------
    config
        What to serve.
    calendar
        Sessions; the default calendar is built when they are first needed.

    Raises
    ------
    InvalidInputError
        If the folder of bars cannot be served.
    """
    state = EmulatorState(config, Calendar.default if calendar is None else lambda: calendar)
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    _add_data_routes(app, Desk(state))
    _add_control_routes(app, state)

    @app.exception_handler(HTTPException)
    async def no_such_route(_request: Request, error: HTTPException) -> Response:
        return json_response(error.status_code, {"message": error.detail}, state.basic_headers())

    return app


def _add_data_routes(app: FastAPI, desk: Desk) -> None:
    @app.get("/v2/stocks/bars")
    async def bars(request: Request) -> Response:
        return await desk.answer(request, "data", desk.bars)

    @app.get("/v2/stocks/{symbol}/bars")
    async def bars_of_one(request: Request, symbol: str) -> Response:
        return await desk.answer(request, "data", lambda call: desk.bars(call, symbol))

    @app.get("/v1/corporate-actions")
    async def corporate_actions(request: Request) -> Response:
        return await desk.answer(request, "data", desk.actions)

    @app.get("/v2/calendar")
    async def calendar(request: Request) -> Response:
        return await desk.answer(request, "trading", desk.calendar)

    @app.get("/v2/clock")
    async def clock(request: Request) -> Response:
        return await desk.answer(request, "trading", desk.clock)


def _add_control_routes(app: FastAPI, state: EmulatorState) -> None:
    @app.get("/_emu/log")
    async def log() -> list[dict[str, object]]:
        return list(state.log)

    @app.post("/_emu/reset")
    async def reset() -> dict[str, str]:
        state.reset()
        return {"message": "reset"}

    @app.post("/_emu/faults")
    async def faults(order: FaultOrder) -> dict[str, object]:
        period = state.config.fault_period if order.period is None else order.period
        seed = state.config.seed if order.seed is None else order.seed
        state.arm(tuple(order.faults), period=period, seed=seed)
        return {"faults": state.faults.faults, "period": period, "seed": seed}

    @app.post("/_emu/clock")
    async def set_clock(order: ClockOrder) -> dict[str, dt.datetime]:
        state.clock.set(order.now)
        return {"now": state.clock.now()}
