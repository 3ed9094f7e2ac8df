"""Models handed to others, and taken from them, without pickle: skops files that open only what is on a list.

An export is one file that plain `skops.io.load` reads: the model fitted on everything. Beside it, under `barlake/`,
lie the manifest, the tables and the models of the folds, so that an import gives back the whole model under the
same id. What an import may build is listed in `KNOWN_TYPES`, name by name; anything else is refused unless the
user names it. Nobody's own list, and no list out of the file itself, is ever trusted: that would be pickle again.

What a list cannot promise: that the figures in a foreign manifest are true. An imported model is marked as such.
"""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.pipeline import Pipeline

from barlake.artifacts import artifact_id, sha256_of
from barlake.durable import storage_errors
from barlake.errors import FormatError, InvalidInputError, NotFoundError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from training_service.card import CARD, write_card
from training_service.libraries import require_same_versions
from training_service.load import load_pipeline
from training_service.model_files import FULL_MODEL, save_model
from training_service.models import fitted_columns, predict

__all__ = ["KNOWN_TYPES", "Exchanged", "export_model", "import_model"]

KNOWN_TYPES = frozenset(
    {
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
    }
)
"""What the built-in pipelines need beyond the estimators that skops itself knows to be harmless."""

_FOLDER = "barlake/"
_MANIFEST, _PROBE = f"{_FOLDER}manifest.json", f"{_FOLDER}probe.json"
_FITTED, _TABLE = ".joblib", ".parquet"
_PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\.[a-z]+")
_MOST_BYTES = 4 * 2**30
"""Unpacked, an export may not be larger: a small file can claim to hold terabytes."""
_PROBE_ROWS = 64
_TOLERANCE = 1e-9

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Exchanged:
    """What an export or import did.

    Parameters
    ----------
    created
        Of an import: False if the lake had this model, so that nothing was written.
    foreign_types
        Types outside `KNOWN_TYPES` in the file: whoever imports it has to name them.
    """

    model_id: str
    path: Path
    created: bool
    foreign_types: tuple[str, ...]


def export_model(lake: Lake, model_id: str, path: Path) -> Exchanged:
    """Write a model of the lake into one skops file.

    Raises
    ------
    NotFoundError
        If there is no such model, or skops is not installed.
    FormatError
        If a file of the model is not the one that was written.
    InvalidInputError
        If the path exists already, or skops cannot write a part of the model. No file remains then.
    StorageError
        If the disk is full or refuses.
    """
    skops = _skops()
    model = lake.artifacts.find(ArtifactKind.MODEL, model_id)
    if path.exists():
        raise InvalidInputError(f"{path} exists already: name another file, or delete it first.")
    pipelines = {name: load_pipeline(lake, model, name=name) for name in model.files if name.endswith(_FITTED)}
    full_model = pipelines.pop(FULL_MODEL)
    tables = [lake.artifacts.verified_file(model, name) for name in model.files if name.endswith(_TABLE)]
    partial = path.with_name(f".{path.name}.partial")
    try:
        with storage_errors(path):
            with _refused_by_skops(model.id):
                skops.dump(full_model, partial, compression=zipfile.ZIP_DEFLATED)
            with zipfile.ZipFile(partial, "a", compression=zipfile.ZIP_DEFLATED) as bundle:
                bundle.write(model.path / "manifest.json", _MANIFEST)
                bundle.writestr(_PROBE, json.dumps(_answers(full_model).tolist()))
                for table in tables:
                    bundle.write(table, _FOLDER + table.name)
                for name, pipeline in pipelines.items():
                    with _refused_by_skops(model.id):
                        bundle.writestr(_as_skops(name), skops.dumps(pipeline))
            foreign = sorted(set(skops.get_untrusted_types(file=partial)) - KNOWN_TYPES)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return Exchanged(model.id, path, created=True, foreign_types=tuple(foreign))


def import_model(lake: Lake, path: Path, *, trust: Sequence[str] = ()) -> Exchanged:
    """Take a model out of an export into the lake, under the id it had.

    Parameters
    ----------
    trust
        Full names of further types the file may build, such as a transformer of your own.

    Raises
    ------
    InvalidInputError
        If the file is no export, or holds a type that is neither known nor named in `trust`.
    FormatError
        If the file was changed, other versions of the model's libraries are installed, or the model gives other
        answers here than where it was exported. Nothing is written then.
    NotFoundError
        If skops, or the file, is not there.
    """
    _skops()
    if not path.is_file():
        raise NotFoundError(f"{path} is not a file: name one that `barlake models export` wrote.")
    with _opened(path) as bundle:
        manifest = _manifest_of(bundle, path)
        known = lake.artifacts.get(ArtifactKind.MODEL, manifest["id"])
        if known is not None:
            return Exchanged(known.id, known.path, created=False, foreign_types=())
        require_same_versions(manifest["inputs"].get("libraries", {}), what=f"the model of {path}")
        pipelines, foreign = _pipelines_in(bundle, path, manifest, frozenset(trust))
        _require_same_answers(pipelines[FULL_MODEL], bundle, path)
        _keep(lake, bundle, path, manifest, pipelines)
    model = lake.artifacts.find(ArtifactKind.MODEL, manifest["id"])
    lake.publish()
    return Exchanged(model.id, model.path, created=True, foreign_types=foreign)


# --- out ---------------------------------------------------------------------------------------


def _skops() -> Any:
    try:
        import skops.io  # noqa: PLC0415 - an extra, and seconds of import
    except ModuleNotFoundError as error:
        raise NotFoundError(
            "exchanging models needs skops, which is not installed: `pip install barlake[skops]`."
        ) from error
    return skops.io


def _as_skops(name: str) -> str:
    return f"{_FOLDER}{name.removesuffix(_FITTED)}.skops"


