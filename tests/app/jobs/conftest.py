"""A queue, the task `probe`, and workers, on SQLite and, where a test is marked so, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.jobs import keeper, queue, runner
from app.jobs.context import JobContext
from app.jobs.queue import JobQueue, open_queue
from app.jobs.registry import task
from app.jobs.worker import Worker, WorkerReport
from app.operations import Operations, open_operations
from barlake.settings import Settings
from tests.app.jobs.probing import Deeds, InThread


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked `both_databases` runs twice."""
    if metafunc.definition.get_closest_marker("both_databases") and "settings" in metafunc.fixturenames:
        metafunc.parametrize("settings", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Settings of an empty lake."""
    changes: dict[str, Any] = {"root": str(tmp_path / "lake"), "heartbeat_s": 0.3}
    if getattr(request, "param", "sqlite") == "postgresql":
        changes["database_url"] = SecretStr(request.getfixturevalue("postgres"))
    return Settings(_env_file=None).model_copy(update=changes)


@pytest.fixture
def jobs(settings: Settings) -> Iterator[JobQueue]:
    with open_queue(settings) as found:
        yield found


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    with open_operations(settings) as found:
        yield found


@pytest.fixture
def deeds() -> Deeds:
    """A fresh task `probe`."""
    found = Deeds()

    def probe(context: JobContext, **arguments: Any) -> dict[str, Any]:
        return found.probe(context, **arguments)

    probe.__qualname__ = "probe"
    task("probe", agent="backfill", account="somebody")(probe)
    return found


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that a person would not notice, shorter still."""
    monkeypatch.setattr(runner, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(queue, "POLLING_S", 0.02)
    monkeypatch.setattr(keeper, "LOOK_S", 0.02)


@pytest.fixture
def work(settings: Settings, operations: Operations) -> Callable[..., InThread]:
    """A function that makes a worker to be entered."""
    return lambda **options: InThread(Worker(settings, operations, **options))


@pytest.fixture
def drain(work: Callable[..., InThread]) -> Callable[..., WorkerReport]:
    """A function that has a worker do all there is."""

    def run(**options: Any) -> WorkerReport:
        with work(drain=True, **options) as worker:
            worker.wait()
        assert worker.report is not None
        return worker.report

    return run
