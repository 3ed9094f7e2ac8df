"""Who may see the dashboard, and how it is started."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import barlake
from app.operations import Operations, open_operations
from tests.browser import serving_dashboard

DIRECTLY = "ingest"
"""The address of a page of its own, which must not lead past the door."""


@pytest.fixture
def operations(empty_root: Path) -> Iterator[Operations]:
    with barlake.open(empty_root) as lake, open_operations(lake.settings) as found:
        yield found


def give(page: Any, key: str) -> None:
    page.get_by_role("textbox", name="Key").fill(key)
    page.get_by_role("button", name="Open").click()


@pytest.fixture
def guarded(empty_root: Path, operations: Operations) -> Iterator[tuple[str, str, str]]:
    """Address of a dashboard that other machines reach, a reader's key and an operator's."""
    keys = [operations.api_keys.create(role, role)[1] for role in ("reader", "operator")]
    with serving_dashboard(empty_root, "--host", "0.0.0.0") as url:  # noqa: S104 - what is tried
        yield url, keys[0], keys[1]


def test_from_elsewhere_only_an_operators_key_opens_a_page_and_as_long_as_it_counts(
    guarded: tuple[str, str, str], operations: Operations, browser_page: Any
) -> None:
    page, (url, reader, operator) = browser_page, guarded
    heading = page.get_by_role("heading", name="Ingest", exact=True)
    page.goto(f"{url}/{DIRECTLY}")
    page.get_by_role("textbox", name="Key").wait_for()
    assert (page.get_by_role("link", name="Home").count(), heading.count()) == (0, 0)
    for wrong in ("nothing", reader):
        give(page, wrong)
        page.get_by_text("This key is unknown, expired, revoked or a reader's.").wait_for()
        assert heading.count() == 0
    give(page, operator)
    heading.wait_for()
    operations.api_keys.revoke("operator")
    page.get_by_role("textbox", name="Key").wait_for()
    heading.wait_for(state="hidden")


def test_without_any_key_nobody_else_can_be_let_in(empty_root: Path, cli: Callable[..., Any]) -> None:
    outcome = cli("dashboard", "--root", empty_root, "--host", "0.0.0.0", "--port", 0)  # noqa: S104 - what is tried
    assert (outcome.code, outcome.out) == (1, "")
    assert "no key was made yet: `barlake keys create NAME --role operator`" in outcome.errors


def test_a_port_that_is_taken_is_named(
    small_lake: Any, dashboard_server: Callable[[Path], str], cli: Callable[..., Any]
) -> None:
    port = dashboard_server(small_lake.root).rsplit(":", maxsplit=1)[1]
    outcome = cli("dashboard", "--root", small_lake.root, "--port", port)
    assert outcome.code == 1
    assert f"--port {port} cannot be listened on: Address already in use" in outcome.errors


def test_a_name_that_was_made_to_lead_here_is_not_served(
    small_lake: Any, dashboard_server: Callable[[Path], str]
) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    port = int(dashboard_server(small_lake.root).rsplit(":", maxsplit=1)[1])

    def ask(name: str) -> None:
        line = socket.create_connection(("127.0.0.1", port))
        with line, connect(f"ws://{name}:{port}/_stcore/stream", sock=line):
            pass

    ask("localhost")
    with pytest.raises(InvalidStatus, match="403"):
        ask("example.com")
