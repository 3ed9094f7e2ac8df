"""Several symbols through the door: one account, one run folder, and the same run made again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import InvalidInputError
from barlake.run_tables import RUN_TABLES
from barlake.testing import make_bars, temporary_lake
from simulation_service.allocation import Allocation
from simulation_service.exposure import Limits
from simulation_service.options import plan_of_options
from simulation_service.plan import FileSource, SimulationPlan
from simulation_service.rebalance import Rebalance
from simulation_service.runs import plan_of_run
from simulation_service.simulate import SimulationReport, Surroundings, simulate
from simulation_service.sizing import VolatilityTarget

SESSIONS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10)]


@pytest.fixture
def lake() -> Any:
    with temporary_lake() as lake:
        for seed, symbol in enumerate(["SPY", "QQQ"]):
            bars = make_bars(SESSIONS, seed=seed, minutes=30, keep=0.9)
            lake.writer.write(bars, feed="synthetic", symbol=symbol, source="python")
        lake.publish()
        yield lake


@pytest.fixture
def signals(lake: Lake, tmp_path: Path) -> Path:
    """Signals of both symbols from the fifth session on, changing every 11 and 17 bars."""
    tables = []
    for symbol, every in (("SPY", 11), ("QQQ", 17)):
        bars = lake.bars(symbol, "2024-01-08", session="regular")
        row = pl.int_range(pl.len())
        tables.append(bars.select("timestamp", "symbol", signal=((row // every) % 2).cast(pl.Float64)))
    path = tmp_path / "signals.parquet"
    pl.concat(tables).write_parquet(path)
    return path


def plan_of(signals: Path, **options: Any) -> SimulationPlan:
    return SimulationPlan(("SPY", "QQQ"), FileSource(signals), **options)


def read(report: SimulationReport, table: str) -> pl.DataFrame:
    return pl.read_parquet(report.run.path / f"{table}.parquet")


def test_several_symbols_share_one_account(lake: Lake, signals: Path) -> None:
    report = simulate(lake, plan_of(signals))
    equity, fills = read(report, "equity"), read(report, "fills")
    minutes = lake.bars(["SPY", "QQQ"], "2024-01-08", session="regular")["timestamp"].unique().sort()
    assert equity["timestamp"].to_list() == minutes.to_list()
    # Cash is what was there, less what was bought, plus what was sold.
    paid = (fills["shares"] * fills["price_usd"]).sum() + fills["fee_usd"].sum()
    assert equity["cash_usd"][-1] == pytest.approx(100_000 - paid, abs=1e-6)
    assert equity["cash_usd"].min() >= 0
    assert set(fills["symbol"]) == {"SPY", "QQQ"}
    assert float(report.results["account"]["final_value"]) == pytest.approx(equity["equity_usd"][-1])


def test_profits_of_the_symbols_add_up_to_that_of_the_account(lake: Lake, signals: Path) -> None:
    results = simulate(lake, plan_of(signals)).results
    earned = sum(one["profit_usd"] for one in results["by_symbol"].values())
    assert earned == pytest.approx(results["account"]["final_value_usd"] - 100_000, abs=1e-6)


def test_the_folder_has_every_table_with_its_columns(lake: Lake, signals: Path) -> None:
    report = simulate(lake, plan_of(signals))
    for name, schema in RUN_TABLES.items():
        table = read(report, name)
        assert dict(table.schema) == schema
        assert table.height > 0
        assert table[table.columns[0] if name != "trades" else "entry_timestamp"].is_sorted() or name == "signals"
    assert (report.run.path / "report.html").stat().st_size > 10_000


def test_the_plain_rule_at_either_fill_holding_and_the_ladder_stand_beside_it(lake: Lake, signals: Path) -> None:
    results = simulate(lake, plan_of(signals)).results
    assert {"next_open", "same_close", "buy_and_hold", "ladder"} <= set(results)
    rungs = {rung["name"]: rung for rung in results["ladder"]["rungs"]}
    assert rungs["next open"]["final_value"] == results["next_open"]["final_value"] == results["account"]["final_value"]
    assert rungs["same close"]["final_value"] == results["same_close"]["final_value"]
    assert rungs["+ fees"]["final_value_usd"] < rungs["next open"]["final_value_usd"]


def test_a_run_of_several_symbols_is_made_again_to_the_bit(lake: Lake, signals: Path) -> None:
    chosen = Allocation(
        VolatilityTarget(target=0.2, sessions=3), Limits(gross=0.9, per_symbol=0.6), Rebalance.parse("20", drift=0.01)
    )
    first = simulate(lake, plan_of(signals, sizing=chosen))
    files = {path.name: path.read_bytes() for path in first.run.path.glob("*.parquet")}
    plan = plan_of_run(first.run, signals=signals)
    assert plan.sizing == chosen
    told = Surroundings.of(first.run)
    lake.artifacts.delete(first.run)
    again = simulate(lake, plan, surroundings=told)
    assert again.is_new
    assert again.run_id == first.run_id
    assert {path.name: path.read_bytes() for path in again.run.path.glob("*.parquet")} == files


def test_sizes_look_at_the_sessions_before_the_period(lake: Lake, signals: Path) -> None:
    sized = plan_of(signals, sizing=Allocation(VolatilityTarget(target=0.2, sessions=3)))
    report = simulate(lake, sized)
    assert report.run.inputs["earlier_bars"]["symbols"]
    assert read(report, "fills")["timestamp"][0] < dt.datetime(2024, 1, 9, tzinfo=dt.UTC)
    before = simulate(lake, plan_of(signals, sizing=Allocation(VolatilityTarget(target=0.2, sessions=5))))
    assert read(before, "fills")["timestamp"].min() >= dt.datetime(2024, 1, 10, tzinfo=dt.UTC)


def test_a_changed_earlier_session_makes_another_run(lake: Lake, signals: Path) -> None:
    sized = plan_of(signals, sizing=Allocation(VolatilityTarget(target=0.2, sessions=3)))
    first = simulate(lake, sized)
    bars = lake.bars("SPY", "2024-01-05", "2024-01-06").select(
        "timestamp", pl.col("open", "high", "low", "close") * 1.01, "volume", "trade_count", "vwap"
    )
    lake.write_bars(bars.with_columns(pl.col("open", "high", "low", "close").round(2)), feed="synthetic", symbol="SPY")
    assert simulate(lake, sized).run_id != first.run_id


def test_one_symbol_with_a_sizing_is_a_portfolio_of_one(lake: Lake, signals: Path, tmp_path: Path) -> None:
    own = tmp_path / "spy.parquet"
    pl.read_parquet(signals).filter(symbol="SPY").write_parquet(own)
    plain = simulate(lake, SimulationPlan(("SPY",), FileSource(own)))
    whole = simulate(lake, SimulationPlan(("SPY",), FileSource(own), sizing=Allocation()))
    assert plain.run_id != whole.run_id
    assert plain.results["account"] == whole.results["account"]
    assert plain.results["ladder"] == whole.results["ladder"]
    assert plain.results["buy_and_hold"] == whole.results["buy_and_hold"]
    for name in RUN_TABLES:
        assert read(plain, name).equals(read(whole, name)), name


def test_options_make_an_allocation() -> None:
    plan = plan_of_options(
        ["SPY,QQQ"],
        {
            "signals": "x.csv",
            "sizing": "kelly",
            "sizes": ["share=0.25"],
            "net": 0.5,
            "rebalance": "week",
            "drift": 0.02,
        },
    )
    assert plan.symbols == ("SPY", "QQQ")
    assert plan.sizing is not None
    assert plan.sizing.as_dict() == {
        "sizing": {"name": "kelly", "share": 0.25, "sessions": 60, "most": 1.0},
        "limits": {"gross": 1.0, "net": 0.5, "per_symbol": None, "correlation": None, "correlation_sessions": 60},
        "rebalance": {"every": "week", "bars": None, "drift": 0.02},
    }
    assert plan_of_options(["SPY"], {"signals": "x.csv"}).sizing is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sizes": ["share"]}, "--size 'share' is not name=value: write it as --size target=0.1"),
        ({"sizing": "kelly", "sizes": ["share=half"]}, "share 'half' is not a number"),
        ({"sizing": "kelly", "sizes": ["sessions=2.5"]}, r"sessions '2\.5' is not a whole number"),
        ({"rebalance": "daily"}, "rebalance 'daily' is not known"),
    ],
)
def test_wrong_sizes_are_told_the_way_out(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        plan_of_options(["SPY", "QQQ"], {"signals": "x.csv", **given})
