from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.simulation_service.tear_sheet.small_run import (
    bar_times,
    equity_table,
    run_page,
    run_results,
    trade,
    trades_table,
)
from tests.simulation_service.tear_sheet.test_page import ENTRIES, ladder

DARK = 100


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with every section on it."""
    results = run_results(
        feed="synthetic",
        ladder=ladder(123_456.78, 1012.5, 900.0, 800.0, 790.0, 700.0),
        random_entries=ENTRIES,
        deflation={"probability": 0.12, "trials": 17},
        told=["SPY paid a dividend."],
    )
    trades = trades_table(
        *[trade(minutes, 0.01 - minutes / 1000, symbol=symbol) for minutes in (1, 9, 30) for symbol in ("SPY", "QQQ")]
    )
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    # Six weeks of sessions: dates stand all along the axis.
    times = bar_times(*[dt.date(2024, 1, 2) + dt.timedelta(days=number) for number in range(44)], minutes=2)
    equity = equity_table([1000.0 + number for number in range(88)], [1000.0] * 88, times=times)
    path.write_text(run_page(results, trades, equity=equity), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_page_is_never_wider_than_the_screen(browser: Browser, address: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert wide <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: Browser, address: str, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    paper, ink = (
        sum(int(part) for part in page.evaluate(f"getComputedStyle(document.body).{name}")[4:-1].split(",")) / 3
        for name in ("backgroundColor", "color")
    )
    drawn = page.evaluate("getComputedStyle(document.querySelector('.plot path.own')).stroke")
    context.close()
    assert (paper < DARK) is (scheme == "dark")
    assert abs(paper - ink) > DARK
    assert drawn != "none"
