"""What a command line says of a training, turned into what `train` takes; both doors read their options here."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from barlake.errors import InvalidInputError
from barlake.keys import Adjustment, SessionFilter
from training_service.combinatorial import CombinatorialSpec
from training_service.fold_spec import FoldSpec
from training_service.folds import Window
from training_service.models import CALIBRATIONS, ModelSpec
from training_service.presets import DEFAULT_PRESET, PRESETS
from training_service.search_space import SearchKind, SearchSpec, parse_space, parse_value
from training_service.targets import Target, Task

__all__ = ["add_options", "train_arguments"]


def train_arguments(
    *,
    estimator: str = DEFAULT_PRESET,
    parameter: Iterable[str] = (),
    class_weight: str | None = None,
    select: int | None = None,
    calibration: str | None = None,
    early_stopping: bool = False,
    search: str | None = None,
    space: Iterable[str] = (),
    candidates: int = 20,
    inner_folds: int = 3,
    folds: int | None = None,
    window: str = Window.ANCHORED,
    train_sessions: int | None = None,
    embargo: int = 0,
    refit: str | None = None,
    combinatorial: str | None = None,
    target_parameter: Iterable[str] = (),
    **rest: Any,
) -> dict[str, Any]:
    """Keyword arguments of `train`; what is the same for both is passed on as it is.

    Parameters
    ----------
    parameter, target_parameter
        Texts such as `max_iter=200`.
    class_weight
        `balanced`, or the weights of class 0 and class 1 with a comma.
    space
        Texts such as `C=0.1,1` or `C=0.01..10:log`.

    Raises
    ------
    InvalidInputError
        If a text is not understood, or a space is given without a search.
    """
    model = ModelSpec(
        estimator, _named("parameter", parameter), _weights(class_weight), select, calibration, early_stopping
    )
    return {
        **rest,
        "estimator": model,
        "search": _search(search, list(space), candidates, inner_folds),
        "folds": FoldSpec.parse(
            folds, window=window, train_sessions=train_sessions, embargo_sessions=embargo, refit=refit
        ),
        "combinatorial": None if combinatorial is None else CombinatorialSpec.parse(combinatorial),
        "target_parameters": _named("target_parameter", target_parameter),
    }


def _search(kind: str | None, space: list[str], candidates: int, inner_folds: int) -> SearchSpec | None:
    if kind is not None:
        return SearchSpec(SearchKind.parse(kind), parse_space(space), candidates, inner_folds)
    if space:
        raise InvalidInputError(f"space {space[0]!r} is given without a search: add --search grid, or another kind.")
    return None


def _named(what: str, texts: Iterable[str]) -> Mapping[str, Any]:
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not name.strip() or not sign:
            raise InvalidInputError(f"{what} {text!r} is not understood: write name=value.")
        found[name.strip()] = parse_value(value)
    return found


def _weights(text: str | None) -> str | tuple[float, float] | None:
    if text is None or "," not in text:
        return text
    try:
        of_0, of_1 = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(f"class_weight {text!r} is not understood: write balanced, or 1,2.") from None
    return of_0, of_1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a parser every option of a training."""
    add = parser.add_argument
    add("--target", default=Target.DIRECTION, choices=[one.value for one in Target])
    add("--horizon", default="5", help="minutes the label looks ahead, or close (default 5)")
    add("--task", choices=[one.value for one in Task], help="default: the one that the target usually is")
    add("--target-parameter", action="append", default=[], metavar="NAME=VALUE", help="such as upper=2")
    add("--estimator", default=DEFAULT_PRESET, help=f"{', '.join(PRESETS)}, or module:function")
    add("--parameter", action="append", default=[], metavar="NAME=VALUE", help="of the estimator: max_iter=200")
    add("--class-weight", help="balanced, or the weights of 0 and 1: 1,2")
    add("--select", type=int, help="how many columns to keep, those that go best with the label in the training")
    add("--calibration", choices=CALIBRATIONS, help="mend probabilities on the last training sessions")
    add("--early-stopping", action="store_true", help="learn the number of trees from the last training sessions")
    add("--search", choices=[one.value for one in SearchKind], help="look for parameters inside the training rows")
    add("--space", action="append", default=[], metavar="NAME=VALUES", help="C=0.1,1 or C=0.01..10:log")
    add("--candidates", type=int, default=20, help="how many random and optuna try (default 20)")
    add("--inner-folds", type=int, default=3, help="walk-forward tests of each candidate (default 3)")
    add("--folds", type=int, help="walk-forward tests (default 5; with --refit every period but the first)")
    add("--refit", help="fit anew with each week, month or quarter, or every so many sessions: 20-sessions")
    add("--window", default=Window.ANCHORED.value, choices=[one.value for one in Window])
    add("--train-sessions", type=int, help="length of a rolling window (default: that of the first fold)")
    add("--embargo", type=int, default=0, help="sessions left out before each test (default 0)")
    add("--combinatorial", help="scores over many histories, too: blocks, then blocks tested at a time: 6,2")
    add("--feature-set", default="core", help="name of the feature set (default core)")
    hours = [SessionFilter.REGULAR.value, SessionFilter.ALL.value]
    add("--session", default=hours[0], choices=hours, help="hours the features were built over (default regular)")
    prices = [one.value for one in Adjustment]
    add("--adjustment", default=prices[0], choices=prices, help="of the prices they were built of (default raw)")
    add("--feed", help="default: sip before iex before the only other one")
    add("--seed", type=int, default=0, help="seed of whatever is drawn (default 0)")
    add("--placebo", type=int, default=0, help="fit so many times more on shifted labels, for a p-value (default 0)")
