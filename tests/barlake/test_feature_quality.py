"""Measurements of feature tables: all or none, and only as long as the table they were made of."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import duckdb
import polars as pl
import pytest

from barlake.errors import ConflictError, NotFoundError
from barlake.feature_catalogue import publish_features
from barlake.feature_files import GRACE
from barlake.feature_quality import QUALITY_KEYS, QUALITY_TABLES, read_quality, write_quality
from barlake.feature_tables import FeatureTables
from barlake.keys import FeatureSetKey
from barlake.sessions import session_of
from barlake.testing import make_bars

KEY = FeatureSetKey("core", "0123456789012345")  # all digits: still a text


def a_table(seed: int = 0) -> pl.DataFrame:
    bars = make_bars([dt.date(2024, 1, 2)], seed=seed, minutes=20)
    return bars.select(session_of(pl.col("timestamp")).alias("session"), "timestamp", "close")


def put(tables: FeatureTables, seed: int = 0, symbol: str = "SPY") -> None:
    tables.write(KEY, symbol, a_table(seed), inputs={"seed": seed}, definition={"feed": "sip"})


def frames(value: float = 1.0, *, nulls: bool = True) -> dict[str, pl.DataFrame]:
    found = {}
    for name, columns in QUALITY_TABLES.items():
        row = {"feature": "rsi_14", "session": dt.date(2024, 1, 2), "psi": value}
        found[name] = pl.DataFrame([{column: row.get(column) for column in columns}], schema=pl.Schema(columns))
    return found if nulls else found | {"feature_nulls": found["feature_nulls"].clear()}


def measure(tables: FeatureTables, value: float = 1.0, symbol: str = "SPY", *, nulls: bool = True) -> None:
    measured = tables.entry(KEY, symbol)
    assert measured is not None
    write_quality(tables, KEY, symbol, frames(value, nulls=nulls), measured=measured)


def files(tables: FeatureTables) -> list[Path]:
    return sorted((tables.folder(KEY) / "quality").rglob("*.parquet"))


def rows(catalogue: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(catalogue, read_only=True) as connection:
        return connection.sql(sql).fetchall()


@pytest.fixture
def tables(tmp_path: Path) -> FeatureTables:
    found = FeatureTables(tmp_path / "features")
    put(found)
    return found


def test_what_was_measured_comes_back_with_its_keys(tables: FeatureTables) -> None:
    measure(tables, 0.5)
    found = read_quality(tables, KEY, "SPY")
    assert list(found) == list(QUALITY_TABLES)
    for name, frame in found.items():
        assert frame.schema == {**QUALITY_KEYS, **QUALITY_TABLES[name]}
    row = found["feature_quality"].row(0, named=True)
    assert (row["name"], row["version"], row["feed"], row["feature"], row["psi"]) == (
        "core",
        KEY.version,
        "sip",
        "rsi_14",
        0.5,
    )


def test_what_was_not_measured_is_refused_with_the_command(tables: FeatureTables) -> None:
    with pytest.raises(NotFoundError, match="`barlake feature-quality SPY` does"):
        read_quality(tables, KEY, "SPY")


def test_a_table_that_changed_is_not_measured_any_more(tables: FeatureTables) -> None:
    measure(tables)
    put(tables, seed=1)
    with pytest.raises(NotFoundError, match="was not measured since it was built"):
        read_quality(tables, KEY, "SPY")


def test_a_table_that_was_built_anew_and_is_the_same_keeps_its_measurement(tables: FeatureTables) -> None:
    measure(tables, 0.25)
    put(tables)
    assert read_quality(tables, KEY, "SPY")["feature_drift"]["psi"].to_list() == [0.25]


def test_a_measurement_of_another_table_is_not_kept(tables: FeatureTables) -> None:
    measured = tables.entry(KEY, "SPY")
    assert measured is not None
    put(tables, seed=1)
    with pytest.raises(ConflictError, match="built anew while they were measured"):
        write_quality(tables, KEY, "SPY", frames(), measured=measured)
    assert files(tables) == []


def test_a_later_measurement_takes_the_place_and_the_old_files_go_after_the_grace(tables: FeatureTables) -> None:
    measure(tables, 1.0)
    old = files(tables)
    measure(tables, 2.0)
    assert read_quality(tables, KEY, "SPY")["feature_quality"]["psi"].to_list() == [2.0]
    assert set(old) < set(files(tables))  # a reader may have looked them up a moment ago
    stray = old[0].with_name("left-by-a-crash.parquet")
    stray.write_bytes(b"")
    long_ago = dt.datetime.now(dt.UTC).timestamp() - GRACE.total_seconds() - 60
    for path in (*old, stray):
        os.utime(path, (long_ago, long_ago))
    expire(tables)
    measure(tables, 3.0)
    assert not set(old) & set(files(tables))
    assert not stray.exists()
    assert read_quality(tables, KEY, "SPY")["feature_quality"]["psi"].to_list() == [3.0]


def expire(tables: FeatureTables) -> None:
    """Make everything that stopped counting have done so long ago."""
    path = tables.folder(KEY) / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["superseded"] = dict.fromkeys(manifest["superseded"], "2020-01-01T00:00:00+00:00")
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_the_catalogue_shows_what_counts_and_empty_tables_before(tables: FeatureTables, tmp_path: Path) -> None:
    catalogue = tmp_path / "market.duckdb"
    publish_features(catalogue, tables)
    for name, columns in QUALITY_TABLES.items():
        described = rows(catalogue, f"describe {name}")
        assert [row[0] for row in described] == [*QUALITY_KEYS, *columns, "symbol"]
        assert rows(catalogue, f"select count(*) from {name}") == [(0,)]
    put(tables, symbol="QQQ")
    measure(tables, 0.5)
    measure(tables, 0.75, "QQQ", nulls=False)
    publish_features(catalogue, tables)
    for name, columns in QUALITY_TABLES.items():
        assert [row[0] for row in rows(catalogue, f"describe {name}")] == [*QUALITY_KEYS, *columns, "symbol"]
    found = rows(catalogue, "select symbol, version, feature, psi from feature_quality order by symbol")
    assert found == [("QQQ", KEY.version, "rsi_14", 0.75), ("SPY", KEY.version, "rsi_14", 0.5)]
    assert rows(catalogue, "select symbol from feature_nulls") == [("SPY",)]


def test_a_measurement_that_lost_a_file_does_not_keep_the_rest_from_being_published(
    tables: FeatureTables, tmp_path: Path
) -> None:
    put(tables, symbol="QQQ")
    measure(tables)
    measure(tables, symbol="QQQ")
    next(path for path in files(tables) if "symbol=SPY" in str(path)).unlink()
    publish_features(tmp_path / "market.duckdb", tables)
    assert rows(tmp_path / "market.duckdb", "select distinct symbol from feature_quality") == [("QQQ",)]
