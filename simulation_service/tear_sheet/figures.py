"""The figures of the account beside those of buy and hold and of the optimistic fill, as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulation_service.execution import Fill
from simulation_service.tear_sheet.typeset import number

__all__ = ["Card", "Column", "Rows", "benchmark", "cards", "columns", "fill_title", "rows"]

_TITLES = {"next_open": "Next open", "next_close": "Next close", "same_close": "Same close"}

Rows = list[tuple[str, list[str]]]

_GROUPS = (
    (
        "Return",
        (
            ("Total return", "total_return", "percent"),
            ("Growth a year (CAGR)", "cagr", "percent"),
            ("Volatility a year", "volatility", "share"),
            ("Sharpe ratio", "sharpe", "ratio"),
            ("Sortino ratio", "sortino", "ratio"),
            ("Calmar ratio", "calmar", "ratio"),
            ("Probabilistic Sharpe ratio", "probabilistic_sharpe", "share"),
        ),
    ),
    (
        "Risk",
        (
            ("Deepest drawdown", "max_drawdown", "share"),
            ("Longest drawdown, sessions", "longest_drawdown_sessions", "count"),
            ("Loss of a bad session (VaR, 5 %)", "value_at_risk", "share"),
            ("Mean loss beyond it", "expected_shortfall", "share"),
            ("Tail ratio", "tail_ratio", "ratio"),
            ("Time in the market", "exposure", "share"),
            ("Mean exposure, gross", "gross_exposure", "share"),
        ),
    ),
    (
        "Trading",
        (
            ("Closed trades", "trades", "count"),
            ("Trades won", "hit_rate", "share"),
            ("Profit factor", "profit_factor", "ratio"),
            ("Average trade, $", "average_trade_usd", "dollars"),
            ("Average trade, return", "average_trade_return", "fine_percent"),
            ("Turnover, times mean equity", "turnover", "ratio"),
            ("Break-even cost, bps", "break_even_cost_bps", "ratio"),
            ("Capacity, $", "capacity_usd", "whole"),
        ),
    ),
)


@dataclass(frozen=True)
class Card:
    """One of the few figures at the top: what it is, its value, and what to hold it against."""

    title: str
    value: str
    beside: str


@dataclass(frozen=True)
class Column:
    """Head of a column of figures, the account's figures, and whether it must be called optimistic."""

    title: str
    note: str
    account: Mapping[str, Any]
    is_optimistic: bool = False


def fill_title(fill: str) -> str:
    """A fill as a heading: `Next open`."""
    return _TITLES[Fill(fill)]


def benchmark(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """Figures of buy and hold at the run's own fill, or from the first close where there are none of it."""
    held: Mapping[str, Mapping[str, Any]] = results["buy_and_hold"]
    return held[results["fill"] if results["fill"] in held else Fill.SAME_CLOSE]


def cards(results: Mapping[str, Any], deflation: Mapping[str, Any] | None) -> list[Card]:
    """The figures a reader asks for first."""
    own, held = results["account"]["metrics"], benchmark(results)["metrics"]
    beside = [
        ("Total return", "total_return", "percent"),
        ("Growth a year", "cagr", "percent"),
        ("Sharpe ratio", "sharpe", "ratio"),
        ("Deepest drawdown", "max_drawdown", "share"),
    ]
    found = [
        Card(title, number(own[key], kind), f"buy and hold {number(held[key], kind)}") for title, key, kind in beside
    ]
    found.append(Card("Closed trades", number(own["trades"], "count"), f"won {number(own['hit_rate'], 'share')}"))
    if deflation is not None:
        tried = f"{number(deflation['trials'], 'count')} {'try' if deflation['trials'] == 1 else 'tries'} on record"
        found.append(Card("Deflated Sharpe", number(deflation["probability"], "share"), tried))
    return found


def columns(results: Mapping[str, Any]) -> list[Column]:
    """The account first, then buy and hold, then the optimistic fill where it is not the account itself."""
    fill = Fill(results["fill"])
    held = benchmark(results)
    found = [
        Column(
            _TITLES[fill], "optimistic" if fill.is_optimistic else "this run", results["account"], fill.is_optimistic
        ),
        Column("Buy and hold", f"from the {held['bought_at']}", held),
    ]
    for other in (Fill.NEXT_OPEN, Fill.SAME_CLOSE):
        if other is not fill and other in results:
            note = "plain rule, optimistic" if other.is_optimistic else "plain rule, free of cost"
            found.append(Column(_TITLES[other], note, results[other], other.is_optimistic))
    return found


def rows(heads: list[Column]) -> list[tuple[str, Rows]]:
    """Groups of rows, each a label and one text for each column."""
    accounts = [head.account for head in heads]
    first: Rows = [("Final value, $", [number(account["final_value"], "money") for account in accounts])]
    last: Rows = [
        ("Fills", [number(account["fills"], "count") for account in accounts]),
        ("Shares bought", [number(account["shares_bought"], "count") for account in accounts]),
        ("Costs paid, $", [number(account.get("costs_usd", 0.0), "usd") for account in accounts]),
    ]
    groups: list[tuple[str, Rows]] = []
    for name, figures in _GROUPS:
        lines = [
            (label, [number(account["metrics"][key], kind) for account in accounts]) for label, key, kind in figures
        ]
        groups.append((name, lines))
    groups[0] = (groups[0][0], first + groups[0][1])
    groups[-1] = (groups[-1][0], groups[-1][1] + last)
    return groups
