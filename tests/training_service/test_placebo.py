"""Placebos: uniform p-values on noise, a planted edge found, and folds that do not move."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from scipy.stats import kstest
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from barlake.errors import InvalidInputError
from training_service.dataset import Dataset, JoinReport
from training_service.fitting import FittedModel
from training_service.folds import Fold
from training_service.placebo import PlaceboReport, placebo_test, shifted
from training_service.targets import TargetSpec

HORIZON = 5
MINUTES = 40
OPEN = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)


def made_up(seed: int, *, edge: float = 0.0, sessions: int = 30) -> Dataset:
    """Returns over five minutes of a random walk, a feature that drifts, and one that may know the future a little."""
    generator = np.random.default_rng(seed)
    steps = generator.normal(0, 1, (sessions, MINUTES + HORIZON))
    future = np.array([np.convolve(day, np.ones(HORIZON), "valid")[1 : MINUTES + 1] for day in steps])
    drifting = np.cumsum(generator.normal(0, 1, sessions * MINUTES))
    minute = np.tile(np.arange(MINUTES), sessions)
    day = np.repeat(np.arange(sessions), MINUTES)
    frame = pl.DataFrame(
        {
            "session": pl.Series(day).map_elements(lambda one: dt.date(2024, 1, 2) + dt.timedelta(days=one), pl.Date),
            "timestamp": [OPEN + dt.timedelta(days=int(d), minutes=int(m)) for d, m in zip(day, minute, strict=True)],
            "close": 100 + np.cumsum(steps[:, :MINUTES].ravel()) * 1e-3,
            "label": np.where(minute < MINUTES - HORIZON, future.ravel(), np.nan),
            "drifting": drifting,
            "knowing": edge * future.ravel() + generator.normal(0, 1, sessions * MINUTES),
        }
    ).with_columns(pl.col("label").fill_nan(None))
    known_at = pl.when(pl.col("label").is_not_null()).then(pl.col("timestamp") + pl.duration(minutes=HORIZON + 1))
    frame = frame.with_columns(known_at.alias("known_at"))
    columns = ("drifting", "knowing")
    spec = TargetSpec.parse("return", HORIZON)
    return Dataset("SPY", spec, frame, columns, JoinReport(frame.height, frame.height, {}))


def fit_ridge(rows: pl.DataFrame, columns: tuple[str, ...]) -> FittedModel:
    pipeline = Pipeline([("model", Ridge())]).fit(rows.select(columns), rows["label"].to_numpy())
    return FittedModel(pipeline, ())


def two_folds(dataset: Dataset) -> list[Fold]:
    """Half of the sessions, then three quarters, to train on; the next quarter each to test."""
    labelled = dataset.frame["label"].is_not_null().to_numpy()
    rows, quarter = np.arange(dataset.frame.height), dataset.frame.height // MINUTES // 4 * MINUTES
    return [
        (rows[: quarter * number][labelled[: quarter * number]], rows[quarter * number : quarter * (number + 1)])
        for number in (2, 3)
    ]


def run(dataset: Dataset, *, runs: int, seed: int = 0) -> PlaceboReport:
    return placebo_test(dataset, two_folds(dataset), fit_ridge, runs=runs, seed=seed, workers=1)


def test_p_values_on_noise_are_uniform() -> None:
    found = [run(made_up(seed), runs=9, seed=seed).p_value for seed in range(25)]
    # Ten values are possible, 0.1 to 1: an even chance within each makes them continuous.
    spread: npt.NDArray[np.float64] = np.array(found) - np.random.default_rng(0).uniform(0, 0.1, len(found))
    assert kstest(spread, "uniform").pvalue > 0.01


def test_an_edge_that_was_planted_is_found() -> None:
    report = run(made_up(1, edge=0.15), runs=30)
    assert report.metric == "information_coefficient"
    assert report.value > max(report.placebos)
    assert report.p_value == pytest.approx(1 / 31)


def test_placebos_of_a_model_with_an_edge_have_none() -> None:
    report = run(made_up(1, edge=0.5), runs=30)
    assert abs(np.mean(report.placebos)) < 0.05


def test_equal_seeds_give_equal_placebos() -> None:
    one, other, third = (run(made_up(2), runs=3, seed=seed) for seed in (4, 4, 5))
    assert one == other
    assert one.placebos != third.placebos


def test_a_shift_moves_labels_and_nothing_else() -> None:
    before = made_up(3, sessions=4)
    after = shifted(before, 70)
    assert after.frame.drop("label").equals(before.frame.drop("label"))
    assert after.frame["label"].is_null().equals(before.frame["label"].is_null())
    moved, own = (one.frame["label"].drop_nulls().to_list() for one in (after, before))
    assert moved == own[-70:] + own[:-70]


def test_no_label_stays_in_its_session() -> None:
    dataset = made_up(4, sessions=6)
    numbered = dataset.frame.with_columns(pl.col("session").rank("dense").cast(pl.Float64).alias("day"))
    frame = numbered.with_columns(pl.when(pl.col("label").is_not_null()).then("day").alias("label"))
    for rows in (MINUTES - HORIZON, 5 * (MINUTES - HORIZON)):
        moved = shifted(Dataset("SPY", dataset.spec, frame, dataset.columns, dataset.join), rows).frame
        assert moved.filter(pl.col("label") == pl.col("day")).is_empty()


def test_too_few_runs_or_sessions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="placebo 0 is below 1"):
        run(made_up(0), runs=0)
    with pytest.raises(InvalidInputError, match="needs four sessions with labels, there are 3"):
        placebo_test(made_up(0, sessions=3), [], fit_ridge, runs=1, value=0.0)


def test_the_sentence_says_how_many_reach_the_model() -> None:
    report = PlaceboReport("auc", 0.52, (0.5, 0.53, 0.52), 0.75)
    assert report.sentence == "Placebo: 2 of 3 fits on shifted labels reach the auc of 0.52; p = 0.75."
