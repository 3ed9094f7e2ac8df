"""The log: one structure for every record, kept in the database, never a burden to the work."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr
from sqlalchemy import func, select

from app.operations import Operations, open_operations
from app.operations.database import reading
from app.operations.log_writer import LogWriter
from app.operations.logs import Log, configure_logging, log_context
from app.operations.redaction import Redactor
from app.operations.tables import log_records
from barlake.errors import InvalidInputError, StorageError
from barlake.settings import Settings

DEADLINE_S = 60


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def log(operations: Operations) -> Iterator[Log]:
    opened = configure_logging(operations.settings, agent="backfill", operations=operations)
    yield opened
    opened.close()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_record_of_a_lower_floor_is_one_line_of_json_with_its_facts(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    with log_context(job="bars/sip/SPY/2024-01"):
        facts = {"symbol": "SPY", "stage": "fetch", "rows": 3}
        logging.getLogger("ingest_service.asking").info("asked %s", "alpaca", extra=facts)
    logging.getLogger("barlake").info("committed")
    log.flush()
    first, second = lines(capsys)
    assert list(first)[:7] == ["timestamp", "level", "agent", "symbol", "stage", "job", "message"]
    assert {name: first[name] for name in ("level", "agent", "job", "message", "rows", "logger")} == {
        "level": "info", "agent": "backfill", "job": "bars/sip/SPY/2024-01", "message": "asked alpaca", "rows": 3,
        "logger": "ingest_service.asking",
    }  # fmt: skip
    assert "job" not in second


def test_what_is_shown_is_kept_and_can_be_found_again(log: Log, operations: Operations) -> None:
    own = logging.getLogger("own")
    own.debug("not kept")
    for symbol in ("SPY", "QQQ"):
        with log_context(job=f"bars/sip/{symbol}/2024-01", agent="live" if symbol == "QQQ" else None):
            own.info("fetched", extra={"symbol": symbol, "stage": "fetch", "rows": 7})
            own.warning("a hole", extra={"symbol": symbol})
    log.flush()
    tail = operations.logs.tail
    assert [(one.symbol, one.message, one.level) for one in tail()] == [
        ("SPY", "fetched", "INFO"), ("SPY", "a hole", "WARNING"),
        ("QQQ", "fetched", "INFO"), ("QQQ", "a hole", "WARNING"),
    ]  # fmt: skip
    assert tail()[0].fields["rows"] == 7
    assert [one.symbol for one in tail(level="warning")] == ["SPY", "QQQ"]
    assert [one.symbol for one in tail(agent="live")] == ["QQQ", "QQQ"]
    assert [one.message for one in tail(symbol="SPY", limit=1)] == ["a hole"]
    assert [one.symbol for one in tail(job="bars/sip/SPY")] == ["SPY", "SPY"]
    assert tail(job="bars/sip/S") == []
    third = tail()[2].record_id
    assert [one.record_id for one in tail(since_id=third)] == [third + 1]
    with pytest.raises(InvalidInputError, match="level 'loud' is none"):
        tail(level="loud")


SECRETS = {"ALPACA_API_SECRET_KEY": "s3cr+t/value", "BARLAKE_ALERT_WEBHOOK": "https://hooks.example.com/T0/hidden-path"}


def test_no_secret_reaches_a_line(
    operations: Operations, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    log = configure_logging(Settings(_env_file=None), agent="backfill", operations=operations)
    own = logging.getLogger("own")
    own.info("key s3cr+t/value", extra={"url": "https://x?k=s3cr%2Bt%2Fvalue", "headers": {"a": ["s3cr+t/value"]}})
    own.info("%s", SecretStr("s3cr+t/value"), extra={"held": SecretStr("s3cr+t/value")})
    try:
        int("s3cr+t/value")
    except ValueError:
        own.exception("failed")
    own.info("at postgresql://me:pass-word@host/db?apikey=query-key", extra={"h": {"APCA-API-SECRET-KEY": "other-one"}})
    try:
        requests.get("http://127.0.0.1:9/T0/hidden-path", timeout=5)
    except requests.RequestException as error:
        own.warning("hook: %s", error)
    log.close()
    shown = capsys.readouterr().out
    kept = "".join(f"{one.message}{one.fields}" for one in operations.logs.tail())
    assert shown.count("***") >= 8
    for secret in ("s3cr", "hidden-path", "pass-word", "query-key"):
        assert secret not in shown
        assert secret not in kept


def test_ordinary_words_are_not_taken_for_secrets() -> None:
    text = "asked https://data.alpaca.markets/v2/stocks/bars?symbols=SPY for a token bucket at 12:30 me@example.com"
    assert Redactor(["abc"]).text(text) == text  # three letters are no secret


def test_plain_lines_are_for_a_person_at_stderr(operations: Operations, capsys: pytest.CaptureFixture[str]) -> None:
    person = configure_logging(operations.settings, agent="ingest", for_person=True)
    logging.getLogger("own").info("not shown")
    logging.getLogger("own").warning("a hole", extra={"symbol": "SPY"})
    person.close()
    captured = capsys.readouterr()
    assert captured.err == "warning: a hole (symbol=SPY)\n"
    assert captured.out == ""


def test_old_and_too_many_records_go(operations: Operations) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    row = {"level": 20, "agent": "a", "symbol": None, "stage": None, "job": None, "fields": "{}"}
    rows = [row | {"message": str(n), "logged_at": now - timedelta(days=40 if n < 5 else 0)} for n in range(20)]
    operations.logs.append(rows)
    assert operations.logs.prune(keep_rows=18, keep_days=30) == 5
    assert operations.logs.prune(keep_rows=4, keep_days=30) == 11
    assert [one.message for one in operations.logs.tail()] == ["16", "17", "18", "19"]
    last = operations.logs.tail()[-1].record_id
    assert operations.logs.prune(keep_rows=1, keep_days=30) == 3
    operations.logs.append(rows[-1:])
    assert operations.logs.tail()[-1].record_id == last + 1


def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operations:
    monkeypatch.setenv("BARLAKE_ROOT", str(tmp_path / "lake"))
    return open_operations(Settings(_env_file=None))


def test_a_locked_table_neither_delays_nor_loses_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path, monkeypatch) as operations:
        log = configure_logging(operations.settings, agent="backfill", operations=operations)
        path = tmp_path / "lake" / "operations" / "operations.sqlite"
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            for number in range(100):
                logging.getLogger("own").info("line %d", number)
            assert len(capsys.readouterr().out.splitlines()) == 100  # the work went on
            other.execute("ROLLBACK")
        log.close()
        assert log.lost == 0
        assert len(operations.logs.tail(limit=1000)) == 100


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can only be mounted by an administrator")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_stops_no_work_and_once_there_is_room_nothing_is_missing(
    disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.operations.log_writer._RETRY_S", 0.05)
    with opened(disk, monkeypatch) as operations:
        log = configure_logging(operations.settings, agent="backfill", operations=operations)
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        with (disk / "filler").open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, free)
        for number in range(2000):
            logging.getLogger("own").info("line %d %s", number, "x" * 500)
        shown = ""
        while "log records cannot be stored" not in shown:
            shown += capsys.readouterr().err
            time.sleep(0.01)
        (disk / "filler").unlink()
        log.flush(DEADLINE_S)
        log.close()
        assert log.lost == 0
        assert len(operations.logs.tail(limit=3000)) == 2000


class Refusing:
    """A place for records that refuses as a full disk does, until it is emptied."""

    def __init__(self) -> None:
        self.is_full = True
        self.rows: list[object] = []

    def append(self, rows: object) -> None:
        if self.is_full:
            raise StorageError("the operations database refused the write: database or disk is full")
        assert isinstance(rows, list)
        self.rows += rows

    def close(self) -> None:
        pass


def test_what_a_full_disk_refuses_is_kept_waiting_up_to_a_bound_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.operations.log_writer._RETRY_S", 0.01)
    sink, said = Refusing(), list[str]()
    writer = LogWriter([sink], complain=said.append)
    for number in range(12_500):
        writer.offer({"number": number})
    wait_for(lambda: bool(said))
    assert writer.lost > 0
    sink.is_full = False
    wait_for(lambda: len(sink.rows) + writer.lost == 12_500)
    writer.flush(DEADLINE_S)
    assert len(said) == 2
    assert said[0].startswith("log records cannot be stored: the operations database refused the write")
    assert said[1] == f"log records are stored again; {writer.lost} were lost to the database"
    writer.close(DEADLINE_S)


def test_a_process_ends_though_its_records_cannot_be_stored() -> None:
    writer = LogWriter([Refusing()], complain=lambda _text: None)
    writer.offer({"number": 1})
    writer.close(DEADLINE_S)
    assert writer.lost == 1
    assert not writer._thread.is_alive()


CHILD = """
import logging, sys, time
from app.operations import open_operations
from app.operations.logs import configure_logging
from barlake.settings import Settings

with open_operations(Settings(_env_file=None)) as operations:
    configure_logging(operations.settings, agent="child", operations=operations)
    for number in range(50):
        logging.getLogger("own").info("line %d", number)
    {end}
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [("pass", 0), ("sys.exit(3)", 3), ("raise ValueError('no')", 1),
     ("print('ready', flush=True); time.sleep(600)", -signal.SIGTERM)],
    ids=["runs out", "exits", "fails", "is terminated"],
)  # fmt: skip
def test_what_was_said_is_stored_when_the_process_ends(
    end: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, monkeypatch) as operations:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(end=end), str(tmp_path / "lake")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        assert child.stdout is not None
        if code == -signal.SIGTERM:
            while child.stdout.readline() != "ready\n":
                assert child.poll() is None
            child.terminate()
        child.communicate(timeout=DEADLINE_S)
        assert child.returncode == code
        with reading(operations.engine) as connection:
            assert connection.execute(select(func.count()).select_from(log_records)).scalar() == 50
