"""A strategy is simulated like anything else; one of one's own is proven first, and all of them are on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import InvalidInputError, LookAheadError
from barlake.keys import ArtifactKind
from simulation_service.plan import ModelSource, SimulationPlan, StrategySource
from simulation_service.simulate import SimulationReport, simulate
from simulation_service.strategies.catalogue import definition_hash, make_strategy
from tests.simulation_service.strategies import by_hand

OWN = """
from simulation_service.strategies.base import Strategy

class Momentum(Strategy):
    def __init__(self, shift: int = 1):
        self.shift = shift

    def signals(self, bars):
        return bars["close"] - bars["close"].shift(self.shift)
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


def simulated(lake: Lake, name: str, parameters: dict[str, Any] | None = None, **options: Any) -> SimulationReport:
    source = StrategySource(name, parameters or {}, options.pop("model_id", None))
    return simulate(lake, SimulationPlan(("SPY",), source, **options))


def test_buy_and_hold_as_a_strategy_is_a_bar_behind_the_benchmark(lake: Lake) -> None:
    results = simulated(lake, "buy_and_hold").results
    bars = lake.bars("SPY", session="regular")
    shares = int(100_000 // bars["open"][1])
    cents = 10_000_000 + shares * round((bars["close"][-1] - bars["open"][1]) * 100)
    assert results["account"]["final_value"] == f"{cents / 100:.2f}"
    assert results["account"]["fills"] == 1


def test_the_signals_of_a_run_are_those_of_the_strategy(lake: Lake) -> None:
    report = simulated(lake, "moving_average_cross", {"fast_bars": "3", "slow_bars": "8"})
    bars = lake.bars("SPY", session="regular")
    signals = pl.read_parquet(report.run.path / "signals.parquet")
    assert signals["signal"].to_list() == by_hand.cross(by_hand.closes_of(bars), 3, 8)
    definition = definition_hash(make_strategy("moving_average_cross", {"fast_bars": 3, "slow_bars": 8}))
    assert report.run.inputs["strategy"] == definition
    assert lake.strategies.find(definition).proof is None


def test_the_strategy_of_model_signals_is_the_model(lake: Lake, make_model: Any, predictions: pl.DataFrame) -> None:
    model = make_model(predictions)
    one = simulated(lake, "model", model_id=model)
    other = simulate(lake, SimulationPlan(("SPY",), ModelSource(model)))
    assert one.results["account"]["final_value"] == other.results["account"]["final_value"]
    levels = simulated(lake, "threshold", {"enter": 0.7}, model_id=model)
    assert levels.results["account"]["fills"] == 0


def test_a_strategy_of_ones_own_runs_once_it_is_proven(lake: Lake, own: str) -> None:
    report = simulated(lake, own)
    record = lake.strategies.find(report.run.inputs["strategy"])
    assert record.proof is not None
    assert record.proof["clean"]
    assert record.source["own"] == OWN


def test_a_strategy_that_looks_ahead_leaves_no_run_and_no_trial(lake: Lake, own: str) -> None:
    with pytest.raises(LookAheadError, match=r"strategy 'signal' at row .* looks 1 rows"):
        simulated(lake, own, {"shift": -1})
    assert lake.artifacts.list(ArtifactKind.RUN) == []
    assert lake.trials.frame().is_empty()


def test_a_strategy_that_reads_predictions_needs_a_model(lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="bars have no column 'prediction': give a model with --model"):
        simulated(lake, "threshold")
