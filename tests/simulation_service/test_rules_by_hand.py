"""Each cost, limit and exit on ten bars that were worked out with a pencil: account and fills to the last digit."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, replay
from simulation_service.market import Market
from simulation_service.rules import Direction, Reason, Rules
from simulation_service.tick_prices import price_ticks
from simulation_service.ticks import TICKS_PER_DOLLAR, FloatArray, cash_to_ticks
from simulation_service.trades import round_trips

ANSWERS = Path(__file__).parents[1] / "answers"
CASES = pl.read_csv(ANSWERS / "simulation_rules.csv", comment_prefix="#", infer_schema=False).to_dicts()
KINDS: dict[str, Any] = {
    "fill": Fill,
    "direction": Direction,
    "delay_bars": int,
    "max_holding_bars": int,
    "fractional": bool,
    "flat_at_close": bool,
}


def settings_of(options: str | None) -> tuple[Execution, Rules, int | None]:
    """Execution, rules and the halted bar that a line of the answers is about."""
    given = dict(option.split("=") for option in (options or "").split())
    halted = given.pop("halted", None)
    values = {name: KINDS.get(name, float)(text) for name, text in given.items()}

    def fields(kind: type) -> dict[str, Any]:
        return {name: values.pop(name) for name in list(values) if name in kind.__dataclass_fields__}

    costs = Costs(**fields(Costs))
    execution, rules = Execution(costs=costs, **fields(Execution)), Rules(**fields(Rules))
    assert not values, f"unknown options {values}"
    return execution, rules, None if halted is None else int(halted)


def market_of(halted: int | None) -> Market:
    bars = pl.read_csv(ANSWERS / "simulation_rules_bars.csv", comment_prefix="#")
    prices = {name: price_ticks(bars[name].to_numpy(), name=name).ticks for name in ("open", "high", "low", "close")}
    session = bars["session"].to_numpy()
    return Market.from_ticks(
        prices["open"],
        prices["close"],
        high=prices["high"],
        low=prices["low"],
        volume=bars["volume"].cast(pl.Float64).to_numpy(),
        session_number=session,
        session_end=np.append(session[1:] != session[:-1], True),
        tradable=np.arange(bars.height) != (-1 if halted is None else halted),
    )


def dollars(ticks: FloatArray) -> list[Decimal]:
    return [Decimal(int(tick)) / TICKS_PER_DOLLAR for tick in ticks]


def numbers(text: str) -> list[Decimal]:
    return [Decimal(word) for word in text.split()]


def fills_of(done: Replay) -> list[tuple[int, Decimal, Decimal, Decimal, str]]:
    shares = [Decimal(repr(value)) for value in done.fill_shares.tolist()]
    reasons = [Reason(reason).label for reason in done.fill_reasons]
    columns = (done.fill_bars.tolist(), shares, dollars(done.fill_prices), dollars(done.fill_fees), reasons)
    return list(zip(*columns, strict=True))


def replayed(answer: dict[str, str]) -> Replay:
    execution, rules, halted = settings_of(answer["options"])
    signal = np.array([float("nan" if word == "." else word) for word in answer["signals"].split()])
    return replay(signal, market_of(halted), cash_ticks=cash_to_ticks(1000), execution=execution, rules=rules)


@pytest.mark.parametrize("answer", CASES, ids=lambda answer: answer["case"])
def test_ten_bars_with_a_rule_come_out_as_worked_out_by_hand(answer: dict[str, str]) -> None:
    done = replayed(answer)
    expected = []
    for fill in answer["fills"].split():
        bar, shares, price, fee, reason = fill.split(":")
        expected.append((int(bar), Decimal(shares), Decimal(price), Decimal(fee), reason))
    assert fills_of(done) == expected
    assert dollars(done.cash) == numbers(answer["cash"])
    assert [Decimal(repr(value)) for value in done.shares.tolist()] == numbers(answer["shares"])
    assert dollars(done.equity) == numbers(answer["equity"])


def trips_of(done: Replay) -> pl.DataFrame:
    start = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    stamps = pl.Series([start + dt.timedelta(minutes=bar) for bar in range(done.equity.size)])
    return round_trips(done, timestamp=stamps, close_ticks=market_of(None).close)


# Worked out by hand from the fills: shares, average prices, fees, profit after them, reason, whether it is open.
TRIPS = {
    "costs": [(99.0, 10.0150, 10.4842, 5.168, 41.2828, "signal", False)],
    "capped": [(99.0, 999.8 / 99, 895.9 / 99, 0.0, -103.9, "signal", False)],
    "short": [
        (-100.0, 10.0, 9.0, 0.0, 100.0, "signal", False),
        (117.0, 9.4, 9.8, 0.0, 46.8, "signal", False),
        (-117.0, 9.8, 9.0, 0.0, 93.6, None, True),
    ],
    "trailing": [(100.0, 10.0, 10.767, 0.0, 76.7, "trailing", False)],
}


@pytest.mark.parametrize("case", list(TRIPS))
def test_round_trips_join_partial_fills_and_tell_fees_and_reasons(case: str) -> None:
    done = replayed(next(answer for answer in CASES if answer["case"] == case))
    columns = ("shares", "entry_price_usd", "exit_price_usd", "fees_usd", "profit_usd", "exit_reason", "is_open")
    found = trips_of(done).select(columns).rows()
    for row, expected in zip(found, TRIPS[case], strict=True):
        assert row[:5] == pytest.approx(expected[:5], abs=1e-12)
        assert row[5:] == expected[5:]


@pytest.mark.parametrize("answer", CASES, ids=lambda answer: answer["case"])
def test_profits_of_all_trips_are_the_change_of_the_account(answer: dict[str, str]) -> None:
    done = replayed(answer)
    change = (done.final_value - done.start_cash) / TICKS_PER_DOLLAR
    assert trips_of(done)["profit_usd"].sum() == pytest.approx(change, abs=1e-9)
    assert done.fill_cash.sum() == done.cash[-1] - done.start_cash
