"""A model that is fitted anew by the calendar, from its features to its account; and features that moved on since."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

SET = '''"""Returns of a few bars."""

from feature_service.feature_set import FeatureSet
from feature_service.returns import log_return

SET = FeatureSet("steps", tuple(log_return.named(f"log_return_{n}", span_bars=n) for n in (1, 5)))
'''


@pytest.fixture
def lake_root(bars_alone: Path, tmp_path: Path) -> Path:
    root = tmp_path / "lake"
    shutil.copytree(bars_alone, root)
    return root


def test_each_week_is_traded_by_the_fit_before_it_and_a_newer_version_of_the_features_is_told(
    cli: Any, lake_root: Path, tmp_path: Path
) -> None:
    own = tmp_path / "steps.py"
    own.write_text(SET)
    assert cli("features", "SPY", "--set", own, "--root", lake_root).code == 0
    options = ("--feature-set", "steps", "--refit", "week", "--estimator", "logistic", "--horizon", 1)
    trained = cli("train", "SPY", *options, "--root", lake_root, "--json")
    assert trained.code == 0, trained.errors
    traded = ("simulate", "--symbol", "SPY", "--model", trained.data["model_id"], "--root", lake_root, "--json")
    first = cli(*traded)
    assert first.code == 0, first.errors
    predictions = pl.read_parquet(lake_root / "runs" / first.data["run_id"] / "predictions.parquet")
    weeks = predictions.group_by(week=pl.col("timestamp").dt.truncate("1w")).agg(
        pl.col("fitted_before").n_unique().alias("fits"),
        (pl.col("fitted_before") <= pl.col("timestamp")).all().alias("before"),
        pl.col("fitted_before").min().alias("fitted_before"),
    )
    # Three and a half weeks, of which the first is only learned from.
    assert weeks.height == 3
    assert weeks["fits"].to_list() == [1, 1, 1]
    assert weeks["before"].all()
    assert weeks["fitted_before"].n_unique() == 3
    assert first.data["told"] == []

    own.write_text(SET.replace("(1, 5)", "(1, 10)"))
    assert cli("features", "SPY", "--set", own, "--root", lake_root).code == 0
    again = cli(*traded, "--cash", 50_000)
    assert again.code == 0, again.errors
    (told,) = again.data["told"]
    assert "its predictions are those of the old one. `barlake train` makes a model of the new one." in told
