"""One HTML page per run that needs nothing but itself: no script, no request, light and dark."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
import polars as pl

from barlake.keys import SYNTHETIC_FEED
from barlake.sessions import NEW_YORK
from simulation_service.charts import Curve, Label, bar_labels, curve, drawdowns, value_labels
from simulation_service.execution import Fill
from simulation_service.ticks import FloatArray

__all__ = ["MOST_TRADES", "render", "template_text"]

MOST_TRADES = 100

_TEMPLATE = "report.html.j2"
_UNDEFINED = "\N{EN DASH}"
_TITLES = {Fill.NEXT_OPEN: "Next open", Fill.SAME_CLOSE: "Same close"}
_FIGURES = (
    ("Total return", "total_return", "percent"),
    ("Growth a year (CAGR)", "cagr", "percent"),
    ("Sharpe ratio", "sharpe", "ratio"),
    ("Sortino ratio", "sortino", "ratio"),
    ("Deepest drawdown", "max_drawdown", "share"),
    ("Time in the market", "exposure", "share"),
    ("Turnover, times mean equity", "turnover", "ratio"),
    ("Closed trades", "trades", "count"),
    ("Trades won", "hit_rate", "share"),
    ("Profit factor", "profit_factor", "ratio"),
    ("Average trade, $", "average_trade_usd", "dollars"),
    ("Average trade, return", "average_trade_return", "fine_percent"),
    ("Break-even cost, bps", "break_even_cost_bps", "ratio"),
)


@dataclass(frozen=True)
class Chart:
    """Curves over one range of values, with the labels around them."""

    title: str
    curves: list[Curve]
    area: str | None
    y_labels: list[Label]
    x_labels: list[Label]


def template_text() -> str:
    """Source of the page's template."""
    return (importlib.resources.files(__package__) / _TEMPLATE).read_text(encoding="utf-8")


