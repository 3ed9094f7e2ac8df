"""Bars: what is chosen is what is drawn, and the picture is small whatever the range."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars
from tests.browser import open_page, settle, shot
from tests.small_lake import SmallLake

PLOT = ".js-plotly-plot"
DRAWN = f"() => document.querySelector('{PLOT}')?.data?.length > 1"
CANDLES_DRAWN = f"""() => {{
  const plot = document.querySelector('{PLOT}');
  return plot.calcdata[plot.data.findIndex(trace => trace.type === 'candlestick')].length;
}}"""


@pytest.fixture(scope="module")
def gappy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of made-up bars: SYNA without a week and without minutes, with a split and a dividend."""
    root = tmp_path_factory.mktemp("gappy") / "lake"
    days = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2024, 4, 1))["session"].to_list()
    kept = [day for day in days if not dt.date(2024, 2, 12) <= day < dt.date(2024, 2, 20)]
    with Lake(root, Settings(_env_file=None)) as lake:
        lake.write_bars(make_bars(kept, keep=0.97), feed="synthetic", symbol="SYNA")
        path = root / "actions.csv"
        path.write_text(
            "symbol,ex_date,kind,ratio,cash_usd\nSYNA,2024-03-04,split,2,\nSYNA,2024-03-15,dividend,,0.5\n",
            encoding="utf-8",
        )
        lake.import_actions(path, source="test")
        lake.publish()
    return root


def texts(page: Any) -> str:
    parts = (page.markdown, page.caption, page.info, page.error)
    return "\n".join(str(one.value) for kind in parts for one in kind)


def test_an_empty_lake_says_what_to_do_first(run_page: Callable[..., Any], empty_root: Path) -> None:
    page = run_page(empty_root, "bars")

    assert not page.exception
    assert "There are no bars yet" in texts(page)


def test_what_is_chosen_is_what_is_drawn(run_page: Callable[..., Any], gappy_root: Path) -> None:
    page = run_page(gappy_root, "bars")
    assert not page.exception
    assert "candles of 15Min" in texts(page)
    assert "synthetic: made-up bars" in texts(page)

    page.segmented_control(key="bars.range").set_value("All").run()
    assert "Feed synthetic, 392 candles of 1Hour" in texts(page)

    page.selectbox(key="bars.timeframe").set_value("1Min").run()
    assert "more than 2,000 candles of 1Min in this range, so each is 15Min" in texts(page)

    page.selectbox(key="bars.timeframe").set_value("1Week").run()
    page.selectbox(key="bars.prices").set_value("all").run()
    assert "12 candles of 1Week, prices adjusted (all)" in texts(page)
    assert "split, ex-date 2024-03-04: 2 new shares for 1 old" in texts(page)
    assert r"dividend, ex-date 2024-03-15: \$0.5 a share" in texts(page)
    assert not page.exception


def test_what_is_absent_is_told_with_its_class(run_page: Callable[..., Any], gappy_root: Path) -> None:
    page = run_page(gappy_root, "bars")
    page.segmented_control(key="bars.range").set_value("All").run()

    assert "**not fetched**: 1,950 minutes, 5 whole sessions; expected, and no answer on record" in texts(page)
    assert "**unconfirmed**" in texts(page)


def test_hours_without_bars_have_no_candles_and_are_no_fault(run_page: Callable[..., Any], gappy_root: Path) -> None:
    page = run_page(gappy_root, "bars")
    page.segmented_control(key="bars.hours").set_value("pre").run()

    assert not page.exception
    assert "No bar of SYNA is held in these hours" in texts(page)


def test_dates_of_ones_own_are_sessions_from_the_first_to_the_last(
    run_page: Callable[..., Any], gappy_root: Path
) -> None:
    page = run_page(gappy_root, "bars")
    page.segmented_control(key="bars.range").set_value("Own dates").run()
    page.date_input[0].set_value((dt.date(2024, 1, 2), dt.date(2024, 1, 5))).run()
    page.selectbox(key="bars.timeframe").set_value("1Day").run()

    assert "4 candles of 1Day" in texts(page)


def test_a_box_across_the_chart_looks_closer_and_the_way_back_is_there(
    small_lake: SmallLake, dashboard_server: Callable[[Path], str], browser_page: Any
) -> None:
    page, symbol = browser_page, small_lake.symbols[0]
    open_page(page, dashboard_server(small_lake.root), f"bars?symbol={symbol}")
    page.get_by_text("candles of 15Min").wait_for()
    page.wait_for_function(DRAWN)
    assert 400 <= page.evaluate(CANDLES_DRAWN) <= 700
    assert all(path.stat().st_size > 20_000 for path in shot(page, "bars"))

    draw_a_box(page, 0.1, 0.25)
    page.get_by_role("button", name="Back").wait_for()
    page.get_by_text("candles of 5Min").wait_for()
    settle(page)
    for name, ending in (("CSV", "csv"), ("Excel", "xlsx"), ("Parquet", "parquet")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name).click()
        assert waiting.value.suggested_filename == f"{symbol}-5min.{ending}"
    rows = pl.read_parquet(io.BytesIO(Path(waiting.value.path()).read_bytes()))
    assert 1 < rows["session"].n_unique() < 6

    page.get_by_role("button", name="Back").click()
    page.get_by_text("candles of 15Min").wait_for()
    page.get_by_role("button", name="Back").wait_for(state="hidden")
    assert page.get_by_text("The candles as a table").count() == 1


def draw_a_box(page: Any, start: float, end: float) -> None:
    """Drag the mouse over a part of the chart, as shares of its width."""
    area = page.locator(".nsewdrag").first.bounding_box()
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * start, middle)
    page.mouse.down()
    for share in (0.5, 1.0):
        page.mouse.move(area["x"] + area["width"] * (start + share * (end - start)), middle + 30 * share, steps=3)
    page.mouse.up()
