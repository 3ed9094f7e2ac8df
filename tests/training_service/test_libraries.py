"""A model knows the libraries it is made of, and refuses others."""

import importlib.metadata

import pytest
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from barlake.errors import FormatError
from training_service.libraries import model_libraries, require_same_versions


class Mine(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A step of nobody's library."""


def test_the_libraries_of_a_pipeline_are_those_of_its_steps() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    pipeline = Pipeline([("mine", Mine()), ("model", lightgbm.LGBMClassifier())])
    assert model_libraries(pipeline) == {
        name: importlib.metadata.version(name) for name in ("lightgbm", "scikit-learn")
    }


def test_a_model_inside_another_counts() -> None:
    xgboost = pytest.importorskip("xgboost")
    found = model_libraries(Pipeline([("model", CalibratedClassifierCV(xgboost.XGBClassifier()))]))
    assert any(name.startswith("xgboost") for name in found)


def test_the_same_versions_pass() -> None:
    require_same_versions(model_libraries(Pipeline([("model", LogisticRegression())])), what="model x")


def test_other_versions_are_refused_with_the_command_that_installs_the_right_ones() -> None:
    with pytest.raises(
        FormatError, match=r"model x was fitted with scikit-learn 0\.9 .*`pip install scikit-learn==0\.9`"
    ):
        require_same_versions({"scikit-learn": "0.9"}, what="model x")
