"""Training end to end on a small lake: the artifact, its lineage, and what happens the second time."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import joblib
import polars as pl
import pytest
from rich.console import Console

from barlake.errors import FormatError, InvalidInputError, NotFoundError
from barlake.keys import ArtifactKind, FeatureSetKey
from barlake.lake import Lake
from training_service.again import train_options
from training_service.combinatorial import CombinatorialSpec
from training_service.fold_spec import FoldSpec
from training_service.models import ModelSpec, predict
from training_service.plan import parse_symbols
from training_service.report_text import print_report
from training_service.search_space import Range, SearchKind, SearchSpec
from training_service.train import PREDICTIONS, train

Fill = Callable[..., None]


def tree_of(folder: Path) -> dict[str, int]:
    """Every file below a folder with the instant of its last change."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_an_artifact_holds_predictions_a_model_per_fold_and_one_of_everything(full_lake: Lake) -> None:
    report = train(full_lake, ["SPY", "QQQ"], folds=3)
    artifact = full_lake.artifacts.find(ArtifactKind.MODEL, report.model_id)
    assert sorted(artifact.files) == [
        "card.html", "fold-00.joblib", "fold-01.joblib", "fold-02.joblib", "folds.parquet",
        "importance.parquet", "model.joblib", "predictions.parquet",
    ]  # fmt: skip


def test_the_manifest_says_what_was_asked_and_what_it_came_from(full_lake: Lake) -> None:
    report = train(full_lake, ["SPY", "QQQ"], target="return", horizon=3, estimator="ridge", folds=2, seed=9)
    artifact = full_lake.artifacts.find(ArtifactKind.MODEL, report.model_id)
    expected = {
        "symbols": ["SPY", "QQQ"],
        "feed": "synthetic",
        "feature_set": {"name": "core", "version": "0123456789abcdef"},
        "session": "regular",
        "adjustment": "raw",
        "context": None,
        "target": "return",
        "horizon": 3,
        "estimator": "ridge",
        "estimator_parameters": {},
        "search": None,
        "folds": 2,
        "seed": 9,
    }
    assert {name: artifact.parameters[name] for name in expected} == expected
    assert artifact.seed == 9
    for symbol in ("SPY", "QQQ"):
        snapshot = full_lake.snapshot([symbol]).as_dict()
        assert artifact.inputs["feature_tables"][symbol]["snapshot"]["root_hash"] == snapshot["root_hash"]


def test_the_same_training_again_writes_nothing_and_reports_the_same(full_lake: Lake) -> None:
    first = train(full_lake, ["SPY", "QQQ"], folds=2)
    before = tree_of(full_lake.root / "models")
    second = train(full_lake, ["SPY", "QQQ"], folds=2)
    assert (first.created, second.created) == (True, False)
    assert second.as_dict() == first.as_dict() | {"created": False}
    assert tree_of(full_lake.root / "models") == before


@pytest.mark.parametrize(
    "changed", [{"seed": 1}, {"horizon": 4}, {"folds": 3}, {"target": "return"}, {"symbols": ["SPY"]}]
)
def test_another_option_makes_another_model(full_lake: Lake, changed: dict[str, object]) -> None:
    base: dict[str, object] = {"symbols": ["SPY", "QQQ"], "folds": 2}
    one, other = (train(full_lake, **options) for options in (base, base | changed))  # type: ignore[arg-type]  # options vary in type
    assert one.model_id != other.model_id


def test_other_bars_make_another_model(full_lake: Lake, market: dict[str, pl.DataFrame]) -> None:
    before = train(full_lake, "SPY", folds=2)
    raised = market["SPY"][-1:].with_columns(pl.col("open", "high", "low", "close") + 1)
    full_lake.write_bars(raised, feed="synthetic", symbol="SPY")
    snapshot = full_lake.snapshot(["SPY"]).as_dict()
    key = FeatureSetKey("core", "0123456789abcdef")
    full_lake.feature_tables.write(
        key,
        "SPY",
        full_lake.feature_tables.read(key, "SPY"),
        inputs={"snapshot": snapshot},
        definition=full_lake.feature_tables.definition(key),
    )
    assert train(full_lake, "SPY", folds=2).model_id != before.model_id


