"""`barlake models`: list, show, compare, delete, export, import; and `barlake repro`."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import barlake
from barlake.keys import ArtifactKind
from feature_service.build import build_features
from simulation_service.plan import ModelSource, SimulationPlan
from simulation_service.simulate import simulate
from training_service.train import train


@pytest.fixture(scope="module")
def trained(bars_alone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A lake with two models of SPY, one of QQQ, and a run of the first."""
    root = tmp_path_factory.mktemp("trained") / "lake"
    shutil.copytree(bars_alone, root)
    with barlake.open(root) as lake:
        build_features(lake, ["SPY", "QQQ"])
        ids = {
            "one": train(lake, "SPY", folds=2).model_id,
            "other": train(lake, ["SPY", "QQQ"], folds=2).model_id,
            "qqq": train(lake, "QQQ", folds=2, target="return").model_id,
        }
        ids["run"] = simulate(lake, SimulationPlan(("SPY",), ModelSource(ids["one"]))).run_id
    return root, ids


@pytest.fixture
def lake_root(trained: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    root = tmp_path / "lake"
    shutil.copytree(trained[0], root)
    return root


@pytest.fixture
def ids(trained: tuple[Path, dict[str, str]]) -> dict[str, str]:
    return trained[1]


def test_the_list_has_one_row_per_model_with_a_score_beside_its_baseline(
    cli: Any, lake_root: Path, ids: dict[str, str]
) -> None:
    rows = cli("models", "list", "--root", lake_root, "--json").data
    assert [row["model"] for row in rows] == [ids["one"], ids["other"], ids["qqq"]]
    assert all(isinstance(row["value"], float) and isinstance(row["baseline"], float) for row in rows)
    only = cli("models", "list", "--symbol", "qqq", "--root", lake_root, "--json").data
    assert [row["symbols"] for row in only] == ["QQQ"]
    assert ids["one"] in cli("models", "list", "--root", lake_root).out


def test_an_empty_lake_says_how_to_get_a_model(cli: Any, tmp_path: Path) -> None:
    done = cli("models", "list", "--root", tmp_path / "empty")
    assert (done.code, "barlake train SPY" in done.out) == (0, True)


def test_show_tells_what_a_model_is_and_where_its_card_lies(cli: Any, lake_root: Path, ids: dict[str, str]) -> None:
    done = cli("models", "show", ids["one"][:8], "--root", lake_root)
    assert done.code == 0
    card = Path(done.out.rsplit("card: ", 1)[1].strip())
    assert card.is_file()
    data = cli("models", "show", ids["one"], "--root", lake_root, "--json").data
    assert (data["id"], data["parameters"]["symbols"]) == (ids["one"], ["SPY"])


def test_a_model_whose_files_are_not_those_that_were_written_is_not_shown(
    cli: Any, lake_root: Path, ids: dict[str, str]
) -> None:
    (lake_root / "models" / ids["one"] / "model.joblib").write_bytes(b"something else")
    done = cli("models", "show", ids["one"], "--root", lake_root)
    assert (done.code, done.out) == (1, "")
    assert "is not the file that was written" in done.errors


def test_compare_shows_only_what_differs_and_says_whether_the_scores_compare(
    cli: Any, lake_root: Path, ids: dict[str, str]
) -> None:
    data = cli("models", "compare", ids["one"], ids["other"], "--root", lake_root, "--json").data
    assert [row["option"] for row in data["options"]] == ["symbols"]
    assert data["same_question"] is True
    assert len(data["scores"]) > 2
    assert (data["rows"], data["shared_rows"]) == ([3900, 3899], 3899)  # QQQ lacks its last minute
    assert "different bars, of which 3,899 are shared" in data["verdict"]
    other = cli("models", "compare", ids["one"], ids["qqq"], "--root", lake_root)
    assert "different questions" in other.out
    assert cli("models", "compare", ids["one"], "--root", lake_root).code == 1


def test_a_model_with_runs_is_deleted_only_with_them(cli: Any, lake_root: Path, ids: dict[str, str]) -> None:
    refused = cli("models", "delete", ids["one"], "--yes", "--root", lake_root)
    assert (refused.code, ids["run"] in refused.errors, "--with-runs" in refused.errors) == (1, True, True)
    done = cli("models", "delete", ids["one"], "--yes", "--with-runs", "--root", lake_root, "--json").data
    assert (done["deleted"], done["runs_deleted"]) == ([ids["one"]], [ids["run"]])
    with barlake.open(lake_root) as lake:
        assert [one.id for one in lake.artifacts.list(ArtifactKind.MODEL)] == [ids["other"], ids["qqq"]]
        assert lake.artifacts.list(ArtifactKind.RUN) == []
        assert ids["one"] not in lake.sql("select * from models").write_csv()


def test_a_model_goes_out_and_into_another_lake(cli: Any, lake_root: Path, ids: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("skops")
    path = tmp_path / "out.skops"
    assert cli("models", "export", ids["one"], path, "--root", lake_root).code == 0
    taken = cli("models", "import", path, "--root", tmp_path / "other", "--json").data
    assert (taken["model"], taken["created"]) == (ids["one"], True)
    again = cli("models", "import", path, "--root", tmp_path / "other")
    assert "was here, nothing was written" in again.out


def test_repro_is_0_for_the_same_bits_and_1_with_the_link_for_others(
    cli: Any, lake_root: Path, ids: dict[str, str]
) -> None:
    same = cli("repro", ids["run"], "--root", lake_root, "--json")
    assert (same.code, same.data["same"]) == (0, True)
    with barlake.open(lake_root) as lake:
        (lake.artifacts.find(ArtifactKind.MODEL, ids["other"]).path / "predictions.parquet").write_bytes(b"other")
    differs = cli("repro", ids["other"], "--root", lake_root)
    assert (differs.code, "the link is files" in differs.out) == (1, True)
