"""Strategies are found by name, file or import path, made from parameters, and known by their definition."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from sklearn.base import clone

from barlake.errors import InvalidInputError, NotFoundError
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.buy_and_hold import BuyAndHold
from simulation_service.strategies.catalogue import HOUSE, definition, definition_hash, find_strategy, make_strategy
from simulation_service.strategies.moving_average_cross import MovingAverageCross

OWN = """
import polars as pl
from simulation_service.strategies.base import Strategy

class Up(Strategy):
    def __init__(self, inside: Strategy | None = None, least: float = 0.0):
        self.inside = inside
        self.least = least

    def signals(self, bars):
        return (bars["close"] - bars["open"] > self.least).cast(pl.Float64)
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_module.py"
    path.write_text(OWN)
    return path


def test_a_name_of_the_house_a_file_and_an_import_path_are_found(own_file: Path) -> None:
    assert find_strategy("buy_and_hold") is BuyAndHold
    assert find_strategy(f"{own_file}:Up").__name__ == "Up"
    assert find_strategy(str(own_file)) is find_strategy(f"{own_file}:Up")
    path = "simulation_service.strategies.moving_average_cross:MovingAverageCross"
    assert find_strategy(path) is MovingAverageCross


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("moving_average_corss", NotFoundError, "Did you mean 'moving_average_cross'"),
        ("absent.py:Up", NotFoundError, "absent.py cannot be read"),
        ("no_such_package.module:Up", NotFoundError, "module 'no_such_package.module' cannot be found"),
        ("pathlib:Path", InvalidInputError, "is no strategy: let it be a class that inherits from Strategy"),
        ("simulation_service.strategies.base:Strategy", InvalidInputError, "has no signals of its own"),
        ("simulation_service.strategies.buy_and_hold:Sell", NotFoundError, "no 'Sell', but BuyAndHold"),
    ],
)
def test_what_is_no_strategy_is_told_with_the_way_out(name: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        find_strategy(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OWN + "class Down(Up):\n    pass\n", r"holds Up, Down strategies .*my_module.py:Up"),
        ("x = 1", "holds no strategies of its own: let it hold a class"),
        ("raise OSError('no')", "cannot be loaded, it raises OSError: no"),
        ("raise SystemExit(3)", "cannot be loaded, it raises SystemExit: 3"),
    ],
)
def test_a_file_that_names_no_single_strategy_is_refused(own_file: Path, text: str, message: str) -> None:
    own_file.write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        find_strategy(str(own_file))


def test_text_becomes_what_it_stands_for_and_a_strategy_inside_has_its_own_parameters(own_file: Path) -> None:
    made = make_strategy("moving_average_cross", {"fast_bars": "5", "slow_bars": 30})
    assert made.get_params() == {"fast_bars": 5, "slow_bars": 30}
    outer = make_strategy(f"{own_file}:Up", {"inside": "moving_average_cross", "inside__fast_bars": "7"})
    assert outer.get_params()["inside__fast_bars"] == 7


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fast": 5}, "parameter 'fast' is none of strategy 'moving_average_cross', which has fast_bars, slow_bars"),
        ({"fast_bars__x": 5}, "needs fast_bars: give it, as in fast_bars=VALUE"),
    ],
)
def test_a_parameter_that_is_not_there_is_refused(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make_strategy("moving_average_cross", parameters)


def test_parameters_are_stored_untouched_changed_in_place_and_cloned() -> None:
    one = MovingAverageCross("5", slow_bars=-1)  # type: ignore[arg-type]
    assert one.get_params() == {"fast_bars": "5", "slow_bars": -1}
    copy = one.clone().set_params(fast_bars=3)
    assert (one.fast_bars, copy.fast_bars, repr(copy)) == ("5", 3, "MovingAverageCross(fast_bars=3, slow_bars=-1)")
    with pytest.raises(InvalidInputError, match="parameter 'fast' is none of MovingAverageCross"):
        one.set_params(fast=3)


def test_parameters_of_a_strategy_inside_are_set_through_the_outer_one_and_clones_share_nothing(
    own_file: Path,
) -> None:
    outer = make_strategy(f"{own_file}:Up", {"inside": "moving_average_cross"})
    copy = outer.clone().set_params(inside__fast_bars=3)
    assert (outer.get_params()["inside__fast_bars"], copy.get_params()["inside__fast_bars"]) == (20, 3)
    with pytest.raises(InvalidInputError, match=r"'least' of Up .* which has no parameters"):
        outer.set_params(least__x=1)


def test_a_class_whose_parameters_have_no_names_is_refused() -> None:
    class Loose(Strategy):
        def __init__(self, **options: int) -> None:
            self.options = options

        def signals(self, bars: pl.DataFrame) -> pl.Series:
            return bars["close"]

    with pytest.raises(InvalidInputError, match="takes 'options', which names no parameter"):
        Loose(a=1).get_params()


def test_equal_definitions_have_one_hash_and_another_parameter_or_another_code_has_another(own_file: Path) -> None:
    path = f"{own_file}:Up"
    one = definition_hash(make_strategy(path))
    assert one == definition_hash(make_strategy(path, {"least": "0.0"}))
    assert one != definition_hash(make_strategy(path, {"least": 1.0}))
    own_file.write_text(OWN + "\n# another text\n")
    assert one != definition_hash(make_strategy(path))


def test_the_same_file_in_another_folder_is_the_same_definition(own_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / own_file.name
    other.parent.mkdir()
    other.write_text(OWN)
    assert definition(make_strategy(str(own_file))) == definition(make_strategy(str(other)))
    assert definition(make_strategy(str(own_file)))["class"] == "my_module.py:Up"


def test_the_code_of_a_strategy_inside_counts(own_file: Path) -> None:
    path = f"{own_file}:Up"
    assert (
        definition(make_strategy(path))["code"] != definition(make_strategy(path, {"inside": "buy_and_hold"}))["code"]
    )


EXAMPLES: dict[str, dict[str, object]] = {
    "pair": {"first": "SPY", "second": "QQQ", "hedge": 0.5},
    "switch": {"first": "SPY", "second": "QQQ", "least_return": 0.0},
    "fly": {"left": "SHY", "body": "IEF", "right": "TLT"},
    "time_of_day": {"strategy": "day_of_week", "strategy__strategy": "breakout", "strategy__strategy__exit_bars": 7},
    "day_of_week": {"strategy": "threshold", "strategy__exit": None},
    "volatility_regime": {"strategy": "buy_and_hold", "most": None},
}


@pytest.mark.parametrize("name", HOUSE)
def test_a_strategy_is_made_again_from_the_parameters_of_its_definition(name: str) -> None:
    one = make_strategy(name, EXAMPLES.get(name, {}))
    again = make_strategy(name, definition(one)["parameters"])
    assert definition_hash(again) == definition_hash(one)
    assert repr(again) == repr(one)


@pytest.mark.parametrize("name", HOUSE)
def test_scikit_learn_clones_a_strategy_as_its_own(name: str) -> None:
    one = make_strategy(name, EXAMPLES.get(name, {}))
    copy = clone(one)
    assert copy is not one
    assert definition(copy) == definition(one) == definition(one.clone())
