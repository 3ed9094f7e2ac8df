"""Models."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.jobs.job import JobState
from app.jobs.queue import open_queue
from barlake.settings import Settings
from tests.browser import open_page, settle, shot


@pytest.fixture
def root(small_lake: Any, tmp_path: Path) -> Path:
    """A copy, to ask for work in."""
    root: Path = tmp_path / "lake"
    shutil.copytree(small_lake.root, root)
    return root


def test_an_empty_lake_says_what_to_do_first(run_page: Callable[..., Any], empty_root: Path) -> None:
    page = run_page(empty_root, "models")
    assert not page.exception
    assert any("No model was trained here yet" in one.value for one in page.markdown)
    page.session_state["models_tab"] = "Train a model"
    page.run()
    assert any("nothing to learn from yet" in one.value for one in page.markdown)


def test_the_verdict_and_the_scores_beside_baselines_are_shown(run_page: Callable[..., Any], small_lake: Any) -> None:
    page = run_page(small_lake.root, "models")
    assert not page.exception
    assert "out of sample" in [*page.warning, *page.success][0].value
    scores = next(table.value for table in page.dataframe if "shuffled" in table.value.columns)
    assert {"value", "low", "high", "constant", "last"} <= set(scores.columns)
    assert any("tries at this symbol" in one.value or "the only try" in one.value for one in page.caption)


def test_the_measure_of_the_folds_can_be_chosen(run_page: Callable[..., Any], small_lake: Any) -> None:
    page = run_page(small_lake.root, "models")
    page.selectbox(key="fold_measure").select("auc").run()
    assert not page.exception
    assert page.selectbox(key="fold_measure").value == "auc"


def test_a_training_that_is_asked_for_waits_in_the_queue(run_page: Callable[..., Any], root: Path) -> None:
    page = run_page(root, "models")
    page.session_state["models_tab"] = "Train a model"
    page.run()
    page.selectbox(key="train_target").select("return").run()
    assert "ridge" in page.selectbox(key="train_estimator").options
    page.selectbox(key="train_estimator").select("ridge").run()
    page.number_input(key="train_folds").set_value(2).run()
    page.button(key="train_start").click().run()
    assert not page.exception
    with open_queue(Settings(_env_file=None, BARLAKE_ROOT=str(root))) as queue:
        (job,) = queue.list(prefix="train/")
    assert (job.state, job.agent) == (JobState.QUEUED, "research")
    options = job.arguments["options"]
    assert (options["target"], options["estimator"], options["folds"], options["horizon"]) == (
        "return",
        "ridge",
        2,
        "5",
    )
    assert any(job.id in one.value for one in page.success)
    page.run()
    assert any("No worker does research" in one.value for one in page.markdown)


def test_a_model_and_its_simulation_are_drawn_by_day_by_night_and_on_a_phone(
    small_lake: Any, dashboard_server: Callable[[Path], str], browser_page: Any
) -> None:
    url = dashboard_server(small_lake.root)
    # The first look of all at this server is at the page itself, by its own address.
    open_page(browser_page, url, f"models?models={small_lake.model_id}")
    assert browser_page.get_by_role("link", name="Simulations").count() == 1
    assert browser_page.get_by_text("out of sample").first.is_visible()
    assert browser_page.locator(".js-plotly-plot").count() == 4
    assert all(path.stat().st_size > 5_000 for path in shot(browser_page, "models"))
    browser_page.get_by_text("Simulate it").click()
    browser_page.wait_for_url("**/simulations?**")
    settle(browser_page)
    assert browser_page.get_by_text("Its out-of-sample predictions are traded").is_visible()
    browser_page.get_by_role("tab", name="Runs").click()
    browser_page.get_by_text("ladder of optimism").first.wait_for()
    settle(browser_page)
    assert browser_page.locator(".js-plotly-plot").count() == 3
    assert all(path.stat().st_size > 5_000 for path in shot(browser_page, "simulations"))
