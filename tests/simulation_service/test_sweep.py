"""A sweep tries every set on the same bars, as single runs would, and keeps all of them in the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import InvalidInputError, LookAheadError
from barlake.keys import ArtifactKind
from simulation_service.plan import ModelSource, SimulationPlan, StrategySource
from simulation_service.simulate import simulate
from simulation_service.sweeps.grid import Axis, Grid
from simulation_service.sweeps.heat import heat_maps
from simulation_service.sweeps.sweep import SweepReport, sweep
from simulation_service.sweeps.values import with_values

if TYPE_CHECKING:
    from tests.simulation_service.conftest import ModelMaker

CROSS = SimulationPlan(("SPY",), StrategySource("moving_average_cross"))
TEXTS = ["fast_bars=2,4,12", "slow_bars=8,16", "half_spread_bps=0,5"]
STUDY = "synthetic SPY"


def swept(lake: Lake, texts: list[str] = TEXTS, plan: SimulationPlan = CROSS, **options: Any) -> SweepReport:
    return sweep(lake, plan, Grid.parse(texts), **{"workers": 1, **options})


def test_each_set_has_the_figures_of_its_own_run_to_the_bit(lake: Lake) -> None:
    report = swept(lake)
    assert report.table.height == 12
    for row in report.table.filter(pl.col("error").is_null())[::3].iter_rows(named=True):
        values = {axis.name: row[axis.name] for axis in Grid.parse(TEXTS).axes}
        account = simulate(lake, with_values(CROSS, values)).results["account"]
        assert row["final_value_usd"] == account["final_value_usd"]
        assert (row["fills"], row["costs_usd"]) == (account["fills"], account["costs_usd"])
        metrics = account["metrics"]
        assert {name: row[name] for name in ("sharpe", "max_drawdown", "trades")} == {
            name: metrics[name] for name in ("sharpe", "max_drawdown", "trades")
        }


def test_every_set_is_a_trial_and_simulating_one_of_them_is_no_other_draw(lake: Lake) -> None:
    report = swept(lake)
    rows = lake.trials.frame(STUDY)
    assert (rows.height, rows["fingerprint"].n_unique()) == (12, 12)
    assert rows["artifact_id"].unique().to_list() == [report.sweep_id]
    failed = rows.filter(status="failed")
    assert failed.height == report.sweep.results["failed"] == 2  # fast 12 is not below slow 8, at either cost
    assert failed["error"].str.contains("fast_bars 12 must be below slow_bars 8").all()
    assert failed["fingerprint"].n_unique() == 2
    best = report.sweep.results["best"]
    run = simulate(lake, with_values(CROSS, best["values"]))
    assert run.results["account"]["final_value_usd"] == best["figures"]["final_value_usd"]
    assert run.results["deflation"] == report.sweep.results["deflation"]
    assert run.results["deflation"]["trials"] == 12


def test_one_worker_and_two_give_the_same_bits(lake: Lake) -> None:
    alone = swept(lake)
    tables = [alone.sweep.files[name]["sha256"] for name in ("sets.parquet", "returns.parquet")]
    lake.artifacts.delete(alone.sweep)
    shared = swept(lake, workers=2)
    assert shared.is_new
    assert [shared.sweep.files[name]["sha256"] for name in ("sets.parquet", "returns.parquet")] == tables


def test_the_same_sweep_again_tries_nothing(lake: Lake) -> None:
    first = swept(lake)
    again = swept(lake)
    assert (first.is_new, again.is_new, again.sweep_id) == (True, False, first.sweep_id)
    assert lake.trials.frame().height == 12
    assert swept(lake, [*TEXTS[:2], "half_spread_bps=0,6"]).sweep_id != first.sweep_id


def test_a_sweep_is_in_the_catalogue_with_its_returns_beside_it(lake: Lake) -> None:
    report = swept(lake)
    held = lake.sql("select id, results from sweeps").row(0, named=True)
    assert held["id"] == report.sweep_id
    assert json.loads(held["results"])["best"] == report.sweep.results["best"]
    returns = pl.read_parquet(report.sweep.path / "returns.parquet")
    traded = report.table.filter(pl.col("error").is_null())
    assert returns.columns == ["session", *map(str, traded["set"])]
    growth = returns.select((pl.exclude("session") + 1).product()).row(0)
    assert growth == pytest.approx((traded["total_return"] + 1).to_list())


def test_the_rules_of_a_models_run_can_be_swept(lake: Lake, make_model: ModelMaker, predictions: pl.DataFrame) -> None:
    plan = SimulationPlan(("SPY",), ModelSource(make_model(predictions)))
    report = swept(lake, ["stop_loss=none,0.0005", "fill=next_open,same_close"], plan)
    assert report.table["fill"].to_list() == ["next_open", "same_close"] * 2
    one = simulate(lake, with_values(plan, {"stop_loss": 0.0005, "fill": "same_close"}))
    assert report.table["final_value_usd"][3] == one.results["account"]["final_value_usd"]
    assert report.table["final_value_usd"].n_unique() == 4


def test_a_strategy_that_looks_at_a_model_is_shown_its_predictions(
    lake: Lake, make_model: ModelMaker, predictions: pl.DataFrame
) -> None:
    wave = predictions.with_columns(prediction=0.5 + 0.1 * (pl.int_range(pl.len()) * 0.3).sin())
    plan = SimulationPlan(("SPY",), StrategySource("threshold", {}, make_model(wave)))
    report = swept(lake, ["enter=0.52,0.58"], plan)
    assert report.table["final_value_usd"].n_unique() == 2
    one = simulate(lake, with_values(plan, {"enter": 0.58}))
    assert report.table["final_value_usd"][1] == one.results["account"]["final_value_usd"]


PEEKING = """
import polars as pl
from simulation_service.strategies.base import Strategy