def render(
    results: Mapping[str, Any],
    equity: pl.DataFrame,
    trips: pl.DataFrame,
    *,
    run_id: str,
    inputs: Mapping[str, Any],
    code: str,
) -> str:
    """HTML text of one run.

    Parameters
    ----------
    results
        Figures as a run's manifest holds them (see `simulation_service.simulate`).
    equity, trips
        The run's two tables.
    inputs, code
        What the run was made from, by hash.
    """
    fill = Fill(results["fill"])
    other = next(one for one in _TITLES if one is not fill)
    return _template().render(
        results=results,
        run_id=run_id,
        code=code,
        inputs=inputs,
        is_synthetic=results["feed"] == SYNTHETIC_FEED,
        fill=fill,
        headline=results[fill],
        held=results["buy_and_hold"][fill],
        columns=_columns(results, [fill, other]),
        figures=_figure_rows(results, [fill, other]),
        charts=[_equity_chart(equity, fill, other), _drawdown_chart(results, equity, fill)],
        trades=_trade_rows(trips, fill),
        titles=_TITLES,
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({"number": _number, "eastern": _eastern})
    return environment.from_string(template_text())


def _number(value: float | str | None, kind: str) -> str:
    """A figure for eyes: thousands separated, a true minus sign, a dash where it is not defined."""
    if value is None:
        return _UNDEFINED
    if kind == "money":
        whole, _, cents = str(value).partition(".")
        return f"{int(whole):,}.{cents}"
    formats = {
        "percent": "{:+,.2%}",
        "fine_percent": "{:+,.4%}",
        "share": "{:,.2%}",
        "ratio": "{:,.2f}",
        "dollars": "{:+,.2f}",
        "price": "{:,.2f}" if round(float(value), 2) == float(value) else "{:,.4f}",
        "count": "{:,}",
    }
    return _typeset(formats[kind].format(value))


def _typeset(text: str) -> str:
    """The same number with a minus sign as wide as a digit and a space that keeps the percent sign with it."""
    return text.replace("-", "\N{MINUS SIGN}").replace("%", "\N{NO-BREAK SPACE}%")


def _eastern(instant: dt.datetime | str | None) -> str:
    """New York clock time of an instant, for eyes."""
    if instant is None:
        return _UNDEFINED
    stamp = dt.datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return stamp.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M")


def _accounts(results: Mapping[str, Any], fills: list[Fill]) -> list[Mapping[str, Any]]:
    """Accounts in the order of the page's columns: both fills, then what holding from their first price gave."""
    return [results[fill] for fill in fills] + [results["buy_and_hold"][fill] for fill in fills]


def _columns(results: Mapping[str, Any], fills: list[Fill]) -> list[dict[str, Any]]:
    traded = [{"title": _TITLES[fill], "note": "optimistic" if fill.is_optimistic else "signals"} for fill in fills]
    held = [
        {"title": "Buy and hold", "note": f"from the {results['buy_and_hold'][fill]['bought_at']}"} for fill in fills
    ]
    return traded + held


def _figure_rows(results: Mapping[str, Any], fills: list[Fill]) -> list[tuple[str, list[str]]]:
    accounts = _accounts(results, fills)
    return [
        ("Final value, $", [_number(account["final_value"], "money") for account in accounts]),
        *((label, [_number(account["metrics"][key], kind) for account in accounts]) for label, key, kind in _FIGURES),
        ("Fills", [_number(account["fills"], "count") for account in accounts]),
        ("Shares bought", [_number(account["shares_bought"], "count") for account in accounts]),
    ]


def _equity_chart(equity: pl.DataFrame, fill: Fill, other: Fill) -> Chart:
    lines = [
        ("held", "Buy and hold", equity[f"{fill}_buy_and_hold_usd"].to_numpy()),
        (other.value, _legend(other), equity[f"{other}_equity_usd"].to_numpy()),
        (fill.value, _legend(fill), equity[f"{fill}_equity_usd"].to_numpy()),
    ]
    low, high, marks = value_labels(
        min(float(values.min()) for _, _, values in lines), max(float(values.max()) for _, _, values in lines)
    )
    return Chart(
        title="Account value, dollars",
        curves=[curve(style, legend, values, low=low, high=high) for style, legend, values in lines],
        area=None,
        y_labels=[_y_label(mark, low, high, _dollar_mark(mark, marks)) for mark in marks],
        x_labels=bar_labels(equity["session"].to_list()),
    )


def _drawdown_chart(results: Mapping[str, Any], equity: pl.DataFrame, fill: Fill) -> Chart:
    cash = float(results["cash_usd"])
    own = drawdowns(equity[f"{fill}_equity_usd"].to_numpy(), cash)
    held = drawdowns(equity[f"{fill}_buy_and_hold_usd"].to_numpy(), cash)
    low, _, marks = value_labels(min(_lowest(own), _lowest(held)), 0.0, count=4)
    lines = [
        curve("held", "Buy and hold", held, low=low, high=0.0),
        curve(fill.value, _legend(fill), own, low=low, high=0.0),
    ]
    places = 0 if min(abs(mark) for mark in marks if mark) >= 0.01 else 2  # noqa: PLR2004 - whole percents
    return Chart(
        title="Drawdown: fall from the highest value so far",
        curves=lines,
        area=f"{lines[-1].path}L1000 0L0 0Z",
        y_labels=[_y_label(mark, low, 0.0, _typeset(f"{mark:.{places}%}")) for mark in marks],
        x_labels=bar_labels(equity["session"].to_list()),
    )


def _lowest(values: FloatArray) -> float:
    # A curve that never fell still needs a height to be drawn in.
    return min(float(np.min(values)), -0.001)


def _legend(fill: Fill) -> str:
    return f"{_TITLES[fill]} (optimistic)" if fill.is_optimistic else _TITLES[fill]


def _y_label(mark: float, low: float, high: float, text: str) -> Label:
    return Label((high - mark) / (high - low) * 100, text)


def _dollar_mark(mark: float, marks: list[float]) -> str:
    step = marks[1] - marks[0]
    return f"{mark:,.0f}" if step >= 1 else f"{mark:,.2f}"


def _trade_rows(trips: pl.DataFrame, fill: Fill) -> dict[str, Any]:
    """The last trades of the headline fill, newest first, and how many there are before them."""
    own = trips.filter(pl.col("fill") == fill.value)
    shown = own.tail(MOST_TRADES).reverse()
    return {"rows": shown.to_dicts(), "shown": shown.height, "earlier": own.height - shown.height}
