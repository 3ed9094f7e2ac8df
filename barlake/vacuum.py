"""Delete files that stopped counting, and files that never did, once nobody can be reading them."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

from barlake.artifacts import DRAFT_AGE, old_drafts
from barlake.manifest import Manifest
from barlake.records import utc_now
from barlake.stores import Store

__all__ = ["GRACE", "VacuumReport", "vacuum", "vacuum_drafts"]

GRACE = dt.timedelta(hours=1)
"""How long a file stays after it was replaced: longer than any query on a catalogue that still names it."""


@dataclass(frozen=True)
class VacuumReport:
    """How many files were deleted, and their bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: VacuumReport) -> VacuumReport:
        return VacuumReport(self.files + other.files, self.bytes + other.bytes)


def vacuum(
    store: Store,
    manifest: Manifest,
    *,
    grace: dt.timedelta = GRACE,
    shown: dt.datetime | None = None,
    now: dt.datetime | None = None,
) -> VacuumReport:
    """Delete bar files that were replaced, or left behind by a crash, longer than `grace` ago.

    A file that counts is never touched: the manifest is asked after the files were listed, so a file that
    a writer commits meanwhile is either too young or known.

    Parameters
    ----------
    shown
        The newest commit that the published catalogue shows: what later ones replaced is still named there,
        and stays. None when there is no catalogue.
    now
        The instant by the clock that the manifest's own instants follow; None is the machine's.
    """
    horizon = utc_now() - grace
    present = {file.path: file for file in store.files()}
    known = manifest.known_paths()
    replaced = manifest.removed_files(before=horizon if now is None else now - grace, by=shown)
    orphans = [path for path, file in present.items() if file.modified_at < horizon and path not in known]
    deleted = freed = 0
    for path in [*orphans, *replaced]:
        if store.delete(path):  # else another vacuum was first
            deleted, freed = deleted + 1, freed + (present[path].bytes if path in present else 0)
    manifest.forget_files(replaced)
    return VacuumReport(deleted, freed)


def vacuum_drafts(root: Path, *, grace: dt.timedelta) -> VacuumReport:
    """Delete what killed runs left below `root` of models, runs and features that were never finished.

    A draft is left alone for a day, and for `grace` if that is longer: a training may rest between two files.
    """
    report = VacuumReport()
    for path in old_drafts(root, before=utc_now() - max(grace, DRAFT_AGE)):
        files = [part for part in (path, *path.rglob("*")) if part.is_file()]
        report += VacuumReport(len(files), sum(file.stat().st_size for file in files))
        if path.is_dir():
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):  # another vacuum was first
                path.unlink()
    return report
