from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, replay
from simulation_service.market import Market
from simulation_service.tick_prices import price_ticks
from simulation_service.ticks import FloatArray
from simulation_service.trades import round_trips

ANSWER = Path(__file__).parents[1] / "answers" / "simulation_ten_bars.csv"
START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)


def ten_bars(fill: Fill) -> tuple[Replay, FloatArray, pl.Series]:
    bars = pl.read_csv(ANSWER, comment_prefix="#")
    closes = price_ticks(bars["close"].cast(pl.Float64).to_numpy(), name="close").ticks
    opens = price_ticks(bars["open"].cast(pl.Float64).to_numpy(), name="open").ticks
    signal = bars["signal"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    done = replay(signal, Market.from_ticks(opens, closes), cash_ticks=10_000_000, execution=Execution(fill))
    return done, closes, pl.Series([START + dt.timedelta(minutes=bar) for bar in range(10)])


def test_round_trips_name_the_bars_and_prices_they_were_filled_at() -> None:
    done, closes, stamps = ten_bars(Fill.SAME_CLOSE)
    trips = round_trips(done, timestamp=stamps, close_ticks=closes)
    assert trips.select("shares", "entry_price_usd", "exit_price_usd", "profit_usd", "is_open").rows() == [
        (95, 10.5, 11.0, 47.5, False),
        (91, 11.5, 12.25, 68.25, False),
        (92, 12.0, 13.0, 92.0, False),
    ]
    assert [stamp.minute - 30 for stamp in trips["entry_timestamp"]] == [0, 4, 7]
    assert [stamp.minute - 30 for stamp in trips["exit_timestamp"]] == [2, 6, 9]


def test_trade_that_was_never_sold_is_valued_at_the_last_close() -> None:
    done, closes, stamps = ten_bars(Fill.NEXT_OPEN)
    last = round_trips(done, timestamp=stamps, close_ticks=closes).row(-1, named=True)
    assert last["is_open"]
    assert (last["shares"], last["entry_price_usd"], last["exit_price_usd"]) == (94, 12.1, 13.0)
    assert last["profit_usd"] == 84.6
    assert last["exit_timestamp"] == START + dt.timedelta(minutes=9)


def test_profits_of_all_trades_add_up_to_the_change_of_the_account() -> None:
    for fill in Fill:
        done, closes, stamps = ten_bars(fill)
        trips = round_trips(done, timestamp=stamps, close_ticks=closes)
        assert trips["profit_usd"].sum() == pytest.approx((done.final_value - done.start_cash) / 10_000)


def test_no_fill_makes_an_empty_table_of_the_same_columns() -> None:
    done, closes, stamps = ten_bars(Fill.SAME_CLOSE)
    idle = replay(np.zeros(10), Market.from_ticks(closes, closes), cash_ticks=1)
    empty = round_trips(idle, timestamp=stamps, close_ticks=closes)
    assert empty.is_empty()
    assert empty.schema == round_trips(done, timestamp=stamps, close_ticks=closes).schema
