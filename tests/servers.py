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
import sys
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
            [*_ends_with_us(), programs / "postgres", "-D", data, "-p", str(port), *options],
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


def _ends_with_us() -> list[str]:
    """Words before a command that stop it when this process is killed, where the system has them."""
    return ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class S3Server:
    """A server that speaks S3 on the loopback address."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """Settings that lead to it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "your-key-id",
            "AWS_SECRET_ACCESS_KEY": "your-secret",
            "AWS_REGION": "us-east-1",
        }

    @contextlib.contextmanager
    def bucket(self) -> Iterator[str]:
        """Name of an empty bucket that is gone when the block ends."""
        import boto3

        service = boto3.resource(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="your-key-id",
            aws_secret_access_key="your-secret",  # noqa: S106 - the server takes any
            region_name="us-east-1",
        )
        bucket = service.Bucket(f"bucket-{next(_numbers)}")
        bucket.create()
        try:
            yield bucket.name
        finally:
            bucket.objects.all().delete()
            bucket.delete()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for each pytest process."""
    pytest.importorskip("moto.server", reason="moto is not installed", exc_type=ImportError)
    pytest.importorskip("boto3", reason="boto3 is not installed")
    port = _free_port()
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not _is_listening(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the S3 server did not start"
            time.sleep(0.05)
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def s3_root(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Root of a lake in an empty bucket, with the settings that lead there."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with s3_server.bucket() as bucket:
        yield f"s3://{bucket}/lake"


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
