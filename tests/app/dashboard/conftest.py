"""Pages run without a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import barlake

FRAME = Path(__file__).resolve().parents[3] / "app" / "dashboard" / "home.py"


@pytest.fixture
def run_page(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that runs a page over a lake without a browser: `run_page(root, "ingest")` gives its AppTest."""
    pytest.importorskip("streamlit", reason="streamlit is not installed")
    from streamlit import config
    from streamlit.testing.v1 import AppTest

    def run(root: Path | str, page: str = "overview") -> AppTest:
        monkeypatch.setenv("BARLAKE_ROOT", str(root))
        config.set_option("server.address", "127.0.0.1")
        found = AppTest.from_file(str(FRAME), default_timeout=30).run()
        return found if page == "overview" else found.switch_page(f"pages/{page}.py").run()

    return run


@pytest.fixture
def empty_root(tmp_path: Path) -> Path:
    """Root of a lake that holds nothing yet."""
    root = tmp_path / "lake"
    barlake.open(root).close()
    return root
