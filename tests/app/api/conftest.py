"""A service over a small lake, asked in process as a program on this machine would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api.main import create_app
from barlake.settings import Settings, load_settings

LOCAL = ("127.0.0.1", 50_000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of an empty lake; a test module that wants bars in it makes its own."""
    return load_settings(tmp_path / "lake")


@pytest.fixture
def api(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def client(api: FastAPI) -> Iterator[TestClient]:
    with TestClient(api, base_url="http://127.0.0.1", client=LOCAL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The same over a lake that no test changes: one for all tests of a module."""
    app = create_app(load_settings(tmp_path_factory.mktemp("still") / "lake"))
    with TestClient(app, base_url="http://127.0.0.1", client=LOCAL, raise_server_exceptions=False) as client:
        yield client
