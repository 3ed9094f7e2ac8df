"""A DuckLake catalogue over the bar files where they lie, as a SQL script that a DuckDB with DuckLake runs.

DuckDB 2.0 has no DuckLake extension to go with it, so Barlake writes the script and the user's own DuckDB
runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from barlake.records import FileRecord

__all__ = ["ducklake_script"]

_COLUMNS = (
    'feed VARCHAR, symbol VARCHAR, dt VARCHAR, "timestamp" TIMESTAMPTZ, open DOUBLE, high DOUBLE, low DOUBLE, '
    "close DOUBLE, volume BIGINT, trade_count BIGINT, vwap DOUBLE, ingested_at TIMESTAMPTZ"
)


def ducklake_script(root: Path, files: Sequence[FileRecord], *, catalogue: Path) -> str:
    """SQL that makes a new DuckLake catalogue with a table `bars` of the files that count, all or none.

    Parameters
    ----------
    catalogue
        The `.ducklake` file to make; the script stops if it holds a table `bars` already.
    """
    attached = f"ATTACH {_text(f'ducklake:{catalogue}')} AS lake (DATA_PATH {_text(f'{catalogue}.files/')});"
    by_symbol = groupby(files, key=lambda file: (file.key.feed, file.key.symbol))
    calls = [_registration([root / file.path for file in group]) for _, group in by_symbol]
    return "\n".join(
        [
            f"-- {len(files)} bar files of {root}, registered where they lie.",
            "-- The files stay the lake's: open the catalogue READ_ONLY, never clean up, merge or rewrite through it.",
            "LOAD ducklake;",
            attached,
            "BEGIN;",
            f"CREATE TABLE lake.bars ({_COLUMNS});",
            "ALTER TABLE lake.bars SET PARTITIONED BY (feed, symbol, dt);",
            *calls,
            "COMMIT;",
            "",
        ]
    )


def _registration(paths: Sequence[Path]) -> str:
    names = ",\n  ".join(_text(str(path)) for path in paths)
    return f"CALL ducklake_add_data_files('lake', 'bars', [\n  {names}\n], hive_partitioning => true);"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
