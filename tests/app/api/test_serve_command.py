"""`barlake serve` as a process: when it may be reached, how it ends, what is left when it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from app.api.server import serving
from app.cli import run
from app.operations import open_operations
from barlake.errors import InvalidInputError
from barlake.settings import Settings, load_settings

REPO = Path(__file__).resolve().parents[3]


class Service:
    """A service in a process of its own."""

    def __init__(self, root: Path, out: Path, *options: str) -> None:
        self.out = out
        order = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--root", str(root), *options]
        environment = {**os.environ, "PYTHONPATH": str(REPO)}
        with out.open("w") as stream:
            self.process = subprocess.Popen(order, stdout=stream, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said + self.process.stderr.read()
        self.url = found[0]

    def end(self, sent: signal.Signals) -> int:
        self.process.send_signal(sent)
        return self.process.wait(30)

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.read_text().splitlines()]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[], Service]]:
    """A function that begins a service on the same lake."""
    begun: list[Service] = []

    def start() -> Service:
        begun.append(Service(tmp_path / "lake", tmp_path / f"out{len(begun)}"))
        return begun[-1]

    yield start
    for one in begun:
        with contextlib.suppress(ProcessLookupError):
            one.process.kill()
        one.process.communicate()


def test_a_service_answers_logs_with_ids_ends_in_order_and_survives_a_kill(
    started: Callable[[], Service], tmp_path: Path
) -> None:
    first = started()
    asked = requests.post(f"{first.url}/schedule/daily/run", headers={"X-Request-ID": "mine"}, timeout=20)
    assert asked.status_code == 202
    assert first.end(signal.SIGKILL) == -signal.SIGKILL

    second = started()
    listed = requests.get(f"{second.url}/schedule", timeout=20).json()["items"]
    assert [one["last_job"] for one in listed if one["name"] == "daily"] == [asked.json()["job"]]
    assert requests.post(f"{second.url}/schedule/daily/pause", headers={"X-Request-ID": "other"}, timeout=20).ok
    began = time.monotonic()
    assert second.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 10
    lines = [one for one in second.log() if one.get("request_id") == "other"]
    assert [(one["agent"], one["message"], one["caller"]) for one in lines] == [
        ("api", "POST /schedule/daily/pause 200", "local")
    ]
    with open_operations(load_settings(tmp_path / "lake")) as operations:
        assert "POST /schedule/daily/pause 200" in {one.message for one in operations.logs.tail("api")}


def test_an_address_that_others_reach_is_not_served_before_there_is_a_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", "--host", "0.0.0.0", "--port", "0", "--root", str(tmp_path / "lake")]) == 1  # noqa: S104 - refused
    assert "barlake keys create" in capsys.readouterr().err


def test_an_address_that_others_reach_asks_also_this_machine_for_a_key(settings: Settings) -> None:
    with open_operations(settings) as operations:
        _, text = operations.api_keys.create("me", "reader")
    with serving(settings, "0.0.0.0") as url:  # noqa: S104 - what is tested
        here = url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - the same
        assert requests.get(f"{here}/stats", timeout=20).status_code == 401
        assert requests.get(f"{here}/stats", headers={"Authorization": f"Bearer {text}"}, timeout=20).status_code == 200


def test_a_port_that_is_taken_is_told(settings: Settings) -> None:
    with serving(settings) as url:
        assert requests.get(f"{url}/health", timeout=20).json()["ready"] is True
        with (
            pytest.raises(InvalidInputError, match="Name a free port"),
            serving(settings, port=int(url.rpartition(":")[2])),
        ):
            pass


def test_a_lake_that_cannot_be_opened_ends_in_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["serve", "--port", "0", "--root", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("error: ")


# --- keys -----------------------------------------------------------------------------------------


def test_a_key_is_shown_once_listed_without_itself_and_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ["--root", str(tmp_path / "lake")]
    assert run(["keys", "create", "grafana", "--days", "30", "--requests-per-minute", "60", *root]) == 0
    text = capsys.readouterr().out.strip()
    assert re.fullmatch(r"blk_[0-9a-f]{12}_[0-9a-f]{64}", text)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "lake").rglob("*.sqlite*"))
    assert text.encode() not in stored
    assert text[17:].encode() not in stored

    assert run(["keys", "list", "--json", *root]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["role"], one["requests_per_minute"]) for one in listed] == [("grafana", "reader", 60)]
    assert text[17:] not in json.dumps(listed)

    assert run(["keys", "create", "grafana", *root]) == 1
    assert "barlake keys revoke grafana" in capsys.readouterr().err
    assert run(["keys", "revoke", "grafanna", *root]) == 1
    assert "Did you mean 'grafana'?" in capsys.readouterr().err
    assert run(["keys", "revoke", "grafana", *root]) == 0
    assert run(["keys", "create", "grafana", "--role", "operator", *root]) == 0
    capsys.readouterr()
    assert run(["keys", "list", "--all", "--json", *root]) == 0
    assert [one["revoked_at"] is None for one in json.loads(capsys.readouterr().out)] == [False, True]


@pytest.mark.parametrize(
    "words", [["a b"], ["../x"], ["é"], ["x" * 65], ["ok", "--role", "admin"], ["", "--role", "reader"]]
)
def test_a_key_with_a_bad_name_or_role_is_refused(tmp_path: Path, words: list[str]) -> None:
    assert run(["keys", "create", *words, "--root", str(tmp_path / "lake")]) == 1
    with open_operations(load_settings(tmp_path / "lake")) as operations:
        assert operations.api_keys.all() == []
