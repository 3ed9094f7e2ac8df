"""What must not be traded is refused with the way out; what only has to be known is said beside the figures."""

from __future__ import annotations

import datetime as dt
import html
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import InvalidInputError
from barlake.keys import ArtifactKind
from barlake.testing import make_bars, temporary_lake
from simulation_service.options import plan_of_options
from simulation_service.plan import FileSource, ModelSource, SimulationPlan, StrategySource
from simulation_service.simulate import SimulationReport, simulate
from tests.simulation_service.conftest import SESSIONS

ACTIONS = "symbol,ex_date,kind,ratio,cash_usd\n"


@pytest.fixture
def signals_file(predictions: pl.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "signals.csv"
    predictions.select("timestamp", "signal").write_csv(path)
    return path


def of_file(lake: Lake, path: Path, symbol: str = "SPY", **options: Any) -> SimulationReport:
    return simulate(lake, SimulationPlan((symbol,), FileSource(path), **options))


def with_actions(lake: Lake, tmp_path: Path, *rows: str) -> None:
    path = tmp_path / "actions.csv"
    path.write_text(ACTIONS + "\n".join(rows) + "\n")
    _, bad = lake.import_actions(path, source="test")
    assert bad == []


def test_a_split_inside_raw_prices_is_refused_with_three_ways_out(
    lake: Lake, signals_file: Path, tmp_path: Path
) -> None:
    with_actions(lake, tmp_path, "SPY,2024-01-04,split,2,")
    with pytest.raises(InvalidInputError, match="SPY has a split of 2 for 1 on 2024-01-04, inside") as refused:
        of_file(lake, signals_file)
    for way_out in ("--adjustment split", "--end 2024-01-04", "--start 2024-01-04"):
        assert way_out in str(refused.value)
    assert lake.artifacts.list(ArtifactKind.RUN) == []
    before = of_file(lake, signals_file, end="2024-01-04")
    after = of_file(lake, signals_file, start="2024-01-04")
    whole = of_file(lake, signals_file, adjustment="split")
    assert [one.results["sessions"] for one in (before, after, whole)] == [1, 1, 2]


def test_prices_of_another_symbols_split_are_traded(lake: Lake, signals_file: Path, tmp_path: Path) -> None:
    with_actions(lake, tmp_path, "QQQ,2024-01-04,split,2,", "SPY,2024-01-03,split,2,")
    assert of_file(lake, signals_file).is_new


def test_split_adjusted_prices_halve_and_shares_double(lake: Lake, signals_file: Path, tmp_path: Path) -> None:
    raw = of_file(lake, signals_file, end="2024-01-04")
    with_actions(lake, tmp_path, "SPY,2024-01-04,split,2,")
    adjusted = of_file(lake, signals_file, end="2024-01-04", adjustment="split")
    assert adjusted.run_id != raw.run_id
    fills = [pl.read_parquet(one.run.path / "fills.parquet") for one in (raw, adjusted)]
    assert (fills[1]["price_usd"] * 2 - fills[0]["price_usd"]).abs().max() < 1e-3
    assert ((fills[1]["shares"] / fills[0]["shares"]) - 2).abs().max() < 0.01


def test_a_later_split_makes_another_run_of_adjusted_prices(lake: Lake, signals_file: Path, tmp_path: Path) -> None:
    first = of_file(lake, signals_file, end="2024-01-04", adjustment="all")
    with_actions(lake, tmp_path, "SPY,2024-01-04,split,2,")
    assert of_file(lake, signals_file, end="2024-01-04", adjustment="all").run_id != first.run_id


def test_dividends_that_raw_prices_leave_out_are_told(lake: Lake, signals_file: Path, tmp_path: Path) -> None:
    with_actions(lake, tmp_path, "SPY,2024-01-04,dividend,,1.25")
    report = of_file(lake, signals_file)
    [told] = report.results["told"]
    assert told.startswith("SPY paid 1 dividend, 1.2500 dollars a share in all")
    assert "--adjustment all" in told
    assert told in html.unescape(report.report_path.read_text(encoding="utf-8"))


def test_signals_for_minutes_without_bars_are_counted_and_told(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "signals.csv"
    path.write_text("timestamp,signal\n2024-01-03T12:00:00Z,1\n2024-01-03T14:30:00Z,1\n")
    results = of_file(lake, path).results
    assert results["unmatched_signals"] == 1
    assert "1 signals lie in minutes without a bar: nothing was traded on them." in results["remarks"]


def test_predictions_that_are_no_number_hold_and_are_told(
    lake: Lake, make_model: Any, predictions: pl.DataFrame
) -> None:
    row = pl.int_range(pl.len())
    broken = predictions.with_columns(pl.when(row % 10 == 3).then(float("nan")).otherwise("signal").alias("signal"))
    results = simulate(lake, SimulationPlan(("SPY",), ModelSource(make_model(broken)))).results
    assert results["bars_without_signal"] == 8
    assert any(remark.startswith("8 bars have no signal, or one that is no number") for remark in results["remarks"])


def test_nothing_fills_where_nothing_was_traded(lake: Lake, signals_file: Path) -> None:
    bars = make_bars(SESSIONS, seed=0, minutes=40)
    silent = bars.with_columns(pl.when(pl.int_range(pl.len()) % 3 == 0).then(0).otherwise("volume").alias("volume"))
    lake.write_bars(silent, feed="thin", symbol="IWM")
    report = of_file(lake, signals_file, "IWM")
    assert any("bars of IWM have volume 0: nothing is filled" in remark for remark in report.results["remarks"])
    fills = pl.read_parquet(report.run.path / "fills.parquet").join(silent, on="timestamp")
    assert fills.height > 0
    assert (fills["volume"] > 0).all()


def test_bars_without_any_volume_are_refused(lake: Lake, signals_file: Path) -> None:
    lake.write_bars(make_bars(SESSIONS, seed=0, minutes=40).with_columns(volume=0), feed="still", symbol="IWM")
    with pytest.raises(InvalidInputError, match="all 80 bars of IWM have volume 0: nothing was traded in them"):
        of_file(lake, signals_file, "IWM")


@pytest.mark.parametrize("cash", [-1, 0, "nan", "much", 0.00001])
def test_cash_that_nobody_can_start_with_is_refused(cash: Any) -> None:
    with pytest.raises(InvalidInputError, match="is not an amount to start with"):
        SimulationPlan(("SPY",), ModelSource("a"), cash_usd=cash)


def test_model_whose_bars_changed_since_is_refused_and_one_of_the_same_bars_is_not(
    lake: Lake, predictions: pl.DataFrame
) -> None:
    whole = lake.snapshot("SPY", feed="synthetic").as_dict()["symbols"][0]
    made_from = {"feed": "synthetic", **{name: whole[name] for name in ("rows", "first", "last", "content_hash")}}
    settings = {"symbols": ["SPY"], "feed": "synthetic", "session": "regular"}
    inputs = {"feature_tables": {"SPY": made_from}}
    with lake.artifacts.create(
        ArtifactKind.MODEL, "feedbeefcafe0002", parameters=settings, inputs=inputs, code="none"
    ) as draft:
        predictions.write_parquet(draft.path / "predictions.parquet")
    plan = SimulationPlan(("SPY",), ModelSource("feedbeefcafe0002"))
    assert simulate(lake, plan).is_new
    later = make_bars([dt.date(2024, 1, 5)], seed=3, minutes=5)
    lake.write_bars(later, feed="synthetic", symbol="SPY")
    assert not simulate(lake, plan).is_new, "bars that came after its last one are no other bars"
    changed = make_bars([dt.date(2024, 1, 4)], seed=9, minutes=41).tail(2)
    lake.write_bars(changed, feed="synthetic", symbol="SPY")
    with pytest.raises(InvalidInputError, match="was trained on other bars: 1 of SPY") as refused:
        simulate(lake, plan)
    assert "barlake features SPY" in str(refused.value)


@pytest.mark.parametrize(("name", "value"), [("feed", "sip"), ("session", "all")])
def test_model_is_not_traded_on_bars_it_did_not_see(
    lake: Lake, make_model: Any, predictions: pl.DataFrame, name: str, value: str
) -> None:
    plan = SimulationPlan(("SPY",), ModelSource(make_model(predictions)), **{name: value})
    with pytest.raises(InvalidInputError, match=f"was trained on {name}"):
        simulate(lake, plan)


def test_model_predicts_one_symbol_and_is_not_traded_on_two() -> None:
    with temporary_lake() as empty, pytest.raises(InvalidInputError, match="a model predicts one symbol"):
        simulate(empty, SimulationPlan(("SPY", "QQQ"), ModelSource("a")))


@pytest.mark.parametrize(
    ("period", "said"),
    [
        (("2024-01-06", "2024-01-08"), r"no bar of SPY lies in \[2024-01-06, 2024-01-08\): they run from 2024-01-02"),
        (("2024-01-03T22:00:00Z", "2024-01-04T09:00:00Z"), r"no bar of SPY \(feed .*, session 'regular'\) lies in"),
    ],
)
def test_a_period_without_bars_is_refused_with_what_there_is(lake: Lake, period: tuple[str, str], said: str) -> None:
    plan = SimulationPlan(("SPY",), StrategySource("buy_and_hold"), start=period[0], end=period[1])
    with pytest.raises(InvalidInputError, match=said) as refused:
        simulate(lake, plan)
    assert "name another --start" in str(refused.value).lower()


def test_of_several_symbols_the_one_without_bars_is_named(lake: Lake) -> None:
    lake.write_bars(make_bars([dt.date(2024, 2, 1)]), feed=lake.feed_of(["SPY"]), symbol="IWM")
    plan = SimulationPlan(("SPY", "IWM"), StrategySource("buy_and_hold"), end="2024-01-05")
    with pytest.raises(InvalidInputError, match="no bar of IWM "):
        simulate(lake, plan)


def test_a_folder_given_for_signals_is_not_called_missing(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is no file"):
        of_file(lake, tmp_path)


def test_a_symbol_named_twice_and_a_limit_of_no_fee_are_refused() -> None:
    source = {"strategy": "buy_and_hold"}
    with pytest.raises(InvalidInputError, match="one comes twice"):
        plan_of_options(["SPY,spy"], source)
    with pytest.raises(InvalidInputError, match="limits a fee that is not charged"):
        plan_of_options(["SPY"], source | {"sell_fee_most_usd": 8.3})