@contextlib.contextmanager
def _refused_by_skops(model_id: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, AttributeError, NotImplementedError, RecursionError) as error:
        raise InvalidInputError(
            f"model {model_id} cannot be written as skops ({error}): its steps may use only estimators, and functions "
            "that a module defines by name."
        ) from error


def _answers(pipeline: Pipeline) -> FloatArray:
    """What a model says to made-up rows that are the same everywhere; shape (64,)."""
    names = fitted_columns(pipeline)
    # Of many sizes, because a feature may be a price or a return: one size would sit where a model says 0 or 1.
    sizes = 10.0 ** -(np.arange(_PROBE_ROWS) % 8)[:, None]
    rows = np.random.default_rng(0).standard_normal((_PROBE_ROWS, len(names))) * sizes
    return predict(pipeline, pl.DataFrame(rows, schema=names))


# --- in ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as bundle:
            claimed = sum(member.file_size for member in bundle.infolist())
            if claimed > _MOST_BYTES:
                raise InvalidInputError(f"{path} unpacks to {claimed:,} bytes, more than {_MOST_BYTES:,}: not opened.")
            yield bundle
    except zipfile.BadZipFile as error:
        raise InvalidInputError(f"{path} is not a skops file, or was cut off ({error}): ask for it again.") from error


def _manifest_of(bundle: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(bundle.read(_MANIFEST))
        made_from = {name: manifest[name] for name in ("parameters", "inputs", "code")}
        found, facts = manifest["id"], {name: manifest[name] for name in ("kind", "results", "files", "seed")}
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(
            f"{path} has no whole manifest ({error}): it may be a skops file, but not one that `barlake models export` "
            "wrote, and does not say which features it wants."
        ) from error
    if facts["kind"] != ArtifactKind.MODEL.value or artifact_id(**made_from) != found:
        raise FormatError(
            f"the manifest in {path} is not the one of model {found!r}: its parameters, inputs or code were changed "
            "after it was exported. Ask for the file again."
        )
    if not all(_PLAIN_NAME.fullmatch(name) for name in facts["files"]):
        raise FormatError(f"{path} names files outside of a model's folder: it was not opened. Ask for it again.")
    return manifest


def _pipelines_in(
    bundle: zipfile.ZipFile, path: Path, manifest: Mapping[str, Any], trust: frozenset[str]
) -> tuple[dict[str, Pipeline], tuple[str, ...]]:
    """The models of a file by their names in a folder, and the types that were built because the user named them."""
    skops, pipelines, foreign = _skops(), {}, set()
    allowed = KNOWN_TYPES | trust
    for name in (one for one in manifest["files"] if one.endswith(_FITTED)):
        with _unreadable(path):
            data = path.read_bytes() if name == FULL_MODEL else bundle.read(_as_skops(name))
            needed = set(skops.get_untrusted_types(data=data))
            refused = sorted(needed - allowed)
            if refused:
                raise InvalidInputError(
                    f"{path} would build {', '.join(refused)}, which no known model needs: it was not opened. If you "
                    f"know them to be harmless, name each with --trust {refused[0]}."
                )
            foreign |= needed - KNOWN_TYPES
            pipelines[name] = skops.loads(data, trusted=sorted(needed & allowed))
        if not isinstance(pipelines[name], Pipeline):
            raise FormatError(
                f"{name} in {path} holds no pipeline but a {type(pipelines[name]).__name__}: ask for it again."
            )
    if FULL_MODEL not in pipelines:
        raise FormatError(f"{path} holds no {FULL_MODEL}: ask for it again.")
    return pipelines, tuple(sorted(foreign))


@contextlib.contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    """Whatever skops stumbles over in a file that is not whole, in our words."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ImportError, zipfile.BadZipFile, EOFError) as error:
        raise FormatError(f"{path} cannot be read as skops ({error!r}): ask for it again.") from error
    except ValueError as error:
        if isinstance(error, InvalidInputError):
            raise
        raise FormatError(f"{path} cannot be read as skops ({error}): ask for it again.") from error


def _require_same_answers(pipeline: Pipeline, bundle: zipfile.ZipFile, path: Path) -> None:
    with _unreadable(path):
        there = np.asarray(json.loads(bundle.read(_PROBE)), dtype=np.float64)
        here = _answers(pipeline)
    if there.shape != here.shape or not np.allclose(there, here, rtol=_TOLERANCE, atol=_TOLERANCE):
        raise FormatError(
            f"the model of {path} answers the same {_PROBE_ROWS} made-up rows otherwise here than where it was "
            "exported: it was changed, or its libraries compute otherwise here. Nothing was written."
        )


def _keep(
    lake: Lake, bundle: zipfile.ZipFile, path: Path, manifest: Mapping[str, Any], pipelines: Mapping[str, Pipeline]
) -> None:
    made_from = {name: manifest[name] for name in ("parameters", "inputs", "code", "seed")}
    results = {**manifest["results"], "imported": {"file": path.name, "sha256": sha256_of(path)}}
    with lake.artifacts.create(ArtifactKind.MODEL, manifest["id"], **made_from) as draft:
        for name, pipeline in pipelines.items():
            save_model(pipeline, draft.path / name)
        for name in (one for one in manifest["files"] if one.endswith(_TABLE)):
            with storage_errors(draft.path), _unreadable(path):
                (draft.path / name).write_bytes(bundle.read(_FOLDER + name))
            if sha256_of(draft.path / name) != manifest["files"][name]["sha256"]:
                raise FormatError(f"{name} in {path} is not the table that was exported: ask for the file again.")
        draft.results.update(results)
        if CARD in manifest["files"]:
            write_card(draft.path, manifest["id"], **made_from, results=draft.results)
