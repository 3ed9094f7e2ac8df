"""`barlake strategies` and `barlake prove strategy`, also as the pages write them."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

import barlake
from simulation_service.strategies.catalogue import HOUSE, make_strategy
from simulation_service.strategies.records import put_on_record

DOCS = Path(__file__).resolve().parents[2] / "docs"
CROSS = ("moving_average_cross", "SPY", "--set", "fast_bars=5", "--set", "slow_bars=20")
LEAKY = """
from simulation_service.strategies.base import Strategy

class Tomorrow(Strategy):
    '''Buys what will rise.'''

    def signals(self, bars):
        return bars["close"].shift(-1) - bars["close"]
"""


@pytest.fixture
def lake(bars_alone: Path, tmp_path: Path) -> Path:
    root = tmp_path / "lake"
    shutil.copytree(bars_alone, root)
    return root


def test_the_strategies_of_the_house_are_listed_with_their_parameters(cli: Any) -> None:
    rows = cli("strategies", "list", "--json").data
    assert [row["name"] for row in rows] == list(HOUSE)
    assert "fast_bars=20, slow_bars=100" in [row["parameters"] for row in rows]
    assert "first, second, window_bars=390" in cli("strategies", "list").out


def test_a_strategy_is_shown_with_what_its_parameters_mean(cli: Any, tmp_path: Path) -> None:
    told = cli("strategies", "show", "threshold")
    assert (told.code, told.errors) == (0, "")
    assert "hysteresis" in told.out
    assert "short_enter = None" in told.out
    data = cli("strategies", "show", "pair", "--json").data
    assert data["parameters"][0]["name"] == "first"
    path = tmp_path / "own.py"
    path.write_text(LEAKY)
    assert "Buys what will rise." in cli("strategies", "show", path).out
    assert "Did you mean 'threshold'" in cli("strategies", "show", "treshold").errors


def test_a_check_counts_what_is_wanted_of_each_symbol(cli: Any, lake: Path) -> None:
    told = cli("strategies", "check", *CROSS, "QQQ", "--bars", "1000", "--json", "--root", lake)
    assert (told.code, told.errors) == (0, "")
    rows = told.data["symbols"]
    assert [row["symbol"] for row in rows] == ["QQQ", "SPY"]
    for row in rows:
        assert row["long"] + row["short"] + row["flat"] + row["hold"] == row["bars"]
        assert (row["hold"], row["changes"] > 20) == (19, True)
    assert "MovingAverageCross(fast_bars=5, slow_bars=20)" in cli("strategies", "check", *CROSS, "--root", lake).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("moving_average_cross", "SPY", "--set", "fast_bars"), "--set 'fast_bars' is not name=value"),
        (("moving_average_cross", "SPY", *["--set", "fast_bars=1"] * 2), "--set 'fast_bars' is given twice"),
        (("threshold", "SPY"), "bars have no column 'prediction': give a model with --model"),
        (("pair", "SPY", "--set", "first=SPY", "--set", "second=QQQ"), "bars are of SPY, but Pair trades SPY, QQQ"),
        (("buy_and_hold", "SPY", "--bars", "1"), "bars 1 is too few"),
        (("buy_and_hold", "SPY", "--model", "abc"), "abc"),
    ],
)
def test_what_cannot_be_checked_is_told(cli: Any, lake: Path, arguments: tuple[str, ...], message: str) -> None:
    told = cli("strategies", "check", *arguments, "--root", lake)
    assert told.code == 1
    assert message in told.errors


def test_a_proof_ends_with_0_where_nothing_looks_ahead_and_with_1_where_it_does(
    cli: Any, lake: Path, tmp_path: Path
) -> None:
    told = cli("prove", "strategy", *CROSS, "--bars", "1000", "--json", "--root", lake)
    assert (told.code, told.errors, told.data["clean"]) == (0, "", True)
    path = tmp_path / "own.py"
    path.write_text(LEAKY)
    told = cli("prove", "strategy", f"{path}:Tomorrow", "SPY", "--bars", "1000", "--root", lake)
    assert told.code == 1
    assert "leaks: strategy 'signal' at row" in told.errors


def test_a_definition_on_record_is_listed_and_shown_with_its_code(cli: Any, lake: Path, tmp_path: Path) -> None:
    assert "No strategy on record yet" in cli("strategies", "list", "--recorded", "--root", lake).out
    path = tmp_path / "own.py"
    path.write_text(LEAKY)
    with barlake.open(lake) as opened:
        name = put_on_record(opened, make_strategy(str(path)))
    (row,) = cli("strategies", "list", "--recorded", "--json", "--root", lake).data
    assert (row["strategy_id"], row["class"]) == (name, "own.py:Tomorrow")
    assert name in cli("strategies", "list", "--recorded", "--root", lake).out
    shown = cli("strategies", "show", name[:8], "--source", "--root", lake).out
    assert "own.py:Tomorrow" in shown
    assert 'bars["close"].shift(-1)' in shown
    assert cli("strategies", "show", name, "--json", "--root", lake).data["source"]["own"] == LEAKY
    assert "is not on record" in cli("strategies", "show", "0000", "--root", lake).errors


def lines_of(page: str) -> list[str]:
    """Shell lines of a page that need bars and nothing else."""
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return [line for line in lines if re.match(r"barlake (strategies|prove strategy|simulate)", line)]


@pytest.mark.parametrize("line", [*lines_of("strategies.md"), *lines_of("add-a-strategy.md")])
def test_every_line_of_the_pages_runs(cli: Any, lake: Path, line: str) -> None:
    module = re.search(r"```python\n(.*?)```", (DOCS / "add-a-strategy.md").read_text(encoding="utf-8"), re.DOTALL)
    assert module is not None
    Path("my_strategies.py").write_text(module[1])
    told = cli(*shlex.split(line)[1:], "--root", lake)
    assert (told.code, told.errors) == (0, "")
