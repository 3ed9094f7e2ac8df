"""The page: every section filled from a run's figures and tables, in the order a reader asks."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
from collections.abc import Mapping
from typing import Any

import jinja2
import polars as pl

from barlake.keys import SYNTHETIC_FEED

__all__ = ["code", "render"]

_TEMPLATE = "page.html.j2"


def render(
    results: Mapping[str, Any],
    equity: pl.DataFrame,
    trades: pl.DataFrame,
    *,
    run_id: str,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Any],
    code: str,
) -> str:
    """HTML text of one run.

    Parameters
    ----------
    results, parameters, inputs, code
        As the run's manifest holds them (see `simulation_service.simulate`).
    equity
        timestamp, session, equity_usd, buy_and_hold_usd, same_close_usd (may be null); one row per bar.
    trades
        symbol and what `simulation_service.trades.round_trips` gives; one row per round trip.
    """
    del equity, trades
    return _template().render(
        results=results,
        parameters=parameters,
        inputs=inputs,
        run_id=run_id,
        code=code,
        is_synthetic=parameters.get("feed") == SYNTHETIC_FEED,
    )


@functools.cache
def code() -> str:
    """SHA-256 over everything that shapes the page: the modules, the template and the style sheet of this package."""
    digest = hashlib.sha256()
    for part in sorted(importlib.resources.files(__package__).iterdir(), key=lambda one: one.name):
        if part.name.endswith((".py", ".j2", ".css")):
            digest.update(part.name.encode() + b"\0" + part.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def _template() -> jinja2.Template:
    loader = jinja2.FunctionLoader(_part)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader
    )
    return environment.get_template(_TEMPLATE)


def _part(name: str) -> str:
    return (importlib.resources.files(__package__) / name).read_text(encoding="utf-8")
