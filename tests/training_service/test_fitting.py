"""What is held back from a training, and what early stopping, weights and calibration make of it."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline

from barlake.errors import InvalidInputError
from training_service.fitting import ModelMaker, fit_model
from training_service.models import ModelSpec, predict
from training_service.stretches import last_stretch
from training_service.targets import Task

CLASSES, NUMBERS = Task.CLASSIFICATION, Task.REGRESSION
COLUMNS = ("told", "noise")
BOOSTED = ("hist_gradient_boosting", "lightgbm", "xgboost")


def rows_of(
    task: Task, *, sessions: int = 10, minutes: int = 200, horizon: int = 5, skill: float = 1.0
) -> pl.DataFrame:
    """Labelled rows in which column `told` says `skill` of the label; the label is known `horizon` minutes later."""
    generator = np.random.default_rng(3)
    count = sessions * minutes
    told, noise = generator.normal(size=count), generator.normal(size=count)
    value = skill * told + generator.normal(size=count)
    start = [dt.datetime(2024, 1, 1, 14, 30, tzinfo=dt.UTC) + dt.timedelta(days=day) for day in range(sessions)]
    timestamp = [first + dt.timedelta(minutes=minute) for first in start for minute in range(minutes)]
    return pl.DataFrame({"timestamp": timestamp, "told": told, "noise": noise}).with_columns(
        pl.col("timestamp").dt.date().alias("session"),
        (pl.col("timestamp") + pl.duration(minutes=horizon + 1)).alias("known_at"),
        pl.Series("label", (value > 0).astype(float) if task is CLASSES else value),
    )


@given(st.integers(2, 12), st.integers(1, 30), st.integers(1, 3000), st.floats(0.05, 0.95))
def test_the_last_stretch_is_whole_sessions_and_nothing_before_it_knows_them(
    sessions: int, minutes: int, horizon: int, share: float
) -> None:
    past = rows_of(NUMBERS, sessions=sessions, minutes=minutes, horizon=horizon)
    try:
        earlier, later = last_stretch(past, purpose="a test", share=share)
    except InvalidInputError:
        assert horizon > 24 * 60 - minutes  # only a label that reaches over a night can leave nothing
        return
    assert later["session"].n_unique() == max(1, int(sessions * share))
    assert later.height == later["session"].n_unique() * minutes
    assert earlier["known_at"].max() <= later["timestamp"].min()  # type: ignore[operator]  # polars types a maximum loosely
    rest = past.filter(pl.col("known_at") <= later["timestamp"].min())
    assert earlier.height == rest.height


def test_one_session_cannot_be_cut_in_two() -> None:
    with pytest.raises(InvalidInputError, match=r"calibration holds back the last 20% .* ingest more sessions"):
        last_stretch(rows_of(NUMBERS, sessions=1), purpose="calibration")


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("estimator", BOOSTED)
def test_trees_stop_early_on_noise_and_later_where_there_is_something_to_learn(estimator: str, task: Task) -> None:
    counts = []
    for skill in (0.0, 3.0):
        fitted = fit_model(
            ModelSpec(estimator, early_stopping=True), rows_of(task, skill=skill), COLUMNS, task=task, seed=0
        )
        counts.append(fitted.facts["iterations"])
    assert 1 <= counts[0] < 30 < counts[1] <= 100


@pytest.mark.parametrize("estimator", BOOSTED)
def test_the_stopped_trees_are_fitted_again_on_every_row(estimator: str) -> None:
    past = rows_of(CLASSES)
    stopped = fit_model(ModelSpec(estimator, early_stopping=True), past, COLUMNS, task=CLASSES, seed=0)
    name = "max_iter" if estimator == "hist_gradient_boosting" else "n_estimators"
    plain = ModelSpec(estimator, {name: stopped.facts["iterations"]})
    same = fit_model(plain, past, COLUMNS, task=CLASSES, seed=0)
    probe = past.select(COLUMNS)
    assert predict(stopped.pipeline, probe).tobytes() == predict(same.pipeline, probe).tobytes()
    assert stopped.facts["training_rows"] == past.height


def test_the_number_of_iterations_is_the_one_with_the_least_loss_on_the_last_sessions() -> None:
    past = rows_of(CLASSES)
    spec = ModelSpec(early_stopping=True)
    chosen = fit_model(spec, past, COLUMNS, task=CLASSES, seed=0).facts["iterations"]
    earlier, later = last_stretch(past, purpose="a test")
    losses = []
    for count in range(1, chosen + 11):
        fitted = fit_model(ModelSpec(parameters={"max_iter": count}), earlier, COLUMNS, task=CLASSES, seed=0)
        losses.append(log_loss(later["label"].to_numpy(), predict(fitted.pipeline, later.select(COLUMNS))))
    assert chosen == 1 + int(np.argmin(losses))


@pytest.mark.parametrize("spec", [ModelSpec(early_stopping=True), ModelSpec(calibration="sigmoid")])
def test_the_past_alone_decides_a_model(spec: ModelSpec) -> None:
    rows = rows_of(CLASSES)
    shuffled = rows[1000:].sample(fraction=1, shuffle=True, seed=1)
    made = [
        fit_model(spec, frame[:1000], COLUMNS, task=CLASSES, seed=0)
        for frame in (rows, pl.concat([rows[:1000], shuffled]))
    ]
    first, second = (predict(one.pipeline, rows.select(COLUMNS)).tobytes() for one in made)
    assert first == second


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("estimator", ["logistic", "hist_gradient_boosting", "random_forest", "lightgbm", "xgboost"])
def test_calibration_mends_probabilities_that_weights_had_bent(estimator: str, method: str) -> None:
    past = rows_of(CLASSES, sessions=30)
    train, test = past[:4000], past[4000:]
    bent = ModelSpec(estimator, class_weight=(1.0, 9.0))
    mended = ModelSpec(estimator, class_weight=(1.0, 9.0), calibration=method)
    label, errors = test["label"].to_numpy(), []
    for spec in (bent, mended):
        fitted = fit_model(spec, train, COLUMNS, task=CLASSES, seed=0)
        errors.append(abs(predict(fitted.pipeline, test.select(COLUMNS)).mean() - label.mean()))
    assert errors[0] > 0.1
    assert errors[1] < 0.05


def test_calibration_learns_its_curve_from_the_last_sessions_and_the_model_from_those_before() -> None:
    past = rows_of(CLASSES)
    fitted = fit_model(ModelSpec("logistic", calibration="sigmoid"), past, COLUMNS, task=CLASSES, seed=0)
    earlier, later = last_stretch(past, purpose="a test")
    assert (fitted.facts["training_rows"], fitted.facts["calibration_rows"]) == (earlier.height, later.height)
    alone = fit_model(ModelSpec("logistic"), earlier, COLUMNS, task=CLASSES, seed=0)
    model = fitted.pipeline["model"]
    assert isinstance(model, CalibratedClassifierCV)
    assert np.array_equal(model.estimator.estimator.coef_, alone.pipeline["model"].coef_)


def test_calibration_on_one_class_is_refused() -> None:
    past = rows_of(CLASSES)
    is_last = pl.col("session") >= past["session"].unique().sort()[-2]
    past = past.with_columns(pl.when(is_last).then(1.0).otherwise("label").alias("label"))
    with pytest.raises(InvalidInputError, match="calibration 'sigmoid' cannot use the last 400 training rows"):
        fit_model(ModelSpec("logistic", calibration="sigmoid"), past, COLUMNS, task=CLASSES, seed=0)


def test_balanced_weights_are_scikit_learns() -> None:
    past = rows_of(CLASSES).with_columns((pl.col("told") > 1).cast(pl.Float64).alias("label"))
    ours = fit_model(ModelSpec("logistic", class_weight="balanced"), past, COLUMNS, task=CLASSES, seed=0)
    theirs = fit_model(ModelSpec("logistic", {"class_weight": "balanced"}), past, COLUMNS, task=CLASSES, seed=0)
    assert ours.pipeline["model"].coef_ == pytest.approx(theirs.pipeline["model"].coef_, rel=1e-12)
    share = past["label"].mean()
    assert ours.facts["class_weight"] == pytest.approx([0.5 / (1 - share), 0.5 / share])  # type: ignore[operator]


@pytest.mark.parametrize("estimator", ["logistic", "random_forest", *BOOSTED])
def test_a_weight_moves_every_estimator_towards_its_class(estimator: str) -> None:
    past = rows_of(CLASSES)
    means = []
    for weight in ((4.0, 1.0), None, (1.0, 4.0)):
        fitted = fit_model(ModelSpec(estimator, class_weight=weight), past, COLUMNS, task=CLASSES, seed=0)
        means.append(predict(fitted.pipeline, past.select(COLUMNS)).mean())
    assert means[0] < means[1] - 0.1 < means[2] - 0.2


def test_a_maker_gives_the_same_model_every_time() -> None:
    past = rows_of(NUMBERS)
    maker = ModelMaker(ModelSpec("random_forest"), NUMBERS, seed=4)
    first, second = (predict(maker(past, COLUMNS).pipeline, past.select(COLUMNS)).tobytes() for _ in range(2))
    assert first == second


def test_every_fitted_model_is_a_pipeline_with_the_same_steps() -> None:
    spec = ModelSpec(select=1, calibration="isotonic", early_stopping=True, class_weight="balanced")
    fitted = fit_model(spec, rows_of(CLASSES), COLUMNS, task=CLASSES, seed=0)
    assert isinstance(fitted.pipeline, Pipeline)
    assert list(fitted.pipeline.named_steps) == ["scaler", "imputer", "selector", "model"]
