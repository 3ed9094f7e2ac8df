from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.operations import Operations, open_operations
from barlake.settings import Settings


@pytest.fixture(autouse=True)
def _log_of_the_process_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(params=["sqlite", "postgres"])
def operations_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres"))


@pytest.fixture
def operations_settings(operations_url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a lake whose operations database is of one kind, then of the other."""
    if operations_url is not None:
        monkeypatch.setenv("BARLAKE_OPERATIONS_URL", operations_url)
    monkeypatch.setenv("BARLAKE_ROOT", str(tmp_path / "lake"))
    return Settings(_env_file=None)


@pytest.fixture
def operations(operations_settings: Settings) -> Iterator[Operations]:
    with open_operations(operations_settings) as opened:
        yield opened
