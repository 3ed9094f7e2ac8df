"""Models go to others and come back without pickle, and nothing that is not on a list is built."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from barlake.errors import FormatError, InvalidInputError, NotFoundError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.testing import temporary_lake
from training_service.exchange import KNOWN_TYPES, export_model, import_model
from training_service.load import load_model
from training_service.models import fitted_columns
from training_service.train import train

skops_io = pytest.importorskip("skops.io")


@pytest.fixture
def other() -> Iterator[Lake]:
    """The empty lake of somebody else."""
    with temporary_lake() as empty:
        yield empty


@pytest.fixture
def exported(full_lake: Lake, tmp_path: Path) -> tuple[str, Path]:
    model = train(full_lake, ["SPY", "QQQ"], folds=2).model_id
    return model, export_model(full_lake, model, tmp_path / "model.skops").path


def rewritten(path: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    """The same file with one member changed."""
    target = path.with_name("changed.skops")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as bundle:
        for name in source.namelist():
            data = source.read(name)
            bundle.writestr(name, change(data) if name == member else data)
    return target


def with_model(path: Path, pipeline: Pipeline) -> Path:
    """The same export with another model in it."""
    target = path.with_name("trap.skops")
    skops_io.dump(pipeline, target)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "a") as bundle:
        for name in source.namelist():
            if name.startswith("barlake/"):
                bundle.writestr(name, source.read(name))
    return target


def test_a_model_comes_back_in_another_lake_under_its_id_with_its_tables(
    full_lake: Lake, other: Lake, exported: tuple[str, Path]
) -> None:
    model, path = exported
    done = import_model(other, path)
    assert (done.model_id, done.created) == (model, True)
    ours, theirs = (lake.artifacts.find(ArtifactKind.MODEL, model) for lake in (full_lake, other))
    assert set(theirs.files) == set(ours.files)
    assert (theirs.parameters, theirs.inputs, theirs.code, theirs.seed) == (
        ours.parameters, ours.inputs, ours.code, ours.seed,
    )  # fmt: skip
    for name in ours.files:
        if name != "card.html":
            assert theirs.files[name]["sha256"] == ours.files[name]["sha256"], name
    assert theirs.results["imported"]["file"] == "model.skops"
    assert "imported" not in ours.results
    assert load_model(other, model, name="fold-01.joblib").steps


def test_plain_skops_reads_the_model_of_an_export(full_lake: Lake, exported: tuple[str, Path]) -> None:
    model, path = exported
    opened = skops_io.load(path, trusted=sorted(KNOWN_TYPES & set(skops_io.get_untrusted_types(file=path))))
    assert fitted_columns(opened) == fitted_columns(load_model(full_lake, model)) != []


def test_an_import_of_what_is_here_writes_nothing(full_lake: Lake, exported: tuple[str, Path]) -> None:
    model, path = exported
    done = import_model(full_lake, path)
    assert (done.model_id, done.created) == (model, False)
    assert "imported" not in full_lake.artifacts.find(ArtifactKind.MODEL, model).results


def test_code_in_a_file_is_refused_by_its_name(other: Lake, exported: tuple[str, Path]) -> None:
    trap = Pipeline([("run", FunctionTransformer(os.system)), ("model", LogisticRegression())])
    path = with_model(exported[1], trap)
    with pytest.raises(InvalidInputError, match=r"would build posix\.system.*--trust posix\.system"):
        import_model(other, path)
    assert other.artifacts.list(ArtifactKind.MODEL) == []


def test_trust_is_given_name_by_name(other: Lake, exported: tuple[str, Path]) -> None:
    trap = with_model(exported[1], Pipeline([("run", FunctionTransformer(os.system)), ("model", LogisticRegression())]))
    with pytest.raises(InvalidInputError, match=r"posix\.system"):
        import_model(other, trap, trust=["posix", "os.system", "posix.*"])


@pytest.mark.parametrize(
    ("member", "old", "new", "message"),
    [
        ("barlake/manifest.json", b'"seed": 0', b'"seed": 1', "parameters, inputs or code were changed"),
        ("barlake/predictions.parquet", b"PAR1", b"PAR2", "predictions.parquet .* not the table"),
        ("barlake/probe.json", b".", b".9", "answers the same 64 made-up rows otherwise"),
        ("barlake/fold-00.skops", b"PK", b"XX", "cannot be read as skops"),
        ("schema.json", b"Pipeline", b"Nonsense", "cannot be read as skops|would build"),
        ("barlake/manifest.json", b"{", b"", "no whole manifest"),
    ],
)
def test_a_file_that_was_changed_is_refused_and_nothing_is_written(
    other: Lake, exported: tuple[str, Path], member: str, old: bytes, new: bytes, message: str
) -> None:
    path = rewritten(exported[1], member, lambda data: data.replace(old, new, 1))
    with pytest.raises((FormatError, InvalidInputError), match=message):
        import_model(other, path)
    assert other.artifacts.list(ArtifactKind.MODEL) == []
    assert [one.name for one in (other.root / "models").glob("*") if one.is_dir()] == []


def test_a_file_cannot_write_outside_of_the_models_folder(other: Lake, exported: tuple[str, Path]) -> None:
    def escape(data: bytes) -> bytes:
        manifest: dict[str, Any] = json.loads(data)
        manifest["files"]["../../evil.parquet"] = manifest["files"]["predictions.parquet"]
        return json.dumps(manifest).encode()

    with pytest.raises(FormatError, match="outside of a model's folder"):
        import_model(other, rewritten(exported[1], "barlake/manifest.json", escape))


def test_other_versions_of_the_libraries_are_refused_at_the_door(
    other: Lake, exported: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "99.0")
    with pytest.raises(FormatError, match=r"was fitted with scikit-learn .* \(installed is 99\.0\)"):
        import_model(other, exported[1])


def test_a_file_of_any_other_kind_is_refused(other: Lake, tmp_path: Path) -> None:
    (tmp_path / "no.skops").write_text("no zip")
    skops_io.dump(LogisticRegression(), tmp_path / "bare.skops")
    for name, message in (("no", "not a skops file"), ("bare", "not one that `barlake models export` wrote")):
        with pytest.raises(InvalidInputError, match=message):
            import_model(other, tmp_path / f"{name}.skops")
    with pytest.raises(NotFoundError, match="is not a file"):
        import_model(other, tmp_path / "gone.skops")


def test_an_export_does_not_overwrite_and_leaves_nothing_half_written(
    full_lake: Lake, exported: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = exported
    with pytest.raises(InvalidInputError, match="exists already"):
        export_model(full_lake, model, path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("skops.io.dumps", interrupted)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        export_model(full_lake, model, folder / "model.skops")
    assert list(folder.iterdir()) == []


def test_a_tampered_model_is_not_exported(full_lake: Lake, tmp_path: Path) -> None:
    report = train(full_lake, "SPY", folds=2)
    shutil.copy(report.path / "predictions.parquet", report.path / "model.joblib")
    with pytest.raises(FormatError, match="not the file that was written"):
        export_model(full_lake, report.model_id, tmp_path / "model.skops")
    assert not (tmp_path / "model.skops").exists()
