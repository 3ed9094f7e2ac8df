"""Real servers for tests: started when the first test asks, stopped when the last has ended."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "barlake", "open sesame/1"  # what must be quoted in a URL is quoted
_IN_URL = "open%20sesame%2F1"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL server on the loopback address that asks for a password."""

    port: int

    def url(self, database: str, *, password: str = _IN_URL) -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of one statement run by a superuser, outside of any transaction."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """URL of an empty database that is gone when the block ends."""
        name = f"test_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for each pytest process; Debian's package keeps its programs out of PATH."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = _postgres_programs()
    # Not in pytest's own folder, which nobody else may enter: a server refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="barlake-postgres-"))
    owner = _owner()
    if owner:
        shutil.chown(folder, **owner)
    try:
        with _running_postgres(programs, folder, owner) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of an empty PostgreSQL database for one test."""
    with postgres_server.database() as url:
        yield url


def _postgres_programs() -> Path:
    found = shutil.which("initdb")
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    for path in ([Path(found)] if found else []) + newest_first:
        if (path.resolve().parent / "postgres").exists():
            return path.resolve().parent
    pytest.skip("no PostgreSQL server is installed (on Debian and Ubuntu: apt-get install postgresql)")


def _owner() -> dict[str, int]:
    """User and group to run as, when this process is root's."""
    if os.geteuid() != 0:
        return {}
    accounts = {account.pw_name: account for account in pwd.getpwall()}
    account = accounts.get("postgres") or accounts["nobody"]
    return {"user": account.pw_uid, "group": account.pw_gid}


def _as(owner: Mapping[str, int]) -> dict[str, Any]:
    return {**owner, "extra_groups": []} if owner else {}


@contextlib.contextmanager
def _running_postgres(programs: Path, folder: Path, owner: Mapping[str, int]) -> Iterator[PostgresServer]:
    data, secret = folder / "data", folder / "password"
    secret.write_text(PASSWORD)
    order = [programs / "initdb", "-D", data, "-U", USER, f"--pwfile={secret}", "-A", "scram-sha-256"]
    made = subprocess.run(
        [*order, "--no-sync", "--locale=C", "--encoding=UTF8"],
        cwd=folder, capture_output=True, text=True, check=False, **_as(owner),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    port = _free_port()
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": "50"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), *options],
            cwd=folder, stdout=log, stderr=subprocess.STDOUT, **_as(owner),
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield PostgresServer(port)
    finally:
        server.send_signal(signal.SIGINT)  # whoever is still connected is cut off
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