class Peeking(Strategy):
    def __init__(self, bars_ahead: int = 1) -> None:
        self.bars_ahead = bars_ahead

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        return (bars["close"].shift(-self.bars_ahead) - bars["close"]).sign()
"""


def test_a_strategy_of_ones_own_that_looks_ahead_is_not_swept(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "peeking.py"
    file.write_text(PEEKING)
    plan = SimulationPlan(("SPY",), StrategySource(f"{file}:Peeking"))
    with pytest.raises(LookAheadError):
        swept(lake, ["bars_ahead=1,2"], plan)
    honest = swept(lake, ["bars_ahead=-1,-2"], plan)
    assert honest.sweep.results["failed"] == 0
    assert lake.trials.frame().height == 2


def test_some_sets_of_a_large_grid_are_drawn_by_a_seed(lake: Lake) -> None:
    report = swept(lake, ["fast_bars=2:9:1", "slow_bars=10:39:1"], at_most=5, seed=3)
    results = report.sweep.results
    assert (results["sets"], results["drawn_of"], report.table.height) == (5, 240, 5)
    assert lake.trials.frame().height == 5


@pytest.mark.parametrize(
    ("plan", "texts", "message"),
    [
        (CROSS, ["fast=2,3"], "'fast' cannot be set here: use one of fast_bars, slow_bars, .*Did you mean 'fast_bars'"),
        (CROSS, ["fast_bars=20,30", "slow_bars=10"], "none of 2 sets could be traded; the first: InvalidInputError"),
        (CROSS, ["stop_loss=2.0,3.0"], "stop_loss"),
    ],
)
def test_what_cannot_be_swept_is_refused_and_leaves_nothing(
    lake: Lake, plan: SimulationPlan, texts: list[str], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        swept(lake, texts, plan)
    assert lake.trials.frame().is_empty()
    assert lake.artifacts.list(ArtifactKind.SWEEP) == []


def test_a_sweep_that_is_stopped_leaves_nothing_half_done(lake: Lake) -> None:
    def stop(_: str, done: int, __: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        swept(lake, progress=stop)
    assert lake.trials.frame().is_empty()
    assert lake.artifacts.list(ArtifactKind.SWEEP) == []


def test_the_page_says_what_the_best_is_worth_and_that_bars_are_made_up(lake: Lake) -> None:
    page = Path(swept(lake).page_path).read_text(encoding="utf-8")
    for told in ("synthetic bars", "The best of 12 sets is", "12 tries on record", "fast_bars down, slow_bars across"):
        assert told in page
    assert "<script" not in page


def test_a_cell_of_a_heat_map_is_the_median_of_the_sets_that_share_it() -> None:
    axes = [Axis("a", (1, 2)), Axis("b", (None, 0.5)), Axis("c", (1, 2, 3))]
    places = pl.DataFrame(
        {
            "place_0": [0, 0, 0, 1],
            "place_1": [1, 1, 1, 0],
            "place_2": [0, 1, 2, 0],
            "sharpe": [1.0, -3.0, 2.0, None],
        }
    )
    first, *others = heat_maps(axes, places, "sharpe")
    assert (first.down, first.across, first.columns) == ("a", "b", ["none", "0.5"])
    cells = [[None if cell is None else cell.value for cell in row] for _, row in first.rows]
    assert cells == [[None, 1.0], [None, None]]
    assert [(one.down, one.across) for one in others] == [("a", "c"), ("b", "c")]
    (line,) = heat_maps(axes[2:], places.rename({"place_2": "place_0", "place_0": "x"}), "sharpe")
    assert [None if cell is None else cell.value for cell in line.rows[0][1]] == [1.0, -3.0, 2.0]
