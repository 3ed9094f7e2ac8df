"""How each kind of result is made again: feature tables from bars, models from tables, runs from models and bars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from app.repro.making import repeated
from app.repro.report import Cause, Link, Made, Step
from barlake.artifacts import Artifact, ArtifactStore
from barlake.errors import BarlakeError, FormatError, NotFoundError
from barlake.feature_tables import feature_tables_of
from barlake.keys import ArtifactKind, FeatureSetKey
from barlake.lake import Lake
from barlake.scratch import OneVersion, ScratchLake
from feature_service.build import build_features
from feature_service.sets import find_feature_set
from simulation_service.plan import StrategySource
from simulation_service.runs import plan_of_run
from simulation_service.simulate import Surroundings, simulate
from simulation_service.strategies.catalogue import make_strategy
from training_service.again import train_again

__all__ = ["features_again", "features_of", "model_again", "run_again"]


def features_of(model: Artifact) -> FeatureSetKey:
    """The version of the feature set that a model was trained on."""
    return FeatureSetKey(**model.parameters["feature_set"])


# --- features ----------------------------------------------------------------------------------


def features_again(lake: Lake, key: FeatureSetKey, symbol: str, *, set_name: str | None = None) -> Step:
    """Build the table of one symbol again from its bars.

    Parameters
    ----------
    set_name
        Where the set is found, if not under its name: the file of a set of the user's own.

    Raises
    ------
    NotFoundError
        If the version has no table of the symbol.
    """
    what = f"features {key.name} {key.version} of {symbol}"
    tables = feature_tables_of(lake)
    definition, entry = tables.definition(key), tables.entry(key, symbol)
    if entry is None:
        raise NotFoundError(f"version {key.version} of feature set {key.name!r} has no table of {symbol!r}.")
    try:
        find_feature_set(set_name or key.name)
    except NotFoundError as error:
        return Step(what, None, causes=(Cause(Link.CODE, str(error)),))

    def make(scratch: ScratchLake) -> Made:
        _build(scratch, [symbol], definition, set_name or key.name)
        made_key = scratch.feature_tables.latest(key.name, symbol, definition["feed"])
        made = scratch.feature_tables.entry(made_key, symbol)
        assert made is not None  # noqa: S101 - it was built a moment ago
        return _made_table(made, scratch.feature_tables.definition(made_key))

    return repeated(
        lake,
        what,
        _made_table(entry, definition),
        make,
        fresh=ArtifactKind.FEATURES,
        made_at=dt.datetime.fromisoformat(entry["created_at"]),
        damage=_complaints([partial(tables.verify, key, symbol)]),
    )


def _build(scratch: ScratchLake, symbols: Sequence[str], definition: Mapping[str, Any], set_name: str) -> None:
    """Build as a definition says; in this process, because another one would not know the scratch lake."""
    options = {name: definition[name] for name in ("feed", "session", "adjustment", "context") if name in definition}
    build_features(scratch, symbols, set_name=set_name, workers=1, **options)


def _made_table(entry: Mapping[str, Any], definition: Mapping[str, Any]) -> Made:
    """A feature table; its files are named by the hash of the values in them."""
    parts = {Path(file["path"]).parent.name: Path(file["path"]).stem for file in entry["files"]}
    return Made(parts, entry["inputs"], definition["code"], entry["libraries"])


# --- models and runs ---------------------------------------------------------------------------


def model_again(lake: Lake, model: Artifact, *, set_name: str | None = None) -> Step:
    """Train a model again on its feature tables, or on such as its bars gave when it was trained.

    `set_name` as in `features_again`.
    """
    key = features_of(model)
    tables = OneVersion(feature_tables_of(lake).root, key)

    def make(scratch: ScratchLake) -> Made:
        if scratch.moment is not None:
            _build(scratch, model.parameters["symbols"], tables.definition(key), set_name or key.name)
        train_again(scratch, model)
        return _made_artifact(scratch.artifacts.list(ArtifactKind.MODEL)[-1])

    return _again(lake, model, make, tables=tables)


def run_again(lake: Lake, run: Artifact, *, signals: Path | None = None) -> Step:
    """Replay a run on its bars, from its model's stored predictions, the file of signals it was given or its strategy.

    Raises
    ------
    InvalidInputError
        If the run came from a file, and none is named.
    """
    plan = plan_of_run(run, signals=signals)
    if isinstance(plan.source, StrategySource):
        try:
            make_strategy(plan.source.name, plan.source.parameters)
        except BarlakeError as error:
            kept = f"The lake keeps its text: `barlake strategies show {run.inputs['strategy']} --source`."
            return Step(f"run {run.id}", None, causes=(Cause(Link.CODE, f"{error} {kept}"),))

    def make(scratch: ScratchLake) -> Made:
        simulate(scratch, plan, surroundings=Surroundings.of(run))
        return _made_artifact(scratch.artifacts.list(ArtifactKind.RUN)[-1])

    return _again(lake, run, make)


def _again(lake: Lake, stored: Artifact, make: Any, *, tables: OneVersion | None = None) -> Step:
    return repeated(
        lake,
        f"{stored.kind.value.removesuffix('s')} {stored.id}",
        _made_artifact(stored),
        make,
        fresh=stored.kind,
        made_at=stored.created_at,
        damage=_complaints(partial(ArtifactStore.verified_file, stored, name) for name in stored.files),
        tables=tables,
    )


def _made_artifact(artifact: Artifact) -> Made:
    parts = {name: str(facts["sha256"]) for name, facts in artifact.files.items()}
    return Made(parts, artifact.inputs, artifact.code, artifact.libraries, artifact.seed)


def _complaints(checks: Iterable[Callable[[], object]]) -> list[str]:
    """What checks of stored files have to say."""
    found = []
    for check in checks:
        try:
            check()
        except FormatError as error:
            found.append(str(error))
    return found
