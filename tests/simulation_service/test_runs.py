"""A run remembers its plan, every choice is a trial, and runs stand side by side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake import Lake
from barlake.catalogue import is_current
from barlake.errors import InvalidInputError
from barlake.keys import ArtifactKind
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.options import plan_of_options, settings_of
from simulation_service.plan import FileSource, ModelSource, SimulationPlan, StrategySource
from simulation_service.rules import Direction, Rules
from simulation_service.runs import compare_runs, list_runs, plan_of_run
from simulation_service.simulate import Surroundings, simulate
from tests.simulation_service.conftest import SESSIONS

COSTLY = Execution(Fill.NEXT_CLOSE, delay_bars=1, costs=Costs(half_spread_bps=1, per_order_usd=0.5), volume_share=0.1)
CAREFUL = Rules(Direction.BOTH, stop_loss=0.01, flat_at_close=True, max_holding_bars=20)


@pytest.fixture
def signals_file(predictions: pl.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "signals.csv"
    predictions.select("timestamp", signal=pl.col("signal") - 0.5).write_csv(path)
    return path


def sources(make_model: Any, predictions: pl.DataFrame, signals_file: Path) -> list[Any]:
    cross = StrategySource("moving_average_cross", {"fast_bars": 3, "slow_bars": 9})
    return [ModelSource(make_model(predictions)), FileSource(signals_file), cross]


def test_a_run_of_every_source_is_carried_out_again_by_its_own_plan(
    lake: Lake, make_model: Any, predictions: pl.DataFrame, signals_file: Path
) -> None:
    for source in sources(make_model, predictions, signals_file):
        plan = SimulationPlan(("SPY",), source, cash_usd="5000.25", execution=COSTLY, rules=CAREFUL, end="2024-01-04")
        run = simulate(lake, plan).run
        again = plan_of_run(run, signals=signals_file)
        assert (again.execution, again.rules, again.cash_ticks) == (COSTLY, CAREFUL, 50_002_500)
        assert simulate(lake, again).run_id == run.id


def test_a_run_of_a_file_is_not_made_again_without_the_file(lake: Lake, signals_file: Path) -> None:
    run = simulate(lake, SimulationPlan(("SPY",), FileSource(signals_file))).run
    with pytest.raises(InvalidInputError, match="name it with --signals"):
        plan_of_run(run)


def test_costs_make_the_account_poorer_than_the_plain_rule_beside_it(lake: Lake, signals_file: Path) -> None:
    costs = Costs(half_spread_bps=2, slippage_bps=1, per_order_usd=1)
    results = simulate(
        lake, SimulationPlan(("SPY",), FileSource(signals_file), execution=Execution(costs=costs))
    ).results
    assert results["account"]["costs_usd"] > results["account"]["fills"]
    assert results["account"]["final_value_usd"] < results["next_open"]["final_value_usd"]
    free = simulate(lake, SimulationPlan(("SPY",), FileSource(signals_file))).results
    assert {**free["account"], "costs_usd": 0, "fill": "next_open"} == {**free["account"]}
    assert free["next_open"] == results["next_open"] == {name: free["account"][name] for name in results["next_open"]}


def test_every_simulation_is_one_trial_of_its_study_and_knows_how_many_there_were(
    lake: Lake,
) -> None:
    counts = []
    for fast in (2, 3, 3, 4):
        cross = StrategySource("moving_average_cross", {"fast_bars": fast, "slow_bars": 9})
        report = simulate(lake, SimulationPlan(("SPY",), cross))
        counts.append(report.results["deflation"]["trials"] if report.is_new else None)
    assert counts == [1, 2, None, 3]
    trials = lake.trials.frame("synthetic SPY")
    assert trials["kind"].to_list() == ["simulation"] * 3
    assert trials["status"].to_list() == ["finished"] * 3
    assert trials["artifact_id"].to_list() == [one.id for one in lake.artifacts.list(ArtifactKind.RUN)]
    assert lake.trials.returns("synthetic SPY").height == len(SESSIONS)


def test_a_run_made_again_takes_its_surroundings_over_and_leaves_no_trial(lake: Lake, signals_file: Path) -> None:
    plan = SimulationPlan(("SPY",), FileSource(signals_file))
    run = simulate(lake, plan).run
    simulate(lake, SimulationPlan(("SPY",), FileSource(signals_file), cash_usd=7))
    pages = run.path.joinpath("report.html").read_bytes()
    lake.artifacts.delete(run)
    again = simulate(lake, plan, surroundings=Surroundings.of(run))
    assert again.report_path.read_bytes() == pages
    assert again.run.files == run.files
    assert lake.trials.frame().height == 2


def test_a_strategy_sees_the_predictions_of_its_model(lake: Lake, make_model: Any, predictions: pl.DataFrame) -> None:
    model = make_model(predictions)
    plain = simulate(lake, SimulationPlan(("SPY",), ModelSource(model)))
    asked = simulate(lake, SimulationPlan(("SPY",), StrategySource("model", {}, model)))
    assert asked.run_id != plain.run_id
    assert asked.results["account"]["final_value"] == plain.results["account"]["final_value"]
    assert "predictions.parquet" in asked.run.files


def test_runs_are_listed_and_their_differences_shown(lake: Lake, signals_file: Path) -> None:
    plan = SimulationPlan(("SPY",), FileSource(signals_file))
    one = simulate(lake, plan).run
    other = simulate(lake, SimulationPlan(("SPY",), FileSource(signals_file), rules=Rules(stop_loss=0.02))).run
    listed = list_runs([one, other])
    assert listed["run"].to_list() == [one.id, other.id]
    assert listed["source"].to_list() == ["file signals.csv"] * 2
    table = compare_runs([one, other])
    chosen = table.filter(pl.col("of") != "result")
    assert chosen.select("of", "fact", one.id, other.id).rows() == [("plan", "rules.stop_loss", None, "0.02")]
    assert table.filter(fact="final_value")[one.id][0] == one.results["account"]["final_value"]
    with pytest.raises(InvalidInputError, match="name two different ones"):
        compare_runs([one, one])


def test_trades_and_equity_of_all_runs_are_views_of_the_catalogue(lake: Lake, signals_file: Path) -> None:
    assert lake.sql("select * from trades").columns[:2] == ["run", "symbol"]
    assert lake.sql("select * from equity").is_empty()
    made = [simulate(lake, SimulationPlan(("SPY",), FileSource(signals_file), cash_usd=cash)) for cash in (10_000, 500)]
    last = lake.sql("select run, max_by(equity_usd, timestamp) as value from equity group by run order by value")
    assert last["run"].to_list() == [one.run_id for one in reversed(made)]
    assert last["value"].to_list() == [one.results["account"]["final_value_usd"] for one in reversed(made)]
    # A folder that is not registered does not exist for any reader.
    lake.artifacts.delete(made[0].run)
    lake.publish_made()
    assert lake.sql("select distinct run from equity")["run"].to_list() == [made[1].run_id]
    lake.artifacts.delete(made[1].run)
    lake.publish_made()
    assert lake.sql("select * from equity").is_empty()
    assert lake.sql("select count(*) from trials").item() == 2
    assert is_current(lake)


@pytest.mark.parametrize("damage", [b"", b"PAR1 cut short", None])
def test_a_damaged_run_is_told_of_and_hides_no_other(
    lake: Lake, signals_file: Path, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    made = [simulate(lake, SimulationPlan(("SPY",), FileSource(signals_file), cash_usd=cash)) for cash in (10_000, 500)]
    hurt = made[0].run.path / "equity.parquet"
    hurt.chmod(0o600)
    hurt.write_bytes(b"PAR1" + bytes(hurt.stat().st_size - 4) if damage is None else damage)
    lake.publish()
    assert lake.sql("select distinct run from equity")["run"].to_list() == [made[1].run_id]
    assert f"{hurt} is damaged" in caplog.text


def test_options_of_a_command_line_make_the_plan_they_name() -> None:
    given = {"strategy": "threshold", "settings": ["enter=0.6"], "model": "abc", "fill": "next_close", "delay_bars": 1,
             "half_spread_bps": 1.0, "per_order_usd": 0.5, "volume_share": 0.1, "direction": "both", "stop_loss": 0.01,
             "flat_at_close": True, "max_holding_bars": 20, "cash": "5000", "feed": None}  # fmt: skip
    plan = plan_of_options(["spy"], given)
    assert plan.source == StrategySource("threshold", {"enter": "0.6"}, "abc")
    assert (plan.execution, plan.rules, plan.cash_usd, plan.symbols) == (COSTLY, CAREFUL, "5000", ("SPY",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "name either --model, or --signals, or --strategy"),
        ({"model": "a", "signals": "b"}, "name either --model"),
        ({"signals": "b", "strategy": "c"}, "name either --model"),
        ({"model": "a", "settings": ["x=1"]}, "--set has nobody to read it"),
        ({"strategy": "c", "settings": ["x"]}, "is not name=value"),
        ({"model": "a", "fill": "best"}, "fill 'best' is not known"),
        ({"model": "a", "direction": "up"}, "direction 'up' is not known"),
    ],
)
def test_options_that_make_no_plan_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        plan_of_options(["SPY"], given)


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="given twice"):
        settings_of(["x=1", "x=2"])


def test_the_query_of_the_page_on_simulation_answers(lake: Lake, signals_file: Path) -> None:
    simulate(lake, SimulationPlan(("SPY",), FileSource(signals_file)))
    page = (Path(__file__).parents[2] / "docs/simulation.md").read_text(encoding="utf-8")
    [query] = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    assert lake.sql(query).height == 1
