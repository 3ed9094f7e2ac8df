"""Simulations."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import barlake
from app.jobs.queue import open_queue
from app.operations import open_operations
from app.use_cases.agents import agent_standings
from barlake.settings import Settings
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.simulate import simulate
from tests.browser import serving_dashboard, shot

WORK_MS = 240_000


@pytest.fixture
def root(small_lake: Any, tmp_path: Path) -> Path:
    """A copy, to ask for work in."""
    root: Path = tmp_path / "lake"
    shutil.copytree(small_lake.root, root)
    return root


def test_an_empty_lake_says_what_to_do_first(run_page: Callable[..., Any], empty_root: Path) -> None:
    page = run_page(empty_root, "simulations")
    assert not page.exception
    assert any("Nothing was simulated here yet" in one.value for one in page.markdown)


def test_the_ladder_comes_before_the_headline(run_page: Callable[..., Any], small_lake: Any) -> None:
    page = run_page(small_lake.root, "simulations")
    assert not page.exception
    texts = [one.value for one in page.markdown]
    ladder = next(place for place, text in enumerate(texts) if "ladder of optimism" in text)
    headline = next(place for place, text in enumerate(texts) if "beside buy and hold" in text)
    assert ladder < headline
    assert page.metric[0].label == "Total return"
    assert page.metric[0].delta.startswith("held ")


def test_several_runs_are_compared(run_page: Callable[..., Any], root: Path, small_lake: Any) -> None:
    with barlake.open(root) as lake:
        other = simulate(lake, SimulationPlan((small_lake.symbols[0],), StrategySource("buy_and_hold"))).run_id
    page = run_page(root, "simulations")
    page.multiselect(key="runs").set_value([small_lake.run_id, other]).run()
    assert not page.exception
    figures = next(table.value for table in page.dataframe if "figure" in table.value.columns)
    assert list(figures.columns) == ["figure", small_lake.run_id, other]
    assert f"{small_lake.run_id},{other}" in page.query_params["runs"]


def test_a_simulation_that_is_asked_for_waits_in_the_queue(run_page: Callable[..., Any], root: Path) -> None:
    page = run_page(root, "simulations")
    page.session_state["runs_tab"] = "Simulate"
    page.run()
    page.text_input(key="simulate_moving_average_cross_fast_bars").input("5").run()
    page.number_input(key="simulate_stop").set_value(1.0).run()
    page.button(key="simulate_start").click().run()
    assert not page.exception
    with open_queue(Settings(_env_file=None, BARLAKE_ROOT=str(root))) as queue:
        (job,) = queue.list(prefix="simulate/")
    options = job.arguments["options"]
    assert (options["strategy"], options["settings"]) == ("moving_average_cross", ["fast_bars=5"])
    assert (options["stop_loss"], options["half_spread_bps"], options["fill"]) == (0.01, 1.0, "next_open")


def test_a_question_that_makes_no_sense_is_a_sentence_and_no_job(run_page: Callable[..., Any], root: Path) -> None:
    page = run_page(root, "simulations")
    page.session_state["runs_tab"] = "Simulate"
    page.run()
    page.selectbox(key="simulate_strategy").select("time_of_day").run()
    page.button(key="simulate_start").click().run()
    assert not page.exception
    assert "'time\\_of\\_day' needs strategy" in page.error[0].value
    with open_queue(Settings(_env_file=None, BARLAKE_ROOT=str(root))) as queue:
        assert queue.list(prefix="simulate/") == []


@pytest.fixture
def served(root: Path) -> Iterator[str]:
    """Address of a dashboard over a lake whose workers are ended afterwards."""
    with serving_dashboard(root) as url:
        yield url
    settings = Settings(_env_file=None, BARLAKE_ROOT=str(root))
    with open_operations(settings) as operations, open_queue(settings) as queue:
        for one in (worker for agent in agent_standings(operations, queue) for worker in agent.workers):
            if one.pid is not None:
                os.kill(one.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_model_is_trained_and_simulated_from_the_pages_by_a_worker_they_start(
    served: str, small_lake: Any, browser_page: Any
) -> None:
    page = browser_page
    page.goto(f"{served}/models?models_tab=Train+a+model")
    page.get_by_role("button", name="Train", exact=True).click(timeout=WORK_MS)
    page.get_by_role("button", name="Start one here").click()
    page.get_by_role("button", name="Show", exact=True).click(timeout=WORK_MS)
    page.get_by_text(f"model {small_lake.model_id}").wait_for(state="hidden")
    page.get_by_text(re.compile("model [0-9a-f]{16}, made")).wait_for()
    shot(page, "models-trained")
    page.get_by_text("Simulate it").click()
    page.get_by_text("Its out-of-sample predictions are traded").wait_for()
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.get_by_role("button", name="Show", exact=True).click(timeout=WORK_MS)
    page.get_by_text(re.compile("run [0-9a-f]{16}, made")).wait_for()
    shot(page, "simulations-made")
    assert page.get_by_text(f"run {small_lake.run_id}").count() == 0
    assert page.get_by_text("ladder of optimism").first.is_visible()
