"""What a search tries, as it is written on a command line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from training_service.search_space import Range, SearchKind, SearchSpec, parse_space, parse_value

NUMBERS = st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False, width=32))


@given(st.lists(NUMBERS, min_size=1))
def test_values_with_commas_come_back_as_they_were(values: list[float]) -> None:
    assert parse_space(["C=" + ",".join(map(repr, values))]) == {"C": tuple(values)}


@given(NUMBERS, NUMBERS)
def test_a_range_is_written_as_it_is_printed(one: float, other: float) -> None:
    if one == other:
        return
    given_range = Range(min(one, other), max(one, other))
    assert parse_space([f"C={given_range}"]) == {"C": given_range}


def test_words_and_truth_are_values_too() -> None:
    assert [parse_value(text) for text in ("true", "null", "sqrt", "1e-3", "7")] == [True, None, "sqrt", 0.001, 7]


def test_a_range_of_whole_numbers_is_whole() -> None:
    assert Range(1, 5).is_whole
    assert not Range(1.0, 5.0).is_whole


@pytest.mark.parametrize("text", ["C", "C=", "=1,2", "C=a..b", "C=1..2:square"])
def test_what_is_no_space_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(InvalidInputError, match="write name="):
        parse_space([text])


@pytest.mark.parametrize("text", ["C=2..1", "C=1..1", "C=0..1:log", "C=-1..1:log"])
def test_a_range_that_holds_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="range"):
        parse_space([text])


@pytest.mark.parametrize("kind", [SearchKind.GRID, SearchKind.HALVING])
def test_every_combination_of_a_range_cannot_be_tried(kind: SearchKind) -> None:
    with pytest.raises(InvalidInputError, match=r"C is the range 1\.\.2: give values with commas"):
        SearchSpec(kind, {"C": Range(1, 2)})


@pytest.mark.parametrize("name", ["candidates", "inner_folds"])
def test_a_search_needs_candidates_and_folds(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"{name} 0 is below 1"):
        SearchSpec(SearchKind.RANDOM, {}, **{name: 0})


def test_an_unknown_search_is_answered_with_those_there_are() -> None:
    with pytest.raises(InvalidInputError, match=r"grid, random, halving, optuna.* Did you mean 'random'"):
        SearchKind.parse("randomm")


def test_a_search_is_read_back_from_what_a_manifest_holds() -> None:
    space = {"C": Range(0.1, 2.0, is_log=True), "depth": Range(1, 4), "solver": ("svd", None, 0.5)}
    search = SearchSpec(SearchKind.RANDOM, space, candidates=7, inner_folds=2)
    assert SearchSpec.from_dict(json.loads(json.dumps(search.as_dict()))) == search
