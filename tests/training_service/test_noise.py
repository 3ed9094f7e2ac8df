"""On a random walk nobody has skill: honest folds say so, and a shuffled split says the opposite."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier

from training_service.combinatorial_folds import CombinatorialPurged
from training_service.dataset import Dataset, make_dataset
from training_service.fold_check import check_folds
from training_service.fold_spec import FoldSpec
from training_service.folds import Fold
from training_service.labels import TargetSpec

SESSIONS, MINUTES, HORIZON, WALKS = 12, 250, 30, 12
Splitter = Callable[[pl.DataFrame], list[Fold]]


def random_walk(seed: int) -> Dataset:
    """A price that is a random walk, with features that are slow, as moving averages are.

    Neighbours in time are neighbours in these features, and with a horizon of 30 minutes they share 29 of the
    minutes that make their labels. That is all a model can find here.
    """
    generator = np.random.default_rng(seed)
    opens = [dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC) + dt.timedelta(days=day) for day in range(SESSIONS)]
    stamps = [start + dt.timedelta(minutes=minute) for start in opens for minute in range(MINUTES)]
    log_price = np.cumsum(generator.normal(0, 1e-3, len(stamps)))
    frame = pl.DataFrame({"timestamp": stamps, "close": 100 * np.exp(log_price)})
    log_close = pl.col("close").log()
    slow = [(log_close - log_close.rolling_mean(window)).alias(f"stretch_{window}") for window in (30, 60, 120)]
    table = frame.with_columns(pl.col("timestamp").dt.date().alias("session"), *slow)
    return make_dataset({"SPY": table.drop_nulls()}, spec=TargetSpec.parse("direction", HORIZON))


def accuracy(data: Dataset, folds: list[Fold]) -> float:
    """Share of the tested labels that the nearest neighbours in the training guess."""
    label = data.frame["label"].to_numpy()
    values: npt.NDArray[np.float64] = data.frame.select(data.columns).to_numpy()
    hits = []
    for training, test in folds:
        model = KNeighborsClassifier(5).fit(values[training], label[training])
        labelled = test[~np.isnan(label[test])]
        hits.append(model.predict(values[labelled]) == label[labelled])
    return float(np.concatenate(hits).mean())


def shuffled(frame: pl.DataFrame) -> list[Fold]:
    labelled = np.flatnonzero(frame["label"].is_not_null().to_numpy())
    splits = KFold(5, shuffle=True, random_state=0).split(labelled)
    return [(labelled[training], labelled[test]) for training, test in splits]


def combinatorial(frame: pl.DataFrame) -> list[Fold]:
    arrays = {"timestamp": frame["timestamp"].to_numpy(), "known_at": frame["known_at"].to_numpy()}
    folds = list(CombinatorialPurged(6, 2, **arrays).split(frame, groups=frame["session"].to_numpy()))
    check_folds(folds, may_train_later=True, embargo=1, groups=frame["session"].to_numpy(), **arrays)
    return folds


@pytest.fixture(scope="module")
def walks() -> list[Dataset]:
    return [random_walk(seed) for seed in range(WALKS)]


@pytest.mark.parametrize(
    "split",
    [
        FoldSpec.parse(5).split,
        FoldSpec.parse(5, window="rolling").split,
        FoldSpec(5, whole_sessions=False).split,
        combinatorial,
    ],
    ids=["anchored", "rolling", "anywhere", "combinatorial"],
)
def test_purged_folds_see_no_skill_where_there_is_none(walks: list[Dataset], split: Splitter) -> None:
    scores = np.array([accuracy(data, split(data.frame)) for data in walks])
    # Three standard errors of the mean of independent walks.
    assert abs(scores.mean() - 0.5) < 3 * scores.std(ddof=1) / np.sqrt(WALKS)
    assert scores.std(ddof=1) / np.sqrt(WALKS) < 0.02


def test_a_shuffled_split_sees_plenty(walks: list[Dataset]) -> None:
    scores = [accuracy(data, shuffled(data.frame)) for data in walks]
    assert min(scores) > 0.6
    assert np.mean(scores) == pytest.approx(0.70, abs=0.06)
