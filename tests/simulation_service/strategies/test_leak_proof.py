"""No strategy of the house knows a later bar; those that are made to are found."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from barlake.errors import InvalidInputError, LookAheadError
from barlake.leak_proof import Effort
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.catalogue import HOUSE, make_strategy
from simulation_service.strategies.leak_proof import prove_strategy

SOME = Effort(whole=16, pieces=5, per_piece=6, piece_rows=240, sweeps=2)

PARAMETERS: dict[str, dict[str, Any]] = {
    "model": {},
    "threshold": {"enter": 0.52, "exit": 0.5, "short_enter": 0.46},
    "moving_average_cross": {"fast_bars": 5, "slow_bars": 20},
    "mean_reversion": {"window_bars": 20, "entry_deviations": 1.5},
    "breakout": {"entry_bars": 20, "exit_bars": 10},
    "pair": {"first": "AAA", "second": "BBB", "window_bars": 30, "entry_deviations": 1.5},
    "switch": {"first": "AAA", "second": "BBB", "window_bars": 20, "lead": 0.0005, "least_return": 0.0},
    "fly": {"left": "AAA", "body": "BBB", "right": "CCC", "window_bars": 30, "entry_deviations": 1.5},
    "time_of_day": {"strategy": "moving_average_cross", "strategy__slow_bars": 25, "start": "09:45", "end": "10:45"},
    "day_of_week": {"strategy": "breakout", "strategy__entry_bars": 20, "strategy__exit_bars": 5, "days": "tue,thu"},
    "volatility_regime": {"strategy": "buy_and_hold", "window_bars": 10, "history_bars": 60},
    "buy_and_hold": {},
}
SYMBOLS = {"model": "one", "threshold": "one", "pair": "two", "switch": "two"}


@pytest.mark.parametrize("name", HOUSE)
def test_a_strategy_of_the_house_knows_no_later_bar(name: str, request: pytest.FixtureRequest) -> None:
    bars = request.getfixturevalue(SYMBOLS.get(name, "three"))
    report = prove_strategy(make_strategy(name, PARAMETERS[name]), bars, effort=SOME)
    report.require_clean()
    assert sum(report.tried.values()) >= 46


class Cheat(Strategy):
    """Wants what an expression over the bars of one symbol says."""

    def __init__(self, expression: pl.Expr) -> None:
        self.expression = expression

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        return bars.select(self.expression.cast(pl.Float64).alias("signal")).to_series()


CLOSE, LAST = pl.col("close"), pl.col("close").last().over("session")
CHEATS: dict[str, tuple[pl.Expr, str]] = {
    "tomorrow's bar": (CLOSE.shift(-1) > CLOSE, "bars"),
    "the session's last close": (LAST > CLOSE, "bars.close"),
    "a mean over everything": (CLOSE.mean() < CLOSE, "bars.close"),
    "a centred mean": (CLOSE.rolling_mean(9, center=True) < CLOSE, "bars.close"),
    "a gap filled from behind": (pl.when(pl.col("volume") % 3 == 0).then(CLOSE).backward_fill() > CLOSE, "bars"),
    "how many bars the session has": (pl.len().over("session") > 85, "rows"),
    "the next prediction": (pl.col("prediction").shift(-1) > 0.5, "bars"),
    "one minute of a session": (
        pl.when(pl.col("timestamp").dt.minute() == 44).then(CLOSE.shift(-1) > CLOSE).otherwise(CLOSE > 100),
        "bars",
    ),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_strategy_that_looks_ahead_is_found_and_told_at_what(name: str, one: pl.DataFrame) -> None:
    expression, culprit = CHEATS[name]
    with pytest.raises(LookAheadError, match=f"strategy 'signal' at row .* rows .* ahead, at .*{culprit}"):
        prove_strategy(Cheat(expression), one, effort=SOME).require_clean()


class OtherSymbolsFuture(Strategy):
    """Buys AAA where BBB will have risen."""

    each_symbol = False

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        later = bars.filter(symbol="BBB").select(
            pl.col("timestamp") - dt.timedelta(minutes=1), rises=(pl.col("open") < CLOSE).cast(pl.Float64)
        )
        return bars.join(later, on="timestamp", how="left", maintain_order="left")["rises"]


def test_the_future_of_another_symbol_is_found_too(two: pl.DataFrame) -> None:
    assert not prove_strategy(OtherSymbolsFuture(), two, effort=SOME).is_clean


class Draws(Strategy):
    """Wants by chance, another time otherwise."""

    def __init__(self) -> None:
        self.calls = 0

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        self.calls += 1
        return pl.int_range(bars.height, eager=True).shuffle(self.calls) % 2


def test_a_strategy_that_is_another_one_each_time_is_refused(one: pl.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="not the same when it is computed twice"):
        prove_strategy(Draws(), one, effort=SOME).require_clean()


def test_without_a_signal_nothing_is_proven(one: pl.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match=r"none of the .* bars has a signal of MovingAverageCross"):
        prove_strategy(make_strategy("moving_average_cross", {"slow_bars": 10_000}), one)
