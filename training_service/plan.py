"""What one training is going to do, settled before any work: its options, its inputs, and so its id."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from barlake.adjust import parse_adjustment
from barlake.artifacts import artifact_id
from barlake.errors import InvalidInputError
from barlake.feature_tables import feature_tables_of
from barlake.keys import Adjustment, FeatureSetKey, SessionFilter, parse_symbol
from barlake.lake import Lake
from training_service.combinatorial import CombinatorialSpec
from training_service.feature_choice import FeatureChoice, feature_inputs
from training_service.fold_spec import FoldSpec
from training_service.labels import TargetSpec
from training_service.libraries import model_libraries
from training_service.models import ModelSpec, make_pipeline
from training_service.own_pipelines import OwnPipeline, is_import_path
from training_service.search_space import SearchKind, SearchSpec

__all__ = ["TrainPlan", "make_plan", "parse_symbols"]

_MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class TrainPlan:
    """Options that were checked, and the feature tables they mean; the primary symbol comes first.

    `context` is the symbol that the features themselves look at, None where they look at no other.
    """

    symbols: tuple[str, ...]
    feed: str
    features: FeatureSetKey
    session: SessionFilter
    adjustment: Adjustment
    context: str | None
    spec: TargetSpec
    model: ModelSpec
    search: SearchSpec | None
    folds: FoldSpec
    combinatorial: CombinatorialSpec | None
    seed: int
    inputs: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """The options as a manifest holds them."""
        return {
            "symbols": list(self.symbols),
            "feed": self.feed,
            "feature_set": {"name": self.features.name, "version": self.features.version},
            "session": self.session.value,
            "adjustment": self.adjustment.value,
            "context": self.context,
            **self.spec.as_dict(),
            **self.model.as_dict(),
            "estimator_settings": self._settings(),
            "search": None if self.search is None else self.search.as_dict(),
            **self.folds.as_dict(),
            "combinatorial": None if self.combinatorial is None else self.combinatorial.as_dict(),
            "seed": self.seed,
        }

    def _settings(self) -> dict[str, Any]:
        """All settings of the last step that are plain values, its defaults too: they say what was fitted."""
        model = make_pipeline(self.model, self.spec.task, seed=self.seed).steps[-1][1]
        return {name: value for name, value in model.get_params(deep=False).items() if _is_plain(value)}

    @property
    def study(self) -> str:
        """The study its trial belongs to: whoever tries several targets of a symbol chooses among all of them."""
        return f"{self.feed} {self.symbols[0]}"

    def model_id(self, code: str) -> str:
        """Id of the model this plan makes with that code."""
        return artifact_id(parameters=self.parameters, inputs=self.inputs, code=code)


def parse_symbols(symbols: str | Iterable[str]) -> tuple[str, ...]:
    """Symbols from a list, or from one text with commas or spaces.

    Raises
    ------
    InvalidInputError
        If there is none, or one comes twice.

    Examples
    --------
    >>> parse_symbols("spy,QQQ")
    ('SPY', 'QQQ')
    """
    given = [symbols] if isinstance(symbols, str) else list(symbols)
    names = [parse_symbol(part) for text in given for part in text.replace(",", " ").split()]
    if not names:
        raise InvalidInputError("no symbol was given: name the one to predict first, such as 'SPY,QQQ'.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"symbol {twice[0]!r} is given twice: name each once, the one to predict first.")
    return tuple(names)


def make_plan(
    lake: Lake,
    symbols: str | Iterable[str],
    *,
    spec: TargetSpec,
    model: ModelSpec,
    search: SearchSpec | None,
    folds: FoldSpec,
    combinatorial: CombinatorialSpec | None = None,
    feature_set: str,
    session: str,
    adjustment: str = Adjustment.RAW,
    feed: str | None,
    seed: int,
) -> TrainPlan:
    """Check the options and find the feature tables; parameters as in `train`."""
    names = parse_symbols(symbols)
    model.check(spec.task)
    if not 0 <= seed <= _MAX_SEED:
        raise InvalidInputError(f"seed {seed} is out of range: use 0 to {_MAX_SEED}.")
    part, prices = SessionFilter.parse(session), parse_adjustment(adjustment)
    feed = lake.feed_of(names, feed)
    tables = feature_tables_of(lake)
    features = FeatureChoice(feature_set, feed, part, prices).newest(tables, names)
    inputs = {
        "feature_tables": feature_inputs(tables, features, names),
        # A pickled model opens only in the versions that wrote it: another version makes another model.
        "libraries": _libraries(model, search, spec, seed),
    }
    if is_import_path(model.estimator):
        inputs["own_pipeline"] = {"path": model.estimator, "sha256": OwnPipeline.load(model.estimator).sha256}
    return TrainPlan(
        symbols=names,
        feed=feed,
        features=features,
        session=part,
        adjustment=prices,
        context=tables.definition(features).get("context"),
        spec=spec,
        model=model,
        search=search,
        folds=folds,
        combinatorial=combinatorial,
        seed=seed,
        inputs=inputs,
    )


def _libraries(model: ModelSpec, search: SearchSpec | None, spec: TargetSpec, seed: int) -> dict[str, str]:
    found = model_libraries(make_pipeline(model, spec.task, seed=seed))
    if search is not None and search.kind is SearchKind.OPTUNA:
        found["optuna"] = importlib.metadata.version("optuna")
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)
