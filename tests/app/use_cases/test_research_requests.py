"""Trainings and simulations as they are asked for from a page or over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import barlake
from app.jobs.queue import open_queue
from app.use_cases.research_jobs import newest_jobs, research_job
from app.use_cases.simulation import house_strategies, queue_simulation, simulation_job
from app.use_cases.training import estimators_for, queue_training, trainable, training_job
from barlake.errors import BarlakeError, InvalidInputError, NotFoundError
from barlake.lake import Lake
from barlake.settings import Settings


@pytest.fixture
def lake(small_lake: Any) -> Iterator[Lake]:
    with barlake.open(small_lake.root) as found:
        yield found


@pytest.fixture
def root(small_lake: Any, tmp_path: Path) -> Path:
    root: Path = tmp_path / "lake"
    shutil.copytree(small_lake.root, root)
    return root


def test_what_can_be_learned_from_is_what_has_features(lake: Lake, small_lake: Any) -> None:
    tables = trainable(lake)
    assert sorted(tables["symbol"].to_list()) == sorted(small_lake.symbols)
    assert tables.select("name", "session", "adjustment").unique().rows() == [("core", "regular", "raw")]


def test_estimators_are_those_that_can_learn_the_target() -> None:
    assert {"logistic"} == set(estimators_for("direction")) - set(estimators_for("return"))
    assert {"ridge"} == set(estimators_for("return")) - set(estimators_for("direction"))


def test_one_question_is_one_job_whatever_the_order_of_its_options(lake: Lake, small_lake: Any) -> None:
    symbol = small_lake.symbols[0]
    one = training_job(lake, [symbol], {"folds": 2, "target": "direction", "select": None})
    other = training_job(lake, [symbol.lower()], {"target": "direction", "folds": 2})
    assert one == other
    assert one.agent == "research"
    assert training_job(lake, [symbol], {"target": "direction", "folds": 3}).key != one.key


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"estimator": "os:system"}, "command line only"),
        ({"estimator": "forest"}, "forest"),
        ({"colour": "red"}, "option 'colour' is none"),
        ({"progress": 1}, "option 'progress' is none"),
        ({"target": "price"}, "price"),
        ({"horizon": "0"}, "horizon 0"),
        ({"placebo": -1}, "placebo -1"),
        ({"feature_set": "other"}, "barlake features"),
        ({"target": "return", "estimator": "logistic"}, "logistic"),
    ],
)
def test_a_training_that_cannot_be_is_refused_before_it_waits(
    lake: Lake, small_lake: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(BarlakeError, match=words):
        training_job(lake, [small_lake.symbols[0]], options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strategy": "evil.py:Strategy"}, "command line only"),
        ({"strategy": "time_of_day", "settings": ["strategy=evil.py"]}, "command line only"),
        ({"strategy": "time_of_day", "settings": ["strategy=time_of_day", "strategy__strategy=a.b:C"]}, "'a.b:C'"),
        ({"signals": "/etc/passwd"}, "command line only"),
        ({"strategy": "time_of_day"}, "needs strategy"),
        ({"strategy": "buy_and_hold", "half_spread_bps": "1"}, "half_spread_bps '1' is no number"),
        ({"strategy": "buy_and_hold", "fractional": 1}, "fractional 1 is no true or false"),
        ({"strategy": "buy_and_hold", "delay_bars": True}, "delay_bars True"),
        ({"strategy": "buy_and_hold", "colour": 1}, "option 'colour' is none"),
        ({}, "one source"),
        ({"model": "ffff"}, "not in the lake"),
    ],
)
def test_a_simulation_that_cannot_be_is_refused_before_it_waits(
    lake: Lake, small_lake: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(BarlakeError, match=words):
        simulation_job(lake, [small_lake.symbols[0]], options)


def test_a_clock_time_is_no_code_of_ones_own(lake: Lake, small_lake: Any) -> None:
    settings = ["strategy=moving_average_cross", "start=10:00", "strategy__fast_bars=5"]
    job = simulation_job(lake, [small_lake.symbols[0]], {"strategy": "time_of_day", "settings": settings})
    assert job.arguments["options"]["settings"] == settings


def test_a_symbol_that_is_not_held_is_told_with_what_brings_it(lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="NOPE"):
        simulation_job(lake, ["NOPE"], {"strategy": "buy_and_hold"})
    with pytest.raises(InvalidInputError, match="symbol"):
        training_job(lake, [], {})


def test_asking_twice_waits_once_and_the_newest_jobs_are_shown_first(root: Path, small_lake: Any) -> None:
    symbol = small_lake.symbols[0]
    with barlake.open(root) as lake, open_queue(Settings(_env_file=None, BARLAKE_ROOT=str(root))) as queue:
        first = queue_training(lake, queue, [symbol], {"folds": 2})
        assert queue_training(lake, queue, [symbol], {"folds": 2}) == first
        second = queue_training(lake, queue, [symbol], {"folds": 3})
        other = queue_simulation(lake, queue, [symbol], {"strategy": "buy_and_hold"})
        assert [one.id for one in newest_jobs(queue, "train")] == [second, first]
        assert [one.id for one in newest_jobs(queue, "simulate")] == [other]
        assert queue.get(first).arguments == {"symbols": [symbol], "options": {"folds": 2}}


def test_a_pair_with_a_slash_makes_a_key_too() -> None:
    assert research_job("simulate", ["BTC/USD"], {"strategy": "buy_and_hold"}).key.startswith("simulate/BTC/USD/")


def test_every_strategy_of_the_house_is_described() -> None:
    assert all(one.summary for one in house_strategies().values())
