"""Artifacts: complete or absent, made once, named by what they came from, and refused when tampered with."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import barlake
from barlake import errors, keys
from barlake.artifacts import ArtifactStore, artifact_id, canonical_json, code_hash
from barlake.errors import FormatError, NotFoundError, StorageError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.settings import Settings

pytestmark = pytest.mark.both_databases

MODEL, RUN = ArtifactKind.MODEL, ArtifactKind.RUN
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)

MAKER = """
import sys
from pathlib import Path
import barlake
from barlake.keys import ArtifactKind
from barlake.settings import Settings

with barlake.open(Path(sys.argv[1]), settings=Settings(_env_file=None)) as lake:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(10):
        with lake.artifacts.create(ArtifactKind.RUN, f"{number:016x}", parameters={}, inputs={}, code="") as draft:
            (draft.path / "by.txt").write_text(sys.argv[2])
            draft.results["by"] = sys.argv[2]
"""


def make(lake: Lake, name: str = "0123456789abcdef", text: str = "weights", **results: Any) -> None:
    with lake.artifacts.create(MODEL, name, parameters={"c": 1.5}, inputs={"bars": "ab"}, code="cd", seed=7) as draft:
        (draft.path / "deep").mkdir()
        (draft.path / "model.joblib").write_text(text)
        (draft.path / "deep" / "fold.joblib").write_text("fold")
        draft.results.update(results)


def folders(lake: Lake) -> list[str]:
    return sorted(path.name for path in (lake.root / "models").iterdir() if path.is_dir())


def test_an_artifact_comes_back_as_it_was_made(lake: Lake) -> None:
    make(lake, score=0.5)
    found = lake.artifacts.get(MODEL, "0123456789abcdef")
    assert found is not None
    assert (found.parameters, found.inputs, found.code, found.seed) == ({"c": 1.5}, {"bars": "ab"}, "cd", 7)
    assert found.results == {"score": 0.5}
    assert set(found.files) == {"model.joblib", "deep/fold.joblib"}
    assert found.files["model.joblib"]["bytes"] == 7
    assert {"python", "polars", "barlake"} <= set(found.libraries)
    assert json.loads((found.path / "manifest.json").read_text())["results"] == {"score": 0.5}
    assert ArtifactStore.verified_file(found, "deep/fold.joblib").read_text() == "fold"
    assert folders(lake) == ["0123456789abcdef"]


def test_the_same_id_again_writes_nothing(lake: Lake) -> None:
    make(lake, score=1)
    before = {path: path.stat().st_mtime_ns for path in (lake.root / "models").rglob("*") if path.name != ".lock"}
    make(lake, text="other weights", score=2)
    after = {path: path.stat().st_mtime_ns for path in (lake.root / "models").rglob("*") if path.name != ".lock"}
    assert {path: before[path] for path in after if path.is_file()} == {
        path: stamp for path, stamp in after.items() if path.is_file()
    }
    assert lake.artifacts.find(MODEL, "0123").results == {"score": 1}
    assert len(lake.artifacts.list(MODEL)) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_remains_of_one_that_was_not_finished(lake: Lake, error: type[BaseException]) -> None:
    def half() -> None:
        with lake.artifacts.create(MODEL, "ab", parameters={}, inputs={}, code="") as draft:
            (draft.path / "half.txt").write_text("half")
            raise error

    with pytest.raises(error):
        half()
    assert folders(lake) == []
    assert lake.artifacts.list(MODEL) == []


def test_a_figure_that_is_not_finite_is_null_in_strict_json(lake: Lake) -> None:
    make(lake, score=float("nan"), folds=[1.5, float("inf"), (float("-inf"),)], deep={"a": float("nan")})

    def refuse(word: str) -> None:
        raise AssertionError(word)

    text = (lake.root / "models" / "0123456789abcdef" / "manifest.json").read_text()
    found = json.loads(text, parse_constant=refuse)["results"]
    assert found == {"score": None, "folds": [1.5, None, [None]], "deep": {"a": None}}
    assert lake.artifacts.find(MODEL, "0123").results == found


def test_what_the_disk_refuses_a_draft_is_a_storage_error_and_other_errors_stay_what_they_are(
    lake: Lake, tmp_path: Path
) -> None:
    def half(error: OSError | None = None) -> None:
        with lake.artifacts.create(MODEL, "ab", parameters={}, inputs={}, code="") as draft:
            if error is not None:
                raise error
            (draft.path / "no" / "folder").write_text("half")

    with pytest.raises(StorageError, match=r"cannot write .*/models/ab: No such file"):
        half()
    with pytest.raises(StorageError, match="free space"):
        half(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(FileNotFoundError):
        half(FileNotFoundError(errno.ENOENT, "gone", str(tmp_path / "input.csv")))
    assert folders(lake) == []


def test_a_folder_that_was_never_registered_does_not_exist_and_is_replaced(lake: Lake) -> None:
    left = lake.root / "models" / "0123456789abcdef"
    left.mkdir(parents=True)
    (left / "half.txt").write_text("left by a crash")
    assert lake.artifacts.get(MODEL, left.name) is None
    make(lake)
    assert not (left / "half.txt").exists()
    assert lake.artifacts.get(MODEL, left.name) is not None


def test_an_artifact_whose_folder_was_deleted_can_be_made_again(lake: Lake) -> None:
    make(lake, score=1)
    shutil.rmtree(lake.root / "models" / "0123456789abcdef")
    assert lake.artifacts.list(MODEL) == []
    make(lake, score=2)
    assert lake.artifacts.find(MODEL, "0123456789abcdef").results == {"score": 2}


def test_a_file_that_was_changed_added_or_deleted_is_not_loaded(lake: Lake) -> None:
    make(lake)
    found = lake.artifacts.find(MODEL, "0")
    (found.path / "model.joblib").write_text("WEIGHTS")
    (found.path / "deep" / "fold.joblib").unlink()
    (found.path / "new.joblib").write_text("x")
    for name, message in [
        ("model.joblib", "SHA-256 differs"),
        ("deep/fold.joblib", "is gone"),
        ("new.joblib", "was not written by this lake"),
    ]:
        with pytest.raises(FormatError, match=message):
            ArtifactStore.verified_file(found, name)


def test_a_manifest_rewritten_on_disk_does_not_make_a_file_ours(lake: Lake) -> None:
    make(lake)
    folder = lake.artifacts.find(MODEL, "0").path
    (folder / "model.joblib").write_text("evil")
    (folder / "manifest.json").write_text((folder / "manifest.json").read_text().replace("weights", "evil"))
    with pytest.raises(FormatError, match="SHA-256 differs"):
        ArtifactStore.verified_file(lake.artifacts.find(MODEL, "0"), "model.joblib")


def test_the_newest_may_be_asked_for_without_its_id(lake: Lake) -> None:
    with pytest.raises(NotFoundError, match=r"model 'newest' is not in the lake\. Newest: none yet"):
        lake.artifacts.find(MODEL, "newest")
    make(lake, "bb")
    make(lake, "aa")
    assert lake.artifacts.find(MODEL, "newest").id == "aa"


def test_an_id_may_be_shortened_while_it_names_one(lake: Lake) -> None:
    make(lake, "aa11")
    make(lake, "aa22")
    assert lake.artifacts.find(MODEL, "aa1").id == "aa11"
    with pytest.raises(NotFoundError, match=r"model 'aa' names 2 of them \(aa11, aa22\): give more digits"):
        lake.artifacts.find(MODEL, "aa")
    with pytest.raises(NotFoundError, match=r"model 'bb' is not in the lake\. Newest: aa22, aa11"):
        lake.artifacts.find(MODEL, "bb")
    with pytest.raises(NotFoundError, match="Newest: none yet"):
        lake.artifacts.find(RUN, "aa")
    with pytest.raises(NotFoundError):
        lake.artifacts.find(MODEL, "")


def test_a_deleted_artifact_is_gone_and_the_others_stay(lake: Lake) -> None:
    make(lake, "aa11")
    make(lake, "aa22", text="more weights")
    leaving = lake.artifacts.find(MODEL, "aa1")
    size = sum(path.stat().st_size for path in leaving.path.rglob("*") if path.is_file())
    assert lake.artifacts.delete(leaving) == size
    assert [one.id for one in lake.artifacts.list(MODEL)] == ["aa22"]
    assert folders(lake) == ["aa22"]
    make(lake, "aa11")
    assert lake.artifacts.find(MODEL, "aa1").results == {}


def test_an_artifact_stops_counting_before_its_files_go(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    make(lake)

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        with pytest.raises(StorageError, match="Permission denied"):
            lake.artifacts.delete(lake.artifacts.find(MODEL, "0"))
    assert lake.artifacts.list(MODEL) == []
    (left,) = folders(lake)
    assert left.startswith(".tmp-")


def test_two_processes_making_the_same_artifacts_make_each_once(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, str(root), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    ]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    for maker in makers:
        maker.communicate(timeout=60)
        assert maker.returncode == 0
    with barlake.open(root, settings=Settings(_env_file=None)) as lake:
        made = lake.artifacts.list(RUN)
        assert len(made) == 10
        for artifact in made:
            assert ArtifactStore.verified_file(artifact, "by.txt").read_text() == artifact.results["by"]
        assert not list((root / "runs").glob(".tmp-*"))


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_an_id_does_not_know_the_order_of_keys(parameters: dict[str, Any]) -> None:
    turned = dict(reversed(list(parameters.items())))
    ids = {artifact_id(parameters=given, inputs={}, code="c") for given in (parameters, turned)}
    assert len(ids) == 1
    assert json.loads(canonical_json(parameters)) == parameters


def test_an_id_knows_parameters_inputs_and_code_apart() -> None:
    ids = {
        artifact_id(parameters={"a": 1}, inputs={}, code=""),
        artifact_id(parameters={"a": 2}, inputs={}, code=""),
        artifact_id(parameters={}, inputs={"a": 1}, code=""),
        artifact_id(parameters={"a": 1}, inputs={}, code="c"),
        artifact_id(parameters={"a": "1"}, inputs={}, code=""),
    }
    assert len(ids) == 5
    assert all(len(one) == 16 for one in ids)


def test_the_hash_of_code_does_not_know_the_order_of_modules() -> None:
    assert code_hash(errors, keys) == code_hash(keys, errors) != code_hash(errors)
