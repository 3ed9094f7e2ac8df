"""What containers, units and clusters start is started here, without any of them: it gets well, and ends in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import barlake
from app.cli import run

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))[
    "services"
]
STAYING = [name for name, one in SERVICES.items() if one.get("restart") and one["image"].startswith("barlake:")]
ONE_OF_EACH = {"api", "dashboard", "worker_backfill"}
"""Workers differ in the name of their agent alone; the others take their turn among the slow tests."""

PATIENCE_S = 140


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a key, without which nothing listens on more than this machine."""
    folder = tmp_path_factory.mktemp("deployed") / "lake"
    barlake.open(folder).close()
    assert run(["keys", "create", "somebody", "--role", "operator", "--root", str(folder)]) == 0
    return folder


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
    return found


def with_port(words: list[str], port: int) -> list[str]:
    """The same words, listening elsewhere."""
    place = next(number for number, word in enumerate(words) if word in {"--port", "--metrics-port"}) + 1
    return [word.replace(words[place], str(port)) for word in words]


def is_well(test: list[str], inside: str, port: int) -> bool:
    """What the health check of a container says, asked of another port."""
    program, *words = test[1:]
    assert program == "python"
    words = [word.replace(f"127.0.0.1:{inside}/", f"127.0.0.1:{port}/") for word in words]
    assert any(f":{port}/" in word for word in words)
    asked = subprocess.run(
        [sys.executable, *words], env={"NO_PROXY": "*", "PATH": os.environ["PATH"]}, capture_output=True, check=False
    )
    return asked.returncode == 0


@pytest.mark.parametrize(
    "name", [name if name in ONE_OF_EACH else pytest.param(name, marks=pytest.mark.slow) for name in STAYING]
)
def test_a_service_gets_well_and_ends_when_it_is_told_to(name: str, root: Path, port: int, tmp_path: Path) -> None:
    service = SERVICES[name]
    words, test = service["command"], service["healthcheck"]["test"]
    inside = next(word for word in words if word.isdigit())
    own = {**service["environment"], "BARLAKE_ROOT": str(root), "HOME": str(tmp_path)}
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "NUMBA_CACHE_DIR") if name in os.environ}
    with (tmp_path / "log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.entry", *with_port(words, port)],
            cwd=root,
            env=kept | own,
            stdout=log,
            stderr=log,
        )
        try:
            ended_by = time.monotonic() + PATIENCE_S
            while not is_well(test, inside, port):
                assert process.poll() is None, (tmp_path / "log").read_text(encoding="utf-8")
                assert time.monotonic() < ended_by, (tmp_path / "log").read_text(encoding="utf-8")
                time.sleep(2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text(encoding="utf-8")
        finally:
            process.kill()
            process.wait()
    assert not is_well(test, inside, port)
    assert "Traceback" not in (tmp_path / "log").read_text(encoding="utf-8")


def test_the_service_that_others_can_reach_says_how_to_make_a_key_and_ends(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*with_port(SERVICES["api"]["command"], 0), "--root", str(tmp_path / "lake")]) == 1
    assert "barlake keys create" in capfd.readouterr().err
