"""What a command line says of a training, and that both doors say the same."""

import argparse
import inspect
from typing import Any

import pytest

from app.commands.training import train as command
from barlake.errors import InvalidInputError
from training_service.combinatorial import CombinatorialSpec
from training_service.fold_spec import FoldSpec
from training_service.models import ModelSpec
from training_service.options import add_options, train_arguments
from training_service.search_space import Range, SearchKind, SearchSpec
from training_service.train import train


def test_texts_become_specs() -> None:
    given = train_arguments(
        estimator="lightgbm",
        parameter=["n_estimators=50", "boosting_type=dart"],
        class_weight="1,2.5",
        select=10,
        calibration="isotonic",
        early_stopping=True,
        search="random",
        space=["learning_rate=0.01..0.1:log"],
        candidates=4,
        inner_folds=2,
        folds=3,
        window="rolling",
        train_sessions=20,
        embargo=1,
        combinatorial="6,2",
        target_parameter=["upper=2"],
        seed=7,
    )
    parameters = {"n_estimators": 50, "boosting_type": "dart"}
    assert given == {
        "estimator": ModelSpec("lightgbm", parameters, (1.0, 2.5), 10, "isotonic", early_stopping=True),
        "search": SearchSpec(SearchKind.RANDOM, {"learning_rate": Range(0.01, 0.1, is_log=True)}, 4, 2),
        "folds": FoldSpec.parse(3, window="rolling", train_sessions=20, embargo_sessions=1),
        "combinatorial": CombinatorialSpec(6, 2),
        "target_parameters": {"upper": 2},
        "seed": 7,
    }


def test_nothing_given_is_what_train_takes_by_itself() -> None:
    given = train_arguments()
    nothing = {"search": None, "combinatorial": None, "target_parameters": {}}
    assert given == {"estimator": ModelSpec(), "folds": FoldSpec(), **nothing}


def test_both_doors_have_the_same_options_with_the_same_defaults() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    ours: dict[str, Any] = vars(parser.parse_args([]))
    theirs = {name: one.default for name, one in inspect.signature(command).parameters.items()}
    for name in ("symbols", "root", "as_json"):
        theirs.pop(name)
    assert {name: value or None for name, value in ours.items()} == {name: one or None for name, one in theirs.items()}


def test_every_option_reaches_train() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    given = train_arguments(**vars(parser.parse_args([])))
    inspect.signature(train).bind(None, "SPY", **given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameter": ["max_iter"]}, "parameter 'max_iter' is not understood: write name=value"),
        ({"target_parameter": ["=2"]}, "target_parameter '=2' is not understood"),
        ({"class_weight": "1,x"}, "class_weight '1,x' is not understood: write balanced, or 1,2"),
        ({"class_weight": "1,2,3"}, "class_weight '1,2,3' is not understood"),
        ({"space": ["C=1"]}, "space 'C=1' is given without a search: add --search"),
        ({"window": "sliding"}, "window 'sliding' is not known"),
    ],
)
def test_what_is_not_understood_is_answered_with_how_to_write_it(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        train_arguments(**options)
