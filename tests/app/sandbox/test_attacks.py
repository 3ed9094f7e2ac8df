"""What strangers might send: refused by the check, and harmless where nothing checks it."""

from __future__ import annotations

import socket
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import pytest

from app.sandbox import landlock, run
from app.sandbox.check import Denied, Offered, parse, tables_used
from app.sandbox.limits import Limits
from app.sandbox.offer import offered_names
from barlake.errors import BarlakeError
from barlake.lake import Lake, open_lake
from barlake.testing import make_bars
from tests.app.sandbox.conftest import SESSIONS

MARKED = "the-word-that-nobody-may-read"
ATTACKS = tomllib.loads(Path(__file__).with_name("attacks.toml").read_text(encoding="utf-8"))
REFUSED = [sql for group in ATTACKS["refused"].values() for sql in group]
BOUNDED = [sql for group in ATTACKS["bounded"].values() for sql in group]
EVERY = 12
UNCHECKED = [
    pytest.param(sql, marks=() if place % EVERY == 0 else pytest.mark.slow)
    for place, sql in enumerate([*REFUSED, *BOUNDED])
]
"""All of them, of which every twelfth by default: each costs a process."""

LIMITS = Limits(timeout_s=0.2, memory_mb=128)
PATIENCE_S = 30.0
"""Far beyond the time a query may take, for a machine that does much else; a query that hangs never ends."""


@dataclass(frozen=True)
class Ground:
    """A lake, what lies around it, and how it all looked before."""

    lake: Lake
    folder: Path
    names: dict[str, str]
    listener: socket.socket
    before: dict[str, tuple[int, int]]

    def query(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def state(self) -> dict[str, tuple[int, int]]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}

    def was_reached(self) -> bool:
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ground")
    secret = folder / "secret.txt"
    secret.write_text(MARKED, encoding="utf-8")
    (folder / ".env").write_text(MARKED, encoding="utf-8")
    with open_lake(folder / "lake") as lake, socket.socket() as listener:
        lake.write_bars(make_bars(SESSIONS, minutes=30), feed="synthetic", symbol="SPY")
        hidden = lake.root / "parquet" / "bars" / "hidden.parquet"
        pl.DataFrame({"word": [MARKED]}).write_parquet(hidden)
        link = lake.root / "parquet" / "link.txt"
        link.symlink_to(secret)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        names = {
            "root": str(lake.root),
            "secret": str(secret),
            "hidden": str(hidden),
            "link": str(link),
            "bar_file": lake.store.address(lake.manifest.files()[0].path),
            "catalogue": str(lake.catalogue_path),
            "manifest": str(lake.root / "manifest" / "manifest.sqlite"),
            "target": str(folder / "written"),
            "port": str(listener.getsockname()[1]),
        }
        plain = Ground(lake, folder, names, listener, {})
        run.run_sql(lake, "SELECT * FROM bars_of('SPY'), symbols LIMIT 1")  # whatever is made once is made now
        yield Ground(lake, folder, names, listener, plain.state())


@pytest.fixture(scope="module")
def parser() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def test_there_are_two_hundred_attacks_at_least_and_no_two_alike() -> None:
    assert len({*REFUSED, *BOUNDED}) == len(REFUSED) + len(BOUNDED) >= 200


def test_the_same_attacks_succeed_where_there_is_no_sandbox(ground: Ground) -> None:
    assert MARKED in str(ground.lake.sql(ground.query("SELECT content FROM read_text('{secret}')")).to_dicts())
    assert MARKED in str(ground.lake.sql(ground.query("SELECT * FROM '{hidden}'")).to_dicts())
    ground.lake.sql(ground.query("COPY (SELECT 1) TO '{target}'"))
    assert ground.state() != ground.before
    Path(ground.names["target"]).unlink()
    with pytest.raises(BarlakeError):  # DuckDB has no client for it, but DuckDB alone does not keep a process from it
        ground.lake.sql(ground.query("SELECT * FROM 'http://127.0.0.1:{port}/x.csv'"))


@pytest.mark.parametrize("group", ATTACKS["refused"])
def test_the_check_refuses_what_is_not_offered(ground: Ground, parser: duckdb.DuckDBPyConnection, group: str) -> None:
    def passes(sql: str) -> bool:
        try:
            tables_used(parse(parser, ground.query(sql)), offered_names(ground.lake))
        except (Denied, duckdb.ParserException):
            return False
        return True

    assert [sql for sql in ATTACKS["refused"][group] if passes(sql)] == []
    assert passes("SELECT * FROM bars")


@pytest.mark.parametrize("sql", BOUNDED)
def test_what_passes_the_check_ends_within_its_time_and_memory(ground: Ground, sql: str) -> None:
    assert harmless(ground, sql, checked=True)


def harmless(ground: Ground, sql: str, *, checked: bool) -> bool:
    """Whether a query leaves everything as it was, tells no secret and ends."""
    began = time.monotonic()
    try:
        told = str(run.ask(ground.lake, ground.query(sql), LIMITS, checked=checked).table.to_pylist())
    except BarlakeError as error:
        told = f"{type(error).__name__}: {error}"
    assert time.monotonic() - began < PATIENCE_S
    assert MARKED not in told
    assert ground.state() == ground.before
    assert not ground.was_reached()
    return True


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock: DuckDB alone keeps queries from files")
@pytest.mark.parametrize("sql", UNCHECKED)
def test_without_the_check_nothing_is_read_written_reached_or_held_up(
    ground: Ground, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTACKED_SECRET", MARKED)
    # Fewer views than there are, for speed: a view that is not there cannot be attacked either way.
    monkeypatch.setattr(run, "offered_names", lambda _: Offered(frozenset({"bars", "symbols"}), frozenset()))
    assert harmless(ground, sql, checked=False)
