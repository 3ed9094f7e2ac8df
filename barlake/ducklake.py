"""A DuckLake catalogue over the bar files where they lie, as a SQL script that a DuckDB with DuckLake runs.

DuckDB 2.0 has no DuckLake extension to go with it, so Barlake writes the script and the user's own DuckDB
runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from barlake.records import FileRecord
from barlake.stores import Store

__all__ = ["ducklake_script"]

_COLUMNS = (
    'feed VARCHAR, symbol VARCHAR, dt VARCHAR, "timestamp" TIMESTAMPTZ, open DOUBLE, high DOUBLE, low DOUBLE, '
    "close DOUBLE, volume BIGINT, trade_count BIGINT, vwap DOUBLE, ingested_at TIMESTAMPTZ"
)

_ONLY_FRESH = """SET VARIABLE fresh = (
  SELECT CASE WHEN count(*) = 0 THEN 'bars' ELSE error('this catalogue has a table bars already: delete the file') END
  FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = 'bars'
);"""
"""The command line goes on after an error, and would add every file once more: without this name it cannot."""


def ducklake_script(store: Store, files: Sequence[FileRecord], *, catalogue: Path) -> str:
    """SQL that makes a new DuckLake catalogue with a table `bars` of the files that count, all of them or none.

    Parameters
    ----------
    catalogue
        The `.ducklake` file to make; the script stops if it holds a table `bars` already.
    """
    attached = f"ATTACH {_text(f'ducklake:{catalogue}')} AS lake (DATA_PATH {_text(f'{catalogue}.files/')});"
    names = ",\n  ".join(_text(store.address(file.path)) for file in files)
    call = f"CALL ducklake_add_data_files('lake', getvariable('fresh'), [\n  {names}\n], hive_partitioning => true);"
    return "\n".join(
        [
            f"-- {len(files)} bar files of {store.name}, registered where they lie.",
            "-- The files stay the lake's: open the catalogue READ_ONLY, never clean up, merge or rewrite through it.",
            "LOAD ducklake;",
            attached,
            _ONLY_FRESH,
            "BEGIN;",
            f"CREATE TABLE lake.bars ({_COLUMNS});",
            "ALTER TABLE lake.bars SET PARTITIONED BY (feed, symbol, dt);",
            *([call] if files else []),
            "COMMIT;",
            "",
        ]
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
