"""Signals of a strategy beside its bars: aligned, checked, and the same whatever the order of rows."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from barlake.errors import InvalidInputError
from barlake.sessions import session_of
from barlake.testing import make_bars
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.placing import signal_frame

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]


def bars_of(symbol: str, seed: int) -> pl.DataFrame:
    made = make_bars(SESSIONS, seed=seed, minutes=30)
    return made.select(
        pl.lit(symbol).alias("symbol"),
        session_of(pl.col("timestamp")).alias("session"),
        "timestamp", "open", "high", "low", "close", "volume",
    )  # fmt: skip


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return pl.concat([bars_of("SPY", 1), bars_of("QQQ", 2)])


class Closes(Strategy):
    """Wants what the close says: each row's signal tells which bar it came from."""

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        return bars["close"]


class Rows(Strategy):
    """Wants the number of symbols it was shown."""

    each_symbol = False

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        return pl.repeat(bars["symbol"].n_unique(), bars.height, eager=True)


class Given(Strategy):
    """Wants whatever it was made with."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        del bars
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]


def test_each_signal_stands_beside_its_own_bar_whatever_the_order_of_rows(bars: pl.DataFrame) -> None:
    found = signal_frame(Closes(), bars.sample(fraction=1.0, shuffle=True, seed=3))
    wanted = bars.sort("timestamp", "symbol").select("timestamp", "symbol", signal="close")
    assert found.equals(wanted)


def test_a_strategy_sees_one_symbol_at_a_time_or_all_at_once(bars: pl.DataFrame) -> None:
    assert signal_frame(Rows(), bars)["signal"].unique().to_list() == [2.0]


def test_nan_is_null_and_booleans_are_numbers(bars: pl.DataFrame) -> None:
    one = bars.filter(symbol="SPY").head(3)
    assert signal_frame(Given(pl.Series([1.0, float("nan"), None])), one)["signal"].to_list() == [1.0, None, None]
    assert signal_frame(Given(pl.Series([True, False, None])), one)["signal"].to_list() == [1.0, 0.0, None]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (pl.Series([1.0]), "gave 1 signals for 3 bars"),
        (pl.Series(["a", "b", "c"]), "gave signals of type String"),
        (pl.Series([1.0, float("inf"), 0.0]), "infinite signal at 2024-01-02 14:31"),
        ([1.0, 0.0, 1.0], "gave a list: return a polars Series"),
        (ZeroDivisionError("by zero"), r"failed on 3 bars \(ZeroDivisionError: by zero\)"),
    ],
)
def test_what_is_no_signal_per_bar_is_refused(bars: pl.DataFrame, answer: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        signal_frame(Given(answer), bars.filter(symbol="SPY").head(3))


def test_bars_without_a_column_and_bars_that_come_twice_are_refused(bars: pl.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="bars have no column 'volume'"):
        signal_frame(Closes(), bars.drop("volume"))
    with pytest.raises(InvalidInputError, match="SPY has two bars at 2024-01-02 14:30"):
        signal_frame(Closes(), pl.concat([bars, bars.filter(symbol="SPY").head(1)]))
    with pytest.raises(InvalidInputError, match="SPY has two bars at 2024-01-02 14:30"):
        signal_frame(Rows(), pl.concat([bars, bars.filter(symbol="SPY").head(1)]))
