"""`barlake prove`: the four proofs over a lake, their exit codes, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

LEAKY = '''"""A set of one's own that looks ahead."""

import polars as pl

from feature_service.declare import feature
from feature_service.feature_set import FeatureSet


@feature(unit="dollars", history_bars=0)
def mean_of_the_day() -> pl.Expr:
    """Mean close of the session."""
    return pl.col("close").mean().over("session")


@feature(unit="dollars", history_bars=1)
def last_close() -> pl.Expr:
    """Close of the bar before."""
    return pl.col("close").shift(1)


MINE = FeatureSet("mine", (last_close.named("last_close"), mean_of_the_day.named("mean_of_the_day")))
'''


@pytest.fixture
def lake(bars_alone: Path, tmp_path: Path) -> Path:
    root = tmp_path / "lake"
    shutil.copytree(bars_alone, root)
    return root


def test_features_that_read_the_past_alone_are_proven(cli: Any, lake: Path) -> None:
    told = cli("prove", "features", "SPY", "--history", "--json", "--root", lake)
    assert (told.code, told.errors) == (0, "")
    assert told.data["clean"] is True
    assert len(told.data["columns"]) == len(told.data["history"]) == 37
    assert {one["verdict"] for one in told.data["columns"]} == {"clean"}
    assert told.data["borders"] > 50


def test_a_leak_is_named_with_its_reach_and_ends_with_exit_code_1(cli: Any, lake: Path, tmp_path: Path) -> None:
    path = tmp_path / "my_features.py"
    path.write_text(LEAKY, encoding="utf-8")
    told = cli("prove", "features", "SPY", "--set", path, "--root", lake)
    assert told.code == 1
    assert "leaks: feature 'mean_of_the_day' at row" in told.errors
    assert "at bars.close" in told.errors
    assert "1 of them do not pass" in told.out
    assert "last_close" not in told.out


def test_such_a_set_is_not_built(cli: Any, lake: Path, tmp_path: Path) -> None:
    path = tmp_path / "my_features.py"
    path.write_text(LEAKY, encoding="utf-8")
    told = cli("features", "SPY", "--set", path, "--root", lake)
    assert told.code == 1
    assert "'mean_of_the_day'" in told.errors
    assert not (lake / "features" / "mine").exists()


def test_labels_are_proven(cli: Any, lake: Path) -> None:
    told = cli("prove", "labels", "SPY", "--target", "triple_barrier", "--horizon", "10", "--root", lake)
    assert (told.code, told.errors) == (0, "")
    assert "nothing looks ahead" in told.out


def test_folds_are_proven(cli: Any, lake: Path) -> None:
    assert cli("features", "SPY", "--root", lake).code == 0
    told = cli("prove", "folds", "SPY", "--folds", "2", "--json", "--root", lake)
    assert (told.code, told.errors) == (0, "")
    assert told.data["tried"]["first bar of a test"] == 2
    told = cli("prove", "folds", "SPY", "--adjustment", "split", "--root", lake)
    assert (told.code, "`barlake features SPY --adjustment split`" in told.errors) == (1, True)
    assert cli("features", "SPY", "--adjustment", "split", "--root", lake).code == 0
    assert cli("prove", "folds", "SPY", "--folds", "2", "--adjustment", "split", "--root", lake).code == 0


def test_a_simulation_is_proven(cli: Any, lake: Path, tmp_path: Path) -> None:
    bars = cli("bars", "SPY", "--json", "--root", lake).data
    rows = "".join(f"{bar['timestamp']},{number // 9 % 2}\n" for number, bar in enumerate(bars))
    path = tmp_path / "signals.csv"
    path.write_text("timestamp,signal\n" + rows, encoding="utf-8")
    told = cli("prove", "simulation", "--symbol", "SPY", "--signals", path, "--bars", "1000", "--root", lake)
    assert (told.code, told.errors) == (0, "")
    assert "nothing looks ahead" in told.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("features", "SPY", "--set", "other"), 1, "feature set 'other' is not declared"),
        (("features", "NONE"), 1, "symbol 'NONE'"),
        (("features", "SPY", "--bars", "1"), 1, "bars 1 is too few"),
        (("labels", "SPY", "--target", "profit"), 1, "target 'profit' is not known"),
        (("labels", "SPY", "--horizon", "400"), 1, "bars has a label, so there is nothing to prove"),
        (("folds", "SPY"), 1, "barlake features"),
        (("simulation", "--symbol", "SPY"), 2, "either --model or --signals"),
    ],
)
def test_what_cannot_be_proven_is_one_clear_error(
    cli: Any, lake: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    told = cli("prove", *arguments, "--root", lake)
    assert told.code == code
    assert message in told.errors
