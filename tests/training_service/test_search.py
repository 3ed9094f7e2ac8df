"""Parameter search: finds what is there, sees nothing but the training, and is the same on every backend."""

import datetime as dt
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from barlake.errors import InvalidInputError
from training_service.fitting import ModelMaker
from training_service.models import ModelSpec
from training_service.search import SearchingModelMaker, SearchResult, search_parameters
from training_service.search_space import Range, SearchKind, SearchSpec
from training_service.targets import Task

COLUMNS = tuple(f"column_{number}" for number in range(12))
RIDGE = ModelMaker(ModelSpec("ridge"), Task.REGRESSION, seed=2)
ALPHAS = (1e-3, 100.0, 1e6)


@pytest.fixture(scope="module")
def past() -> pl.DataFrame:
    """Few rows, many columns, of which one says a little: neither no shrinkage nor full shrinkage is best."""
    generator = np.random.default_rng(5)
    sessions, minutes = 12, 20
    stamps = [
        dt.datetime(2024, 1, 1 + day, 15, minute, tzinfo=dt.UTC) for day in range(sessions) for minute in range(minutes)
    ]
    features = generator.normal(size=(len(stamps), len(COLUMNS)))
    label = 0.3 * features[:, 0] + generator.normal(size=len(stamps))
    return pl.DataFrame(features, schema=list(COLUMNS)).with_columns(
        pl.Series("timestamp", stamps).cast(pl.Datetime("us", "UTC")),
        pl.Series("label", label),
    ).with_columns(
        pl.col("timestamp").dt.date().alias("session"), (pl.col("timestamp") + pl.duration(minutes=3)).alias("known_at")
    )  # fmt: skip


def grid(**space: tuple[object, ...]) -> SearchSpec:
    return SearchSpec(SearchKind.GRID, space)


def by_hand(past: pl.DataFrame, alpha: float) -> float:
    """Mean squared error of a ridge over three anchored folds of three sessions, written out with plain numpy."""
    losses = []
    for first in (3, 6, 9):
        day = past["session"].rank("dense").to_numpy() - 1
        starts = past.filter(pl.Series(day == first))["timestamp"].min()
        train = past.filter(pl.Series(day < first) & (pl.col("known_at") <= starts))
        test = past.filter(pl.Series((day >= first) & (day < first + 3)))
        mean, deviation = train.select(COLUMNS).to_numpy().mean(axis=0), train.select(COLUMNS).to_numpy().std(axis=0)
        x, x_test = ((part.select(COLUMNS).to_numpy() - mean) / deviation for part in (train, test))
        y = train["label"].to_numpy()
        weights = np.linalg.solve(x.T @ x + alpha * np.eye(len(COLUMNS)), x.T @ (y - y.mean()))
        losses.append(np.mean((x_test @ weights + y.mean() - test["label"].to_numpy()) ** 2))
    return float(np.mean(losses))


def test_the_loss_of_each_candidate_is_a_purged_walk_forward_worked_out_by_hand(past: pl.DataFrame) -> None:
    found = search_parameters(RIDGE, grid(alpha=ALPHAS), past, COLUMNS, workers=1)
    expected = [by_hand(past, alpha) for alpha in ALPHAS]
    assert [one.loss for one in found.tried] == pytest.approx(expected)
    assert found.best == {"alpha": ALPHAS[int(np.argmin(expected))]}
    assert found.loss == pytest.approx(min(expected))


@pytest.mark.parametrize("kind", [SearchKind.GRID, SearchKind.RANDOM, SearchKind.OPTUNA])
def test_every_search_that_gives_all_rows_to_all_finds_the_best_of_a_plain_choice(
    past: pl.DataFrame, kind: SearchKind
) -> None:
    search = SearchSpec(kind, {"alpha": ALPHAS}, candidates=12)
    assert search_parameters(RIDGE, search, past, COLUMNS, workers=1).best == {"alpha": 100.0}


