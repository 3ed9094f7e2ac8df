"""What models lose without a column: all of a planted edge, nothing of noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss

from training_service import importance
from training_service.dataset import Dataset, make_dataset
from training_service.fitting import ModelMaker
from training_service.fold_spec import FoldSpec
from training_service.importance import permutation_importance
from training_service.labels import Target, TargetSpec
from training_service.models import ModelSpec
from training_service.walk import walk_forward

Bars = dict[str, pl.DataFrame]
FeatureTable = Callable[[pl.DataFrame], pl.DataFrame]


def planted(market: Bars, feature_table: FeatureTable, target: Target, label: Callable[[pl.Expr], pl.Expr]) -> Dataset:
    """SPY with three columns of noise, the first of which makes the label; the last never changes."""
    data = make_dataset({"SPY": feature_table(market["SPY"])}, spec=TargetSpec.parse(target, 5))
    noise = np.random.default_rng(9).normal(size=(2, data.frame.height))
    frame = data.frame.with_columns(
        pl.Series("edge", noise[0]), pl.Series("noise", noise[1]), pl.lit(1.0).alias("flat")
    )
    known = pl.when(pl.col("label").is_not_null()).then(label(pl.col("edge")))
    return replace(
        data, frame=frame.with_columns(known.cast(pl.Float64).alias("label")), columns=("noise", "edge", "flat")
    )


def measured(data: Dataset, preset: str, seed: int = 0, workers: int | None = None) -> dict[str, dict[str, Any]]:
    folds = FoldSpec(3).split(data.frame)
    fitted = walk_forward(data, folds, ModelMaker(ModelSpec(preset), data.spec.task))
    found = permutation_importance(data, folds, fitted, seed=seed, workers=workers)
    assert found["importance"].is_sorted(descending=True)
    return {row["feature"]: row for row in found.to_dicts()}


def test_the_column_that_makes_the_label_is_all_that_matters(market: Bars, feature_table: FeatureTable) -> None:
    data = planted(market, feature_table, Target.DIRECTION, lambda edge: edge > 0)
    found = measured(data, "hist_gradient_boosting")
    assert next(iter(found)) == "edge"
    assert found["edge"]["importance"] > 1  # nats: shuffled, a sure answer is wrong every other time
    assert abs(found["noise"]["importance"]) < 0.05
    assert found["flat"]["importance"] == 0
    assert found["edge"]["folds"] == 3


def test_of_a_straight_line_shuffling_costs_twice_the_variance(market: Bars, feature_table: FeatureTable) -> None:
    # y = 3 x without error: mean (3 x - 3 x')^2 = 2 * 9 var(x) = 2 var(y) for independent x and x'.
    data = planted(market, feature_table, Target.RETURN, lambda edge: 3 * edge)
    found = measured(data, "ridge")
    assert found["edge"]["importance"] == pytest.approx(2, abs=0.2)
    assert found["noise"]["importance"] == pytest.approx(0, abs=0.01)
    assert found["edge"]["loss"] == pytest.approx(0, abs=1e-4)


def test_the_figure_of_a_column_is_the_mean_over_folds_and_each_fold_stands_beside_it(
    market: Bars, feature_table: FeatureTable
) -> None:
    data = planted(market, feature_table, Target.RETURN, lambda edge: 3 * edge)
    for row in measured(data, "ridge").values():
        assert len(row["importance_by_fold"]) == 3
        assert row["importance"] == pytest.approx(np.mean(row["importance_by_fold"]))
        assert row["importance_deviation"] == pytest.approx(np.std(row["importance_by_fold"], ddof=1))


def test_beside_it_stands_what_is_lost_anyway(market: Bars, feature_table: FeatureTable) -> None:
    data = planted(market, feature_table, Target.DIRECTION, lambda edge: edge > 0)
    folds = FoldSpec(3).split(data.frame)
    fitted = walk_forward(data, folds, ModelMaker(ModelSpec("logistic"), data.spec.task))
    expected = np.mean([log_loss(one.outcome.label, one.outcome.prediction) for one in fitted])
    found = permutation_importance(data, folds, fitted, seed=0)
    assert found["loss"].to_list() == pytest.approx([expected] * 3, rel=1e-9)


def test_two_workers_find_the_same_bits_as_one(market: Bars, feature_table: FeatureTable) -> None:
    data = planted(market, feature_table, Target.DIRECTION, lambda edge: edge > 0)
    assert measured(data, "hist_gradient_boosting", workers=2) == measured(data, "hist_gradient_boosting", workers=1)


def test_the_same_seed_gives_the_same_figures_and_how_they_are_batched_changes_nothing(
    market: Bars, feature_table: FeatureTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = planted(market, feature_table, Target.DIRECTION, lambda edge: edge > 0)
    first = measured(data, "logistic")
    monkeypatch.setattr(importance, "_ROWS_AT_A_TIME", 1)
    assert measured(data, "logistic") == first
    assert measured(data, "logistic", seed=1) != first


def test_of_many_rows_some_are_drawn(
    market: Bars, feature_table: FeatureTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = planted(market, feature_table, Target.DIRECTION, lambda edge: edge > 0)
    seen = []
    monkeypatch.setattr(importance, "MOST_ROWS", 50)
    monkeypatch.setattr(
        importance, "_losses", lambda work: seen.append(work.rows.height) or np.zeros(1 + len(data.columns))
    )
    measured(data, "logistic")
    assert seen == [50, 50, 50]


def test_where_no_test_row_has_a_label_nothing_is_known(market: Bars, feature_table: FeatureTable) -> None:
    data = planted(market, feature_table, Target.DIRECTION, lambda edge: edge > 0)
    folds = FoldSpec(3).split(data.frame)
    fitted = walk_forward(data, folds, ModelMaker(ModelSpec("logistic"), data.spec.task))
    blind = replace(data, frame=data.frame.with_columns(pl.lit(None, pl.Float64).alias("label")))
    found = permutation_importance(blind, folds, fitted, seed=0)
    assert found.select("importance", "importance_deviation", "loss", "folds").unique().rows() == [(None,) * 3 + (0,)]
    assert found["importance_by_fold"].to_list() == [[None] * 3] * 3
