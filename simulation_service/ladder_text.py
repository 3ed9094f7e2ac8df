"""The ladder of optimism, random entries and the number of tries as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = [
    "break_even_sentence",
    "defined",
    "deflation_sentence",
    "print_deflation",
    "print_ladder",
    "print_random_entries",
    "random_entries_sentence",
]


def defined(value: float | None, form: str) -> str:
    """A figure in a form of `format`; a dash where it is not defined."""
    return "-" if value is None else format(value, form)


def print_ladder(ladder: Mapping[str, Any], console: Console) -> None:
    """Print six rungs, and what a trade may cost.

    Parameters
    ----------
    ladder
        Of a run's results: `Ladder.as_dict`.
    """
    title = "ladder of optimism" + (", with typical costs: none were given" if ladder["assumed"] else "")
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("rung", no_wrap=True)
    for heading in ("final value", "return", "Sharpe", "fills", "costs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for rung in ladder["rungs"]:
        table.add_row(
            rung["name"],
            rung["final_value"] or "-",
            defined(rung["total_return"], "+.2%"),
            defined(rung["sharpe"], ".2f"),
            defined(rung["fills"], ","),
            defined(rung["costs_usd"], ",.2f"),
        )
    console.print(table)
    for rung in ladder["rungs"]:
        if rung.get("reason"):
            console.print(f"{rung['name']}: {rung['reason']}", soft_wrap=True, markup=False)
    console.print(break_even_sentence(ladder), soft_wrap=True, markup=False)


def print_random_entries(entries: Mapping[str, Any], console: Console) -> None:
    """Print where a run stands among random entries.

    Parameters
    ----------
    entries
        Of a run's results: `RandomEntries.as_dict`.
    """
    console.print(random_entries_sentence(entries), soft_wrap=True, markup=False)


def random_entries_sentence(entries: Mapping[str, Any]) -> str:
    """Where a run stands among random entries, in one sentence; `entries` as in `print_random_entries`."""
    low, high = (entries["quantiles"][name] for name in ("0.05", "0.95"))
    return (
        f"better than {entries['lower']:.0%} of {entries['draws']} accounts with as many trades, held as long and "
        f"entered at random; nine in ten of those made {low:+.2%} to {high:+.2%}"
    )


def print_deflation(deflation: Mapping[str, Any], console: Console) -> None:
    """Print what the Sharpe ratio of a run is worth among all tries of its study.

    Parameters
    ----------
    deflation
        Of a run's results: `barlake.trials.Deflation`, by its fields.
    """
    console.print(deflation_sentence(deflation), soft_wrap=True, markup=False)


def deflation_sentence(deflation: Mapping[str, Any]) -> str:
    """What the Sharpe ratio of a run is worth, in one sentence; `deflation` as in `print_deflation`."""
    tries = "try" if deflation["trials"] == 1 else "tries"
    return (
        f"deflated Sharpe ratio {deflation['probability']:.0%} with {deflation['trials']:,} {tries} on record: how "
        "likely the best of as many without skill shows a lower one"
    )


def break_even_sentence(ladder: Mapping[str, Any]) -> str:
    """What a trade may cost at the next open before nothing is left, in one sentence."""
    if ladder["rungs"][1]["final_value"] is None:
        return "break-even: the account at the next open left the exact range"
    if ladder["break_even_cost_bps"] is None:
        return "break-even: at the next open there is no profit that costs could eat"
    return (
        f"break-even at the next open: {ladder['break_even_cost_bps']:,.3f} bps of each dollar bought or sold, "
        f"{ladder['break_even_trade_usd']:,.2f} dollars a round trip"
    )
