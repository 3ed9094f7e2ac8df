"""What a position would have made between two moments."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import barlake
from app.commands.options import AsJson, Feed, Root
from app.console import figures, print_json, say
from barlake.keys import SYNTHETIC_FEED

__all__ = ["pnl"]


def pnl(
    symbol: Annotated[str, typer.Argument(help="Symbol, such as SPY.", show_default=False)],
    entry: Annotated[
        str, typer.Option("--entry", help="Session, such as 2024-04-01, or an instant.", show_default=False)
    ],
    exit_: Annotated[
        str, typer.Option("--exit", help="Session or instant at which the position is closed.", show_default=False)
    ],
    quantity: Annotated[str, typer.Option("--quantity", help="Shares, above 0.")] = "1",
    short: Annotated[bool, typer.Option("--short", help="Sell first and buy back.")] = False,
    entry_at: Annotated[str, typer.Option("--entry-at", help="Price of the entry's session: open or close.")] = "close",
    exit_at: Annotated[str, typer.Option("--exit-at", help="Price of the exit's session: open or close.")] = "close",
    feed: Feed = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Profit and loss of a position between two moments, with the splits and dividends in between."""
    from simulation_service.pnl import profit_and_loss

    with barlake.open(root) as lake:
        found = profit_and_loss(
            lake,
            symbol,
            entry=entry,
            exit=exit_,
            quantity=quantity,
            short=short,
            entry_at=entry_at,
            exit_at=exit_at,
            feed=feed,
        )
    facts = found.as_dict()
    if as_json:
        print_json(facts)
        return
    figures(_lines(facts), title=f"{facts['side']} {facts['quantity']} {found.symbol} ({found.feed})")
    for action in facts["actions"]:
        say(_action(action))
    if not found.actions_known:
        say(
            f"No split or dividend of {found.symbol} is known here: `barlake actions fetch {found.symbol}` brings them."
        )
    if found.feed == SYNTHETIC_FEED:
        say("The bars are made up: feed synthetic.")


def _lines(facts: dict[str, Any]) -> dict[str, str]:
    return {
        "entry": _moment(facts["entry"]),
        "exit": _moment(facts["exit"]),
        "worth at entry, $": facts["invested_usd"],
        "shares at exit": facts["shares_at_exit"],
        "profit by price, $": facts["price_profit_usd"],
        "dividends, $": facts["dividends_usd"],
        "profit, $": facts["profit_usd"],
        "return": f"{facts['simple_return']:+.4%}",
    }


def _moment(point: dict[str, str]) -> str:
    return f"{point['price_usd']} known at {point['instant']}"


def _action(action: dict[str, Any]) -> str:
    what = f"{action['ex_date']} {action['kind']}"
    if not action["counts"]:
        return f"{what}: not counted, for its worth is not in the prices of this symbol"
    return f"{what}: " + (
        f"{action['ratio']} for 1" if action["ratio"] is not None else f"{action['cash_usd']} dollars"
    )
