"""A Delta table over the bar files where they lie: a transaction log of the files that count, and nothing else.

The log is written by the rules of https://github.com/delta-io/delta/blob/master/PROTOCOL.md and is all there
is of the table: `_delta_log` in the lake's folder, whose paths lead into `parquet/bars`. Readers need reader
version 1. Writers are asked for a feature that none has, so no Delta program deletes or rewrites a file of
the lake. Why so: docs/decisions/0014-delta-and-ducklake-over-the-same-files.md.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from barlake.durable import fsync_folder, storage_errors
from barlake.errors import ConflictError, FormatError, InvalidInputError
from barlake.records import FileRecord, utc_now
from barlake.schemas import BARS
from barlake.stores import Store

__all__ = ["LOG_FOLDER", "DeltaReport", "register_delta"]

LOG_FOLDER = "_delta_log"

_PARTITIONS = ("feed", "symbol", "dt")
_PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["barlakeWritesOnly"]}
_TYPES = {pa.float64(): "double", pa.int64(): "long"}
_ATTEMPTS = 5
_AGAIN = f"Delete the folder {LOG_FOLDER} and register again: it holds no bars."


@dataclass(frozen=True)
class DeltaReport:
    """The version the table has now, how many files it has, and how many came and went."""

    version: int
    files: int
    added: int
    removed: int


def register_delta(store: Store, files: Sequence[FileRecord]) -> DeltaReport:
    """Bring the Delta table of a lake up to the files that count, in one commit; none when nothing changed.

    Raises
    ------
    InvalidInputError
        If the files lie in a bucket.
    ConflictError
        If others register the same lake all the time.
    FormatError
        If the log is not one that was written here from its first version on.
    StorageError
        If the disk is full or refuses; the table is as it was.
    """
    if store.is_remote:
        raise InvalidInputError(
            f"the bar files lie in {store.name}, and a Delta table is made over files on a disk only: "
            "`barlake register ducklake` takes addresses, `barlake backup` makes a copy on a disk."
        )
    log = Path(store.name) / LOG_FOLDER
    counting = {quote(file.path, safe="/="): file for file in files}
    with storage_errors(log):
        log.mkdir(exist_ok=True)
        for _ in range(_ATTEMPTS):
            version, known = _replay(log)
            fresh = sorted(counting.keys() - known.keys())
            gone = sorted(known.keys() - counting.keys())
            report = DeltaReport(version + 1, len(counting), len(fresh), len(gone))
            if version >= 0 and not fresh and not gone:
                return DeltaReport(version, len(counting), 0, 0)
            now = int(utc_now().timestamp() * 1000)
            actions = [
                {"commitInfo": {"timestamp": now, "operation": "WRITE", "engineInfo": "barlake"}},
                *([{"protocol": _PROTOCOL}, {"metaData": _metadata(now)}] if version < 0 else []),
                *({"remove": _remove(path, known[path], now)} for path in gone),
                *({"add": _add(path, counting[path], now)} for path in fresh),
            ]
            if _write_version(log, version + 1, actions):
                return report
    raise ConflictError(
        f"others register {store.name} at the same time: nothing was changed, run the same command again."
    )


def _replay(log: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Newest version, -1 when there is none, and the files of that version with their `add`."""
    names = sorted(path for path in log.glob("*.json") if path.stem.isdigit())
    if [int(path.stem) for path in names] != list(range(len(names))):
        raise FormatError(f"{log} lacks versions, so what it shows is not known. {_AGAIN}")
    live: dict[str, dict[str, Any]] = {}
    for path in names:
        try:
            for line in path.read_text(encoding="utf-8").splitlines():
                for kind, action in json.loads(line).items():
                    if kind == "add":
                        live[action["path"]] = action
                    elif kind == "remove":
                        live.pop(action["path"], None)
                    elif kind == "protocol" and action != _PROTOCOL:
                        raise FormatError(f"{path} was not written by Barlake. {_AGAIN}")
        except (ValueError, KeyError, AttributeError) as error:
            raise FormatError(f"{path} cannot be read. {_AGAIN}") from error
    return len(names) - 1, live


def _write_version(log: Path, version: int, actions: Iterable[dict[str, Any]]) -> bool:
    """Put one version into the log, whole; False when somebody else was first."""
    unfinished = log / f".{uuid.uuid4().hex}.unfinished"
    try:
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{json.dumps(action, separators=(',', ':'))}\n" for action in actions)
            stream.flush()
            os.fsync(stream.fileno())
        # A link, unlike a rename, refuses a name that is taken.
        os.link(unfinished, log / f"{version:020}.json")
    except FileExistsError:
        return False
    finally:
        unfinished.unlink(missing_ok=True)
    fsync_folder(log)
    return True


def _metadata(now: int) -> dict[str, Any]:
    columns = [(field.name, _TYPES.get(field.type, "timestamp")) for field in BARS]
    feed, symbol, period = ((name, "string") for name in _PARTITIONS)
    fields = [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in (feed, symbol, *columns, period)
    ]
    return {
        "id": str(uuid.uuid4()),
        "name": "bars",
        "description": "Raw minute bars of a Barlake lake, registered in place.",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": list(_PARTITIONS),
        "configuration": {},
        "createdTime": now,
    }


def _add(path: str, file: FileRecord, now: int) -> dict[str, Any]:
    first, last = (f"{stamp:%Y-%m-%dT%H:%M:%S.%f}Z" for stamp in (file.first_timestamp, file.last_timestamp))
    statistics = {
        "numRecords": file.rows,
        "minValues": {"timestamp": first},
        "maxValues": {"timestamp": last},
        "nullCount": {"timestamp": 0},
    }
    return {
        "path": path,
        "partitionValues": {"feed": file.key.feed, "symbol": file.key.symbol, "dt": file.key.period.label},
        "size": file.bytes,
        "modificationTime": now,
        "dataChange": True,
        "stats": json.dumps(statistics),
    }


def _remove(path: str, add: dict[str, Any], now: int) -> dict[str, Any]:
    return {
        "path": path,
        "deletionTimestamp": now,
        "dataChange": True,
        "extendedFileMetadata": True,
        "partitionValues": add["partitionValues"],
        "size": add["size"],
    }
