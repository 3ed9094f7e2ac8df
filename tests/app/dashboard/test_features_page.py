"""Features: on the price, their quality, their drift, their rows, and a way to have them built."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import barlake
from app.jobs.queue import open_queue
from barlake.settings import Settings
from tests.browser import open_page, settle, shot
from tests.small_lake import SmallLake

PLOTTED = "() => document.querySelector('.js-plotly-plot')?.data?.map(trace => trace.name) ?? []"


def texts(page: Any) -> str:
    parts = (page.markdown, page.caption, page.info, page.success, page.error)
    return "\n".join(str(one.value) for kind in parts for one in kind)


def at_tab(page: Any, name: str) -> Any:
    page.session_state["features_tab"] = name
    return page.run()


def test_an_empty_lake_says_what_to_do_first(run_page: Callable[..., Any], empty_root: Path) -> None:
    page = run_page(empty_root, "features")

    assert not page.exception
    assert "There are no features, and no bars" in texts(page)


def test_a_feature_is_described_and_drawn_where_it_belongs(run_page: Callable[..., Any], small_lake: SmallLake) -> None:
    page = run_page(small_lake.root, "features")
    assert not page.exception
    assert "Simple moving average of the close" in texts(page)
    assert "37 features in" in texts(page)
    assert "sma_5 among the candles: the value known at the end of each candle" in texts(page)

    page.selectbox(key="features.feature.core").set_value("rsi_14").run()

    assert "rsi_14 below the candles" in texts(page)
    assert not page.exception


def test_quality_is_measured_when_asked_for_and_kept_nowhere(
    run_page: Callable[..., Any], small_lake: SmallLake
) -> None:
    page = at_tab(run_page(small_lake.root, "features"), "Quality")
    assert "was not measured since it was built" in texts(page)

    page.button(key="features.measure").click().run()

    assert not page.exception
    assert [one.label for one in page.metric] == ["Features", "Drifting", "With nulls", "In groups"]
    assert page.metric[0].value == "37"
    assert "rows before its first value" in texts(page)
    with barlake.open(small_lake.root) as lake:
        assert lake.sql("select count(*) as measured from feature_quality")["measured"].item() == 0


def test_the_newest_rows_are_shown_last_one_first(run_page: Callable[..., Any], small_lake: SmallLake) -> None:
    page = at_tab(run_page(small_lake.root, "features"), "Rows")

    (table,) = page.dataframe
    assert list(table.value["timestamp"]) == sorted(table.value["timestamp"], reverse=True)
    assert {"sma_5", "day_of_week"} <= set(table.value.columns)


@pytest.fixture
def own_copy(small_lake: SmallLake, tmp_path: Path) -> Path:
    """The small lake without its feature tables, to write in."""
    root = tmp_path / "lake"
    shutil.copytree(small_lake.root, root)
    shutil.rmtree(root / "features")
    return root


def test_a_lake_of_bars_offers_to_build_and_the_build_is_a_job(
    run_page: Callable[..., Any], own_copy: Path, small_lake: SmallLake
) -> None:
    page = run_page(own_copy, "features")
    assert "No features were built yet" in texts(page)

    page.selectbox(key="features.build.symbol").set_value(small_lake.symbols[1])
    page.button[-1].click().run()

    assert not page.exception
    assert f"Queued: `features/core/{small_lake.symbols[1]}/" in texts(page)
    with open_queue(Settings(_env_file=None, root=str(own_copy))) as queue:
        assert [job.task for job in queue.list(prefix="features/core/")] == ["features"]


def test_features_are_drawn_in_a_browser_by_day_by_night_and_on_a_phone(
    small_lake: SmallLake, dashboard_server: Callable[[Path], str], browser_page: Any
) -> None:
    page = browser_page
    open_page(page, dashboard_server(small_lake.root), f"features?symbol={small_lake.symbols[0]}")
    page.locator(".js-plotly-plot").wait_for()
    assert "sma_5, dollars" in page.evaluate(PLOTTED)
    assert all(path.stat().st_size > 20_000 for path in shot(page, "features"))

    page.get_by_role("tab", name="Drift").click()
    page.get_by_role("button", name="Measure now").click()
    page.get_by_text("population stability index").wait_for()
    settle(page)
    assert page.locator(".js-plotly-plot").count() == 2
