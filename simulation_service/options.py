"""Options of a simulation as a command line gives them, flat and as text, and the plan they make.

Both command lines read them here, so that an option means the same at either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from barlake.errors import InvalidInputError
from simulation_service.allocation import Allocation
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.exposure import Limits
from simulation_service.plan import FileSource, ModelSource, SignalSource, SimulationPlan, StrategySource
from simulation_service.rebalance import Rebalance
from simulation_service.rules import Direction, Rules
from simulation_service.sizing import SIZINGS, FixedFraction, sizing_of_texts

__all__ = ["FLAGS", "OPTIONS", "plan_of_options", "settings_of", "wrong_source"]

OPTIONS: dict[str, tuple[type, str]] = {
    "fill": (str, f"Where orders are filled: {', '.join(Fill)}; same_close is optimistic. Default: next_open."),
    "delay_bars": (int, "Bars that every order waits longer."),
    "volume_share": (float, "Largest part of a bar's volume that its fills may take, such as 0.1. Default: all."),
    "half_spread_bps": (float, "Half the spread between bid and ask, 1e-4 of the price."),
    "slippage_bps": (float, "Further worsening of each price, 1e-4 of it."),
    "per_share_usd": (float, "Commission for each share, dollars."),
    "per_order_usd": (float, "Commission for each fill, dollars."),
    "sell_fee_rate": (float, "Regulatory fee on the value of each sale, a fraction."),
    "sell_fee_per_share_usd": (float, "Regulatory fee on each share sold, dollars."),
    "sell_fee_most_usd": (float, "The most that one sale pays of the fee on shares, dollars."),
    "direction": (str, f"Positions that may be opened: {', '.join(Direction)}. Default: long."),
    "stop_loss": (float, "Loss on the entry price that ends a position, such as 0.01."),
    "take_profit": (float, "Gain on the entry price that ends a position."),
    "trailing_stop": (float, "Fall from the best price since the entry that ends a position."),
    "max_holding_bars": (int, "Bars after which a position is left."),
    "max_drawdown": (float, "Fall of the account from its highest value that ends all trading."),
    "daily_loss_limit": (float, "Loss since the last session's close that ends trading for the session."),
    "sizing": (str, f"How much of the account a position may be: {', '.join(SIZINGS)}. Default: equal parts."),
    "gross": (float, "Largest sum of all positions, long and short, as a share of the account. Default: 1."),
    "net": (float, "Largest difference between long and short, as a share of the account."),
    "per_symbol": (float, "Largest share of the account in one symbol."),
    "correlation": (float, "Symbols that correlated above this share the weight of one, such as 0.8."),
    "rebalance": (str, "When positions return to their weights: never, session, week, month, or a number of bars."),
    "drift": (float, "Share of the account by which a position may be off its weight when it is looked at."),
}
"""Options that take a value, with their type and what they do; the name is that of the field they fill."""

FLAGS = {
    "fractional": "Trade millionths of a share, not only whole ones.",
    "flat_at_close": "Leave every position at the close of its session.",
}
"""Options that are there or not."""


def plan_of_options(symbols: Iterable[str], given: Mapping[str, Any]) -> SimulationPlan:
    """The plan of a command line.

    Parameters
    ----------
    symbols
        Names, or several in one text, `SPY,QQQ`.
    given
        By name those of `OPTIONS` and `FLAGS`, and model, signals, strategy, settings (texts `name=value`), sizes
        (the same for a sizing), cash, adjustment, feed, session, start and end; what is absent or None is left
        at its default.

    Raises
    ------
    InvalidInputError
        If no source or more than one is named, or a value is not allowed.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if "sell_fee_most_usd" in chosen and "sell_fee_per_share_usd" not in chosen:
        raise InvalidInputError(
            f"sell_fee_most_usd {chosen['sell_fee_most_usd']} limits a fee that is not charged: give "
            "sell_fee_per_share_usd too, or leave it out."
        )
    costs = Costs(**_fields(Costs, chosen))
    execution = {**_fields(Execution, chosen), "costs": costs}
    if "fill" in execution:
        execution["fill"] = Fill.parse(execution["fill"])
    rules = _fields(Rules, chosen)
    if "direction" in rules:
        rules["direction"] = Direction.parse(rules["direction"])
    settings = _fields(SimulationPlan, chosen)
    if "cash" in chosen:
        settings["cash_usd"] = chosen["cash"]
    settings |= {"execution": Execution(**execution), "rules": Rules(**rules), "sizing": _allocation(chosen)}
    names = tuple(name.strip() for text in symbols for name in text.split(","))
    return SimulationPlan(names, _source(chosen), **settings)


def _allocation(chosen: Mapping[str, Any]) -> Allocation | None:
    """What the options say of sizes, limits and rebalancing; None where they say nothing."""
    sizes, limits = settings_of(chosen.get("sizes") or (), option="--size"), _fields(Limits, chosen)
    if not (sizes or limits or {"sizing", "rebalance", "drift"} & chosen.keys()):
        return None
    rebalance = Rebalance.parse(chosen.get("rebalance", "never"), drift=chosen.get("drift", 0.0))
    return Allocation(sizing_of_texts(chosen.get("sizing", FixedFraction.name), sizes), Limits(**limits), rebalance)


def settings_of(texts: Iterable[str], *, option: str = "--set") -> dict[str, str]:
    """Parameters from texts such as `fast_bars=5`; whoever takes them reads the values.

    Examples
    --------
    >>> settings_of(["fast_bars=5", "slow_bars=50"])
    {'fast_bars': '5', 'slow_bars': '50'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise InvalidInputError(f"{option} {text!r} is not name=value: write it as {option} {_EXAMPLES[option]}.")
        if name.strip() in found:
            raise InvalidInputError(f"{option} {name.strip()!r} is given twice: give each parameter once.")
        found[name.strip()] = value.strip()
    return found


_EXAMPLES = {"--set": "fast_bars=5", "--size": "target=0.1"}


def wrong_source(given: Mapping[str, Any]) -> str | None:
    """What is wrong with the sources that a command line names; None where it names one."""
    model, signals, strategy = (given.get(name) is not None for name in ("model", "signals", "strategy"))
    if signals == (model or strategy):
        return "name either --model, or --signals, or --strategy (which may look at a --model)."
    if given.get("settings") and not strategy:
        return "--set has nobody to read it: it sets parameters of a --strategy."
    return None


def _source(chosen: Mapping[str, Any]) -> SignalSource:
    if (wrong := wrong_source(chosen)) is not None:
        raise InvalidInputError(f"signals come from one source: {wrong}")
    if "strategy" in chosen:
        settings = settings_of(chosen.get("settings", ()))
        return StrategySource(str(chosen["strategy"]), settings, chosen.get("model"))
    return ModelSource(str(chosen["model"])) if "model" in chosen else FileSource(Path(chosen["signals"]))


def _fields(kind: Any, chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: chosen[field.name] for field in fields(kind) if field.name in chosen}
