"""A lake of the first complete release in the hands of this one: whole, read as it was, and written on.

Its origin is `tests/fixtures/older_lake/README.md`; what is expected of it was answered by the code that made it.
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from alembic import command as alembic_command
from polars.testing import assert_frame_equal
from sqlalchemy import update

import barlake
from app.operations import open_operations
from app.operations.database import VERSION, open_engine
from app.operations.tables import version
from barlake.database import SCHEMA_VERSION
from barlake.errors import StorageError
from barlake.settings import load_settings

ARCHIVE = Path(__file__).parent.parent / "fixtures/older_lake/lake.tar.xz"
MODEL, MODEL_RUN, SIGNALS_RUN = "2421bec314f32a8f", "5e0e53fae5558af0", "48d8bceab0e6ffb7"
CORRECTED = dt.datetime(2024, 7, 2, 13, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    # The cache that the archive lacks takes a second to make, and is the same for every copy.
    (folder / "lake/calendar").mkdir()
    with barlake.open(folder / "other") as other:
        assert not other.calendar.frame.is_empty()
        shutil.copy(folder / "other/calendar/xnys.parquet", folder / "lake/calendar")
    return folder


@pytest.fixture(scope="module")
def answers(unpacked: Path) -> Path:
    return unpacked / "answers"


@pytest.fixture
def older(unpacked: Path, tmp_path: Path) -> Path:
    """The folder of the lake, as it was left."""
    return Path(shutil.copytree(unpacked / "lake", tmp_path / "lake"))


@pytest.fixture(scope="module")
def held(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one copy for all tests that only read; the first of them upgrades it."""
    return Path(shutil.copytree(unpacked / "lake", tmp_path_factory.mktemp("upgraded") / "lake"))


@pytest.fixture(scope="module")
def upgraded(held: Path) -> Iterator[barlake.Lake]:
    with barlake.open(held) as lake:
        yield lake


def schema_of(folder: Path) -> str:
    with sqlite3.connect(folder / "manifest/manifest.sqlite") as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


def dump_of(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "manifest/manifest.sqlite") as connection:
        return list(connection.iterdump())


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_fixture_is_of_the_first_schema_and_small(older: Path) -> None:
    assert schema_of(older) == "0001"
    assert ARCHIVE.stat().st_size < 300_000


def test_opening_brings_the_manifest_to_the_schema_of_this_release(older: Path) -> None:
    barlake.open(older).close()
    assert schema_of(older) == SCHEMA_VERSION


def test_opening_an_upgraded_lake_again_changes_nothing(older: Path) -> None:
    barlake.open(older).close()
    once = dump_of(older)
    barlake.open(older).close()
    assert dump_of(older) == once


def test_no_file_of_the_lake_is_touched_by_the_upgrade(older: Path) -> None:
    before = {path: path.read_bytes() for path in older.rglob("*.*") if path.is_file() and "manifest" not in path.parts}
    barlake.open(older).close()
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("symbol", ["SYNA", "THIN"])
@pytest.mark.parametrize("timeframe", ["1Min", "15Min"])
def test_every_bar_is_read_as_it_was(upgraded: barlake.Lake, answers: Path, symbol: str, timeframe: str) -> None:
    then = pl.read_parquet(answers / (f"{symbol}.parquet" if timeframe == "1Min" else f"{symbol}-15Min.parquet"))
    session = "all" if timeframe == "1Min" else "regular"
    now = upgraded.bars(symbol, timeframe=timeframe, session=session)
    shared = [name for name in then.columns if name in now.columns]
    assert set(then.columns) - set(shared) <= {"derived"}
    assert_frame_equal(now.select(shared), then.select(shared), check_exact=True, check_dtypes=False)


def test_symbols_and_coverage_are_those_that_were_there(upgraded: barlake.Lake, answers: Path) -> None:
    symbols = [row | {"first": str(row["first"]), "last": str(row["last"])} for row in upgraded.symbols().to_dicts()]
    then = read_json(answers / "symbols.json")
    assert [{name: row[name] for name in then[0]} for row in symbols] == then
    rows = {(row["symbol"], str(row["session"])): row["bars"] for row in upgraded.coverage().to_dicts()}
    assert rows == {(row["symbol"], row["session"]): row["bars"] for row in read_json(answers / "coverage.json")}


def test_a_value_that_was_corrected_is_still_known_as_of_the_time_before(upgraded: barlake.Lake) -> None:
    (change,) = upgraded.revisions("THIN").to_dicts()
    assert (change["timestamp"], change["close_old"], change["close_new"]) == (CORRECTED, 10.0, 10.04)
    just_before = change["known_until"] - dt.timedelta(microseconds=1)
    assert upgraded.bars("THIN", as_of=just_before)["close"][0] == 10.0
    assert upgraded.bars("THIN")["close"][0] == 10.04


