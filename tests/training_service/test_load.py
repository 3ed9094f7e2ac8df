"""Models come back only if this lake wrote them, byte for byte."""

import importlib
import os
import sys
import warnings
from pathlib import Path

import joblib
import pytest
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import Pipeline

from barlake.errors import FormatError, NotFoundError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from training_service.load import load_model
from training_service.models import ModelSpec, make_pipeline
from training_service.targets import Task
from training_service.train import train


class Trap:
    """Code that runs as soon as someone unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return os.mkdir, (self.mark,)


def model_of(lake: Lake, content: object, name: str = "model.joblib") -> str:
    """Register a model folder with one file in it."""
    with lake.artifacts.create(ArtifactKind.MODEL, "feedfeedfeedfeed", parameters={}, inputs={}, code="") as draft:
        joblib.dump(content, draft.path / name)
    return "feedfeedfeedfeed"


def test_the_trap_of_these_tests_is_a_trap(tmp_path: Path) -> None:
    joblib.dump(Trap(tmp_path / "mark"), tmp_path / "trap.joblib")
    joblib.load(tmp_path / "trap.joblib")
    assert (tmp_path / "mark").exists()


def test_a_model_comes_back_fitted(full_lake: Lake) -> None:
    report = train(full_lake, "SPY", folds=2)
    for name in ("model.joblib", "fold-00.joblib", "fold-01.joblib"):
        pipeline = load_model(full_lake, report.model_id[:6], name=name)
        assert pipeline["model"].feature_names_in_.tolist() == report.results["columns"]


def test_a_tampered_file_is_not_loaded_and_its_code_does_not_run(full_lake: Lake, tmp_path: Path) -> None:
    report = train(full_lake, "SPY", folds=2)
    joblib.dump(Trap(tmp_path / "mark"), report.path / "model.joblib")
    with pytest.raises(FormatError, match="not the file that was written"):
        load_model(full_lake, report.model_id)
    assert not (tmp_path / "mark").exists()


def test_a_file_that_was_laid_into_the_folder_is_not_loaded(full_lake: Lake, tmp_path: Path) -> None:
    report = train(full_lake, "SPY", folds=2)
    joblib.dump(Trap(tmp_path / "mark"), report.path / "fold-99.joblib")
    with pytest.raises(FormatError, match="not written by this lake"):
        load_model(full_lake, report.model_id, name="fold-99.joblib")
    assert not (tmp_path / "mark").exists()


def test_a_model_of_another_scikit_learn_is_an_error_that_names_both_versions(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "1.2.3")
        model_id = model_of(lake, make_pipeline(ModelSpec("logistic"), Task.CLASSIFICATION, seed=0))
    with pytest.raises(
        FormatError, match=r"fitted with scikit-learn 1\.2\.3 \(installed is .* `pip install scikit-learn==1\.2\.3`"
    ):
        load_model(lake, model_id)


def test_another_version_of_a_library_is_an_error_before_the_file_is_opened(lake: Lake, tmp_path: Path) -> None:
    inputs = {"libraries": {"lightgbm": "0.0.1", "no-such-library": "1.0"}}
    with lake.artifacts.create(ArtifactKind.MODEL, "feed", parameters={}, inputs=inputs, code="") as draft:
        joblib.dump(Trap(tmp_path / "mark"), draft.path / "model.joblib")
    with pytest.raises(FormatError, match=r"lightgbm 0\.0\.1 \(installed is .*no-such-library 1\.0 \(not installed\)"):
        load_model(lake, "feed")
    assert not (tmp_path / "mark").exists()


def test_a_model_of_a_module_that_is_not_here_says_which(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_steps.py").write_text(
        "from sklearn.base import BaseEstimator\n\nclass Turn(BaseEstimator):\n    pass\n", encoding="utf-8"
    )
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        steps = importlib.import_module("my_steps")
        model_id = model_of(lake, Pipeline([("turn", steps.Turn())]))
    monkeypatch.delitem(sys.modules, "my_steps")
    with pytest.raises(NotFoundError, match="needs 'my_steps'"):
        load_model(lake, model_id)


def test_that_error_does_not_depend_on_the_callers_warning_filters(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "1.2.3")
        model_id = model_of(lake, Pipeline([("model", make_pipeline(ModelSpec("ridge"), Task.REGRESSION, seed=0))]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        with pytest.raises(FormatError, match="train again"):
            load_model(lake, model_id)


def test_a_file_that_holds_no_pipeline_is_refused(lake: Lake) -> None:
    with pytest.raises(FormatError, match="holds no pipeline but a dict"):
        load_model(lake, model_of(lake, {"a": 1}))


def test_an_unknown_model_is_answered_with_the_newest(full_lake: Lake) -> None:
    report = train(full_lake, "SPY", folds=2)
    with pytest.raises(NotFoundError, match=report.model_id):
        load_model(full_lake, "0000")
