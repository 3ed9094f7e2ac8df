"""The dashboard's promises of speed, on a page: `python benchmarks/dashboard.py LAKE [--rounds N]`.

- First paint: from the order to open a page's address to all of it drawn, in a browser that has seen nothing yet and
  in one that has the files. The server has been asked by nobody before the first round, which stands by itself.
- Refresh: from the browser's message that asks for a page again to the server's that it is finished, on the wire.

LAKE is what `benchmarks/beside/made_up_lake.py` makes. Chromium is the system's; all of it runs on one machine, so
that the server, the browser and whatever else runs share its cores. Bars are made up (`synthetic`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, WebSocket, sync_playwright
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.dashboard.navigation import PAGES
from tests.browser import PATIENCE_MS, SETTLED, serving_dashboard

MOST_PAINT_S, MOST_REFRESH_S = 3.0, 0.5
_WIDE = {"width": 1280, "height": 900}


class Wire:
    """Instants of the last order to draw, and of the last word that it is done, on one page's connection."""

    def __init__(self, page: Page) -> None:
        self.asked = self.done = 0.0
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda _: setattr(self, "asked", time.perf_counter()))
        socket.on("framereceived", self._received)

    def _received(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes) and ForwardMsg.FromString(frame).WhichOneof("type") == "script_finished":
            self.done = time.perf_counter()


def paint_s(page: Page, address: str) -> float:
    """Seconds from the order to open an address to all of the page drawn."""
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(SETTLED, timeout=PATIENCE_MS)
    return time.perf_counter() - began


def refresh_s(page: Page, wire: Wire) -> float:
    """Seconds in which the server draws the whole page again."""
    asked = wire.asked
    page.keyboard.press("r")
    deadline = time.perf_counter() + PATIENCE_MS / 1000
    while wire.asked <= asked or wire.done < wire.asked:
        if time.perf_counter() > deadline:
            raise SystemExit("the page was not drawn again")
        page.wait_for_timeout(5)
    return wire.done - wire.asked


def measures(browser: Browser, url: str, path: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round: `new` browsers, `known` files, `refresh` of the whole page."""
    found: dict[str, list[float]] = {"new": [], "known": [], "refresh": []}
    for _ in range(rounds):
        context = browser.new_context(viewport=_WIDE)
        page = context.new_page()
        wire = Wire(page)
        found["new"].append(paint_s(page, f"{url}/{path}"))
        found["known"].append(paint_s(page, f"{url}/{path}"))
        page.wait_for_timeout(300)
        found["refresh"].append(refresh_s(page, wire))
        context.close()
    return found


def lines(browser: Browser, url: str, rounds: int) -> Iterator[str]:
    """The page with the figures."""
    yield "| page | first visitor of all, s | new browser, s | files known, s | refresh, ms | kept |"
    yield "|---|---:|---:|---:|---:|---|"
    for number, entry in enumerate(PAGES):
        found = measures(browser, url, entry.file if number else "", rounds + 1)
        middle: Callable[[str], float] = lambda name, found=found: statistics.median(found[name][1:])  # noqa: E731
        kept = middle("new") < MOST_PAINT_S and middle("refresh") < MOST_REFRESH_S
        yield (
            f"| {entry.title} | {found['new'][0]:.2f} | {middle('new'):.2f} | {middle('known'):.2f} | "
            f"{middle('refresh') * 1000:.0f} | {'yes' if kept else '**no**'} |"
        )


def main() -> None:
    """Print the page."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("lake", type=Path)
    options.add_argument("--rounds", type=int, default=5)
    given: Any = options.parse_args()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("no Chromium is installed")
    with serving_dashboard(given.lake.resolve()) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        load = os.getloadavg()[0]
        for line in lines(browser, url, given.rounds):
            print(line, flush=True)
        after = os.getloadavg()[0]
        print(f"\nMedians of {given.rounds} rounds after the first; load {load:.0f} before, {after:.0f} after.")


if __name__ == "__main__":
    main()
