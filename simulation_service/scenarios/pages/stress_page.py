"""The page of scenarios: one table of all, then a picture of each."""

from __future__ import annotations

import numpy as np

from simulation_service.scenarios.pages.form import Bar, Card, Page, Section, Table, curve_chart
from simulation_service.scenarios.stress import Outcome, StressReport
from simulation_service.scenarios.trading import Traded
from simulation_service.tear_sheet.charts import Chart, Whole, date_labels
from simulation_service.tear_sheet.typeset import day, number
from simulation_service.ticks import FloatArray

__all__ = ["stress_page"]

_FEWEST_CLOSES = 30
"""From so many sessions on a curve is drawn through their closes."""

_HEADINGS = ("Scenario", "", "Return", "Buy and hold", "Deepest fall", "Worst session", "Final value, $", "Fills")


def stress_page(report: StressReport, *, subject: str) -> Page:
    """Page of a report.

    Parameters
    ----------
    subject
        What was traded by, in words.
    """
    plain, *tried = report.outcomes
    done = [outcome for outcome in tried if outcome.traded is not None]
    assert plain.traded is not None  # noqa: S101 - the bars as they were are always traded
    sessions = plain.traded.bars["session"]
    return Page(
        kicker="Scenarios",
        title=report.symbol,
        subject=subject,
        about=f"{day(sessions[0])} to {day(sessions[-1])} · {sessions.n_unique():,} sessions, {sessions.len():,} bars",
        verdict=_verdict(plain.traded, done),
        notice=_notice(report),
        cards=_cards(plain.traded, done),
        remarks=[f"{outcome.scenario.name} was not tried: {outcome.reason}" for outcome in tried if not outcome.traded],
        sections=[
            Section(
                "All scenarios",
                "The same account on other bars. Returns are of the whole span; the deepest fall is over all bars.",
                tables=[_table(report)],
            ),
            *(_section(outcome, plain.traded) for outcome in done),
        ],
    )


def _notice(report: StressReport) -> str | None:
    made_up = [outcome.scenario.name for outcome in report.outcomes if outcome.is_synthetic]
    if not made_up:
        return None
    if len(made_up) == len(report.outcomes):
        return "none of these bars is a market's; nothing here can be earned."
    return f"bars of {', '.join(made_up)} are made up out of real ones; no market traded them."


def _verdict(plain: Traded, done: list[Outcome]) -> str:
    was = number(float(plain.values[-1] - 1), "percent")
    if not done:
        return f"As it was, the account made {was}. No scenario could be tried."
    worst = min(done, key=_final)
    return (
        f"As it was, the account made {was}. Of {len(done)} scenarios {worst.scenario.name.replace('_', ' ')} is the "
        f"worst: {number(_final(worst) - 1, 'percent')}."
    )


def _final(outcome: Outcome) -> float:
    return float(outcome.traded.values[-1]) if outcome.traded else np.nan


def _cards(plain: Traded, done: list[Outcome]) -> list[Card]:
    falls = {outcome.scenario.name: outcome.traded.drawdown for outcome in done if outcome.traded}
    deepest = max(falls, key=lambda name: falls[name], default=None)
    lost = sum(_final(outcome) < 1 for outcome in done)
    return [
        Card("Return as it was", number(float(plain.values[-1] - 1), "percent"), "of the whole span"),
        Card("Deepest fall as it was", number(plain.drawdown, "share")),
        Card("Scenarios tried", number(len(done), "count"), f"{lost} of them with a loss"),
        *([Card("Deepest fall of all", number(falls[deepest], "share"), deepest.replace("_", " "))] if deepest else []),
    ]


def _table(report: StressReport) -> Table:
    rows = report.table().to_dicts()
    bars = Bar.row([row["total_return"] for row in rows])
    return Table(
        _HEADINGS,
        [
            [
                row["scenario"].replace("_", " ") + (" (synthetic)" if row["synthetic"] else ""),
                bar,
                number(row["total_return"], "percent"),
                number(row["buy_and_hold"], "percent"),
                number(row["max_drawdown"], "share"),
                number(row["worst_session"], "percent"),
                number(row["final_value_usd"], "whole"),
                number(row["fills"], "count"),
            ]
            for row, bar in zip(rows, bars, strict=True)
        ],
    )


def _section(outcome: Outcome, plain: Traded) -> Section:
    assert outcome.traded is not None  # noqa: S101 - only what was tried has a section
    return Section(
        outcome.scenario.name.replace("_", " ").capitalize(),
        f"{outcome.scenario.description}. {_bars_of(outcome)}",
        charts=[_chart(outcome.traded, plain if outcome.scenario.is_synthetic else None)],
    )


def _bars_of(outcome: Outcome) -> str:
    """Which bars stand behind a picture."""
    assert outcome.traded is not None  # noqa: S101 - only what was tried has a section
    session = outcome.traded.bars["session"]
    spanned = "" if outcome.scenario.is_synthetic else f"Held and replayed: {day(session[0])} to {day(session[-1])}."
    return " ".join(part for part in (spanned, "Synthetic bars." if outcome.is_synthetic else "") if part)


def _chart(traded: Traded, plain: Traded | None) -> Chart:
    """Value in percent of the cash: under the scenario, of buy and hold in it, and as it was on the same dates."""
    places = _places(traded)
    lines = [("held", "Buy and hold", _percent(traded.held_values[places]))]
    if plain is not None:
        at = np.searchsorted(plain.bars["timestamp"].to_numpy(), traded.bars["timestamp"].to_numpy()[places])
        lines.append(("same", "As it was", _percent(plain.values[np.minimum(at, plain.values.size - 1)])))
    lines.append(("own", "Under the scenario", _percent(traded.values[places])))
    sessions = traded.bars["session"][places.tolist()]
    days = sessions.unique(maintain_order=True)
    starts = sessions.search_sorted(days, side="left").to_numpy().astype(np.int64)
    labels = date_labels(days.to_list(), starts, places.size)
    return curve_chart(lines, marks="{:,.4g} %", x_labels=labels, zero=100.0)


def _places(traded: Traded) -> Whole:
    session = traded.bars["session"]
    if session.n_unique() < _FEWEST_CLOSES:
        return np.arange(session.len())
    return np.flatnonzero(np.append((session != session.shift(-1)).to_numpy()[:-1], [True])).astype(np.int64)


def _percent(values: FloatArray) -> FloatArray:
    percents: FloatArray = values * 100.0
    return percents
