"""A lake whose manifest is in PostgreSQL: on a real server, whatever becomes of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

import barlake
from barlake import database, layout
from barlake.backup import backup
from barlake.database import make_engine, postgres_url, reading, writing
from barlake.errors import FormatError, InvalidInputError, StorageError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.lake_database import database_of
from barlake.manifest import Manifest
from barlake.rebuild import rebuild
from barlake.receipts import Receipt
from barlake.restore import RestoreReport, restore
from barlake.schemas import BAR_VALUES
from barlake.settings import Settings
from barlake.stores import LocalStore
from barlake.testing import make_bars
from tests.servers import PostgresServer

DAYS = [dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 2, 1)]
MOMENT = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
SECRET = "0p3n-sesame"  # noqa: S105 - what must not be printed


def settings(url: str | None) -> Settings:
    return Settings(_env_file=None, BARLAKE_DATABASE_URL=url)


def open_at(root: Path, url: str | None) -> Lake:
    return barlake.open(root, settings=settings(url))


def bring_back(folder: Path, *, url: URL | None) -> RestoreReport:
    """Restore `copies` into `again`."""
    again = folder / "again"
    return restore(folder / "copies", LocalStore(again), again, url=url)


def write(lake: Lake, *, seed: int = 0, days: list[dt.date] = DAYS, symbol: str = "SPY") -> None:
    lake.writer.write(make_bars(days, seed=seed, minutes=30), feed="sip", symbol=symbol, source="test")


def fill(lake: Lake) -> None:
    """Two symbols, old values, refused rows, a receipt, an action and a model."""
    for symbol in ("SPY", "QQQ"):
        write(lake, symbol=symbol)
    write(lake, seed=1, days=DAYS[:1])
    bad = make_bars(DAYS[:1], minutes=1).with_columns(low=1e9)
    lake.writer.write(bad, feed="sip", symbol="SPY", source="test")
    receipt = Receipt(
        requested_at=MOMENT, source="alpaca", endpoint="/v2/stocks/bars", feed="sip", symbol="SPY", start=MOMENT,
        end=MOMENT, page_token=None, next_page_token=None, rows=3, status=200, complete=True, attempt=1,
        duration_ms=1.5, request_id=None, rate_limit_remaining=None, error=None,
    )  # fmt: skip
    lake.manifest.add_receipts([receipt])
    with lake.artifacts.create(ArtifactKind.MODEL, "ab" * 8, parameters={}, inputs={}, code="c") as draft:
        (draft.path / "model.bin").write_bytes(b"model")


def contents(lake: Lake) -> list[Any]:
    """All that a manifest says, table by table."""
    found = []
    with reading(lake.manifest.engine) as connection:
        for table in database_tables():
            rows = connection.execute(sa.select(table)).all()
            found.append((table.name, sorted(map(tuple, rows), key=repr)))
    return found


def database_tables() -> list[sa.Table]:
    from barlake.tables import metadata

    return [table for table in metadata.sorted_tables if table.name != "lake"]


def now() -> dt.datetime:
    return dt.datetime.now(tz=dt.UTC)


# What it is called ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgres", "is no address"),
        (f"mysql://me:{SECRET}@host/bars", "begins with mysql://, and only PostgreSQL"),
        (f"sqlite:///{SECRET}", "begins with sqlite://"),
        (f"postgresql://me:{SECRET}@host", "names no database"),
        (f"postgresql://me:{SECRET}@host:port/bars", "is no address"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(tmp_path: Path, address: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=f"BARLAKE_DATABASE_URL {said}") as refusal:
        open_at(tmp_path / "lake", address)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_is_understood(scheme: str) -> None:
    url = postgres_url(f"{scheme}://me:{SECRET}@host:5433/bars")
    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.database, url.password) == ("host", 5433, "bars", SECRET)


def test_the_password_is_never_printed() -> None:
    found = settings(f"postgresql://me:{SECRET}@127.0.0.1:1/bars")
    url = database_of(found)
    assert url is not None
    engine = make_engine(url)
    for shown in (found, url, engine, found.model_dump()):
        assert SECRET not in f"{shown!r} {shown}"


def test_without_the_driver_one_command_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None; import barlake; from barlake.settings import Settings; "
        "barlake.open(sys.argv[1], settings=Settings(_env_file=None, BARLAKE_DATABASE_URL='postgres://h/d'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "lake")], capture_output=True, text=True, check=False
    )
    assert "StorageError" in ended.stderr
    assert "pip install 'barlake[postgres]'" in ended.stderr


# What can be wrong with the server -----------------------------------------------------------------


def test_a_server_that_cannot_be_used_is_one_clear_error(tmp_path: Path, postgres_server: PostgresServer) -> None:
    wrong = {
        "password authentication failed": postgres_server.url("postgres", password=SECRET),
        'database "absent" does not exist': postgres_server.url("absent"),
        "refused": f"postgresql://me:{SECRET}@127.0.0.1:9/bars",
    }
    for said, url in wrong.items():
        with pytest.raises(StorageError, match=said) as refusal:
            open_at(tmp_path / "lake", url)
        assert SECRET not in str(refusal.value)
        assert "BARLAKE_DATABASE_URL" in str(refusal.value)


def test_who_may_only_read_reads_and_is_told_so(tmp_path: Path, postgres: str) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        write(lake)
        with writing(lake.manifest.engine) as connection:
            connection.execute(sa.text("CREATE ROLE guest LOGIN PASSWORD 'guest'"))
            connection.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest"))
    host = postgres.split("@")[1]
    with open_at(tmp_path / "lake", f"postgresql://guest:guest@{host}") as lake:
        assert lake.bars("SPY").height == 90
        with pytest.raises(StorageError, match="permission denied for table"):
            write(lake, seed=1)
        assert len(list((tmp_path / "lake" / "parquet").rglob("*.parquet"))) == 3


def cut_off(server: PostgresServer, url: str) -> None:
    """End every connection to a database, as a server does that is restarted."""
    name = url.rsplit("/", 1)[1]
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def test_a_restart_of_the_server_between_two_calls_is_not_noticed(
    tmp_path: Path, postgres: str, postgres_server: PostgresServer
) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        write(lake)
        cut_off(postgres_server, postgres)
        assert lake.bars("SPY").height == 90
        cut_off(postgres_server, postgres)
        write(lake, seed=1)


def test_a_connection_lost_in_mid_commit_changes_nothing_and_says_what_to_do(
    tmp_path: Path, postgres: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        write(lake)
        before = contents(lake), lake.snapshot().root_hash
        commit = barlake.manifest.apply_commits

        def commit_then_lose(*arguments: Any) -> None:
            commit(*arguments)
            cut_off(postgres_server, postgres)

        with monkeypatch.context() as patch:
            patch.setattr(barlake.manifest, "apply_commits", commit_then_lose)
            with pytest.raises(StorageError, match="run the same command again"):
                write(lake, seed=1)
        assert (contents(lake), lake.snapshot().root_hash) == before
        assert len(list((tmp_path / "lake" / "parquet").rglob("*.parquet"))) == 3
        write(lake, seed=1)
        assert lake.revisions("SPY").height == 90


def test_damage_that_the_server_finds_is_told_from_a_lost_connection(tmp_path: Path, postgres: str) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        damage = "DO $$ BEGIN RAISE EXCEPTION 'invalid page' USING ERRCODE = 'XX001'; END $$"
        with pytest.raises(FormatError, match="damaged: invalid page"), writing(lake.manifest.engine) as connection:
            connection.execute(sa.text(damage))


# Whose manifest it is ------------------------------------------------------------------------------


def test_a_database_of_another_lake_is_refused(tmp_path: Path, postgres: str) -> None:
    with open_at(tmp_path / "one", postgres) as lake:
        write(lake)
    with pytest.raises(StorageError, match="needs a database of its own"):
        open_at(tmp_path / "other", postgres)
    with open_at(tmp_path / "one", postgres) as lake:
        assert lake.bars("SPY").height == 90


def test_a_lake_is_not_opened_without_its_database(
    tmp_path: Path, postgres: str, postgres_server: PostgresServer
) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        write(lake)
    with pytest.raises(StorageError, match="set BARLAKE_DATABASE_URL"):
        open_at(tmp_path / "lake", None)
    with postgres_server.database() as empty, pytest.raises(StorageError, match="is empty, and"):
        open_at(tmp_path / "lake", empty)


def test_a_lake_with_a_sqlite_manifest_is_not_opened_on_an_empty_database(tmp_path: Path, postgres: str) -> None:
    with open_at(tmp_path / "lake", None) as lake:
        write(lake)
    with pytest.raises(StorageError, match="is a SQLite file"):
        open_at(tmp_path / "lake", postgres)


def test_a_lake_may_be_moved_to_another_folder(tmp_path: Path, postgres: str) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        write(lake)
    (tmp_path / "lake").rename(tmp_path / "elsewhere")
    with open_at(tmp_path / "elsewhere", postgres) as lake:
        assert lake.bars("SPY").height == 90


def test_an_opening_that_was_cut_off_before_the_database_was_named_goes_on(tmp_path: Path, postgres: str) -> None:
    bond = tmp_path / "lake" / layout.DATABASE_FILE
    bond.parent.mkdir(parents=True)
    bond.write_text('{"lake_id": "abc", "is_sealed": false}')
    for _ in range(2):
        with open_at(tmp_path / "lake", postgres) as lake, reading(lake.manifest.engine) as connection:
            assert connection.execute(sa.text("SELECT lake_id FROM lake")).scalar() == "abc"
    assert '"is_sealed": true' in bond.read_text()


def test_two_lakes_can_have_a_schema_each(tmp_path: Path, postgres: str) -> None:
    for schema in ("one", "two"):
        engine = make_engine(postgres_url(postgres))
        with writing(engine) as connection:
            connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
        engine.dispose()
        with open_at(tmp_path / schema, f"{postgres}?options=-csearch_path%3D{schema}") as lake:
            write(lake, symbol=schema.upper())
            assert lake.symbols()["symbol"].to_list() == [schema.upper()]


# Transactions --------------------------------------------------------------------------------------


def test_a_reader_sees_one_state_and_never_waits_for_the_writer(tmp_path: Path, postgres: str) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        write(lake)
        engine = lake.manifest.engine
        count = sa.text("SELECT count(*) FROM commits")
        with reading(engine) as reader:
            before = reader.execute(count).scalar()
            with writing(engine) as writer:
                writer.execute(sa.text("DELETE FROM commits"))
                assert reader.execute(count).scalar() == before
            assert reader.execute(count).scalar() == before
        with reading(engine) as reader:
            assert reader.execute(count).scalar() == 0


def test_a_writer_sees_what_the_one_before_it_committed_though_it_waited(tmp_path: Path, postgres: str) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        engine = lake.manifest.engine
        seen, waiting = [], threading.Event()

        def second() -> None:
            waiting.set()
            with writing(engine) as connection:
                seen.append(connection.execute(sa.text("SELECT count(*) FROM artifacts")).scalar())

        with writing(engine) as connection:
            thread = threading.Thread(target=second)
            thread.start()
            waiting.wait()
            time.sleep(0.2)
            assert seen == []
            row = {"id": "x", "at": MOMENT}
            connection.execute(sa.text("INSERT INTO artifacts VALUES ('run', :id, :at, '{}')"), row)
        thread.join()
        assert seen == [1]


def test_a_writer_that_waits_too_long_is_told(tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_at(tmp_path / "lake", postgres) as lake, writing(lake.manifest.engine):
        monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
        with pytest.raises(StorageError, match="lock timeout"):
            write(lake)
        assert lake.symbols().is_empty()


HOLDER = """
import sys
import barlake
from barlake.database import writing
from barlake.settings import Settings
import sqlalchemy as sa
with barlake.open(sys.argv[1], settings=Settings(_env_file=None)) as lake, writing(lake.manifest.engine) as connection:
    connection.execute(sa.text("DELETE FROM files"))
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_writer_killed_in_its_transaction_changes_nothing_and_holds_nobody_up(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BARLAKE_DATABASE_URL", postgres)
    with open_at(tmp_path / "lake", postgres) as lake:
        write(lake)
        before = lake.snapshot().root_hash
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(lake.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            process.kill()
        assert lake.snapshot().root_hash == before
        write(lake, seed=1)
        assert lake.revisions("SPY").height == 90


# Care ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_a_backup_comes_back_on_either_database(
    tmp_path: Path, postgres_server: PostgresServer, source: str, target: str
) -> None:
    with contextlib.ExitStack() as stack:
        url, other = (
            stack.enter_context(postgres_server.database()) if one == "postgresql" else None for one in (source, target)
        )
        lake = stack.enter_context(open_at(tmp_path / "lake", url))
        fill(lake)
        backup(lake.store, lake.root, lake.manifest, tmp_path / "copies", now=now)
        report = bring_back(tmp_path, url=database_of(settings(other)))
        again = stack.enter_context(open_at(tmp_path / "again", other))
        assert report.root_hash == lake.snapshot().root_hash == again.snapshot().root_hash
        assert contents(again) == contents(lake)
        assert again.verify().is_sound
        # Numbered rows count on from those that came back.
        fill(again)
        assert again.manifest.receipts()["receipt_id"].n_unique() == 2


def test_a_restore_that_was_interrupted_goes_on_and_needs_an_empty_database(
    tmp_path: Path, postgres: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        fill(lake)
        backup(lake.store, lake.root, lake.manifest, tmp_path / "copies", now=now)
    with pytest.raises(StorageError, match="needs a database of its own"):
        bring_back(tmp_path, url=postgres_url(postgres))
    with postgres_server.database() as empty:
        with monkeypatch.context() as patch:
            patch.setattr("barlake.restore.remove_database", interrupted_after(2))
            with pytest.raises(KeyboardInterrupt):
                bring_back(tmp_path, url=postgres_url(empty))
        report = bring_back(tmp_path, url=postgres_url(empty))
        with open_at(tmp_path / "again", empty) as again:
            assert again.snapshot().root_hash == report.root_hash


def interrupted_after(calls: int) -> Callable[[Path], None]:
    """Does nothing some times, then is interrupted."""
    left = iter(range(calls))

    def call(_path: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return call


def test_a_backup_is_one_state_though_others_write(tmp_path: Path, postgres: str) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        write(lake)
        roots, stop = {lake.snapshot().root_hash}, threading.Event()

        def change() -> None:
            for seed in range(1, 100):
                write(lake, seed=seed)
                roots.add(lake.snapshot().root_hash)
                if stop.is_set():
                    return

        thread = threading.Thread(target=change)
        thread.start()
        made = [backup(lake.store, lake.root, lake.manifest, tmp_path / "copies", now=now) for _ in range(2)]
        stop.set()
        thread.join()
        assert {one.root_hash for one in made} <= roots


def test_a_manifest_is_made_again_from_the_tree_in_its_database_or_a_new_one(
    tmp_path: Path, postgres: str, postgres_server: PostgresServer
) -> None:
    with open_at(tmp_path / "lake", postgres) as lake:
        fill(lake)
        before, bars = lake.snapshot().root_hash, lake.bars("SPY")
        calendar = lake.calendar
        with writing(lake.manifest.engine) as connection:
            connection.execute(sa.text("DELETE FROM held_sessions"))
        report = rebuild(lake.store, lake.root, calendar, now=now, url=postgres_url(postgres))
        assert lake.snapshot().root_hash == before
        assert lake.bars("SPY").select(BAR_VALUES).equals(bars.select(BAR_VALUES))
        assert report.kept is not None
        with contextlib.closing(Manifest(lake.root / report.kept / "manifest.sqlite")) as kept:
            assert kept.receipts().height == 1
    with postgres_server.database() as empty:
        assert (
            rebuild(LocalStore(tmp_path / "lake"), tmp_path / "lake", calendar, now=now, url=postgres_url(empty)).kept
            is None
        )
        with open_at(tmp_path / "lake", empty) as lake:
            assert lake.snapshot().root_hash == before
            write(lake, seed=3)
