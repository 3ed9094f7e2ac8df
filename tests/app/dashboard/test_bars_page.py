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

PLOT = ".js-plotly-plot"
DRAWN = f"() => document.querySelector('{PLOT}')?.data?.length > 1"
PLOTTED = f"""() => {{
  const plot = document.querySelector('{PLOT}');
  const candles = plot.data.find(trace => trace.type === 'candlestick');
  return {{
    candles: plot.calcdata[plot.data.indexOf(candles)].length,
    names: plot.data.filter(trace => trace.showlegend !== false).map(trace => trace.name),
  }};
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
    gappy_root: Path, dashboard_server: Callable[[Path], str], browser_page: Any
) -> None:
    page = browser_page
    open_page(page, dashboard_server(gappy_root), "bars?symbol=SYNA")
    page.get_by_role("radio", name="3M").click()
    page.get_by_text("candles of 1Hour").wait_for()
    page.wait_for_function(DRAWN)
    settle(page)
    assert page.get_by_text("synthetic: made-up bars").first.is_visible()
    plotted = page.evaluate(PLOTTED)
    assert plotted["names"] == ["absent: not fetched", "absent: unconfirmed", "dividend", "split"]
    assert all(path.stat().st_size > 20_000 for path in shot(page, "bars"))

    area = page.locator(".nsewdrag").first.bounding_box()
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * 0.1, middle)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.15, middle + 20, steps=3)
    page.mouse.move(area["x"] + area["width"] * 0.2, middle + 30, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Back").wait_for()
    page.get_by_text("candles of 5Min").wait_for()
    settle(page)

    for name, ending in (("CSV", "csv"), ("Excel", "xlsx"), ("Parquet", "parquet")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name).click()
        assert waiting.value.suggested_filename == f"SYNA-5min.{ending}"
    rows = pl.read_parquet(io.BytesIO(Path(waiting.value.path()).read_bytes()))
    assert rows["session"].n_unique() > 1

    page.get_by_role("button", name="Back").click()
    page.get_by_text("candles of 1Hour").wait_for()
    page.get_by_role("button", name="Back").wait_for(state="hidden")
