"""How each kind of result is made again: feature tables from bars, models from tables, runs from models and bars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.repro.making import repeated
from app.repro.report import Cause, Link, Made, Step
from barlake.artifacts import Artifact, ArtifactStore
from barlake.errors import FormatError, InvalidInputError, NotFoundError
from barlake.feature_tables import FeatureTables
from barlake.keys import ArtifactKind, FeatureSetKey
from barlake.lake import Lake
from barlake.scratch import OneVersion, ScratchLake
from feature_service.build import build_features
from feature_service.sets import find_feature_set
from simulation_service.simulate import simulate_model, simulate_signals
from training_service.again import train_again

__all__ = ["features_again", "features_of", "model_again", "run_again", "tables_of"]


def tables_of(lake: Lake) -> FeatureTables:
    """Where the lake's features are built to."""
    elsewhere = lake.settings.dest_parquet_dir
    return lake.feature_tables if elsewhere is None else FeatureTables(elsewhere)


def features_of(model: Artifact) -> FeatureSetKey:
    """The version of the feature set that a model was trained on."""
    return FeatureSetKey(**model.parameters["feature_set"])


# --- features ----------------------------------------------------------------------------------


def features_again(lake: Lake, key: FeatureSetKey, symbol: str) -> Step:
    """Build the table of one symbol again from its bars."""
    tables = tables_of(lake)
    definition, entry = tables.definition(key), tables.entry(key, symbol)
    if entry is None:
        raise NotFoundError(f"version {key.version} of feature set {key.name!r} has no table of {symbol!r}.")
    what = f"features {key.name} {key.version} of {symbol}"
    try:
        find_feature_set(key.name)
    except NotFoundError as error:
        return Step(what, None, causes=(Cause(Link.CODE, str(error)),))
    try:
        tables.verify(key, symbol)
        damage = []
    except FormatError as error:
        damage = [str(error)]

    def make(scratch: ScratchLake) -> Made:
        build_features(scratch, [symbol], **_build_options(key, definition))
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
        damage=damage,
    )


def _build_options(key: FeatureSetKey, definition: Mapping[str, Any]) -> dict[str, Any]:
    return {"feed": definition["feed"], "session": definition["session"], "set_name": key.name}


def _made_table(entry: Mapping[str, Any], definition: Mapping[str, Any]) -> Made:
    """A feature table; its files are named by the hash of the values in them."""
    parts = {Path(file["path"]).parent.name: Path(file["path"]).stem for file in entry["files"]}
    return Made(parts, entry["inputs"], definition["code"], entry["libraries"])


# --- models and runs ---------------------------------------------------------------------------


def model_again(lake: Lake, model: Artifact) -> Step:
    """Train a model again on its feature tables, or on such as its bars gave when it was trained."""
    tables = OneVersion(tables_of(lake).root, features_of(model))

    def make(scratch: ScratchLake) -> Made:
        if scratch.moment is not None:
            key, symbols = features_of(model), model.parameters["symbols"]
            options = {"feed": model.parameters["feed"], "session": model.parameters["session"]}
            build_features(scratch, symbols, set_name=key.name, **options)
        train_again(scratch, model)
        return _made_artifact(scratch.artifacts.list(ArtifactKind.MODEL)[-1])

    return _again(lake, model, make, tables=tables)


def run_again(lake: Lake, run: Artifact, *, signals: Path | None = None) -> Step:
    """Replay a run on its bars, from its model's stored predictions or from the file of signals it was given.

    Raises
    ------
    InvalidInputError
        If the run came from a file, and none is named.
    """
    options: dict[str, Any] = {name: run.parameters[name] for name in ("cash_usd", "fill", "start", "end")}
    symbol = run.parameters["symbol"]
    if "model" not in run.inputs and signals is None:
        raise InvalidInputError(
            f"run {run.id} came from the file {run.results['signals_name']!r}, which the lake does not hold: name it "
            "with --signals."
        )

    def make(scratch: ScratchLake) -> Made:
        if "model" in run.inputs:
            simulate_model(scratch, run.inputs["model"], symbol, **options)
        else:
            assert signals is not None  # noqa: S101 - checked above
            hours = {name: run.parameters[name] for name in ("feed", "session")}
            simulate_signals(scratch, signals, symbol, **hours, **options)
        return _made_artifact(scratch.artifacts.list(ArtifactKind.RUN)[-1])

    return _again(lake, run, make)


def _again(lake: Lake, stored: Artifact, make: Any, *, tables: FeatureTables | None = None) -> Step:
    return repeated(
        lake,
        f"{stored.kind.value.removesuffix('s')} {stored.id}",
        _made_artifact(stored),
        make,
        fresh=stored.kind,
        made_at=stored.created_at,
        damage=_damage(stored),
        tables=tables,
    )


def _made_artifact(artifact: Artifact) -> Made:
    parts = {name: str(facts["sha256"]) for name, facts in artifact.files.items()}
    return Made(parts, artifact.inputs, artifact.code, artifact.libraries, artifact.seed)


def _damage(artifact: Artifact) -> list[str]:
    found = []
    for name in artifact.files:
        try:
            ArtifactStore.verified_file(artifact, name)
        except FormatError as error:
            found.append(str(error))
    return found
