"""The walk forward: no prediction depends on a bar after it, and each fold's model only on its past."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from barlake.errors import LookAheadError
from training_service.combinatorial_folds import CombinatorialPurged
from training_service.dataset import Dataset, make_dataset
from training_service.fitting import ModelMaker
from training_service.fold_spec import FoldSpec
from training_service.labels import Target, TargetSpec
from training_service.models import ModelSpec, predict
from training_service.walk import FittedFold, fit_folds, walk_forward, walk_to_the_end

Bars = dict[str, pl.DataFrame]
FeatureTable = Callable[[pl.DataFrame], pl.DataFrame]
HORIZON = 5


def maker_of(estimator: str, data: Dataset) -> ModelMaker:
    return ModelMaker(ModelSpec(estimator), data.spec.task)


def walked(data: Dataset, estimator: str, *, whole_sessions: bool = True) -> list[FittedFold]:
    folds = FoldSpec(3, whole_sessions=whole_sessions).split(data.frame)
    return walk_forward(data, folds, maker_of(estimator, data))


def predictions_of(data: Dataset, estimator: str, *, whole_sessions: bool = True) -> pl.DataFrame:
    return pl.concat([fold.predictions for fold in walked(data, estimator, whole_sessions=whole_sessions)])


def changed_after(bars: pl.DataFrame, moment: dt.datetime, seed: int) -> pl.DataFrame:
    """The same bars with every price and volume after a moment replaced."""
    factor = pl.Series(np.random.default_rng(seed).uniform(0.5, 2, bars.height))
    later = pl.col("timestamp") > moment
    return bars.with_columns(
        pl.when(later).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    ).with_columns(pl.when(later).then(7).otherwise("volume").alias("volume"))


def dataset_of(market: Bars, feature_table: FeatureTable, target: Target) -> Dataset:
    return make_dataset(
        {symbol: feature_table(bars) for symbol, bars in market.items()}, spec=TargetSpec.parse(target, HORIZON)
    )


def moments_to_try(predictions: pl.DataFrame) -> list[dt.datetime]:
    """Around the start of every fold, where a label could reach over, and some at random."""
    stamps = predictions["timestamp"]
    starts = predictions.with_row_index().group_by("fold", maintain_order=True).first()["index"]
    near = {int(start) + shift for start in starts for shift in (-1, 0, 1)}
    anywhere = np.random.default_rng(11).integers(0, stamps.len(), 4).tolist()
    return [stamps[row] for row in sorted(near | set(anywhere)) if 0 <= row < stamps.len()]


@pytest.mark.parametrize("whole_sessions", [True, False])
@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        ("logistic", Target.DIRECTION),
        ("ridge", Target.RETURN),
        ("hist_gradient_boosting", Target.DIRECTION),
    ],
)
def test_changing_every_bar_after_a_moment_leaves_all_predictions_up_to_it_bit_for_bit(
    market: Bars,
    feature_table: FeatureTable,
    estimator: str,
    target: Target,
    whole_sessions: bool,  # noqa: FBT001 - pytest hands it over
) -> None:
    before = predictions_of(dataset_of(market, feature_table, target), estimator, whole_sessions=whole_sessions)
    assert before["prediction"].n_unique() > 3  # models that learned something, or nothing is proven
    for seed, moment in enumerate(moments_to_try(before)):
        other = {symbol: changed_after(bars, moment, seed) for symbol, bars in market.items()}
        after = predictions_of(dataset_of(other, feature_table, target), estimator, whole_sessions=whole_sessions)
        until = pl.col("timestamp") <= moment
        assert before.filter(until).equals(after.filter(until))


def test_that_proof_catches_labels_that_are_not_purged(market: Bars, feature_table: FeatureTable) -> None:
    def leaking(bars: Bars) -> pl.DataFrame:
        honest = dataset_of(bars, feature_table, Target.RETURN)
        pretended = honest.frame.with_columns(
            pl.when(pl.col("label").is_not_null()).then("timestamp").alias("known_at")
        )
        return predictions_of(replace(honest, frame=pretended), "ridge", whole_sessions=False)

    before = leaking(market)
    first = before.filter(fold=1)["timestamp"][0]
    after = leaking({symbol: changed_after(bars, first, 0) for symbol, bars in market.items()})
    at_first = pl.col("timestamp") == first
    assert before.filter(at_first)["prediction"].item() != after.filter(at_first)["prediction"].item()


@pytest.mark.parametrize("whole_sessions", [True, False])
def test_a_folds_model_depends_on_nothing_known_after_fitted_before(
    market: Bars,
    feature_table: FeatureTable,
    whole_sessions: bool,  # noqa: FBT001 - pytest hands it over
) -> None:
    data = dataset_of(market, feature_table, Target.RETURN)
    folds = walked(data, "ridge", whole_sessions=whole_sessions)
    for fold in folds:
        too_late = ~(pl.col("known_at") <= fold.fitted_before).fill_null(value=False)
        noise = pl.Series(np.random.default_rng(fold.number).normal(size=data.frame.height))
        perturbed = data.frame.with_columns(
            pl.when(too_late & pl.col(name).is_not_null()).then(noise).otherwise(name).alias(name)
            for name in ("label", *data.columns)
        )
        again = walked(replace(data, frame=perturbed), "ridge", whole_sessions=whole_sessions)
        columns = data.frame.select(data.columns)
        same = again[fold.number].pipeline
        assert predict(same, columns).tobytes() == predict(fold.pipeline, columns).tobytes()


@pytest.mark.parametrize("whole_sessions", [True, False])
def test_every_fold_was_fitted_before_its_first_test_bar_opens(
    market: Bars,
    feature_table: FeatureTable,
    whole_sessions: bool,  # noqa: FBT001 - pytest hands it over
) -> None:
    data = dataset_of(market, feature_table, Target.DIRECTION)
    for fold in walked(data, "logistic", whole_sessions=whole_sessions):
        assert fold.fitted_before <= fold.predictions["timestamp"][0]
        assert fold.predictions["fitted_before"].unique().to_list() == [fold.fitted_before]


def test_every_row_of_the_out_of_sample_period_is_predicted_with_or_without_label(
    market: Bars, feature_table: FeatureTable
) -> None:
    data = dataset_of(market, feature_table, Target.DIRECTION)
    predictions = predictions_of(data, "logistic")
    period = data.frame.filter(pl.col("timestamp") >= predictions["timestamp"][0])
    assert predictions["timestamp"].to_list() == period["timestamp"].to_list()
    assert period["label"].null_count() > 0
    assert predictions["prediction"].is_finite().all()


def test_only_rows_with_a_label_are_scored(market: Bars, feature_table: FeatureTable) -> None:
    data = dataset_of(market, feature_table, Target.DIRECTION)
    for fold in walked(data, "logistic"):
        rows = data.frame.filter(pl.col("timestamp").is_in(fold.predictions["timestamp"].implode()))
        assert fold.outcome.label.size == rows["label"].drop_nulls().len() < rows.height


def test_the_baseline_of_a_fold_is_the_mean_of_its_training_labels(market: Bars, feature_table: FeatureTable) -> None:
    data = dataset_of(market, feature_table, Target.RETURN)
    for fold in walked(data, "ridge"):
        past = data.frame.filter(pl.col("known_at") <= fold.fitted_before)
        assert fold.outcome.training_mean == pytest.approx(np.full(fold.outcome.label.size, past["label"].mean()))


def test_prediction_columns_have_the_names_and_types_that_simulations_read(
    market: Bars, feature_table: FeatureTable
) -> None:
    data = dataset_of(market, feature_table, Target.DIRECTION)
    assert dict(predictions_of(data, "logistic").schema) == {
        "symbol": pl.String(),
        "session": pl.Date(),
        "timestamp": pl.Datetime("us", "UTC"),
        "fold": pl.Int32(),
        "fitted_before": pl.Datetime("us", "UTC"),
        "prediction": pl.Float64(),
        "signal": pl.Float64(),
    }


def test_a_feature_that_begins_after_the_first_fold_was_fitted_is_named(
    market: Bars, feature_table: FeatureTable
) -> None:
    data = dataset_of(market, feature_table, Target.DIRECTION)
    begins = data.frame["session"].unique().sort()[4]
    late = data.frame.with_columns(pl.when(pl.col("session") >= begins).then("stretch_10").alias("stretch_10"))
    folds = walked(replace(data, frame=late), "logistic")
    assert [fold.empty_columns for fold in folds] == [("stretch_10",), ("stretch_10",), ()]


def test_the_last_model_has_seen_every_label(market: Bars, feature_table: FeatureTable) -> None:
    data = dataset_of(market, feature_table, Target.RETURN)
    _, last = walk_to_the_end(data, FoldSpec(3).split(data.frame), maker_of("ridge", data))
    pipeline = last.pipeline
    labelled = data.frame.drop_nulls("label")
    assert pipeline["scaler"].n_samples_seen_[0] == labelled["log_return_1"].drop_nulls().len()


def test_progress_is_told_after_each_fold(market: Bars, feature_table: FeatureTable) -> None:
    told: list[tuple[int, int]] = []
    data = dataset_of(market, feature_table, Target.DIRECTION)
    walk_forward(
        data,
        FoldSpec(3).split(data.frame),
        maker_of("logistic", data),
        progress=lambda _, done, total: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_folds_fitted_by_two_workers_are_those_fitted_here_bit_for_bit(
    market: Bars, feature_table: FeatureTable
) -> None:
    data = dataset_of(market, feature_table, Target.DIRECTION)
    folds = FoldSpec(3).split(data.frame)
    make_model = maker_of("hist_gradient_boosting", data)
    told: list[tuple[str, int, int]] = []
    here = walk_forward(data, folds, make_model, workers=1)
    there = walk_forward(data, folds, make_model, workers=2, progress=lambda *step: told.append(step))
    assert [fold.number for fold in there] == [0, 1, 2]
    for one, other in zip(here, there, strict=True):
        assert one.predictions.equals(other.predictions)
        assert one.outcome.label.tobytes() == other.outcome.label.tobytes()
    assert sorted(done for _, done, _ in told) == [1, 2, 3]
    assert sorted(what for what, _, _ in told) == sorted(
        f"fold {fold.number} fitted on {fold.training_rows:,} rows" for fold in here
    )


def test_a_fold_whose_training_lies_on_both_sides_of_its_test_is_no_walk_forward(
    market: Bars, feature_table: FeatureTable
) -> None:
    data = dataset_of(market, feature_table, Target.DIRECTION)
    frame = data.frame
    arrays = {"timestamp": frame["timestamp"].to_numpy(), "known_at": frame["known_at"].to_numpy()}
    splitter = CombinatorialPurged(4, 1, **arrays)
    folds = list(splitter.split(frame, groups=frame["session"].to_numpy()))
    make_model = maker_of("logistic", data)
    with pytest.raises(LookAheadError, match="known only after the test begins"):
        walk_forward(data, folds, make_model)
    fitted = fit_folds(data, folds, make_model)
    assert pl.concat([fold.predictions for fold in fitted])["timestamp"].equals(frame["timestamp"])