def test_the_catalogue_that_is_published_now_has_the_old_rows_and_the_new_views(older: Path, answers: Path) -> None:
    with barlake.open(older) as lake:
        lake.publish()
        found = lake.sql("select feed, symbol, count(*) as n, sum(close) as closes from bars group by all order by all")
        assert lake.sql("select count(*) from revisions").item() == 1
        assert lake.sql("select reason from quarantine").height == 1
    then = read_json(answers / "sql.json")
    assert found.select("feed", "symbol", "n").to_dicts() == [
        {name: row[name] for name in ("feed", "symbol", "n")} for row in then
    ]
    assert found["closes"].to_list() == pytest.approx([row["closes"] for row in then])


READING = [
    ["symbols"], ["coverage"], ["gaps"], ["quality"], ["revisions", "THIN"], ["verify"], ["stats"], ["actions", "list"],
    ["models", "list"], ["models", "show", MODEL], ["runs", "list"], ["runs", "report", MODEL_RUN], ["trials"],
    ["strategies", "list"], ["jobs", "list"], ["bars", "SYNA", "--limit", "5"],
]  # fmt: skip


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_every_command_that_reads_answers_about_it(held: Path, cli: Callable[..., Any], words: list[str]) -> None:
    done = cli(*words, "--root", held)
    assert done.code == 0, done.errors
    assert "Traceback" not in done.errors


NEEDS_THIS_KIND = [["runs", "show"], ["audit"], ["montecarlo"], ["runs", "compare", SIGNALS_RUN]]


@pytest.mark.parametrize("words", NEEDS_THIS_KIND, ids=" ".join)
def test_a_run_of_another_kind_is_named_with_its_page(held: Path, cli: Callable[..., Any], words: list[str]) -> None:
    done = cli(*words, MODEL_RUN, "--root", held)
    assert done.code == 1
    assert "was made by an earlier release" in done.errors
    assert "report.html" in done.errors


def test_runs_that_are_not_listed_are_named(held: Path, cli: Callable[..., Any]) -> None:
    done = cli("runs", "list", "--root", held)
    assert MODEL_RUN in done.errors
    assert SIGNALS_RUN in done.errors


def test_a_model_that_cannot_be_made_again_says_so(held: Path, cli: Callable[..., Any]) -> None:
    done = cli("repro", MODEL, "--root", held)
    assert done.code == 1
    assert "could not be made again" in done.out


def test_the_old_model_traded_today_ends_with_the_same_cents(
    older: Path, answers: Path, cli: Callable[..., Any]
) -> None:
    done = cli("simulate", "--model", MODEL, "--symbol", "SYNA", "--root", older, "--json")
    assert done.code == 0, done.errors
    then = read_json(answers / "model-run.json")
    assert done.data["account"]["final_value"] == then["next_open"]["final_value"]


def test_the_lake_is_written_on(older: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text(
        "timestamp,open,high,low,close,volume,trade_count,vwap\n2024-07-05T13:30:00Z,11,11.1,10.9,11,50,1,11\n",
        encoding="utf-8",
    )
    done = cli("import", more, "--feed", "synthetic", "--symbol", "THIN", "--root", older)
    assert done.code == 0, done.errors
    with barlake.open(older) as lake:
        assert lake.bars("THIN").height == 41
    for words in (["rollup"], ["verify"], ["snapshot", "THIN"]):
        assert cli(*words, "--root", older).code == 0


def test_two_who_open_it_at_once_both_get_it(older: Path) -> None:
    def opened(_number: int) -> int:
        with barlake.open(older) as lake:
            return lake.bars("SYNA").height

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(opened, range(4))) == [1100] * 4
    assert schema_of(older) == SCHEMA_VERSION


def test_an_upgrade_that_is_broken_off_leaves_the_manifest_as_it_was(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump_of(older)
    whole = alembic_command.upgrade

    def broken_off(*arguments: Any, **options: Any) -> None:
        whole(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(alembic_command, "upgrade", broken_off)
        with pytest.raises(KeyboardInterrupt):
            barlake.open(older)
    assert dump_of(older) == before
    with barlake.open(older) as lake:
        assert lake.bars("SYNA").height == 1100


def test_a_lake_of_a_newer_release_is_refused_and_left_alone(older: Path, cli: Callable[..., Any]) -> None:
    with sqlite3.connect(older / "manifest/manifest.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = dump_of(older)
    done = cli("symbols", "--root", older)
    assert done.code == 1
    assert f"at schema 9999, this release knows {SCHEMA_VERSION}: install a newer barlake" in done.errors
    assert dump_of(older) == before


def test_an_operations_database_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "lake")
    open_operations(settings).close()
    engine = open_engine(tmp_path / "lake/operations/operations.sqlite")
    with engine.begin() as connection:
        connection.execute(update(version).values(version=VERSION + 1))
    engine.dispose()
    with pytest.raises(StorageError, match=f"at version {VERSION + 1}, this release knows {VERSION}: install a newer"):
        open_operations(settings)
