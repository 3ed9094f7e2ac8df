"""A run, its model and its features are made again from the bars to the bit, and the lake stays as it was."""

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

import barlake
from app.repro.chain import reproduce
from app.repro.report import Link, ReproReport
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.build import build_features
from simulation_service.plan import FileSource, ModelSource, SimulationPlan, StrategySource
from simulation_service.simulate import simulate
from training_service.train import train


@dataclass(frozen=True)
class Loop:
    """A lake that the whole loop went through."""

    lake: Lake
    version: str
    model: str
    run: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("loop")
    sessions = Calendar.default().in_range(dt.date(2024, 1, 1), dt.date(2024, 1, 13))["session"].to_list()
    with barlake.open(root) as lake:
        for seed, symbol in enumerate(("SPY", "QQQ")):
            lake.write_bars(make_bars(sessions, seed=seed), feed="synthetic", symbol=symbol)
        version = build_features(lake, ["SPY", "QQQ"]).symbols[0].version
        model = train(lake, ["SPY", "QQQ"], estimator="logistic", folds=2).model_id
        run = simulate(lake, SimulationPlan(("SPY",), ModelSource(model))).run_id
    return root, {"version": version, "model": model, "run": run}


@pytest.fixture
def loop(made: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[Loop]:
    root = tmp_path / "lake"
    shutil.copytree(made[0], root)
    with barlake.open(root) as lake:
        yield Loop(lake, **made[1])


def results(report: ReproReport) -> list[bool | None]:
    return [step.same for step in report.steps]


def causes(report: ReproReport) -> set[Link]:
    return {cause.link for step in report.steps for cause in step.causes}


def files_of(root: Path) -> dict[str, int]:
    kept = ("features", "models", "runs", "bars", "duckdb")
    return {
        str(path): path.stat().st_mtime_ns
        for name in kept
        for path in (root / name).rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def one_close_changed(lake: Lake) -> None:
    bars = lake.bars("SPY")[-1:].drop("session", "symbol", strict=False)
    changed = bars.with_columns(pl.col("high") + 1, pl.col("close") + 1)
    lake.write_bars(changed, feed="synthetic", symbol="SPY")


def test_a_run_is_made_again_from_the_bars_to_the_bit_and_the_lake_stays_as_it_was(loop: Loop) -> None:
    before = files_of(loop.lake.root)
    told: list[tuple[str, int, int]] = []
    report = reproduce(loop.lake, loop.run[:6], progress=lambda *step: told.append(step))
    assert (report.same, results(report), causes(report)) == (True, [True] * 4, set())
    assert [step.what.split(" ")[0] for step in report.steps] == ["features", "features", "model", "run"]
    assert [done for _, done, _ in told] == [0, 1, 2, 3]
    assert files_of(loop.lake.root) == before


def test_a_feature_version_is_made_again_for_every_symbol(loop: Loop) -> None:
    report = reproduce(loop.lake, loop.version)
    assert (report.kind, results(report)) == ("feature set core", [True, True])


def test_after_the_bars_have_changed_everything_is_still_made_again_from_those_of_its_time(loop: Loop) -> None:
    one_close_changed(loop.lake)
    report = reproduce(loop.lake, loop.run)
    assert results(report) == [True] * 4
    assert [bool(step.note) for step in report.steps] == [True, False, False, True]


def test_a_model_whose_feature_tables_were_built_anew_is_made_again_from_the_bars_of_its_time(loop: Loop) -> None:
    one_close_changed(loop.lake)
    assert build_features(loop.lake, ["SPY", "QQQ"]).files_written
    report = reproduce(loop.lake, loop.model)
    assert results(report) == [True] * 3
    assert report.steps[-1].note.startswith("its bars have changed since")


def test_a_model_of_adjusted_prices_is_made_again_of_adjusted_prices(loop: Loop) -> None:
    build_features(loop.lake, ["SPY"], adjustment="all")
    model = train(loop.lake, "SPY", estimator="logistic", folds=2, adjustment="all").model_id
    assert results(reproduce(loop.lake, model)) == [True, True]
    one_close_changed(loop.lake)
    build_features(loop.lake, ["SPY", "QQQ"])
    build_features(loop.lake, ["SPY"], adjustment="all")
    assert results(reproduce(loop.lake, model)) == [True, True]


def test_a_tampered_model_is_named_with_its_file(loop: Loop) -> None:
    (loop.lake.artifacts.find(ArtifactKind.MODEL, loop.model).path / "fold-01.joblib").write_bytes(b"other")
    report = reproduce(loop.lake, loop.model)
    assert results(report) == [True, True, False]
    assert causes(report) == {Link.FILES}
    assert "fold-01.joblib" in report.steps[-1].causes[0].what


def test_other_code_without_effect_is_told_and_the_bits_are_the_same(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_service.code.code_hash", lambda *_: "0" * 64)
    report = reproduce(loop.lake, loop.model)
    assert report.steps[-1].differs in {(), ("card.html",)}  # the card shows the hash of the code
    assert causes(report) == {Link.CODE}


def test_another_library_is_told(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = loop.lake.artifacts.find(ArtifactKind.RUN, loop.run).libraries
    monkeypatch.setattr("barlake.artifacts.library_versions", lambda: {**stored, "numba": "0.0.1"})
    step = reproduce(loop.lake, loop.run).steps[-1]
    assert step.same is True
    assert [cause.what for cause in step.causes] == [f"numba was {stored['numba']}, installed is 0.0.1"]


NOISY = """
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.impute import SimpleImputer

class Noisy(LogisticRegression):
    def fit(self, columns, label):
        super().fit(columns, label)
        self.coef_ = self.coef_ + np.random.default_rng().normal(size=self.coef_.shape)
        return self

def make_pipeline():
    return Pipeline([("imputer", SimpleImputer(keep_empty_features=True)), ("model", Noisy(solver="newton-cholesky"))])
"""


def test_a_model_that_draws_without_the_seed_is_found_out(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noisy_steps.py").write_text(NOISY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    model = train(loop.lake, "SPY", estimator="noisy_steps:make_pipeline", folds=2, seed=3).model_id
    step = reproduce(loop.lake, model).steps[-1]
    assert (step.same, [cause.link for cause in step.causes]) == (False, [Link.SEED])
    assert "predictions.parquet" in step.differs


def test_a_run_of_a_file_needs_the_file(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "signals.csv"
    stamps = loop.lake.bars("SPY")["timestamp"][:50].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    pl.DataFrame({"timestamp": stamps, "signal": [1, 0] * 25}).write_csv(path)
    run = simulate(loop.lake, SimulationPlan(("SPY",), FileSource(path))).run_id
    with pytest.raises(InvalidInputError, match=r"'signals.csv', which the lake does not hold: name it with --signals"):
        reproduce(loop.lake, run)
    assert results(reproduce(loop.lake, run, signals=path)) == [True]
    pl.DataFrame({"timestamp": stamps, "signal": [0, 1] * 25}).write_csv(path)
    report = reproduce(loop.lake, run, signals=path)
    assert not report.same
    assert report.steps[0].causes[0].what.startswith("signals_sha256 was")


OWN = """
from simulation_service.strategies.base import Strategy

class Last(Strategy):
    def signals(self, bars):
        return bars["close"] - bars["close"].shift(30)
"""


def test_a_run_of_ones_own_strategy_needs_its_file_as_it_was(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    run = simulate(loop.lake, SimulationPlan(("SPY",), StrategySource(str(path))))
    assert results(reproduce(loop.lake, run.run_id)) == [True]
    path.write_text(OWN.replace("30", "31"))
    changed = reproduce(loop.lake, run.run_id)
    assert (results(changed), causes(changed)) == ([False], {Link.CODE})
    assert changed.steps[0].causes[0].what.startswith(f"strategy was {run.run.inputs['strategy']}, now it is")
    assert loop.lake.strategies.frame().height == 1
    path.unlink()
    absent = reproduce(loop.lake, run.run_id)
    assert (results(absent), causes(absent)) == ([None], {Link.CODE})
    assert "own.py cannot be read" in absent.steps[0].causes[0].what
    assert "--source" in absent.steps[0].causes[0].what


def test_an_id_that_names_nothing_or_too_much_is_answered_with_what_there_is(loop: Loop) -> None:
    with pytest.raises(NotFoundError, match=rf"no feature version, model or run of the lake.*{loop.run}"):
        reproduce(loop.lake, "nothing")
    with pytest.raises(NotFoundError, match="no feature version"):
        reproduce(loop.lake, "")
    copy = loop.lake.artifacts.find(ArtifactKind.RUN, loop.run)
    with loop.lake.artifacts.create(ArtifactKind.MODEL, copy.id, parameters={}, inputs={}, code=""):
        pass
    with pytest.raises(NotFoundError, match=rf"names 2 things \(model {copy.id}, run {copy.id}\): give more digits"):
        reproduce(loop.lake, copy.id)
