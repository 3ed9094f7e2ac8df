"""A real browser on a real dashboard: what every test of a page stands on."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

ROOT = Path(__file__).resolve().parent.parent
SCREENSHOTS = ROOT / "build" / "screenshots"
WIDTHS = {"wide": 1280, "phone": 390}
HEIGHT = 900
PATIENCE_MS = 90_000
"""A first import on cores that many share: how fast a page is, `benchmarks/dashboard.py` says and not a test."""

STARTUP_S = 60.0
SETTLED = """
() => !document.querySelector('[data-testid="stSkeleton"], [data-testid="stSpinner"], [data-stale="true"]')
   && !!document.querySelector('[data-testid="stMain"] h1')
   && document.querySelector('[data-testid="stApp"]')?.getAttribute('data-test-script-state') !== 'running'
"""
CONTENT_HEIGHT = "() => document.querySelector('[data-testid=\"stMainBlockContainer\"]').scrollHeight"


@contextlib.contextmanager
def serving_dashboard(root: Path | str, *arguments: str, **environment: str) -> Iterator[str]:
    """Address of a dashboard over a lake, in a process of its own as `barlake dashboard` starts it."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    command = [
        *_ends_with_us(),
        sys.executable,
        "-m",
        "app.cli",
        "dashboard",
        "--port",
        "0",
        "--root",
        str(root),
        *arguments,
    ]
    server = subprocess.Popen(
        command, cwd=ROOT / "docs", env=kept | {"NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield _address(server)
    finally:
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        assert server.stdout is not None
        server.stdout.close()


def _ends_with_us() -> list[str]:
    """Words before a command that end it when this process is killed, where the system has them."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def _address(server: subprocess.Popen[str]) -> str:
    """What it says it can be reached at, once it can."""
    assert server.stdout is not None
    ready, _, _ = select.select([server.stdout], [], [], STARTUP_S)
    line = server.stdout.readline() if ready else ""
    assert line.startswith("Dashboard at "), line + (server.stdout.read() if server.poll() is not None else "")
    url = line.removeprefix("Dashboard at ").split(";")[0].replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - said, not bound
    _wait_until_listening(url, server)
    return url


def _wait_until_listening(url: str, server: subprocess.Popen[str]) -> None:
    import socket

    parts = urlsplit(url)
    deadline = time.monotonic() + STARTUP_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0:
                return
        assert server.poll() is None, "the dashboard ended"
        assert time.monotonic() < deadline, "the dashboard does not listen"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def dashboard_server() -> Iterator[Callable[[Path | str], str]]:
    """A function that gives the address of a dashboard over a lake; one server for each lake and pytest process."""
    with contextlib.ExitStack() as stack:
        known: dict[str, str] = {}

        def serve(root: Path | str) -> str:
            if str(root) not in known:
                known[str(root)] = stack.enter_context(serving_dashboard(root))
            return known[str(root)]

        yield serve


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium of the system for each pytest process."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed (on Debian: apt-get install chromium)")
    pytest.importorskip("playwright", reason="playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield found
        found.close()


@pytest.fixture
def browser_page(browser: Browser) -> Iterator[Page]:
    """An empty page; the test fails if the browser's console or a script of the page reports an error.

    Nor may a page ask another machine for anything.
    """
    context = browser.new_context(viewport={"width": WIDTHS["wide"], "height": HEIGHT}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []
    page.on("console", lambda message: faults.extend(_fault_of(message)))
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on("request", lambda request: faults.extend(_foreign(request.url)))
    yield page
    context.close()
    assert not faults, "\n".join(faults)


def _fault_of(message: ConsoleMessage) -> list[str]:
    if message.type != "error":
        return []
    where = str(message.location.get("url", ""))
    # Streamlit asks for its own address below that of the page before it finds it at the root.
    is_search = where.endswith(("/_stcore/health", "/_stcore/host-config")) and "404" in message.text
    return [] if is_search else [f"console: {message.text} at {where}"]


def _foreign(url: str) -> list[str]:
    parts = urlsplit(url)
    is_own = parts.scheme in {"data", "blob", "about"} or parts.hostname in {"127.0.0.1", "localhost"}
    return [] if is_own else [f"asks another machine: {url}"]


def settle(page: Any) -> None:
    """Wait until the page has its title and nothing on it is still being drawn."""
    page.wait_for_function(SETTLED, timeout=PATIENCE_MS)
    page.wait_for_timeout(150)  # what has just arrived fades in
    broken = page.query_selector('[data-testid="stException"]')
    assert broken is None, broken.inner_text()


def open_page(page: Any, url: str, path: str = "") -> None:
    """Go to a page of a dashboard, such as `ingest`, and wait until it is drawn."""
    page.goto(f"{url}/{path}")
    settle(page)


def shot(page: Any, name: str) -> list[Path]:
    """Pictures of the page as it is: by day, by night, on a phone; whole, however long it is.

    Returns
    -------
    `build/screenshots/<name>-light.png`, `-dark.png` and `-phone.png`.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    found = []
    for kind, scheme, width in (("light", "light", "wide"), ("phone", "light", "phone"), ("dark", "dark", "wide")):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector(f'.drawn-theme[data-theme="{scheme}"]', state="attached")
        page.set_viewport_size({"width": WIDTHS[width], "height": HEIGHT})
        page.wait_for_timeout(250)
        settle(page)
        page.set_viewport_size({"width": WIDTHS[width], "height": max(HEIGHT, page.evaluate(CONTENT_HEIGHT) + 60)})
        page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollTo(0, 0)")
        page.wait_for_timeout(250)
        path = SCREENSHOTS / f"{name}-{kind}.png"
        page.screenshot(path=path)
        found.append(path)
    page.set_viewport_size({"width": WIDTHS["wide"], "height": HEIGHT})
    return found
