"""A model as every face shows it."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import barlake
from app.use_cases.models import card_of, list_models, names_of_models, view_model
from app.use_cases.runs import count_older_runs
from barlake.errors import FormatError, NotFoundError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from training_service.scores import Judgement
from training_service.targets import Task

OLDER_LAKE = Path(__file__).parents[2] / "fixtures" / "older_lake" / "lake.tar.xz"


@pytest.fixture
def lake(small_lake: Any) -> Iterator[Lake]:
    with barlake.open(small_lake.root) as found:
        yield found


def test_scores_stand_beside_every_baseline_as_the_manifest_has_them(lake: Lake, small_lake: Any) -> None:
    view = view_model(lake, small_lake.model_id)
    overall = lake.artifacts.find(ArtifactKind.MODEL, small_lake.model_id).results["overall"]
    row = view.scores.filter(metric="accuracy").row(0, named=True)
    assert row["value"] == overall["metrics"]["accuracy"]["value"]
    assert {name: row[name] for name in view.baselines} == {
        name: overall["baselines"][name]["accuracy"] for name in view.baselines
    }
    assert view.title_of("log_loss") == "log loss (less is better)"


def test_the_judgement_is_that_of_the_verdict(lake: Lake, small_lake: Any) -> None:
    view = view_model(lake, small_lake.model_id)
    assert view.judgement in set(Judgement)
    assert str(view.judgement) in view.verdict
    assert view.tries is not None
    assert "tr" in view.tries


def test_every_test_of_a_fold_lies_behind_its_training(lake: Lake, small_lake: Any) -> None:
    spans = view_model(lake, small_lake.model_id).fold_spans
    ends = spans.filter(part="train").group_by("fold").agg(pl.col("last_timestamp").max().alias("end"))
    starts = spans.filter(part="test").group_by("fold").agg(pl.col("first_timestamp").min().alias("start"))
    both = ends.join(starts, on="fold")
    assert both.height == 2
    assert both.select((pl.col("end") < pl.col("start")).all()).item()


def test_every_prediction_is_in_the_histogram_and_importance_falls(lake: Lake, small_lake: Any) -> None:
    view = view_model(lake, small_lake.model_id)
    written = pl.read_parquet(view.model.path / "predictions.parquet")["prediction"].drop_nulls().drop_nans()
    assert view.predictions["bars"].sum() == written.len()
    assert view.importance["importance"].is_sorted(descending=True)


def test_all_rows_and_each_fold_have_a_score_in_every_measure(lake: Lake, small_lake: Any) -> None:
    scores = view_model(lake, small_lake.model_id).fold_scores
    assert scores.group_by("metric").len()["len"].unique().to_list() == [3]
    assert scores["test"].unique(maintain_order=True).to_list()[0] == "all test rows"


def test_models_are_listed_newest_first_and_named_by_what_they_predict(lake: Lake, small_lake: Any) -> None:
    models = list_models(lake)
    assert models["model"].to_list() == [small_lake.model_id]
    assert names_of_models(models)[small_lake.model_id].startswith(f"{small_lake.symbols[0]} direction 5, ")
    assert list_models(lake, symbol=small_lake.symbols[1]).is_empty()


def test_a_changed_table_is_not_shown_and_an_unknown_id_is_told(small_lake: Any, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(small_lake.root, root)
    with barlake.open(root) as own:
        table = view_model(own, small_lake.model_id).model.path / "importance.parquet"
        table.write_bytes(table.read_bytes()[:-1] + b"x")
        with pytest.raises(FormatError, match=r"importance\.parquet"):
            view_model(own, small_lake.model_id)
        with pytest.raises(NotFoundError, match="not in the lake"):
            card_of(own, "ffff")


def test_a_model_of_the_first_release_is_shown_by_its_verdict(tmp_path: Path) -> None:
    with tarfile.open(OLDER_LAKE) as archive:
        archive.extractall(tmp_path, filter="data")
    with barlake.open(tmp_path / "lake") as own:
        (model,) = list_models(own)["model"]
        view = view_model(own, model)
        assert count_older_runs(own) == 2
    assert (view.title, view.task) == ("SYNA: direction over 5 minutes, logistic", Task.CLASSIFICATION)
    assert view.judgement is Judgement.FAILS
    assert str(view.judgement) in view.verdict
    assert (view.scores.height, view.fold_scores.height, view.has_card) == (0, 0, False)
    assert view.predictions["bars"].sum() > 0


def test_a_model_without_tables_is_shown_with_what_it_has(small_lake: Any, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(small_lake.root, root)
    with barlake.open(root) as own:
        model = own.artifacts.find(ArtifactKind.MODEL, small_lake.model_id)
        with own.artifacts.create(
            ArtifactKind.MODEL, "0" * 16, parameters=model.parameters, inputs=model.inputs, code=model.code
        ) as draft:
            draft.results.update(model.results)
        view = view_model(own, "0" * 16)
    assert (view.predictions.height, view.importance.height, view.fold_spans.height) == (0, 0, 0)
    assert view.tries is None
    assert view.scores.height == 5
