"""A lake for one test, and a clock that stands still until it is moved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from barlake.database import Place
from barlake.lake import Lake
from barlake.lake_database import database_of
from barlake.settings import Settings
from barlake.testing import temporary_lake


class Clock:
    """The present instant, as a test wants it."""

    def __init__(self, moment: dt.datetime) -> None:
        self.moment = moment

    def __call__(self) -> dt.datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock(dt.datetime(2024, 3, 15, 12, tzinfo=dt.UTC))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked `both_databases` and has a lake runs twice."""
    if metafunc.definition.get_closest_marker("both_databases") and "database" in metafunc.fixturenames:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings name a fresh PostgreSQL database where the test is to run on one; otherwise none."""
    if getattr(request, "param", "sqlite") == "postgresql":
        monkeypatch.setenv("BARLAKE_DATABASE_URL", request.getfixturevalue("postgres"))


@pytest.fixture
def place(tmp_path: Path, database: None) -> Place:  # noqa: ARG001 - it is in the settings
    """Where the manifest of a test without a lake is."""
    return database_of(Settings(_env_file=None)) or tmp_path / "manifest" / "manifest.sqlite"


@pytest.fixture
def lake(clock: Clock, database: None) -> Iterator[Lake]:  # noqa: ARG001 - settings are read when it is opened
    with temporary_lake(now=clock) as lake:
        yield lake
