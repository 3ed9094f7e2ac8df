"""The manifest's database: its schema, its transactions, and what it keeps."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from barlake import database, tables
from barlake.database import SCHEMA_VERSION, Place, make_engine, writing
from barlake.errors import ConflictError, StorageError
from barlake.keys import PartitionKey, Period
from barlake.manifest import Manifest
from barlake.quality import QUARANTINE_COLUMNS
from barlake.receipts import Receipt
from barlake.records import Commit, Cursor, FileRecord, HeldSession

pytestmark = pytest.mark.both_databases

MOMENT = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
MARCH = Period.parse("2024-03")


@pytest.fixture
def manifest(place: Place) -> Iterator[Manifest]:
    found = Manifest(place)
    yield found
    found.close()


def a_file(name: str, period: Period = MARCH, dataset: str = "bars") -> FileRecord:
    return FileRecord(name, dataset, PartitionKey("sip", "SPY", period), 1, 1, MOMENT, MOMENT)


def commit(manifest: Manifest, number: int, *added: FileRecord, removed: tuple[str, ...] = ()) -> None:
    periods = [file.key.period for file in added if file.dataset == "bars"]
    manifest.commit(Commit(f"c{number}", "test", "sip", "SPY", added=added, removed=removed, periods=periods))


def counting(manifest: Manifest) -> list[str]:
    return [file.path for file in manifest.files()]


# --- schema ------------------------------------------------------------------------------------------


def test_the_newest_migration_is_the_version_this_release_knows() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_VERSION]


def test_migrated_tables_are_the_tables_in_the_code(manifest: Manifest) -> None:
    engine = make_engine(manifest.place)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        found = sa.inspect(connection)
        assert set(found.get_table_names()) == {*tables.metadata.tables, "alembic_version"}
        for name, table in tables.metadata.tables.items():
            columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
            assert columns == {column.name: column.nullable for column in table.columns}
            keys = found.get_pk_constraint(name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key.columns]
    engine.dispose()


def test_a_manifest_of_a_newer_release_is_refused(manifest: Manifest) -> None:
    with writing(manifest.engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match=f"at schema 9999, this release knows {SCHEMA_VERSION}: install a newer"):
        Manifest(manifest.place)


def test_commits_survive_a_power_cut(manifest: Manifest) -> None:
    with writing(manifest.engine) as connection:
        if connection.dialect.name == "postgresql":
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        else:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_names_come_in_the_order_of_their_characters(manifest: Manifest) -> None:
    for number, symbol in enumerate(["a", "B.C", "B", "BA", "^X"]):
        manifest.commit(
            Commit(f"c{number}", "test", "sip", symbol, held=[HeldSession(MARCH.start, 1, 1, MOMENT, MOMENT, "h")])
        )
    assert manifest.symbols()["symbol"].to_list() == ["B", "B.C", "BA", "^X", "a"]


# --- commits -----------------------------------------------------------------------------------------


def test_a_commit_puts_new_files_in_the_place_of_old_ones(manifest: Manifest) -> None:
    commit(manifest, 1, a_file("one"))
    commit(manifest, 2, a_file("two"), removed=("one",))
    assert counting(manifest) == ["two"]
    assert manifest.known_paths() == {"one", "two"}


@pytest.mark.parametrize("period", [MARCH, Period.parse("2024"), Period.parse("2024-03-11")])
def test_a_second_writer_of_the_same_files_is_told_and_changes_nothing(manifest: Manifest, period: Period) -> None:
    commit(manifest, 1, a_file("one"))
    commit(manifest, 2, a_file("two"), removed=("one",))
    with pytest.raises(ConflictError, match="merge again"):
        commit(manifest, 3, a_file("three", period), removed=("one",))
    with pytest.raises(ConflictError, match="changed by another writer"):
        commit(manifest, 4, a_file("four", period))
    assert counting(manifest) == ["two"]
    assert manifest.known_paths() == {"one", "two"}


def test_writers_of_other_periods_and_datasets_do_not_meet(manifest: Manifest) -> None:
    commit(manifest, 1, a_file("one"))
    commit(manifest, 2, a_file("two", Period.parse("2024-04")), a_file("old", dataset="revisions"))
    assert counting(manifest) == ["one", "two"]


def test_files_are_found_by_the_sessions_they_may_hold(manifest: Manifest) -> None:
    commit(manifest, 1, a_file("february", Period.parse("2024-02")), a_file("march"))
    assert [file.path for file in manifest.files(start=dt.date(2024, 3, 1))] == ["march"]
    assert [file.path for file in manifest.files(end=dt.date(2024, 3, 1))] == ["february"]
    assert [file.path for file in manifest.files(start=dt.date(2024, 2, 29), end=dt.date(2024, 3, 2))] == [
        "february", "march",
    ]  # fmt: skip


def test_any_number_of_files_can_be_forgotten(manifest: Manifest) -> None:
    paths = [f"file-{number}" for number in range(2000)]
    manifest.forget_files([])
    manifest.forget_files(paths * 150)
    assert manifest.known_paths() == set()


# --- what it keeps -----------------------------------------------------------------------------------


def test_a_receipt_comes_back_as_it_was(manifest: Manifest) -> None:
    full = Receipt(
        requested_at=MOMENT, source="alpaca", endpoint="/v2/stocks/bars", feed="sip", symbol="BRK.B", start=MOMENT,
        end=MOMENT + dt.timedelta(days=1), page_token="a",  # noqa: S106 - a place in a list of pages
        next_page_token="b",  # noqa: S106 - another
        rows=3, status=200, complete=True,
        attempt=2, duration_ms=1.5, request_id="id", rate_limit_remaining=199, error=None,
    )  # fmt: skip
    none = dataclasses.replace(
        full, page_token=None, next_page_token=None, status=None, complete=False, request_id=None,
        rate_limit_remaining=None, error="no answer came",
    )  # fmt: skip
    manifest.add_receipts([full, none])
    manifest.add_receipts([])
    found = manifest.receipts().drop("receipt_id")
    assert [Receipt(**row) for row in found.iter_rows(named=True)] == [full, none]
    assert found.schema["requested_at"] == pl.Datetime("us", "UTC")


def test_a_refused_row_may_hold_any_byte_of_text(manifest: Manifest) -> None:
    row = {"row_number": 1, "reason": "no number", "raw": "1,\0,\u20ac"}
    quarantined = pl.DataFrame([row], schema=QUARANTINE_COLUMNS)
    for number in range(2):
        manifest.commit(Commit(f"c{number}", "test", "sip", "SPY", quarantined=quarantined, origin="a.csv"))
    assert manifest.quarantine()["raw"].to_list() == ["1,\N{SYMBOL FOR NULL},\u20ac"]


def test_an_instant_in_another_zone_is_kept_as_the_same_instant(manifest: Manifest) -> None:
    eastern = MOMENT.astimezone(dt.timezone(dt.timedelta(hours=-5)))
    manifest.artifacts.put("runs", "a", eastern, "{}")
    assert manifest.artifacts.of_kind("runs") == [("a", "{}")]
    with pytest.raises(sa.exc.StatementError, match="naive instant"):
        manifest.artifacts.put("runs", "b", MOMENT.replace(tzinfo=None), "{}")


def test_a_cursor_moves_and_ends_with_its_commit(manifest: Manifest) -> None:
    for number, token in enumerate(["a", "b"]):
        cursor = Cursor("key", token, pages=number, rows=7)
        manifest.commit(Commit(f"c{number}", "test", "sip", "SPY", cursor=cursor))
    assert manifest.cursor("key") == Cursor("key", "b", pages=1, rows=7)
    manifest.commit(Commit("c9", "test", "sip", "SPY", cursor_done="key"))
    assert manifest.cursor("key") is None
