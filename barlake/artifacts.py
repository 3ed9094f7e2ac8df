"""Versioned results: feature sets, models and runs, named by the hash of what they were made from.

A folder holds its tables and one `manifest.json` that says from which parameters, inputs and code it
came. It is complete or absent: it is filled under a temporary name, renamed, and then registered in the
lake's manifest with the SHA-256 of each file. An unregistered folder does not exist for any reader.
Same inputs, same id: making it twice writes nothing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import functools
import hashlib
import importlib.metadata
import inspect
import json
import math
import os
import platform
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from filelock import FileLock

from barlake.artifact_records import ArtifactRegister
from barlake.durable import fsync_folder, storage_errors
from barlake.errors import FormatError, NotFoundError, did_you_mean
from barlake.keys import ArtifactKind
from barlake.layout import TEMPORARY_PREFIX
from barlake.records import utc_now

__all__ = [
    "DRAFT_AGE",
    "NEWEST",
    "Artifact",
    "ArtifactStore",
    "Draft",
    "artifact_id",
    "canonical_json",
    "code_hash",
    "finite",
    "old_drafts",
    "sha256_of",
]

DRAFT_AGE = dt.timedelta(days=1)
"""How long nobody must have touched a draft before it counts as left behind: longer than any training rests."""

NEWEST = "newest"
"""In place of an id: the artifact of its kind that was made last."""

_ID_LENGTH = 16
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_LIBRARIES = (
    "barlake", "duckdb", "polars", "pyarrow", "numpy", "polars-talib", "scipy", "scikit-learn", "lightgbm", "xgboost",
    "xgboost-cpu", "numba",
)  # fmt: skip


def canonical_json(value: Any) -> str:
    """JSON text that is the same for equal values: sorted keys, no spaces, dates as ISO text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def artifact_id(*, parameters: Mapping[str, Any], inputs: Mapping[str, Any], code: str) -> str:
    """Sixteen hex digits that name a result by what it is made from.

    Examples
    --------
    >>> one = artifact_id(parameters={"a": 1, "b": 2}, inputs={}, code="c")
    >>> one == artifact_id(parameters={"b": 2, "a": 1}, inputs={}, code="c")
    True
    """
    text = canonical_json({"parameters": parameters, "inputs": inputs, "code": code})
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]


def code_hash(*modules: ModuleType) -> str:
    """SHA-256 over the source text of modules, in the order of their names."""
    digest = hashlib.sha256()
    for module in sorted(modules, key=lambda one: one.__name__):
        digest.update(module.__name__.encode() + b"\0" + inspect.getsource(module).encode() + b"\0")
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass
class Draft:
    """An artifact being made: write files into `path`, put figures that JSON can hold into `results`.

    A figure that is no number, or not finite, is kept as null.
    """

    path: Path
    results: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """A finished artifact. `files` maps a name to its `sha256` and `bytes`, as registered when it was made."""

    kind: ArtifactKind
    id: str
    path: Path
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    code: str
    seed: int | None
    results: dict[str, Any]
    files: dict[str, dict[str, Any]]
    libraries: dict[str, str]
    created_at: dt.datetime


