"""Labels are known when they say so, predictions know nothing of later rows, and whoever cheats is found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from barlake.errors import InvalidInputError, LookAheadError
from barlake.leak_proof import Effort
from barlake.sessions import session_of
from barlake.testing import make_bars
from training_service.dataset import Dataset, make_dataset
from training_service.fitting import ModelMaker
from training_service.fold_spec import FoldSpec
from training_service.labels import TargetSpec, make_labels
from training_service.leak_proof import prove_folds, prove_labels
from training_service.models import ModelSpec
from training_service.search import SearchingModelMaker
from training_service.search_space import SearchKind, SearchSpec
from training_service.walk import MakeModel, fit_folds

SOME = Effort(whole=16, pieces=30, per_piece=6, piece_rows=400, sweeps=0)
MINUTE = pl.duration(minutes=1)

Labels = Callable[[pl.DataFrame], pl.DataFrame]
DIRECTION = TargetSpec.parse("direction", 5)


# Labels ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bars(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    return tables["QQQ"].select("session", "timestamp", "open", "high", "low", "close", "volume")


@pytest.fixture(scope="module")
def whole_sessions() -> pl.DataFrame:
    """Four sessions with their closing bars, the third of them short."""
    days = [dt.date(2024, 7, 1), dt.date(2024, 7, 2), dt.date(2024, 7, 3), dt.date(2024, 7, 5)]
    return make_bars(days, seed=4).with_columns(session_of(pl.col("timestamp")).alias("session"))


@pytest.mark.parametrize("target", ["direction", "return", "scaled_return", "triple_barrier"])
@pytest.mark.parametrize("horizon", ["5", "30", "close"])
def test_every_label_is_known_when_it_says(target: str, horizon: str, whole_sessions: pl.DataFrame) -> None:
    spec = TargetSpec.parse(target, horizon)
    prove_labels(lambda given: make_labels(given, spec), whole_sessions, effort=SOME).require_clean()


def test_without_a_label_nothing_is_proven(bars: pl.DataFrame) -> None:
    spec = TargetSpec.parse("direction", "400")
    with pytest.raises(InvalidInputError, match="there is nothing to prove"):
        prove_labels(lambda given: make_labels(given, spec), bars)


def labels_of(bars: pl.DataFrame, spec: TargetSpec = DIRECTION) -> pl.DataFrame:
    return make_labels(bars, spec)


def against_the_median(bars: pl.DataFrame) -> pl.DataFrame:
    found = labels_of(bars, TargetSpec.parse("return", 5))
    return found.with_columns((pl.col("label") > pl.col("label").median()).cast(pl.Float64).alias("label"))


LABEL_LEAKS: dict[str, Labels] = {
    "known a minute too early": lambda bars: labels_of(bars).with_columns(pl.col("known_at") - MINUTE),
    "known at its own bar": lambda bars: labels_of(bars).with_columns(known_at=pl.col("timestamp") + MINUTE),
    "known at a shorter horizon": lambda bars: labels_of(bars, TargetSpec.parse("return", 30)).with_columns(
        known_at=pl.col("timestamp") + 6 * MINUTE
    ),
    "above the median of all": against_the_median,
    "scaled by the volatility of all": lambda bars: labels_of(bars, TargetSpec.parse("return", 5)).with_columns(
        pl.col("label") / pl.col("label").std()
    ),
    "taken from the next bar that has one": lambda bars: labels_of(bars).with_columns(
        pl.col("label").backward_fill(), pl.col("known_at").fill_null(pl.col("timestamp") + MINUTE)
    ),
    "a later one every fiftieth row": lambda bars: labels_of(bars).with_columns(
        pl.when(pl.int_range(pl.len()) % 50 == 0).then(pl.col("label").shift(-9)).otherwise("label").alias("label")
    ),
}


@pytest.mark.parametrize("name", list(LABEL_LEAKS))
def test_a_label_that_knows_more_than_it_says_is_found(name: str, bars: pl.DataFrame) -> None:
    report = prove_labels(LABEL_LEAKS[name], bars, effort=SOME)
    with pytest.raises(LookAheadError, match="label column 'label' at row"):
        report.require_clean()
    assert "bars.close" in report.findings[0].looked_at or "bars (rows)" in report.findings[0].looked_at


# Folds -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset(tables: dict[str, pl.DataFrame]) -> Dataset:
    return make_dataset(tables, spec=DIRECTION)


LOGISTIC = ModelMaker(ModelSpec("logistic"), DIRECTION.task)
HONEST: dict[str, MakeModel] = {
    "logistic": LOGISTIC,
    "with selection and calibration": ModelMaker(
        ModelSpec("logistic", select=3, calibration="sigmoid"), DIRECTION.task
    ),
    "stopped early": ModelMaker(
        ModelSpec("hist_gradient_boosting", {"max_iter": 20}, early_stopping=True), DIRECTION.task
    ),
    "searched": SearchingModelMaker(LOGISTIC, SearchSpec(SearchKind.GRID, {"C": (0.01, 1.0)}, inner_folds=1), 1),
}


@pytest.mark.parametrize("name", list(HONEST))
def test_no_prediction_changes_with_what_comes_after_it(name: str, dataset: Dataset) -> None:
    def honest(dataset: Dataset) -> pl.DataFrame:
        folds = FoldSpec(3).split(dataset.frame)
        fitted = fit_folds(dataset, folds, HONEST[name], workers=1)
        return pl.concat(one.predictions for one in fitted)

    report = prove_folds(honest, dataset)
    report.require_clean()
    assert report.tried["first bar of a test"] == 3


def fitted(dataset: Dataset, folds: list[tuple[np.ndarray, np.ndarray]], frame: pl.DataFrame) -> pl.DataFrame:
    """Predictions of a plain logistic regression over these folds."""
    columns = list(dataset.columns)
    matrix, label = frame.select(columns).fill_null(0.0).to_numpy(), frame["label"].to_numpy()
    parts = []
    for number, (training, test) in enumerate(folds):
        known = training[~np.isnan(label[training])]
        prediction = LogisticRegression().fit(matrix[known] * 100, label[known]).predict_proba(matrix[test] * 100)[:, 1]
        rows = frame[test].select("timestamp")
        parts.append(rows.with_columns(fold=pl.lit(number, pl.Int32), prediction=pl.Series(prediction)))
    return pl.concat(parts)


def thirds(frame: pl.DataFrame, *, gap: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    step = frame.height // 4
    return [(np.arange(k * step - gap), np.arange(k * step, (k + 1) * step)) for k in (1, 2, 3)]


def shuffled(dataset: Dataset) -> pl.DataFrame:
    rows = np.random.default_rng(0).permutation(dataset.frame.height)
    parts = [np.sort(part) for part in np.array_split(rows, 3)]
    folds = [(np.sort(np.concatenate([p for p in parts if p is not part])), part) for part in parts]
    return fitted(dataset, folds, dataset.frame)


def scaled_by_all(dataset: Dataset) -> pl.DataFrame:
    frame = dataset.frame.with_columns((pl.col(name) - pl.col(name).mean()) for name in dataset.columns)
    return fitted(dataset, thirds(frame, gap=10), frame)


def selected_by_all(dataset: Dataset) -> pl.DataFrame:
    frame = dataset.frame
    weight = [frame.select(pl.corr(name, "label")).item() or 0.0 for name in dataset.columns]
    weighed = frame.with_columns(
        (pl.col(name) * abs(one)).alias(name) for name, one in zip(dataset.columns, weight, strict=True)
    )
    return fitted(dataset, thirds(weighed, gap=10), weighed)


def encoded_by_all(dataset: Dataset) -> pl.DataFrame:
    name = dataset.columns[0]
    mean = pl.col("label").mean().over(pl.col("timestamp").dt.minute())
    frame = dataset.frame.with_columns(mean.alias(name))
    return fitted(dataset, thirds(frame, gap=10), frame)


def test_rows_not_purged_are_found(dataset: Dataset) -> None:
    report = prove_folds(lambda given: fitted(given, thirds(given.frame), given.frame), dataset)
    finding = report.findings[0]
    assert finding.column == "prediction"
    # The labels of the last training rows end up to five minutes into the test.
    assert "dataset.label" in finding.looked_at
    assert 1 <= finding.rows_ahead <= 5


def test_the_same_folds_purged_are_clean(dataset: Dataset) -> None:
    prove_folds(lambda given: fitted(given, thirds(given.frame, gap=10), given.frame), dataset).require_clean()


@pytest.mark.parametrize("cheat", [shuffled, scaled_by_all, selected_by_all, encoded_by_all])
def test_predictions_that_know_the_test_are_found(cheat: Callable[[Dataset], pl.DataFrame], dataset: Dataset) -> None:
    with pytest.raises(LookAheadError, match="out-of-fold column 'prediction'"):
        prove_folds(cheat, dataset).require_clean()
