"""The page of a sweep: what the best set is worth, heat maps, and the best sets in a table."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import markupsafe
import polars as pl

from barlake.artifacts import canonical_json
from barlake.keys import SYNTHETIC_FEED
from simulation_service import tear_sheet
from simulation_service.sweeps.grid import Axis
from simulation_service.sweeps.heat import heat_maps, value_text
from simulation_service.tear_sheet import typeset

__all__ = ["page_text", "render", "verdict"]

_TEMPLATE = "page.html.j2"
_BEST_ROWS = 25
_TWO_AXES = 2
_SHOWN = (
    ("sharpe", "Sharpe", "ratio"), ("total_return", "return", "percent"), ("max_drawdown", "drawdown", "share"),
    ("trades", "trades", "count"), ("turnover", "turnover", "ratio"), ("costs_usd", "costs, $", "usd"),
    ("final_value_usd", "final value, $", "usd"),
)  # fmt: skip


@dataclass(frozen=True)
class _Card:
    title: str
    value: str
    beside: str


def render(
    results: Mapping[str, Any],
    table: pl.DataFrame,
    places: pl.DataFrame,
    axes: Sequence[Axis],
    *,
    sweep_id: str,
    inputs: Mapping[str, Any],
    code: str,
) -> str:
    """HTML text of one sweep, the same for the same arguments.

    Parameters
    ----------
    results, inputs, code
        As the sweep's manifest holds them.
    table
        Every set with its figures, as sets.parquet holds it.
    places
        Place of each set's value on each axis, as `heat_maps` takes them.
    axes
        Those with several values.
    """
    best = table.filter(pl.col("sharpe").is_not_null()).sort("sharpe", descending=True, maintain_order=True)
    return _template().render(
        results=results,
        sweep_id=sweep_id,
        style=markupsafe.Markup(_style()),  # noqa: S704 - our own file
        is_synthetic=results["feed"] == SYNTHETIC_FEED,
        verdict=verdict(results),
        remarks=[*results["remarks"], *results["told"]],
        cards=list(_cards(results)),
        maps=heat_maps(axes, places.with_columns(table["sharpe"]), "sharpe"),
        several=len(axes) > _TWO_AXES,
        heads=[*(axis.name for axis in axes), *(head for _, head, _ in _SHOWN)],
        rows=[list(_row(row, axes)) for row in best.head(_BEST_ROWS).iter_rows(named=True)],
        facts=list(_facts(results, inputs, code)),
    )


def verdict(results: Mapping[str, Any]) -> str:
    """What the best set is worth among all that were tried, in one sentence or two."""
    best, worth = results["best"], results["deflation"]
    if best is None:
        return f"None of {results['sets']:,} sets has a Sharpe ratio: none of them earned or lost anything."
    swept = [name for name, values in results["grid"].items() if len(values) > 1]
    name = ", ".join(f"{name} {value_text(best['values'][name])}" for name in swept)
    said = f"The best of {results['sets']:,} sets is {name}, with a Sharpe ratio of {best['figures']['sharpe']:.2f}."
    if worth is not None:
        said += (
            f" Of the {worth['trials']:,} tries on record here the best would show {_yearly(worth['expected_best'])} "
            f"without any skill: the deflated Sharpe ratio is {worth['probability']:.0%}."
        )
    if results["overfitting"] is not None:
        said += (
            " Chosen on one half of the time, the best falls below the median on the other half in "
            f"{results['overfitting']:.0%} of all ways to halve it."
        )
    return said


def _yearly(sharpe: float) -> str:
    """A Sharpe ratio of a session as one of a year."""
    return f"{sharpe * 252**0.5:.2f}"


def _cards(results: Mapping[str, Any]) -> Iterator[_Card]:
    held, worth = results["buy_and_hold"], results["deflation"]
    best = None if results["best"] is None else results["best"]["figures"]
    if best is not None:
        yield _Card("best Sharpe ratio", typeset.number(best["sharpe"], "ratio"), f"of {results['sets']:,} sets")
        yield _Card("its return", typeset.number(best["total_return"], "percent"), "over the whole period")
    yield _Card("median Sharpe ratio", typeset.number(results["median_sharpe"], "ratio"), "of all sets")
    yield _Card(
        "bought and held",
        typeset.number(held["sharpe"], "ratio"),
        f"Sharpe ratio; {typeset.number(held['total_return'], 'percent')}",
    )
    chance = None if worth is None else worth["probability"]
    yield _Card("deflated Sharpe ratio", typeset.number(chance, "whole_share"), "95\N{NO-BREAK SPACE}% convinces")
    yield _Card("overfitting", typeset.number(results["overfitting"], "whole_share"), "half is no skill at all")


def _row(row: Mapping[str, Any], axes: Sequence[Axis]) -> Iterator[str]:
    yield from (value_text(row[axis.name]) for axis in axes)
    yield from (typeset.number(row[name], kind) for name, _, kind in _SHOWN)


def _facts(results: Mapping[str, Any], inputs: Mapping[str, Any], code: str) -> Iterator[tuple[str, str]]:
    for name, values in results["grid"].items():
        yield name, ", ".join(value_text(value) for value in values)
    if results["drawn_of"] is not None:
        yield "drawn", f"{results['sets']:,} of {results['drawn_of']:,} sets"
    yield "could not be traded", f"{results['failed']:,} sets"
    yield "cash", f"${typeset.number(results['cash_usd'], 'money')}"
    for name in ("execution", "rules"):
        changed = {key: value for key, value in results[name].items() if value not in (None, False, 0)}
        yield name, canonical_json(changed)
    yield "bars", str(inputs["bars"]["root_hash"])
    yield "code", code


def page_text(name: str = _TEMPLATE) -> str:
    """Source of a template of this package."""
    return (importlib.resources.files(__package__) / name).read_text(encoding="utf-8")


def _style() -> str:
    return (importlib.resources.files(tear_sheet) / "style.css").read_text(encoding="utf-8")


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({"number": typeset.number, "day": typeset.day})
    return environment.from_string(page_text())
