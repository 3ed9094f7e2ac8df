"""Home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser import open_page, shot


def test_an_empty_lake_says_what_to_do_first(run_page: Callable[..., Any], empty_root: Path) -> None:
    page = run_page(empty_root)
    assert not page.exception
    assert any("This lake is empty" in one.value for one in page.markdown)


def test_home_is_drawn_in_a_browser_by_day_by_night_and_on_a_phone(
    small_lake: Any, dashboard_server: Callable[[Path], str], browser_page: Any
) -> None:
    open_page(browser_page, dashboard_server(small_lake.root))
    browser_page.locator(".js-plotly-plot").wait_for()
    browser_page.get_by_text(small_lake.symbols[1], exact=True).first.wait_for()
    assert all(path.stat().st_size > 20_000 for path in shot(browser_page, "home"))
