"""Trades of a run on the bars it traded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

import barlake
from app.use_cases import trade_picture as module
from app.use_cases.runs import sessions_of, table_of
from app.use_cases.trade_picture import busy_sessions, trade_picture
from barlake.errors import InvalidInputError
from barlake.lake import Lake


@pytest.fixture
def lake(small_lake: Any) -> Iterator[Lake]:
    with barlake.open(small_lake.root) as found:
        yield found


def test_every_mark_stands_on_the_candle_its_instant_falls_into(lake: Lake, small_lake: Any) -> None:
    symbol = small_lake.symbols[0]
    first, last = busy_sessions(lake, small_lake.run_id, symbol)
    picture = trade_picture(lake, small_lake.run_id, symbol, first, last)
    assert picture.trades.height > 0
    opens = picture.bars["timestamp"]
    for side in ("entry", "exit"):
        for bar, instant in picture.trades.select(f"{side}_bar", f"{side}_timestamp").drop_nulls().iter_rows():
            assert opens[bar] <= instant
            assert bar + 1 == opens.len() or instant < opens[bar + 1]


def test_the_trades_are_those_that_were_open_in_the_sessions(lake: Lake, small_lake: Any) -> None:
    symbol, days = small_lake.symbols[0], sessions_of(lake, small_lake.run_id)
    day = days[len(days) // 2]
    picture = trade_picture(lake, small_lake.run_id, symbol, day, day)
    trades = table_of(lake, small_lake.run_id, "trades")
    ends = pl.when(pl.col("is_open")).then(None).otherwise(pl.col("exit_timestamp").dt.date())
    expected = trades.filter(pl.col("entry_timestamp").dt.date() <= day, ends.is_null() | (ends >= day))
    assert picture.trades["entry_timestamp"].to_list() == expected["entry_timestamp"].to_list()
    assert picture.bars["session"].unique().to_list() == [day]


def test_what_is_too_much_for_a_picture_is_counted(
    lake: Lake, small_lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_TRADES", 3)
    days = sessions_of(lake, small_lake.run_id)
    picture = trade_picture(lake, small_lake.run_id, small_lake.symbols[0], days[0], days[-1])
    trades = table_of(lake, small_lake.run_id, "trades").height
    assert (picture.trades.height, picture.left_out) == (3, trades - 3)
    assert picture.bars.height <= 2_000


def test_a_symbol_that_was_not_traded_is_refused_with_those_that_were(lake: Lake, small_lake: Any) -> None:
    days = sessions_of(lake, small_lake.run_id)
    with pytest.raises(InvalidInputError, match=small_lake.symbols[0]):
        trade_picture(lake, small_lake.run_id, small_lake.symbols[1], days[0], days[-1])
