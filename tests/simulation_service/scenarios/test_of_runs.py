"""Runs of models and strategies under scenarios: what they were traded on comes back, to the cent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from barlake import Lake
from barlake.errors import NotFoundError
from barlake.halts import halted_minutes
from barlake.testing import make_bars
from simulation_service.costs import Costs
from simulation_service.execution import Execution
from simulation_service.options import plan_of_options
from simulation_service.plan import ModelSource, SimulationPlan, StrategySource
from simulation_service.rules import Rules
from simulation_service.scenarios.loading import load_run, run_returns, subject_of
from simulation_service.scenarios.of_runs import monte_carlo, run_scenarios
from simulation_service.scenarios.shocks import Stage
from simulation_service.simulate import simulate

ModelMaker = Callable[..., str]


def test_the_predictions_of_a_model_stay_with_their_minutes(
    lake: Lake, make_model: ModelMaker, predictions: pl.DataFrame
) -> None:
    made = simulate(lake, SimulationPlan(("SPY",), ModelSource(make_model(predictions))))
    report, page = run_scenarios(lake, made.run_id, names=["gap_down_10", "double_volatility"])
    plain, gapped, rough = report.outcomes
    assert plain.traded is not None
    assert gapped.traded is not None
    assert rough.traded is not None
    assert plain.traded.account.final_value / 10_000 == made.results["account"]["final_value_usd"]
    assert gapped.traded.account.fill_bars.tolist() == plain.traded.account.fill_bars.tolist()
    assert rough.traded.account.fill_bars.tolist() == plain.traded.account.fill_bars.tolist()
    assert page.subject == f"model feedbeefcafe0001, run {made.run_id}"


def test_costs_and_rules_of_the_run_hold_under_scenarios_too(lake: Lake) -> None:
    execution = Execution(delay_bars=1, costs=Costs(half_spread_bps=1.0, per_order_usd=1.0))
    source = StrategySource("moving_average_cross", {"fast_bars": 2, "slow_bars": 5})
    plan = SimulationPlan(("SPY",), source, execution=execution, rules=Rules(stop_loss=0.002, flat_at_close=True))
    made = simulate(lake, plan)
    loaded = load_run(lake, made.run_id)
    assert loaded.trader.plan.execution == execution
    assert loaded.trader.plan.rules == plan.rules
    traded = loaded.trader.trade(Stage.of(loaded.bars))
    assert traded.account.final_value / 10_000 == made.results["account"]["final_value_usd"]
    assert traded.returns == pytest.approx(run_returns(made.run), abs=1e-12)
    assert subject_of(made.run) == "moving_average_cross (fast_bars 2, slow_bars 5)"


def test_a_strategy_that_looks_at_a_model_sees_its_predictions_on_every_path(
    lake: Lake, make_model: ModelMaker, predictions: pl.DataFrame
) -> None:
    source = StrategySource("threshold", {}, make_model(predictions))
    made = simulate(lake, SimulationPlan(("SPY",), source))
    loaded = load_run(lake, made.run_id)
    traded = loaded.trader.trade(Stage.of(loaded.bars))
    assert traded.account.final_value / 10_000 == made.results["account"]["final_value_usd"]
    path = loaded.blocks().path(np.array([1, 0]))
    assert path["prediction"].null_count() == 0


def test_a_path_cut_short_says_so(lake: Lake) -> None:
    made = simulate(lake, SimulationPlan(("SPY",), StrategySource("buy_and_hold")))
    report = monte_carlo(lake, made.run_id, method="bars", paths=2, sessions=2)
    assert report.futures.closes.shape == (2, 2)
    assert "Paths end after" not in report.page().sections[0].text
    cut = type(report)(**{**vars(report), "asked_sessions": 252})
    assert "Paths end after 2 sessions: this volatility has no level" in cut.page().sections[0].text


def test_a_span_that_the_lake_does_not_hold_is_named(lake: Lake) -> None:
    made = simulate(lake, SimulationPlan(("SPY",), StrategySource("buy_and_hold")))
    with pytest.raises(
        NotFoundError, match=r"no bars of SPY from feed 'synthetic' are held in \[2020-02-20, 2020-03-24"
    ):
        run_scenarios(lake, made.run_id, names=["march_2020"])


def test_a_span_that_is_held_is_replayed_with_the_halts_of_its_dates(lake: Lake) -> None:
    march = [dt.date(2020, 3, 6), dt.date(2020, 3, 9), dt.date(2020, 3, 10)]
    later = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    crash = make_bars(march, minutes=60, seed=5)
    halted = pl.col("timestamp").is_in(halted_minutes()["timestamp"].implode())
    lake.write_bars(pl.concat([crash.filter(~halted), make_bars(later, minutes=60)]), feed="sip", symbol="IWM")
    source = StrategySource("moving_average_cross", {"fast_bars": 2, "slow_bars": 5})
    plan = SimulationPlan(("IWM",), source, feed="sip", start="2024-01-02")
    report, _ = run_scenarios(lake, simulate(lake, plan).run_id, names=["march_2020"])
    row = report.table().row(1, named=True)
    assert (row["first_session"], row["last_session"]) == (march[0], march[-1])
    assert row["bars"] == 3 * 60 - 14
    assert not row["synthetic"]
    # The same as a simulation of those sessions alone.
    alone = simulate(lake, SimulationPlan(("IWM",), source, feed="sip", start=march[0], end="2020-03-11"))
    assert row["final_value_usd"] == alone.results["account"]["final_value_usd"]
    assert row["fills"] == alone.results["account"]["fills"] > 10


def test_an_account_of_several_symbols_is_that_of_its_run(lake: Lake) -> None:
    options = {"strategy": "moving_average_cross", "settings": ["fast_bars=2", "slow_bars=5"]}
    plan = plan_of_options(["SPY", "QQQ"], options)
    made = simulate(lake, plan)
    report, _ = run_scenarios(lake, made.run_id, names=["gap_down_10", "feed_outage"])
    plain, gapped = report.table().rows(named=True)[:2]
    assert plain["final_value_usd"] == made.results["account"]["final_value_usd"]
    assert plain["buy_and_hold"] == pytest.approx(made.results["buy_and_hold"]["next_open"]["metrics"]["total_return"])
    assert gapped["buy_and_hold"] == pytest.approx(plain["buy_and_hold"] - 0.1, abs=0.01)
    assert report.symbol == "SPY, QQQ"
    futures = monte_carlo(lake, made.run_id, method="bars", paths=2, seed=1).futures
    assert futures.closes.shape == (2, 3)
