"""`barlake serve --processes`: several answer, one that is killed is replaced, and none outlives the first one."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from starlette.exceptions import HTTPException

from app.api.rates import Rates
from app.operations.api_keys import ApiKey, Role
from tests.app.api.test_events import Stream, eventually
from tests.app.api.test_serve_command import REPO, Service


def members(service: Service) -> list[int]:
    """Processes that serve, of those the first one began."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    return [one for one in map(int, children.read_text().split()) if b"spawn_main" in command_of(one)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return b""


def is_running(pid: int) -> bool:
    """Whether a process still runs; one that ended and was not yet fetched does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def counted(service: Service) -> float:
    page = requests.get(f"{service.url}/metrics", timeout=20).text
    found = re.search(r'^barlake_api_requests_total\{.*route="/symbols".*\} (\S+)$', page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def serving(service: Service) -> int:
    """How many processes have said that they serve."""
    return service.out.read_text().count("Application startup complete.")


def ask(service: Service, times: int) -> None:
    for _ in range(times):
        assert requests.get(f"{service.url}/symbols", timeout=20).status_code == 200


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc, which Linux has")
def test_processes_count_together_are_replaced_and_end_with_their_streams(tmp_path: Path) -> None:
    service = Service(tmp_path / "lake", tmp_path / "out", "--processes", "2")
    try:
        # One that is killed while it starts is taken for silent, and replaced half a minute later.
        assert eventually(lambda: serving(service) == 2, within_s=60)
        ask(service, 12)
        assert counted(service) == 12
        first = members(service)
        assert len(first) == 2

        os.kill(first[0], signal.SIGKILL)
        assert eventually(lambda: len(set(members(service)) - {first[0]}) == 2, within_s=60)
        assert eventually(lambda: serving(service) == 3, within_s=60)
        ask(service, 4)
        assert counted(service) == 16

        with Stream(service.url) as stream:
            stream.next()
            last = members(service)
            began = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            assert list(stream.events()) == []
            assert service.process.wait(60) == 0
            assert time.monotonic() - began < 10
        assert not any(map(is_running, last))
        assert [one for one in service.log() if one["level"] in {"error", "critical"}] == []
    finally:
        service.process.kill()
        service.process.communicate()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc, which Linux has")
def test_no_process_outlives_the_one_that_began_it(tmp_path: Path) -> None:
    service = Service(tmp_path / "lake", tmp_path / "out", "--processes", "2")
    ask(service, 1)
    begun = members(service)
    service.process.kill()
    service.process.communicate()
    assert len(begun) == 2
    assert eventually(lambda: not any(map(is_running, begun)), within_s=60)


def test_told_to_end_a_plain_server_of_the_application_ends_its_streams(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPO), "BARLAKE_ROOT": str(tmp_path / "lake")}
    command = [sys.executable, "-m", "uvicorn", "app.api.main:app", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            assert server.stderr is not None
            url = next(found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
            with Stream(url) as stream:
                stream.next()
                began = time.monotonic()
                server.send_signal(signal.SIGTERM)
                assert list(stream.events()) == []
                assert time.monotonic() - began < 10
        finally:
            server.kill()


def granted(rates: Rates, key: ApiKey) -> int:
    """How many requests of a key are let pass in one go."""
    for count in range(1_000):
        try:
            rates.take(key)
        except HTTPException:
            return count
    raise AssertionError("never refused")


def test_processes_together_grant_no_more_than_a_key_may_ask() -> None:
    key = ApiKey(
        key_id="0" * 12, name="me", role=Role.READER, requests_per_minute=None, created_at=dt.datetime.now(dt.UTC),
        expires_at=None, revoked_at=None,
    )  # fmt: skip
    assert [granted(Rates(10, processes=3), key) for _ in range(3)] == [3, 3, 3]
