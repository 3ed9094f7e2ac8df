"""What one training is going to do, settled before any work: its options, its inputs, and so its id."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from barlake.artifacts import artifact_id
from barlake.errors import InvalidInputError, NotFoundError
from barlake.feature_tables import FeatureTables
from barlake.keys import FeatureSetKey, SessionFilter, parse_symbol
from barlake.lake import Lake
from training_service.combinatorial import CombinatorialSpec
from training_service.fold_spec import FoldSpec
from training_service.labels import TargetSpec
from training_service.libraries import model_libraries
from training_service.models import ModelSpec, make_pipeline
from training_service.own_pipelines import OwnPipeline, is_import_path
from training_service.search_space import SearchKind, SearchSpec

__all__ = ["TrainPlan", "feature_inputs", "feature_tables_of", "make_plan", "parse_symbols"]

_MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class TrainPlan:
    """Options that were checked, and the feature tables they mean; the primary symbol comes first."""

    symbols: tuple[str, ...]
    feed: str
    features: FeatureSetKey
    session: SessionFilter
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
    feed: str | None,
    seed: int,
) -> TrainPlan:
    """Check the options and find the feature tables; parameters as in `train`."""
    names = parse_symbols(symbols)
    model.check(spec.task)
    if not 0 <= seed <= _MAX_SEED:
        raise InvalidInputError(f"seed {seed} is out of range: use 0 to {_MAX_SEED}.")
    part = SessionFilter.parse(session)
    feed = lake.feed_of(names, feed)
    tables = feature_tables_of(lake)
    features = _newest_build(tables, feature_set, names, feed=feed, part=part)
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


def feature_tables_of(lake: Lake) -> FeatureTables:
    """Where features are built to: the lake's own folder, or the one that `DEST_PARQUET_DIR` names."""
    elsewhere = lake.settings.dest_parquet_dir
    return lake.feature_tables if elsewhere is None else FeatureTables(elsewhere)


def _newest_build(
    tables: FeatureTables, name: str, symbols: Sequence[str], *, feed: str, part: SessionFilter
) -> FeatureSetKey:
    """Newest version of a set that holds the primary symbol over these hours."""
    primary = symbols[0]
    builds = tables.versions(name).filter(feed=feed, symbol=primary)
    for row in builds.sort("created_at", "version", descending=True).iter_rows(named=True):
        key = FeatureSetKey(row["name"], row["version"])
        if tables.definition(key)["session"] == part.value:
            return key
    raise NotFoundError(
        f"symbol {primary!r} has no feature set {name!r} for feed {feed!r} over session {part.value!r}: "
        f"build it with `{_build_command(symbols)}`."
    )


def feature_inputs(tables: FeatureTables, key: FeatureSetKey, symbols: Sequence[str]) -> dict[str, Any]:
    """By symbol, what its feature table was made from: the snapshot of its bars.

    Raises
    ------
    NotFoundError
        If this version has no table of a symbol; the message has the command that builds them all.
    """
    found = {}
    for symbol in symbols:
        entry = tables.entry(key, symbol)
        if entry is None:
            raise NotFoundError(
                f"symbol {symbol!r} is not in version {key.version} of feature set {key.name!r}, the newest of "
                f"{symbols[0]!r}: build them together with `{_build_command(symbols)}`."
            )
        found[symbol] = entry["inputs"]
    return found


def _build_command(symbols: Sequence[str]) -> str:
    return "barlake features " + " ".join(symbols)
