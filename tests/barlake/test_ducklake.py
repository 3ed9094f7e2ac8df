"""The lake as a DuckLake catalogue: the script itself, and, where a DuckDB with DuckLake is given, what it makes.

DuckDB 2.0 has no such extension. `DUCKLAKE_PYTHON` names the Python of an environment that has one: a folder with
`pip install duckdb==1.5.5 duckdb-extension-ducklake==1.5.5 duckdb-extension-delta==1.5.5 pytz`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake.delta_log import register_delta
from barlake.ducklake import ducklake_script
from barlake.lake import Lake
from barlake.testing import make_bars

FEED = "synthetic"
DAYS = [dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 3, 15)]
MINUTES = 20

RUNNER = """
import importlib.util, json, pathlib, sys
import duckdb
folder, script, *queries = sys.argv[1:]
connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "extension_directory": folder})
for name in ("ducklake", "delta"):
    place = pathlib.Path(importlib.util.find_spec(f"duckdb_extension_{name}").submodule_search_locations[0])
    connection.execute(f"INSTALL '{next(place.rglob('*.duckdb_extension'))}'")
connection.execute("LOAD delta")
connection.execute(script)
print(json.dumps([connection.sql(query).fetchall() for query in queries]))
"""


@pytest.fixture
def held(lake: Lake) -> Lake:
    for seed, symbol in enumerate(("SPY", "BTC/USD")):
        lake.write_bars(make_bars(DAYS, minutes=MINUTES, seed=seed), feed=FEED, symbol=symbol)
    changed = make_bars(DAYS[:1], minutes=5).with_columns(pl.col("volume") + 1)
    lake.write_bars(changed, feed=FEED, symbol="SPY")
    return lake


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A function that runs a script and queries in a DuckDB that has DuckLake and Delta."""
    program = os.environ.get("DUCKLAKE_PYTHON")
    if not program:
        pytest.skip("DUCKLAKE_PYTHON names no Python with DuckDB 1.5.5 and its ducklake extension")

    def call(script: str, *queries: str) -> Any:
        order = [program, "-c", RUNNER, str(tmp_path / "extensions"), script, *queries]
        done = subprocess.run(order, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])  # before it, bars of progress

    return call


def test_a_script_names_each_file_that_counts_once_and_no_other(held: Lake, tmp_path: Path) -> None:
    script = ducklake_script(held.store, held.manifest.files(), catalogue=tmp_path / "it's.ducklake")
    on_disk = {str(path) for path in (held.root / "parquet/bars").rglob("*.parquet")}
    counting = {str(held.root / file.path) for file in held.manifest.files()}
    assert {path for path in on_disk if f"'{path}'" in script} == counting < on_disk
    assert script.count("ducklake_add_data_files") == 1
    assert "it''s.ducklake" in script


def test_an_empty_lake_is_a_catalogue_with_an_empty_table(lake: Lake, tmp_path: Path) -> None:
    script = ducklake_script(lake.store, [], catalogue=tmp_path / "bars.ducklake")
    assert "CREATE TABLE lake.bars" in script
    assert "ducklake_add_data_files" not in script


def test_ducklake_sees_the_bars_that_count(held: Lake, tmp_path: Path, run: Any) -> None:
    script = ducklake_script(held.store, held.manifest.files(), catalogue=tmp_path / "bars.ducklake")
    query = "select symbol, count(*), sum(volume)::bigint from lake.bars group by all order by symbol"
    (rows,) = run(script, query)
    assert [tuple(row) for row in rows] == sums(held)
    again = f"LOAD ducklake; ATTACH 'ducklake:{tmp_path / 'bars.ducklake'}' AS lake (READ_ONLY);"
    assert run(again, query) == [rows]


def test_duckdb_sees_the_same_in_the_delta_table(held: Lake, run: Any) -> None:
    register_delta(held.store, held.manifest.files())
    query = f"select symbol, count(*), sum(volume)::bigint from delta_scan('{held.root}') group by all order by symbol"
    assert [tuple(row) for row in run("select 1", query)[0]] == sums(held)


def sums(lake: Lake) -> list[tuple[str, int, int]]:
    return [(name, lake.bars(name).height, lake.bars(name)["volume"].sum()) for name in ("BTC/USD", "SPY")]
