"""Delete files that stopped counting, and files that never did, once nobody can be reading them."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from barlake.manifest import Manifest
from barlake.records import utc_now

__all__ = ["GRACE", "VacuumReport", "vacuum"]

GRACE = dt.timedelta(hours=1)
"""How long a file stays after it was replaced: longer than any query on a catalogue that still names it."""


@dataclass(frozen=True)
class VacuumReport:
    """How many files were deleted, and their bytes."""

    files: int = 0
    bytes: int = 0


def vacuum(
    root: Path, manifest: Manifest, *, grace: dt.timedelta = GRACE, shown: dt.datetime | None = None
) -> VacuumReport:
    """Delete bar files below `root` that were replaced, or left behind by a crash, longer than `grace` ago.

    A file that counts is never touched: the manifest is asked after the files were listed, so a file that
    a writer commits meanwhile is either too young or known.

    Parameters
    ----------
    shown
        The newest commit that the published catalogue shows: what later ones replaced is still named there,
        and stays. None when there is no catalogue.
    """
    horizon = utc_now() - grace
    old = list(_older_files(root / "parquet", horizon))
    known = manifest.known_paths()
    replaced = manifest.removed_files(before=horizon, by=shown)
    orphans = [path for path in old if path.relative_to(root).as_posix() not in known]
    doomed = [*orphans, *(root / path for path in replaced)]
    deleted = freed = 0
    for path in doomed:
        with contextlib.suppress(FileNotFoundError):  # another vacuum was first
            size = path.stat().st_size
            path.unlink()
            deleted, freed = deleted + 1, freed + size
    manifest.forget_files(replaced)
    return VacuumReport(deleted, freed)


def _older_files(folder: Path, horizon: dt.datetime) -> Iterator[Path]:
    for path in folder.rglob("*.parquet"):
        with contextlib.suppress(FileNotFoundError):  # a writer gave it its final name meanwhile
            if path.stat().st_mtime < horizon.timestamp():
                yield path
