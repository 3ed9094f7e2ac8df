"""Scores over many histories: every path is a whole one, and noise spreads around chance."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score

from barlake.errors import InvalidInputError
from training_service.combinatorial import CombinatorialSpec, combinatorial_scores
from training_service.dataset import Dataset, make_dataset
from training_service.fitting import ModelMaker
from training_service.labels import TargetSpec
from training_service.models import ModelSpec
from training_service.walk import fit_folds

SPEC = CombinatorialSpec(4, 2)
LOGISTIC = ModelMaker(ModelSpec("logistic"), TargetSpec.parse("direction", 5).task)


@pytest.fixture(scope="module")
def data(market: dict[str, pl.DataFrame], feature_table: Callable[[pl.DataFrame], pl.DataFrame]) -> Dataset:
    return make_dataset({"SPY": feature_table(market["SPY"])}, spec=TargetSpec.parse("direction", 5))


def test_each_path_scores_every_labelled_row_once(data: Dataset) -> None:
    found = combinatorial_scores(data, SPEC, LOGISTIC)
    assert (len(found.folds), found.frame["path"].n_unique()) == (6, 3)
    fitted = fit_folds(data, found.folds, LOGISTIC)
    labelled = data.frame.drop_nulls("label")
    # By hand: of the pairs 01 02 03 12 13 23, path 0 takes for blocks 0 to 3 the first pair that tests it, and so on.
    for path, taken in enumerate([(0, 0, 1, 2), (1, 3, 3, 4), (2, 4, 5, 5)]):
        predicted = []
        for block, fold in enumerate(taken):
            sessions = sorted(set(data.frame["session"]))[2 * block : 2 * block + 2]
            predicted.append(fitted[fold].predictions.filter(pl.col("session").is_in(sessions)))
        joined = labelled.join(pl.concat(predicted), on="timestamp", how="left")
        assert joined["prediction"].null_count() == 0
        expected = accuracy_score(joined["label"], joined["prediction"] > 0.5)
        ours = found.frame.filter(path=path, metric="accuracy")["value"].item()
        assert ours == pytest.approx(expected)


def test_the_spread_is_the_least_middle_and_greatest_of_the_paths(data: Dataset) -> None:
    found = combinatorial_scores(data, SPEC, LOGISTIC)
    values = found.frame.filter(metric="auc")["value"].to_numpy()
    told = found.as_dict()
    assert (told["fits"], told["paths"]) == (6, 3)
    assert told["metrics"]["auc"] == {"low": values.min(), "median": np.median(values), "high": values.max()}


@pytest.mark.parametrize("text", ["6", "6,2,1", "a,b", "6,6", "6,0", "2,3"])
def test_what_is_no_choice_of_blocks_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="such as 6,2"):
        CombinatorialSpec.parse(text)
