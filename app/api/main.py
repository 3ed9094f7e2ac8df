"""The application: every route of `ROUTERS`, guarded, its errors told as problems.

`uvicorn app.api.main:app` and `barlake serve` run it; `create_app` makes another, for a test or a lake of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI

from app.api.access import guard
from app.api.errors import PROBLEMS, install_error_handlers
from app.api.house import House, open_house
from app.api.routes import health, sql
from barlake.settings import Settings, load_settings

__all__ = ["ROUTERS", "create_app"]

ROUTERS: tuple[APIRouter, ...] = (sql.router,)
"""Every route that asks for a caller; add a module's router here. A fixed path stands before one with a parameter."""

OPEN_ROUTERS: tuple[APIRouter, ...] = (health.router,)
"""Routes that everybody may ask."""


def create_app(settings: Settings | None = None, *, house: House | None = None) -> FastAPI:
    """The service of one lake.

    Parameters
    ----------
    settings
        None reads the environment and `.env`.
    house
        Parts that somebody else has opened and will close; None opens those that the settings name while it runs.
    """
    chosen = settings or (house.settings if house else load_settings())

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with contextlib.ExitStack() as stack:
            app.state.house = house or await to_thread.run_sync(stack.enter_context, open_house(chosen))
            yield

    app = FastAPI(
        title="Barlake",
        description="Minute bars, features, models and simulations of one lake.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    install_error_handlers(app)
    for router in OPEN_ROUTERS:
        app.include_router(router, responses=PROBLEMS)
    for router in ROUTERS:
        app.include_router(router, responses=PROBLEMS, dependencies=[Depends(guard)])
    return app


def __getattr__(name: str) -> Any:
    """`app`, made when `uvicorn app.api.main:app` asks for it: an import alone reads no settings."""
    if name == "app":
        return create_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
