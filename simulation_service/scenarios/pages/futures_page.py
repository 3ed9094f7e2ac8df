"""The page of a Monte Carlo: how an account's value may spread, and how often it is ruined."""

from __future__ import annotations

from typing import Any

from simulation_service.scenarios.monte_carlo import QUANTILES, Futures
from simulation_service.scenarios.pages.form import Card, Page, Section, Table, band_chart
from simulation_service.tear_sheet.charts import Chart, Label
from simulation_service.tear_sheet.typeset import number

__all__ = ["futures_page"]

_MOST_MARKS = 8
_WHOLE_DOLLARS = 1000.0
_STEPS = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))


def futures_page(
    futures: Futures, *, title: str, subject: str, about: str, cash_usd: float, ruin: float, how: str
) -> Page:
    """Page of many futures of one account.

    Parameters
    ----------
    about
        Which bars and settings, in words.
    how
        How the paths were made, in words.
    """
    facts = futures.as_dict(cash_usd=cash_usd, ruin=ruin)
    return Page(
        kicker="Monte Carlo",
        title=title,
        subject=subject,
        about=about,
        verdict=_verdict(facts),
        notice="these paths were drawn; no market traded them, and the next year need not be among them.",
        cards=_cards(facts),
        sections=[
            Section(
                "Account value",
                f"After each session, dollars. {how} Half of all paths lie between the grey lines, nine in ten in "
                "the shaded band; the thin line is the cash at the start.",
                charts=[_fan(futures, cash_usd)],
            ),
            Section(
                "How it may end",
                "One row says: so many of the paths come out at this or worse. Each column is ordered by itself.",
                tables=[_table(facts)],
            ),
        ],
    )


def _verdict(facts: dict[str, Any]) -> str:
    low, high = facts["risk_of_ruin_interval"]
    return (
        f"Nine in ten of {facts['paths']:,} paths over {facts['sessions']:,} sessions end between "
        f"{number(facts['total_return']['0.05'], 'percent')} and {number(facts['total_return']['0.95'], 'percent')}, "
        f"half of them below {number(facts['total_return']['0.5'], 'percent')}. "
        f"{number(facts['risk_of_ruin'], 'share')} are ruined on the way (worth ${facts['ruin_level_usd']:,.0f} or "
        f"less once; the true share is likely {number(low, 'share')} to {number(high, 'share')})."
    )


def _cards(facts: dict[str, Any]) -> list[Card]:
    return [
        Card("Median return", number(facts["total_return"]["0.5"], "percent"), "half of the paths make less"),
        Card("Bad: 1 in 20", number(facts["total_return"]["0.05"], "percent"), "or worse"),
        Card("Good: 1 in 20", number(facts["total_return"]["0.95"], "percent"), "or better"),
        Card("Chance of a loss", number(facts["probability_of_loss"], "share"), "at the end"),
        Card("Median deepest fall", number(facts["max_drawdown"]["0.5"], "share")),
        Card("Risk of ruin", number(facts["risk_of_ruin"], "share"), f"${facts['ruin_level_usd']:,.0f} or less"),
    ]


def _fan(futures: Futures, cash_usd: float) -> Chart:
    low, lower, middle, upper, high = futures.fan([0.05, 0.25, 0.5, 0.75, 0.95]) * cash_usd
    sessions = futures.closes.shape[1]
    step = next(step for step in _STEPS if sessions <= step * _MOST_MARKS)
    return band_chart(
        [("held", "Lower quarter", lower), ("held", "Upper quarter", upper), ("own", "Median", middle)],
        (low, high),
        marks="{:,.0f}" if cash_usd >= _WHOLE_DOLLARS else "{:,.2f}",
        x_labels=[Label(place / sessions * 100, str(place)) for place in range(0, sessions, step)],
        zero=cash_usd,
    )


def _table(facts: dict[str, Any]) -> Table:
    # A deep fall is what is bad of a drawdown, so its quantiles run the other way.
    rows = [
        [
            f"{level:.0%}",
            number(facts["final_value_usd"][f"{level:g}"], "usd"),
            number(facts["total_return"][f"{level:g}"], "percent"),
            number(facts["max_drawdown"][f"{1 - level:g}"], "share"),
        ]
        for level in QUANTILES
    ]
    return Table(("Paths", "Final value, $", "Return", "Deepest fall"), rows)
