"""The page: every section filled from a run's figures and tables, in the order a reader asks."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
from collections.abc import Mapping
from typing import Any

import jinja2
import markupsafe
import polars as pl

from barlake.keys import SYNTHETIC_FEED, Adjustment
from simulation_service.execution import Fill
from simulation_service.tear_sheet import typeset
from simulation_service.tear_sheet.curves import Paths, drawdown_chart, equity_chart, sharpe_chart
from simulation_service.tear_sheet.deals import groups, last_trades, scatter
from simulation_service.tear_sheet.figures import benchmark, cards, columns, fill_title, rows
from simulation_service.tear_sheet.hours import heat_map
from simulation_service.tear_sheet.months import month_table
from simulation_service.tear_sheet.origin import hashes, listed, settings, shares_by_source
from simulation_service.tear_sheet.rungs import chance, rungs
from simulation_service.tear_sheet.words import verdict

__all__ = ["code", "render"]

_TEMPLATE, _STYLE = "page.html.j2", "style.css"


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
    """HTML text of one run, the same for the same arguments.

    Parameters
    ----------
    results, parameters, inputs, code
        As the run's manifest holds them (see `simulation_service.simulate`).
    equity
        timestamp, session, equity_usd, buy_and_hold_usd, same_close_usd (both may be null); one row per bar.
    trades
        symbol and what `simulation_service.trades.round_trips` gives; one row per round trip.
    """
    origin = {
        "run_id": run_id,
        "settings": settings(parameters),
        "adjustment": parameters.get("adjustment", Adjustment.RAW.value),
        "hashes": hashes(inputs, code=code, run_id=run_id),
        "sources": shares_by_source(results.get("bars_by_source") or {}),
    }
    sections = _head(results) | _curves(results, equity) | _luck(results) | _trades(trades)
    return _template().render(results=results, style=markupsafe.Markup(_part(_STYLE)), **origin, **sections)  # noqa: S704 - our own file


def _head(results: Mapping[str, Any]) -> dict[str, Any]:
    heads = columns(results)
    return {
        "title": ", ".join(_symbols(results)),
        "subject": _subject(results["signals_from"], results["signals_name"]),
        "is_synthetic": results["feed"] == SYNTHETIC_FEED,
        "is_optimistic": Fill(results["fill"]).is_optimistic,
        "legend": fill_title(results["fill"]),
        "verdict": verdict(results),
        "remarks": [*results["remarks"], *results["told"]],
        "cards": cards(results, results.get("deflation")),
        "columns": heads,
        "figures": rows(heads),
        "worst": results["account"]["metrics"],
    }


def _subject(kind: str, name: str) -> str:
    """What gave the signals; the house's own strategies by their name in words."""
    if kind == "strategy" and name.isidentifier():
        return name.replace("_", " ")
    return f"{'signals' if kind == 'file' else kind} {name}"


def _symbols(results: Mapping[str, Any]) -> list[str]:
    return list(results["symbols"]) if "symbols" in results else [results["symbol"]]


def _curves(results: Mapping[str, Any], equity: pl.DataFrame) -> dict[str, Any]:
    legend = fill_title(results["fill"])
    paths = Paths(equity, float(results["cash_usd"]))
    window, sharpe = sharpe_chart(paths, legend)
    held = None if paths.held is None else paths.returns(paths.held)
    return {
        "equity_chart": equity_chart(paths, legend),
        "shows_same_close": paths.same_close is not None,
        "drawdown_chart": drawdown_chart(paths, legend),
        "window": window,
        "sharpe_chart": sharpe,
        "years": month_table(paths.returns(paths.own), held, paths.sessions),
        "heat": heat_map(paths),
    }


def _luck(results: Mapping[str, Any]) -> dict[str, Any]:
    ladder, entries = results.get("ladder"), results.get("random_entries")
    last = ladder["rungs"][-1]["execution"] if ladder else {"costs": {}}
    return {
        "ladder": ladder,
        "rungs": rungs(ladder) if ladder else [],
        "rung_costs": listed(last["costs"]),
        "rung_cap": last.get("volume_share"),
        "entries": entries,
        "chance": chance(entries, benchmark(results)["metrics"]["total_return"]) if entries else None,
        "deflation": results.get("deflation"),
    }


def _trades(trades: pl.DataFrame) -> dict[str, Any]:
    return {
        "scatter": scatter(trades),
        "reasons": groups(trades, "exit_reason"),
        "symbols": groups(trades, "symbol"),
        "trades": last_trades(trades),
    }


@functools.cache
def code() -> str:
    """SHA-256 over everything that shapes the page: the modules, the templates and the style sheet of this package."""
    digest = hashlib.sha256()
    for part in sorted(importlib.resources.files(__package__).iterdir(), key=lambda one: one.name):
        if part.name.endswith((".py", ".j2", ".css")):
            digest.update(part.name.encode() + b"\0" + part.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_part),
    )
    environment.filters.update({"number": typeset.number, "eastern": typeset.eastern, "day": typeset.day})
    return environment.get_template(_TEMPLATE)


def _part(name: str) -> str:
    return (importlib.resources.files(__package__) / name).read_text(encoding="utf-8")