def test_another_scikit_learn_makes_another_model(full_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = train(full_lake, "SPY", folds=2)
    monkeypatch.setattr("importlib.metadata.version", lambda _: "99.0")
    assert train(full_lake, "SPY", folds=2).created
    assert train(full_lake, "SPY", folds=2).model_id != before.model_id


def test_stored_predictions_are_what_the_stored_fold_says(full_lake: Lake, tables: dict[str, pl.DataFrame]) -> None:
    report = train(full_lake, "SPY", folds=2)
    stored = pl.read_parquet(report.path / PREDICTIONS)
    columns = tables["SPY"].with_columns(pl.col(report.results["columns"]).cast(pl.Float64))
    for number in (0, 1):
        fold = stored.filter(fold=number)
        rows = columns.filter(pl.col("timestamp").is_in(fold["timestamp"].implode()))
        again = predict(joblib.load(report.path / f"fold-{number:02d}.joblib"), rows.select(report.results["columns"]))
        assert again.tobytes() == fold["prediction"].to_numpy().tobytes()


def test_predictions_are_one_row_per_bar_and_fitted_before_it(full_lake: Lake) -> None:
    stored = pl.read_parquet(train(full_lake, ["SPY", "QQQ"], folds=3).path / PREDICTIONS)
    assert stored["timestamp"].is_sorted()
    assert stored["timestamp"].is_unique().all()
    assert (stored["fitted_before"] <= stored["timestamp"]).all()
    assert stored["symbol"].unique().to_list() == ["SPY"]


def test_nothing_remains_of_a_training_that_fails(full_lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="needs at least 51 sessions, there are 8"):
        train(full_lake, "SPY", folds=50)
    assert tree_of(full_lake.root / "models") == {}
    assert full_lake.artifacts.list(ArtifactKind.MODEL) == []


def test_a_new_model_is_in_the_published_catalogue(full_lake: Lake) -> None:
    report = train(full_lake, "SPY", folds=2)
    assert report.model_id in full_lake.sql("select * from models").write_csv()


def test_the_report_is_plain_json(full_lake: Lake) -> None:
    report = train(full_lake, ["SPY", "QQQ"], folds=2)
    figures = report.as_dict()
    assert figures["join"]["drop_rate_by_symbol"]["QQQ"] > 0
    assert dt.datetime.fromisoformat(figures["folds"][0]["fitted_before"]).tzinfo is not None
    assert figures["next_command"] == f"barlake simulate --model {report.model_id} --symbol SPY"


def test_a_symbol_without_feature_table_is_answered_with_the_command_that_builds_it(lake: Lake, fill: Fill) -> None:
    fill(lake)
    with pytest.raises(NotFoundError, match=r"no feature set 'core' .* `barlake features SPY QQQ`"):
        train(lake, ["SPY", "QQQ"])


def test_a_context_symbol_that_lacks_this_version_is_answered_the_same_way(lake: Lake, fill: Fill) -> None:
    fill(lake, "SPY")
    with pytest.raises(NotFoundError, match=r"symbol 'QQQ' is not in version .* `barlake features SPY QQQ`"):
        train(lake, ["SPY", "QQQ"])


def test_a_symbol_without_bars_is_answered_with_the_nearest(full_lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'SPY'"):
        train(full_lake, "SPYY")


def test_an_index_is_answered_with_the_fund_that_follows_it_and_the_sources_that_have_it(full_lake: Lake) -> None:
    with pytest.raises(NotFoundError, match=r"VIX is an index .* `barlake ingest VIXY` .*yahoo: \^VIX}.*VIXCLS"):
        train(full_lake, "SPY,VIX")


def test_features_of_other_hours_are_not_taken(lake: Lake, fill: Fill) -> None:
    fill(lake, "SPY", session="all")
    with pytest.raises(NotFoundError, match="over session 'regular'"):
        train(lake, "SPY", folds=2)
    assert train(lake, "SPY", folds=2, session="all").parameters["session"] == "all"


def test_the_newest_build_is_taken(full_lake: Lake, fill: Fill) -> None:
    newer = FeatureSetKey("core", "fedcba9876543210")
    fill(full_lake, "SPY", key=newer)
    assert train(full_lake, "SPY", folds=2).parameters["feature_set"]["version"] == newer.version


def test_adjusted_features_built_later_are_trained_on_only_when_asked_for(full_lake: Lake, fill: Fill) -> None:
    adjusted = FeatureSetKey("core", "fedcba9876543210")
    fill(full_lake, "SPY", key=adjusted, adjustment="split")
    as_traded = train(full_lake, "SPY", folds=2)
    assert as_traded.parameters["feature_set"]["version"] == "0123456789abcdef"
    other = train(full_lake, "SPY", folds=2, adjustment="split")
    assert other.parameters["feature_set"]["version"] == adjusted.version
    assert (as_traded.parameters["adjustment"], other.parameters["adjustment"]) == ("raw", "split")
    assert train(full_lake, **train_options(other.parameters)).model_id == other.model_id


def test_where_no_features_are_of_such_prices_the_command_says_how_to_build_them(full_lake: Lake) -> None:
    with pytest.raises(NotFoundError, match=r"adjustment 'all': .* `barlake features SPY QQQ --adjustment all`"):
        train(full_lake, "SPY,QQQ", adjustment="all")


def test_of_builds_with_several_context_symbols_the_newest_is_taken_and_named(
    lake: Lake, fill: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(lake, "SPY", "QQQ", key=FeatureSetKey("full", "01234567"), context="QQQ")
    fill(lake, "SPY", key=FeatureSetKey("full", "89abcdef"), context="IWM")
    report = train(lake, "SPY", folds=2, feature_set="full")
    assert (report.parameters["feature_set"]["version"], report.parameters["context"]) == ("89abcdef", "IWM")
    print_report(report, Console(width=200))
    assert "features full 89abcdef: adjustment raw, regular session, context symbol IWM" in capsys.readouterr().out
    assert "context symbol IWM" in (report.path / "card.html").read_text(encoding="utf-8")
    with pytest.raises(NotFoundError, match="`barlake features SPY QQQ --set full --context IWM`"):
        train(lake, "SPY,QQQ", folds=2, feature_set="full")


def test_a_feature_table_that_was_tampered_with_is_not_trained_on(full_lake: Lake) -> None:
    (path,) = full_lake.feature_tables.paths(FeatureSetKey("core", "0123456789abcdef"), "SPY")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="not the file that was written"):
        train(full_lake, "SPY", folds=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "up"}, "target 'up'"),
        ({"estimator": "ridge"}, "estimator 'ridge' does no classification"),
        ({"horizon": 0}, "horizon 0 is below 1"),
        ({"folds": 0}, "folds 0 is below 1"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"placebo": -1}, "placebo -1 is below 0"),
        ({"session": "night"}, "session 'night'"),
        ({"adjustment": "both"}, "adjustment 'both' is not known: use one of raw, split"),
        ({"symbols": "SPY,SPY"}, "symbol 'SPY' is given twice"),
        ({"symbols": ","}, "no symbol was given"),
    ],
)
def test_a_wrong_option_is_refused_before_any_work(full_lake: Lake, options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        train(full_lake, **({"symbols": "SPY"} | options))  # type: ignore[arg-type]  # options vary in type


def test_symbols_are_read_from_commas_spaces_and_lists() -> None:
    assert parse_symbols("spy, qqq") == parse_symbols(["SPY", "QQQ"]) == parse_symbols(["SPY,QQQ"]) == ("SPY", "QQQ")


def test_features_built_elsewhere_are_read_from_there(lake: Lake, fill: Fill, tmp_path: Path) -> None:
    fill(lake, "SPY")
    (lake.root / "features").rename(tmp_path / "elsewhere")
    lake.settings = lake.settings.model_copy(update={"dest_parquet_dir": tmp_path / "elsewhere"})
    assert train(lake, "SPY", folds=2).created


def test_what_a_manifest_holds_is_enough_to_ask_for_the_same_training(full_lake: Lake) -> None:
    search = SearchSpec(SearchKind.RANDOM, {"alpha": Range(1.0, 9.0)}, candidates=2, inner_folds=1)
    report = train(
        full_lake,
        "SPY",
        target="return",
        estimator=ModelSpec("ridge", {"fit_intercept": False}, select=2),
        search=search,
        folds=FoldSpec.parse(2, window="rolling", train_sessions=3, embargo_sessions=1),
        seed=3,
    )
    again = train(full_lake, **train_options(report.parameters))
    assert (again.model_id, again.created) == (report.model_id, False)


def test_a_refit_schedule_is_in_the_manifest_and_every_later_session_is_predicted_by_it(full_lake: Lake) -> None:
    steps: list[tuple[int, int]] = []
    report = train(
        full_lake,
        "SPY",
        folds=FoldSpec.parse(refit="2-sessions"),
        progress=lambda _, done, total: steps.append((done, total)),
    )
    assert (report.parameters["refit"], report.parameters["folds"]) == ("2-sessions", None)
    sessions = full_lake.bars("SPY")["session"].unique().sort().to_list()
    predicted = pl.read_parquet(report.path / PREDICTIONS).group_by("fold", maintain_order=True).agg("session")
    assert [sorted(set(days)) for days in predicted["session"].to_list()] == [
        sessions[at : at + 2] for at in range(2, len(sessions), 2)
    ]
    assert steps[-1] == (predicted.height + 2, predicted.height + 2)
    assert train(full_lake, **train_options(report.parameters)).model_id == report.model_id


def test_every_fold_and_the_last_model_tell_what_their_search_tried(full_lake: Lake) -> None:
    search = SearchSpec(SearchKind.GRID, {"alpha": (1.0, 1e4)}, inner_folds=1)
    report = train(full_lake, "SPY", target="return", estimator="ridge", search=search, folds=2)
    for model in (report.results["model"], *(fold["model"] for fold in report.results["folds"])):
        assert [one["parameters"] for one in model["search"]["tried"]] == [{"alpha": 1.0}, {"alpha": 1e4}]
        assert model["search"]["best"] in ({"alpha": 1.0}, {"alpha": 1e4})


def test_a_training_is_a_trial_with_its_scores_and_returns(full_lake: Lake) -> None:
    report = train(full_lake, ["SPY", "QQQ"], folds=3)
    row = full_lake.trials.frame("synthetic SPY").row(0, named=True)
    assert (row["kind"], row["status"], row["fits"]) == ("training", "finished", 4)
    assert row["artifact_id"] == report.model_id
    assert json.loads(row["parameters"]) == report.parameters
    assert json.loads(row["scores"]) == report.results["overall"]
    assert row["sharpe"] == pytest.approx(report.results["overall"]["metrics"]["session_sharpe"]["value"])
    predicted = pl.read_parquet(report.path / PREDICTIONS)["session"].unique().sort()
    assert full_lake.trials.returns("synthetic SPY")["session"].to_list() == predicted.to_list()
    assert full_lake.sql("select status from trials").rows() == [("finished",)]


def test_a_model_that_exists_is_no_other_trial(full_lake: Lake) -> None:
    for _ in range(2):
        train(full_lake, "SPY", folds=2)
    assert full_lake.trials.frame().height == 1


def test_a_training_that_fails_is_a_trial_too(full_lake: Lake) -> None:
    with pytest.raises(InvalidInputError):
        train(full_lake, "SPY", folds=50)
    row = full_lake.trials.frame().row(0, named=True)
    assert (row["status"], row["fits"], row["artifact_id"]) == ("failed", 0, None)
    assert "needs at least 51 sessions" in row["error"]


def test_candidates_of_a_search_are_trials_of_their_own_failed_ones_too(full_lake: Lake) -> None:
    search = SearchSpec(SearchKind.GRID, {"alpha": (1.0, -1.0)}, inner_folds=1)
    report = train(full_lake, "SPY", target="return", estimator="ridge", search=search, folds=2)
    trials = full_lake.trials.frame()
    (training,) = trials.filter(kind="training").rows(named=True)
    searched = trials.filter(kind="search")
    assert (training["artifact_id"], training["fits"]) == (report.model_id, 3)
    assert searched["status"].to_list() == ["finished", "failed"] * 3
    assert searched["parent_id"].unique().to_list() == [training["trial_id"]]
    # The same candidate in another fold is the same try.
    assert searched["fingerprint"].n_unique() == 2
    assert "alpha" in searched["error"][1]


def test_other_histories_are_scored_and_their_folds_kept(full_lake: Lake) -> None:
    report = train(full_lake, "SPY", target="return", estimator="ridge", folds=2, combinatorial=CombinatorialSpec(4, 2))
    paths, ranges = (pl.read_parquet(report.path / name) for name in ("paths.parquet", "path_folds.parquet"))
    assert paths["path"].n_unique() == 3
    assert ranges["fold"].n_unique() == 6
    spread = report.results["combinatorial"]["metrics"]["rmse"]
    assert spread["low"] <= spread["median"] <= spread["high"]
    assert spread["high"] == paths.filter(metric="rmse")["value"].max()
    again = train(full_lake, **train_options(report.parameters))
    assert (again.model_id, again.created) == (report.model_id, False)


def test_placebos_are_told_beside_the_model_and_are_no_draw_of_its_study(full_lake: Lake) -> None:
    report = train(full_lake, "SPY", folds=2, estimator="logistic", placebo=3)
    assert report.placebo is not None
    assert len(report.placebo.placebos) == 3
    assert report.placebo.value == report.results["overall"]["metrics"]["auc"]["value"]
    rows = full_lake.trials.frame().select("kind", "status", "fits", "artifact_id").rows()
    assert rows == [("training", "finished", 3, report.model_id), ("placebo", "finished", 6, report.model_id)]
    assert report.deflation is not None
    assert report.deflation.trials == 1
    again = train(full_lake, "SPY", folds=2, estimator="logistic", placebo=3)
    assert (again.created, again.placebo) == (False, report.placebo)


def test_a_second_try_makes_the_first_one_worth_less(full_lake: Lake) -> None:
    first, _ = (train(full_lake, "SPY", folds=2, estimator="logistic", horizon=horizon) for horizon in (5, 3))
    again = train(full_lake, "SPY", folds=2, estimator="logistic")
    assert first.deflation is not None
    assert again.deflation is not None
    assert (first.deflation.trials, again.deflation.trials) == (1, 2)
    assert again.deflation.probability < first.deflation.probability
