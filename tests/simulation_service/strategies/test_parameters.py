"""A parameter that makes no sense is told when it is used: its name, its value, the rule and the way out."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from barlake.errors import InvalidInputError
from simulation_service.strategies.catalogue import make_strategy
from simulation_service.strategies.placing import signal_frame

PAIR = {"first": "AAA", "second": "BBB"}


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("moving_average_cross", {"fast_bars": 0}, "fast_bars 0 is no number of bars: give a whole number from 1 up"),
        ("moving_average_cross", {"fast_bars": 2.5}, "fast_bars 2.5 is no number of bars"),
        ("moving_average_cross", {"fast_bars": True}, "fast_bars True is no number of bars"),
        ("moving_average_cross", {"fast_bars": 9, "slow_bars": 9}, "fast_bars 9 must be below slow_bars 9"),
        ("mean_reversion", {"window_bars": 1}, "window_bars 1 is no number of bars: give a whole number from 2 up"),
        ("mean_reversion", {"entry_deviations": 0}, "entry_deviations 0 is not allowed: give a number above 0"),
        ("mean_reversion", {"exit_deviations": -1}, "exit_deviations -1 is not allowed: give a number from 0 up"),
        ("mean_reversion", {"exit_deviations": 2}, "exit_deviations 2 must be below entry_deviations 2"),
        ("mean_reversion", {"entry_deviations": float("nan")}, "entry_deviations nan is not allowed"),
        ("breakout", {"entry_bars": 5, "exit_bars": 6}, "exit_bars 6 must be at most entry_bars 5"),
        ("threshold", {"enter": 0.5, "exit": 0.6, "column": "close"}, r"exit 0.6 must be at most enter 0.5"),
        ("threshold", {"enter": "much", "column": "close"}, "enter 'much' is not allowed: give a number and finite"),
        ("threshold", {"short_exit": 0.4, "column": "close"}, "short_exit 0.4 leaves what is never entered"),
        ("threshold", {"short_enter": 0.52, "column": "close"}, "short_enter 0.52 must be at most exit 0.5"),
        ("threshold", {}, "bars have no column 'prediction': give a model with --model"),
        ("threshold", {"column": "closes"}, "bars have no column 'closes': use one of .* Did you mean 'close'"),
        ("threshold", {"column": "symbol"}, "column 'symbol' holds String, no numbers"),
        ("model", {}, "bars have no column 'model_signal': give a model with --model"),
        ("pair", {**PAIR, "second": "AAA"}, "first 'AAA', second 'AAA': each needs a symbol of its own"),
        ("pair", {**PAIR, "first": "a b"}, "symbol 'a b' is not a symbol"),
        ("pair", {**PAIR, "hedge": 0}, "hedge 0 is not allowed: give a number above 0"),
        ("pair", {"first": "AAA", "second": "CCC"}, "bars are of AAA, BBB, but Pair trades AAA, CCC"),
        ("switch", {**PAIR, "lead": -0.1}, "lead -0.1 is not allowed: give a number from 0 up"),
        ("switch", {**PAIR, "least_return": "x"}, "least_return 'x' is not allowed"),
        ("time_of_day", {"strategy": "buy_and_hold", "start": "ten"}, "start 'ten' is no clock time"),
        ("time_of_day", {"strategy": "buy_and_hold", "start": "16:00"}, "start '16:00' must be before end '15:55'"),
        ("time_of_day", {"strategy": "buy_and_hold", "zone": "Mars"}, "zone 'Mars' is not known"),
        ("time_of_day", {"strategy": "buy_and_hold", "outside": "flt"}, "outside 'flt' is not known.*'flat'"),
        ("time_of_day", {"strategy": None}, "strategy None is none: put a strategy inside TimeOfDay"),
        ("day_of_week", {"strategy": "buy_and_hold", "days": "mon,yesterday"}, "'yes' is no day, use mon, tue"),
        ("volatility_regime", {"strategy": "buy_and_hold", "history_bars": 60}, "window_bars 60 must be below"),
        ("volatility_regime", {"strategy": "buy_and_hold", "least": 2}, "least 2 must be below most 1"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(
    two: pl.DataFrame, name: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        signal_frame(make_strategy(name, parameters), two)


def test_a_strategy_without_its_symbols_is_not_made() -> None:
    with pytest.raises(InvalidInputError, match="strategy 'pair' needs second: give it, as in second=VALUE"):
        make_strategy("pair", {"first": "AAA"})
