"""The routes: Alpaca's paths of both its hosts, data and trading, on one.

Requests are answered one at a time on the event loop (a page of 10,000 bars takes about 10 ms), so the
order of faults and budgets is the order of the requests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response, WebSocket
from starlette.exceptions import HTTPException

from barlake.keys import SYNTHETIC_FEED
from barlake.sessions import Calendar
from ingest_service.emulator.answers import json_response
from ingest_service.emulator.config import EmulatorConfig
from ingest_service.emulator.control import add_control_routes
from ingest_service.emulator.desk import Call, Desk
from ingest_service.emulator.state import EmulatorState
from ingest_service.emulator.stream import DELAYED, NEWS, TEST, StreamHub
from ingest_service.emulator.ticker import Ticker

__all__ = ["create_app"]

FEEDS = ("iex", "sip", SYNTHETIC_FEED)
"""Feeds that have a stream; whether a key may listen to one is said after it has been shown."""


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
    hub = StreamHub(state)
    ticker = Ticker(state, hub)
    _add_stream(app, hub, ticker)
    add_control_routes(app, state, on_clock_set=ticker.clock_was_set)

    @app.exception_handler(HTTPException)
    async def no_such_route(_request: Request, error: HTTPException) -> Response:
        return json_response(error.status_code, {"message": error.detail}, state.basic_headers())

    return app


def _add_data_routes(app: FastAPI, desk: Desk) -> None:
    paths: dict[str, tuple[str, Callable[[Call], bytes]]] = {
        "/v2/stocks/bars": ("data", desk.bars),
        "/v2/stocks/bars/latest": ("data", desk.latest),
        "/v2/stocks/snapshots": ("data", desk.snapshots),
        "/v1beta3/crypto/us/bars": ("data", desk.crypto_bars),
        "/v1/corporate-actions": ("data", desk.actions),
        "/v1beta1/news": ("data", desk.news),
        "/v2/calendar": ("trading", desk.calendar),
        "/v2/clock": ("trading", desk.clock),
        "/v2/assets": ("trading", desk.assets),
    }
    for path, (surface, handler) in paths.items():
        app.add_api_route(path, _route(desk, surface, handler))

    @app.get("/v2/stocks/{symbol}/bars")
    async def bars_of_one(request: Request, symbol: str) -> Response:
        return await desk.answer(request, "data", lambda call: desk.bars(call, symbol))


def _route(desk: Desk, surface: str, handler: Callable[[Call], bytes]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await desk.answer(request, surface, handler)

    return answer


def _add_stream(app: FastAPI, hub: StreamHub, ticker: Ticker) -> None:
    @app.websocket("/v2/{feed}")
    async def stream(websocket: WebSocket, feed: str) -> None:
        if feed not in {*FEEDS, TEST, DELAYED}:
            await websocket.close()  # before it is accepted, so it is a refusal of the handshake
            return
        await hub.serve(websocket, feed, on_entry=ticker.start)

    @app.websocket("/v1beta1/news")
    async def news(websocket: WebSocket) -> None:
        await hub.serve(websocket, NEWS, on_entry=ticker.start)
