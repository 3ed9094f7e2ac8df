"""Training with a user's own pipeline: its source counts, and what cannot be kept leaves nothing behind."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from barlake.errors import InvalidInputError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from training_service.load import load_model
from training_service.train import train

MODULE = """
import threading
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

class Locking(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.lock_ = threading.Lock()
        return self
    def transform(self, X):
        return X

class Refusing(Locking):
    def fit(self, X, y=None):
        raise ValueError("it is not for me")

def plain():
    return Pipeline([("impute", SimpleImputer()), ("model", LogisticRegression())])

def locking():
    return Pipeline([("impute", SimpleImputer()), ("lock", Locking()), ("model", LogisticRegression())])

def refusing():
    return Pipeline([("refuse", Refusing()), ("model", LogisticRegression())])

def unkept():
    return Pipeline([("impute", SimpleImputer(missing_values=float("nan"))), ("model", Hidden())])

class Hidden(LogisticRegression):
    def __reduce__(self):
        raise TypeError("cannot pickle this")
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Write `own_models.py` into the working folder; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def put(text: str) -> None:
        (tmp_path / "own_models.py").write_text(text)
        sys.modules.pop("own_models", None)

    yield put
    sys.modules.pop("own_models", None)


def test_a_pipeline_of_ones_own_trains_and_comes_back(full_lake: Lake, write: Callable[[str], None]) -> None:
    write(MODULE)
    report = train(full_lake, "SPY", estimator="own_models:plain", folds=2)
    assert list(load_model(full_lake, report.model_id).named_steps) == ["impute", "model"]


def test_a_changed_module_makes_another_model(full_lake: Lake, write: Callable[[str], None]) -> None:
    write(MODULE)
    before = train(full_lake, "SPY", estimator="own_models:plain", folds=2)
    assert not train(full_lake, "SPY", estimator="own_models:plain", folds=2).created
    write(MODULE + "\n# another\n")
    after = train(full_lake, "SPY", estimator="own_models:plain", folds=2)
    assert after.created
    assert after.model_id != before.model_id


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("locking", r"cannot be kept in a file .* lock \(Locking\)"),
        ("refusing", "LogisticRegression.* refuses the fit: it is not for me"),
        ("unkept", "cannot be stored .* no lambda"),
    ],
)
def test_a_pipeline_that_cannot_be_used_leaves_nothing_behind(
    full_lake: Lake, write: Callable[[str], None], name: str, message: str
) -> None:
    write(MODULE)
    with pytest.raises(InvalidInputError, match=message):
        train(full_lake, "SPY", estimator=f"own_models:{name}", folds=2)
    assert full_lake.artifacts.list(ArtifactKind.MODEL) == []
    assert [path for path in (full_lake.root / "models").rglob("*") if path.is_file() and path.name != ".lock"] == []