class ArtifactStore:
    """The artifacts of one lake.

    Parameters
    ----------
    root
        Holds one folder per kind.
    records
        Remembers which of their folders count.
    """

    def __init__(self, root: Path, records: ArtifactRegister) -> None:
        self._root = root
        self._records = records

    @contextlib.contextmanager
    def create(
        self,
        kind: ArtifactKind,
        artifact_id: str,
        *,
        parameters: Mapping[str, Any],
        inputs: Mapping[str, Any],
        code: str,
        seed: int | None = None,
    ) -> Iterator[Draft]:
        """Make an artifact: yields a draft, and finishes it when the block ends without an error.

        Raises
        ------
        StorageError
            If the disk is full or refuses. Nothing remains then, nor after any other error.
        """
        folder = self._root / kind.value / artifact_id
        temporary = folder.with_name(f"{TEMPORARY_PREFIX}{artifact_id}-{uuid.uuid4().hex[:8]}")
        with storage_errors(folder):
            temporary.mkdir(parents=True)
        try:
            draft = Draft(temporary)
            with _refusals(folder, temporary):
                yield draft
            created_at = utc_now()
            text = json.dumps(
                finite(
                    {
                        "kind": kind.value,
                        "id": artifact_id,
                        "created_at": created_at.isoformat(),
                        "parameters": parameters,
                        "inputs": inputs,
                        "code": code,
                        "seed": seed,
                        "results": draft.results,
                        "files": _file_facts(temporary),
                        "libraries": library_versions(),
                    }
                ),
                allow_nan=False,
                indent=2,
                default=str,
            )
            with storage_errors(folder), FileLock(folder.parent / ".lock"):
                if self.get(kind, artifact_id) is None:
                    _finish(temporary, folder, text)
                    self._records.put(kind.value, artifact_id, created_at, text)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def get(self, kind: ArtifactKind, artifact_id: str) -> Artifact | None:
        """The artifact of exactly that id, or None."""
        return next((artifact for artifact in self.list(kind) if artifact.id == artifact_id), None)

    def find(self, kind: ArtifactKind, prefix: str) -> Artifact:
        """The one artifact whose id starts so, or the `newest`.

        Raises
        ------
        NotFoundError
            If none or several do; the message offers the ids there are.
        """
        known = self.list(kind)
        if prefix == NEWEST and known:
            return known[-1]
        matches = [artifact for artifact in known if artifact.id.startswith(prefix)] if prefix else []
        if len(matches) == 1:
            return matches[0]
        name = kind.value.removesuffix("s")
        if matches:
            ids = ", ".join(artifact.id for artifact in matches[:5])
            raise NotFoundError(f"{name} {prefix!r} names {len(matches)} of them ({ids}): give more digits.")
        newest = ", ".join(artifact.id for artifact in reversed(known[-3:])) or "none yet"
        hint = did_you_mean(prefix, [artifact.id for artifact in known])
        raise NotFoundError(f"{name} {prefix!r} is not in the lake. Newest: {newest}.{hint}")

    def list(self, kind: ArtifactKind) -> list[Artifact]:
        """Every registered artifact of a kind whose folder is there, oldest first."""
        found = []
        for artifact_id, text in self._records.of_kind(kind.value):
            folder = self._root / kind.value / artifact_id
            if folder.is_dir():
                found.append(_parse(kind, artifact_id, folder, json.loads(text)))
        return found

    def counts(self) -> dict[ArtifactKind, int]:
        """How many of each kind are registered, whether their folders are there or not; reads none of them."""
        found = self._records.counts()
        return {kind: found.get(kind.value, 0) for kind in ArtifactKind}

    def delete(self, artifact: Artifact) -> int:
        """Remove an artifact and its folder; returns the bytes that became free.

        It stops counting before the first file goes: a reader meets all of it or nothing.

        Raises
        ------
        StorageError
            If the disk refuses. The artifact does not count any more, and what is left of its folder is swept by
            `barlake vacuum` a day later.
        """
        with FileLock(artifact.path.parent / ".lock"):
            self._records.remove(artifact.kind.value, artifact.id)
            leaving = artifact.path.with_name(f"{TEMPORARY_PREFIX}{artifact.id}-{uuid.uuid4().hex[:8]}")
            with storage_errors(artifact.path):
                artifact.path.rename(leaving)
                freed = sum(path.stat().st_size for path in leaving.rglob("*") if path.is_file())
                shutil.rmtree(leaving)
        return freed

    @staticmethod
    def verified_file(artifact: Artifact, name: str) -> Path:
        """Path of one file of an artifact, after its bytes were compared with the registered hash.

        Raises
        ------
        FormatError
            If the file is not part of the artifact, is gone, or is not the one that was written.
        """
        path = artifact.path / name
        if name not in artifact.files:
            raise FormatError(f"{path} was not written by this lake: it is not loaded.")
        if not path.is_file():
            raise FormatError(f"{path} is gone: make the artifact again.")
        if sha256_of(path) != artifact.files[name]["sha256"]:
            raise FormatError(
                f"{path} is not the file that was written (its SHA-256 differs from the registered one): "
                "it is not loaded. Delete the folder and make the artifact again."
            )
        return path


@functools.cache
def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose numbers end up in results."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@contextlib.contextmanager
def _refusals(folder: Path, temporary: Path) -> Iterator[None]:
    """What the operating system says about a draft's files, as a `StorageError`; other errors are the maker's own."""
    try:
        yield
    except OSError as error:
        is_ours = error.errno in _FULL or str(error.filename or "").startswith(str(temporary))
        with storage_errors(folder) if is_ours else contextlib.nullcontext():
            raise


def finite(value: Any) -> Any:
    """The same with null for each float that JSON has no word for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value


def old_drafts(root: Path, *, before: dt.datetime) -> Iterator[Path]:
    """Folders and files of artifacts below `root` that were never finished and not touched since an instant."""
    unfinished = [path for kind in ArtifactKind for path in (root / kind.value).glob(f"{TEMPORARY_PREFIX}*")]
    unfinished += (root / ArtifactKind.FEATURES.value).glob(f"*/**/{TEMPORARY_PREFIX}*")
    for path in unfinished:
        with contextlib.suppress(FileNotFoundError):  # whoever makes it finished meanwhile
            if max(part.stat().st_mtime for part in (path, *path.rglob("*"))) < before.timestamp():
                yield path


def _finish(temporary: Path, folder: Path, manifest_text: str) -> None:
    """Make a filled folder durable and give it its name."""
    (temporary / "manifest.json").write_text(manifest_text + "\n", encoding="utf-8")
    for path in temporary.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            fsync_folder(path)
    fsync_folder(temporary)
    # A folder of that name that was never registered is what a crash left behind.
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    fsync_folder(folder.parent)


def _file_facts(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _parse(kind: ArtifactKind, artifact_id: str, folder: Path, manifest: dict[str, Any]) -> Artifact:
    return Artifact(
        kind=kind,
        id=artifact_id,
        path=folder,
        parameters=manifest["parameters"],
        inputs=manifest["inputs"],
        code=manifest["code"],
        seed=manifest["seed"],
        results=manifest["results"],
        files=manifest["files"],
        libraries=manifest["libraries"],
        created_at=dt.datetime.fromisoformat(manifest["created_at"]),
    )