@pytest.mark.parametrize("kind", [SearchKind.RANDOM, SearchKind.OPTUNA])
def test_what_is_drawn_lies_in_its_range_and_is_drawn_again_with_the_same_seed(
    past: pl.DataFrame, kind: SearchKind
) -> None:
    space = {"alpha": Range(1e-2, 1e4, is_log=True), "max_iter": Range(1, 9), "solver": ("cholesky", "svd")}
    search = SearchSpec(kind, space, candidates=6)
    first, again, other = (
        [one.parameters for one in search_parameters(replace(RIDGE, seed=seed), search, past, COLUMNS, workers=1).tried]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    for one in first:
        assert 1e-2 <= one["alpha"] <= 1e4
        assert one["max_iter"] in range(1, 10)
        assert type(one["max_iter"]) is int


def test_random_tries_every_combination_once_when_there_are_no_more(past: pl.DataFrame) -> None:
    search = SearchSpec(SearchKind.RANDOM, {"alpha": ALPHAS}, candidates=50)
    assert len(search_parameters(RIDGE, search, past, COLUMNS, workers=1).tried) == 3


def test_halving_gives_the_better_third_three_times_the_newest_rows(past: pl.DataFrame) -> None:
    search = SearchSpec(SearchKind.HALVING, {"alpha": tuple(10.0**power for power in range(-4, 5))})
    found = search_parameters(RIDGE, search, past, COLUMNS, workers=1)
    assert [one.share for one in found.tried] == [1 / 9] * 9 + [1 / 3] * 3 + [1.0]
    last = found.tried[-1]
    assert last.loss == pytest.approx(by_hand(past, last.parameters["alpha"]))


def test_a_candidate_that_fails_is_kept_with_its_reason_and_does_not_win(past: pl.DataFrame) -> None:
    found = search_parameters(RIDGE, grid(alpha=(-1.0, 1.0)), past, COLUMNS, workers=1)
    assert found.tried[0].loss is None
    assert "alpha" in str(found.tried[0].error)
    assert found.best == {"alpha": 1.0}


@pytest.mark.parametrize("kind", list(SearchKind))
def test_a_search_in_which_everything_fails_is_refused(past: pl.DataFrame, kind: SearchKind) -> None:
    with pytest.raises(
        InvalidInputError,
        match="every candidate of the search failed, the first one of: the pipeline of StandardScaler",
    ):
        search_parameters(RIDGE, SearchSpec(kind, {"alpha": (-1.0, -2.0)}, candidates=2), past, COLUMNS, workers=1)


def test_a_parameter_that_does_not_exist_is_refused_before_any_fit(past: pl.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match=r"^estimator 'ridge' has no parameter 'alpa'\. Did you mean 'alpha'"):
        search_parameters(RIDGE, grid(alpa=(1.0,)), past, COLUMNS, workers=1)


def test_a_preset_brings_a_space_and_a_users_pipeline_needs_one(past: pl.DataFrame) -> None:
    found = search_parameters(RIDGE, grid(), past, COLUMNS, workers=1)
    assert {one.parameters["alpha"] for one in found.tried} == {1.0, 1e2, 1e3, 1e4, 1e5}
    own = replace(RIDGE, spec=ModelSpec("my_models:make"))
    with pytest.raises(InvalidInputError, match="search needs a space for 'my_models:make'"):
        search_parameters(own, grid(), past, COLUMNS, workers=1)


def test_too_few_sessions_for_the_inner_folds_are_refused(past: pl.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="needs at least 4 sessions, there are 3"):
        search_parameters(RIDGE, grid(), past[:60], COLUMNS, workers=1)


def test_the_model_is_fitted_with_the_best_parameters_and_tells_what_was_tried(past: pl.DataFrame) -> None:
    fitted = SearchingModelMaker(RIDGE, grid(alpha=ALPHAS), workers=1)(past, COLUMNS)
    assert fitted.pipeline["model"].alpha == 100.0
    assert fitted.facts["search"]["best"] == {"alpha": 100.0}
    assert [one["fits"] for one in fitted.facts["search"]["tried"]] == [3, 3, 3]


def test_optuna_that_is_not_installed_is_answered_with_the_command(
    past: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InvalidInputError, match=r"pip install 'barlake\[optuna\]'"):
        search_parameters(RIDGE, SearchSpec(SearchKind.OPTUNA, {"alpha": ALPHAS}), past, COLUMNS, workers=1)


@pytest.fixture(scope="module")
def alone(past: pl.DataFrame) -> SearchResult:
    """What a search of boosted trees finds in this process."""
    return search_parameters(TREES, TREE_GRID, past, COLUMNS, backend="sequential")


TREES = ModelMaker(ModelSpec(parameters={"max_iter": 20, "min_samples_leaf": 10}), Task.REGRESSION, seed=2)
TREE_GRID = SearchSpec(SearchKind.GRID, {"max_leaf_nodes": (2, 7), "learning_rate": (0.02, 0.2)})


@pytest.mark.parametrize(
    "backend", ["loky", pytest.param("dask", marks=pytest.mark.slow), pytest.param("ray", marks=pytest.mark.slow)]
)
def test_a_search_finds_the_same_on_every_backend(past: pl.DataFrame, alone: SearchResult, backend: str) -> None:
    found = search_parameters(TREES, TREE_GRID, past, COLUMNS, workers=2, backend=backend)
    assert found == alone
