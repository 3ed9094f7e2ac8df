"""Ten years of made-up bars whose exact results were worked out elsewhere, in integer cents."""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

import barlake
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import buy_and_hold, replay
from simulation_service.main import main
from simulation_service.market import Market
from simulation_service.ticks import cash_to_ticks, usd_text

CASE = Path(__file__).parents[3] / "shared" / "answers" / "simulation_case.py"

pytestmark = pytest.mark.skipif(not CASE.exists(), reason="the folder of exact answers is not beside this checkout")

# Origin: README.md of that folder. Flip, seed, fill, final value, fills, shares bought.
ANSWERS = [
    (0.02, 1, Fill.SAME_CLOSE, "105808.58", 19_629, 3_223_614),
    (0.02, 1, Fill.NEXT_OPEN, "103636.16", 19_629, 3_198_287),
    (0.02, 2, Fill.SAME_CLOSE, "81185.13", 19_439, 2_972_778),
    (0.02, 2, Fill.NEXT_OPEN, "78948.14", 19_439, 2_906_630),
    (0.1, 1, Fill.SAME_CLOSE, "80273.66", 97_782, 17_212_574),
    (0.1, 1, Fill.NEXT_OPEN, "74888.84", 97_782, 15_448_076),
    (0.5, 1, Fill.SAME_CLOSE, "143871.85", 489_200, 101_501_834),
    (0.5, 1, Fill.NEXT_OPEN, "146003.37", 489_200, 104_390_722),
]


@dataclass
class Case:
    module: ModuleType
    bars: pl.DataFrame
    market: Market


@pytest.fixture(scope="module")
def case() -> Case:
    spec = importlib.util.spec_from_file_location("simulation_case", CASE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # The folder belongs to nobody: no byte code is left in it.
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # numpy has no aware datetimes; the case drops UTC on purpose
        bars = module.bars()
    market = Market.of(bars, feed="synthetic")
    assert market.prices_rounded == 0
    assert market.tradable.all()
    return Case(module, bars, market)


def test_the_made_up_bars_are_the_ones_the_answers_are_for(case: Case) -> None:
    assert case.bars.height == 977_640
    assert int(case.market.close.sum()) == 2_621_597_519_000
    assert int(case.market.open.sum()) == 2_621_597_179_200
    assert case.bars["volume"].sum() == 11_098_755_314


@pytest.mark.parametrize("answer", ANSWERS)
def test_ten_years_of_minutes_end_on_the_known_cent(case: Case, answer: tuple[float, int, Fill, str, int, int]) -> None:
    flip, seed, fill, final, fills, bought = answer
    done = replay(
        case.module.signals(flip, seed, case.bars.height).astype(np.float64),
        case.market,
        cash_ticks=cash_to_ticks(100_000),
        execution=Execution(fill),
    )
    assert (usd_text(done.final_value), done.fill_bars.size, done.shares_bought) == (final, fills, bought)


@pytest.mark.parametrize(("fill", "final"), [(Fill.SAME_CLOSE, "101247.11"), (Fill.NEXT_OPEN, "101124.00")])
def test_buy_and_hold_ends_on_the_known_cent(case: Case, fill: Fill, final: str) -> None:
    held = buy_and_hold(case.market, cash_ticks=cash_to_ticks(100_000), execution=Execution(fill))
    assert usd_text(held.final_value) == final


@pytest.mark.slow
def test_every_known_cent_comes_out_of_the_command_line(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with barlake.open(tmp_path / "lake") as lake:
        lake.write_bars(case.bars, feed="synthetic", symbol="SPY")
    for flip, seed, fill, final, fills, bought in ANSWERS:
        file = tmp_path / f"{flip}-{seed}.csv"
        signals = pl.Series("signal", case.module.signals(flip, seed, case.bars.height))
        case.bars.select("timestamp", signals).write_csv(file)
        options = ["--signals", str(file), "--symbol", "SPY", "--cash", "100000", "--fill", fill.value]
        assert main([*options, "--root", str(tmp_path / "lake"), "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["final_value"], shown["fills"], shown["shares_bought"]) == (final, fills, bought)
        assert shown["final_value_usd"] == float(final)
        held = {name: account["final_value"] for name, account in shown["buy_and_hold"].items()}
        assert held == {"same_close": "101247.11", "next_open": "101124.00"}
