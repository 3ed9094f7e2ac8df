"""Fitted models as files: the bytes speak of the model, and of nothing that happened to it."""

import io
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from barlake.errors import InvalidInputError
from training_service.model_files import save_model

MODELS = {
    "logistic": LogisticRegression(),
    "forest": RandomForestClassifier(8, random_state=0),
    "trees": HistGradientBoostingClassifier(max_iter=8, random_state=0),
    "calibrated": CalibratedClassifierCV(LogisticRegression(), cv=3),
}


def fitted(model: Any) -> Pipeline:
    draw = np.random.default_rng(1)
    columns = draw.normal(size=(400, 3))
    with threadpool_limits(limits=1):
        return Pipeline([("scaler", StandardScaler()), ("model", model)]).fit(columns, columns[:, 0] > 0)


def saved(pipeline: Pipeline, folder: Path) -> bytes:
    save_model(pipeline, folder / "model.joblib")
    return (folder / "model.joblib").read_bytes()


def through_joblib(pipeline: Pipeline) -> Pipeline:
    stream = io.BytesIO()
    joblib.dump(pipeline, stream)
    return joblib.load(io.BytesIO(stream.getvalue()))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_travelled_between_processes_has_the_same_bytes(name: str, tmp_path: Path) -> None:
    here = fitted(MODELS[name])
    pickled = pickle.loads(pickle.dumps(here))  # noqa: S301 - made one line before
    travelled = [pickled, through_joblib(here), through_joblib(through_joblib(here))]
    assert {saved(one, tmp_path) for one in travelled} == {saved(here, tmp_path)}


def test_plain_joblib_tells_such_models_apart() -> None:
    def dumped(pipeline: Pipeline) -> bytes:
        stream = io.BytesIO()
        joblib.dump(pipeline, stream)
        return stream.getvalue()

    here = fitted(MODELS["logistic"])
    assert dumped(here) != dumped(through_joblib(here))


def test_what_was_saved_is_loaded_by_joblib_and_predicts_the_same_bits(tmp_path: Path) -> None:
    columns = np.random.default_rng(2).normal(size=(50, 3))
    for model in MODELS.values():
        here = fitted(model)
        saved(here, tmp_path)
        again = joblib.load(tmp_path / "model.joblib")
        assert again.predict_proba(columns).tobytes() == here.predict_proba(columns).tobytes()


def test_another_model_has_other_bytes(tmp_path: Path) -> None:
    one, other = (fitted(LogisticRegression(C=strength)) for strength in (1.0, 0.5))
    assert saved(one, tmp_path) != saved(other, tmp_path)


def test_a_model_that_cannot_be_pickled_is_refused_by_its_steps_and_leaves_no_file(tmp_path: Path) -> None:
    pipeline = Pipeline([("turn", FunctionTransformer(lambda columns: -columns)), ("model", LogisticRegression())])
    with pytest.raises(InvalidInputError, match=r"turn \(FunctionTransformer\), model \(LogisticRegression\)"):
        save_model(pipeline, tmp_path / "model.joblib")
    assert list(tmp_path.iterdir()) == []
