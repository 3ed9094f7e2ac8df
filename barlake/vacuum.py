"""Delete files that stopped counting, and files that never did, once nobody can be reading them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from barlake.manifest import Manifest
from barlake.records import utc_now
from barlake.stores import Store

__all__ = ["GRACE", "VacuumReport", "vacuum"]

GRACE = dt.timedelta(hours=1)
"""How long a file stays after it was replaced: longer than any query on a catalogue that still names it."""


@dataclass(frozen=True)
class VacuumReport:
    """How many files were deleted, and their bytes."""

    files: int = 0
    bytes: int = 0


def vacuum(
    store: Store, manifest: Manifest, *, grace: dt.timedelta = GRACE, shown: dt.datetime | None = None
) -> VacuumReport:
    """Delete bar files that were replaced, or left behind by a crash, longer than `grace` ago.

    A file that counts is never touched: the manifest is asked after the files were listed, so a file that
    a writer commits meanwhile is either too young or known.

    Parameters
    ----------
    shown
        The newest commit that the published catalogue shows: what later ones replaced is still named there,
        and stays. None when there is no catalogue.
    """
    horizon = utc_now() - grace
    present = {file.path: file for file in store.files()}
    known = manifest.known_paths()
    replaced = manifest.removed_files(before=horizon, by=shown)
    orphans = [path for path, file in present.items() if file.modified_at < horizon and path not in known]
    deleted = freed = 0
    for path in [*orphans, *replaced]:
        if store.delete(path):  # else another vacuum was first
            deleted, freed = deleted + 1, freed + (present[path].bytes if path in present else 0)
    manifest.forget_files(replaced)
    return VacuumReport(deleted, freed)
