"""Rebalancing has a calendar of its own, and says what it does not understand."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from barlake.errors import InvalidInputError
from simulation_service.rebalance import Every, Rebalance

# Tuesday, Friday, Monday, and the first of the next month, a Thursday; two bars each.
DAYS = [dt.date(2024, 1, 30), dt.date(2024, 2, 2), dt.date(2024, 2, 5), dt.date(2024, 3, 1)]
SESSIONS = pl.Series([day for day in DAYS for _ in range(2)])


@pytest.mark.parametrize(
    ("text", "periods"),
    [
        ("session", [0, 0, 1, 1, 2, 2, 3, 3]),
        ("week", [0, 0, 0, 0, 1, 1, 2, 2]),
        ("month", [0, 0, 1, 1, 1, 1, 2, 2]),
        ("3", [0, 0, 0, 1, 1, 1, 2, 2]),
    ],
)
def test_positions_are_looked_at_where_the_period_changes(text: str, periods: list[int]) -> None:
    found = Rebalance.parse(text).periods(SESSIONS)
    assert found is not None
    assert found.tolist() == periods


def test_without_rebalancing_there_are_no_periods() -> None:
    assert Rebalance.parse("never").periods(SESSIONS) is None


@pytest.mark.parametrize(
    ("text", "drift", "message"),
    [
        ("daily", 0.0, "rebalance 'daily' is not known: use never, session, week, month, or a number of bars"),
        ("0", 0.0, "give bars, 1 or more"),
        ("week", 1.5, "drift 1.5 must be a share of the account"),
        ("never", 0.1, "drift 0.1 without rebalancing is never looked at"),
    ],
)
def test_a_wrong_rebalancing_is_told_the_rule(text: str, drift: float, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Rebalance.parse(text, drift=drift)


def test_bars_go_with_bars_only() -> None:
    with pytest.raises(InvalidInputError, match="rebalance every 'week' with bars 5"):
        Rebalance(Every.WEEK, bars=5)
