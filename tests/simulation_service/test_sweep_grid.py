"""Grids of parameters: a text means what it says, and every combination is tried once."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from simulation_service.sweeps.grid import Axis, Grid


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("fast_bars=5:50:15", (5, 20, 35, 50)),
        ("fast_bars=5:19:15", (5,)),
        ("stop_loss=0.1:0.3:0.1", (0.1, 0.2, 0.3)),
        ("stop_loss = none, 0.01", (None, 0.01)),
        ("flat_at_close=true,false", (True, False)),
        ("symbol=SPY", ("SPY",)),
        ("shift=-1,1,1.0", (-1, 1, 1.0)),
        ("threshold=1e-3,nan", (0.001, "nan")),
        ("at=09:30,15:30", ("09:30", "15:30")),
    ],
)
def test_a_text_means_the_values_it_says(text: str, values: tuple[object, ...]) -> None:
    found = Axis.parse(text).values
    assert found == values
    assert [type(one) for one in found] == [type(one) for one in values]


def test_sets_come_in_the_order_of_the_grid_the_last_axis_fastest() -> None:
    assert Grid.parse(["fast=5,10", "slow=20,30"]).sets() == [
        {"fast": 5, "slow": 20},
        {"fast": 5, "slow": 30},
        {"fast": 10, "slow": 20},
        {"fast": 10, "slow": 30},
    ]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(2, 40), st.integers(0, 5))
def test_some_of_a_grid_are_different_sets_of_it_in_its_order(sizes: list[int], at_most: int, seed: int) -> None:
    sizes = [*sizes, 2]
    grid = Grid(tuple(Axis(f"p{number}", tuple(range(size))) for number, size in enumerate(sizes)))
    every, some = grid.sets(), grid.sets(at_most=at_most, seed=seed)
    assert [tuple(one.values()) for one in every] == list(itertools.product(*(range(size) for size in sizes)))
    assert len(some) == min(at_most, grid.count)
    places = [every.index(one) for one in some]
    assert places == sorted(set(places))
    assert some == grid.sets(at_most=at_most, seed=seed)


def test_a_draw_from_millions_of_sets_makes_no_list_of_them() -> None:
    grid = Grid(tuple(Axis(name, tuple(range(1000))) for name in ("a", "b", "c")))
    assert len(grid.sets(at_most=5)) == 5
    with pytest.raises(InvalidInputError, match="1,000,000,000 sets are more than 100,000"):
        grid.sets()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["fast"], "set 'fast' is not understood: write name=5:50:5"),
        (["=5"], "set '=5' is not understood"),
        (["fast=50:5:5"], "does not rise"),
        (["fast=5:50:0"], "does not rise"),
        (["fast=5:50:x"], "is not understood"),
        (["fast=0:1:1e-9"], "more than 100,000: use a longer step"),
        (["fast=5,5"], "fast is to be 5 more than once"),
        (["fast=5,6", "fast=7"], "fast is set twice"),
        (["fast=5"], "a sweep of 1 set has nothing to choose from"),
        ([], "a sweep of 1 set"),
    ],
)
def test_what_makes_no_grid_is_refused_with_how_to_write_one(texts: list[str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Grid.parse(texts)


def test_a_draw_of_one_set_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at_most 1 leaves nothing to choose from"):
        Grid.parse(["fast=5,6,7"]).sets(at_most=1)
