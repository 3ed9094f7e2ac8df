"""Figures and tables of a small run, written down by hand as a manifest and its folder would hold them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from simulation_service.metrics import Metrics
from simulation_service.tear_sheet import render

NEW_YORK = "America/New_York"


def metrics(total_return: float, **others: Any) -> dict[str, Any]:
    """Every figure of an account; those that nobody asks for are not defined."""
    whole = {"max_drawdown": 0.0, "longest_drawdown_sessions": 0, "exposure": 0.0, "trades": 0, "open_trade": False}
    undefined = {field.name: None for field in dataclasses.fields(Metrics)}
    return {**undefined, **whole, "total_return": total_return, **others}


def account(final_value: str, **others: Any) -> dict[str, Any]:
    """One account that began with 1,000 dollars."""
    value = float(final_value)
    figures = metrics(value / 1000 - 1, **others)
    facts = {"final_value": final_value, "final_value_usd": value, "fills": 2, "shares_bought": 10, "costs_usd": 0.25}
    return {**facts, "metrics": figures}


def run_results(**others: Any) -> dict[str, Any]:
    """The results of a run of two sessions."""
    return {
        "symbol": "SPY",
        "symbols": ["SPY"],
        "feed": "iex",
        "session": "regular",
        "adjustment": "raw",
        "cash_usd": "1000.00",
        "fill": "next_open",
        "first_bar": "2024-01-02T14:30:00+00:00",
        "last_bar": "2024-01-03T14:34:00+00:00",
        "sessions": 2,
        "bars": 10,
        "signals_from": "strategy",
        "signals_name": "crossover",
        "bars_without_signal": 0,
        "unmatched_signals": 0,
        "prices_rounded": 0,
        "largest_rounding_usd": 0.0,
        "bars_by_source": {"alpaca": 9, "import": 1},
        "account": account("1012.50", trades=2, hit_rate=0.5),
        "next_open": account("1012.75"),
        "same_close": account("1066.25"),
        "buy_and_hold": {"next_open": account("990.00") | {"bought_at": "first open"}},
        "deflation": None,
        "remarks": [],
        "told": [],
        **others,
    }


def bar_times(*sessions: dt.date, minutes: int = 5, opening: str = "09:30") -> pl.DataFrame:
    """Session and timestamp of the first minutes of some sessions."""
    frames = []
    for session in sessions:
        first = pl.Series([f"{session} {opening}"]).str.to_datetime("%Y-%m-%d %H:%M", time_unit="us")
        utc = first.dt.replace_time_zone(NEW_YORK).dt.convert_time_zone("UTC")[0]
        stamps = [utc + dt.timedelta(minutes=minute) for minute in range(minutes)]
        frames.append(pl.DataFrame({"timestamp": stamps, "session": [session] * minutes}))
    return pl.concat(frames).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))


def equity_table(values: list[float], held: list[float] | None = None, **spans: Any) -> pl.DataFrame:
    """An equity table over two sessions of five bars, or over others."""
    times = spans.get("times", bar_times(dt.date(2024, 1, 2), dt.date(2024, 1, 3)))
    other = pl.Series(held if held is not None else [None] * len(values), dtype=pl.Float64)
    return times.with_columns(
        equity_usd=pl.Series(values), buy_and_hold_usd=other, same_close_usd=pl.lit(None, pl.Float64)
    )


def trade(
    minutes: int, simple_return: float, *, symbol: str = "SPY", reason: str = "signal", is_open: bool = False
) -> dict[str, Any]:
    """A round trip of ten shares at 100 dollars."""
    entry = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    return {
        "symbol": symbol,
        "entry_timestamp": entry,
        "entry_price_usd": 100.0,
        "exit_timestamp": entry + dt.timedelta(minutes=minutes),
        "exit_price_usd": 100.0 * (1 + simple_return),
        "shares": 10.0,
        "fees_usd": 0.0,
        "profit_usd": 1000.0 * simple_return,
        "simple_return": simple_return,
        "exit_reason": None if is_open else reason,
        "is_open": is_open,
    }


def trades_table(*rows: dict[str, Any]) -> pl.DataFrame:
    """A trades table."""
    return (
        pl.DataFrame(list(rows), schema_overrides={"exit_reason": pl.String})
        if rows
        else trades_table(trade(1, 0.0)).clear()
    )


def run_page(results: dict[str, Any] | None = None, trades: pl.DataFrame | None = None, **others: Any) -> str:
    """The page of the small run."""
    values = np.linspace(1000.0, 1012.5, 10).tolist()
    facts: dict[str, Any] = {
        "run_id": "feedbeefcafe0001",
        "parameters": {"cash_usd": "1000.00", "rules": {"stop_loss": 0.01, "take_profit": None}},
        "inputs": {
            "bars": {"symbols": [{"symbol": "SPY", "rows": 10, "content_hash": "ab" * 32}]},
            "strategy": "cd" * 32,
        },
        "code": "ef" * 32,
    }
    return render(
        results or run_results(),
        others.pop("equity", equity_table(values, [1000.0] * 9 + [990.0])),
        trades if trades is not None else trades_table(trade(3, 0.0125)),
        **{**facts, **others},
    )
