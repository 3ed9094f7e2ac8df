"""The application: every route of `ROUTERS`, guarded, its errors told as problems.

`uvicorn app.api.main:app` and `barlake serve` run it; `create_app` makes another, for a test or a lake of its own.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI

from app.api.access import Doorkeeper, guard
from app.api.description import describe
from app.api.envelope import Envelope
from app.api.errors import PROBLEMS, install_error_handlers
from app.api.house import House, open_house
from app.api.request_metrics import RequestMetrics
from app.api.routes import (
    agents,
    bars,
    events,
    features,
    health,
    holdings,
    jobs,
    logs,
    models,
    quality,
    reference,
    requests,
    runs,
    schedule,
    service,
    sql,
)
from app.api.stopping import set_by_signals
from app.operations.logs import configure_logging
from barlake.settings import Settings, load_settings

__all__ = ["ROUTERS", "create_app"]

ROUTERS: tuple[APIRouter, ...] = (
    agents.router,
    bars.router,
    events.router,
    features.router,
    holdings.router,
    jobs.router,
    logs.router,
    models.router,
    quality.router,
    requests.router,
    runs.router,
    schedule.router,
    service.router,
    sql.router,
)
"""Every route that asks for a caller; add a module's router here. A fixed path stands before one with a parameter."""

OPEN_ROUTERS: tuple[APIRouter, ...] = (health.router, reference.router)
"""Routes that everybody may ask."""

_ABOUT = """Minute bars, features, models and simulations of one lake.

Symbols and ids may hold a slash, as `BTC/USD` does; it stands in the path as it is. Instants are ISO 8601 with their
zone; ranges are half-open. Every answer names its request in `X-Request-ID`; every error is a problem (RFC 9457).
Programs on the service's own machine need no key, unless it was told otherwise.
"""


def create_app(
    settings: Settings | None = None,
    *,
    house: House | None = None,
    is_open: bool | None = None,
    keeps_log: bool = False,
    processes: int = 1,
) -> FastAPI:
    """The service of one lake.

    Parameters
    ----------
    settings
        None reads the environment and `.env`.
    house
        Parts that somebody else has opened and will close; None opens those that the settings name while it runs.
    is_open
        Whether programs on this machine need no key; None does as the settings say.
    keeps_log
        Have this process log as a service does, from its start on: as JSON, and kept in the operations database.
    processes
        How many serve together, this one among them.
    """
    chosen = settings or (house.settings if house else load_settings())
    metrics = RequestMetrics()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with contextlib.ExitStack() as stack:
            opened = house
            if opened is None:
                opened = await to_thread.run_sync(stack.enter_context, open_house(chosen))
                stack.enter_context(set_by_signals(opened.stopping))
            if keeps_log:
                stack.callback(configure_logging(chosen, agent="api", operations=opened.operations).close)
            opens = chosen.api_open_on_loopback if is_open is None else is_open
            app.state.house = opened
            app.state.metrics = metrics
            app.state.doorkeeper = Doorkeeper(opened.operations.api_keys, chosen, is_open=opens, processes=processes)
            try:
                yield
            finally:
                opened.stopping.set()

    app = FastAPI(
        title="Barlake",
        version=importlib.metadata.version("barlake"),
        description=_ABOUT,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # both pages would load their scripts from elsewhere
        redoc_url=None,
    )
    app.openapi = functools.partial(describe, app)  # type: ignore[method-assign]
    app.add_middleware(Envelope, observe=metrics.observe)
    install_error_handlers(app)
    for router in OPEN_ROUTERS:
        app.include_router(router, responses=PROBLEMS)
    for router in ROUTERS:
        app.include_router(router, responses=PROBLEMS, dependencies=[Depends(guard)])
    return app


def __getattr__(name: str) -> Any:
    """`app`, made when `uvicorn app.api.main:app` asks for it: an import alone reads no settings."""
    if name == "app":
        return create_app(keeps_log=True)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
