"""`reproduce`: from an id to every step between the bars and what the id names.

Each thing is made from those one step before it as they are stored and verified, so that a difference shows in the
step where it arises. Where every step gives the same bits, so does the whole way from the bars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from app.repro.report import ReproReport, Step
from app.repro.steps import features_again, features_of, model_again, run_again
from barlake.artifacts import Artifact
from barlake.errors import NotFoundError
from barlake.feature_tables import feature_tables_of
from barlake.keys import ArtifactKind, FeatureSetKey
from barlake.lake import Lake

__all__ = ["Progress", "reproduce"]

Progress = Callable[[str, int, int], None]
"""Told what is made again, how many steps are behind it, and how many there are."""

_Work = tuple[str, Callable[[], Step]]


def reproduce(
    lake: Lake,
    given_id: str,
    *,
    set_name: str | None = None,
    signals: Path | None = None,
    progress: Progress | None = None,
) -> ReproReport:
    """Make a feature version, a model or a run again from its manifest, with everything it hangs on.

    Nothing in the lake changes.

    Parameters
    ----------
    given_id
        Its id, or as much of its beginning as only one thing has.
    set_name
        Where its feature set is found, if not under its name: the file of a set of the user's own.
    signals
        The file a run was made from, if it was made from a file.

    Raises
    ------
    NotFoundError
        If nothing, or more than one thing, has such an id.
    InvalidInputError
        If a run came from a file of signals and `signals` is None.
    """
    found = _named(lake, given_id)
    work = list(_work_of(lake, found, set_name, signals))
    steps = []
    for number, (what, step) in enumerate(work):
        if progress is not None:
            progress(what, number, len(work))
        steps.append(step())
    if isinstance(found, FeatureSetKey):
        return ReproReport(found.version, f"feature set {found.name}", tuple(steps))
    return ReproReport(found.id, found.kind.value.removesuffix("s"), tuple(steps))


def _work_of(
    lake: Lake, found: FeatureSetKey | Artifact, set_name: str | None, signals: Path | None
) -> Iterator[_Work]:
    """The steps to one thing, in the order in which they are made."""
    if isinstance(found, FeatureSetKey):
        held = feature_tables_of(lake).versions(found.name).filter(version=found.version)
        for symbol in held["symbol"]:
            yield f"features of {symbol}", partial(features_again, lake, found, symbol, set_name=set_name)
    elif found.kind is ArtifactKind.MODEL:
        key, tables = features_of(found), feature_tables_of(lake)
        for symbol in found.parameters["symbols"]:
            if tables.entry(key, symbol) is not None:
                yield f"features of {symbol}", partial(features_again, lake, key, symbol, set_name=set_name)
        yield f"model {found.id}", partial(model_again, lake, found, set_name=set_name)
    else:
        if "model" in found.inputs:
            model = lake.artifacts.find(ArtifactKind.MODEL, found.inputs["model"])
            yield from _work_of(lake, model, set_name, None)
        yield f"run {found.id}", partial(run_again, lake, found, signals=signals)


def _named(lake: Lake, given_id: str) -> FeatureSetKey | Artifact:
    """The one feature version, model or run whose id begins so."""
    rows = feature_tables_of(lake).versions().select("name", "version").unique(maintain_order=True).rows()
    found: dict[str, FeatureSetKey | Artifact] = {
        f"features {name} {version}": FeatureSetKey(name, version)
        for name, version in rows
        if version.startswith(given_id)
    }
    known = [version for _, version in rows]
    for kind in (ArtifactKind.MODEL, ArtifactKind.RUN):
        for one in lake.artifacts.list(kind):
            known.append(one.id)
            if one.id.startswith(given_id):
                found[f"{kind.value.removesuffix('s')} {one.id}"] = one
    if len(found) == 1 and given_id:
        return next(iter(found.values()))
    if found and given_id:
        raise NotFoundError(f"id {given_id!r} names {len(found)} things ({', '.join(found)}): give more digits.")
    newest = ", ".join(known[-3:]) or "none yet"
    raise NotFoundError(
        f"id {given_id!r} is no feature version, model or run of the lake. Some there are: {newest}. "
        "`barlake models list` and `barlake runs list` show the others."
    )
