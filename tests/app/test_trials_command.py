"""`barlake trials`: the ledger on a screen, and what the best of a study is worth."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import barlake

DAYS = [dt.date(2024, 1, 2) + dt.timedelta(days=number) for number in range(40)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A lake with four tries at SPY, of which one failed, a placebo, and a try at QQQ."""
    with barlake.open(tmp_path / "lake") as lake:
        for number in range(3):
            values = np.random.default_rng(number).normal(0.001 * number, 0.01, len(DAYS)).tolist()
            returns = dict(zip(DAYS, values, strict=True))
            lake.trials.record("training", "sip SPY", {"number": number}, returns=returns, fits=6)
        lake.trials.record("search", "sip SPY", {"number": 3}, "failed", error="ValueError: no such column")
        lake.trials.record("placebo", "sip SPY", {"runs": 10}, fits=50)
        lake.trials.record("training", "sip QQQ", {})
        return lake.root


def test_every_try_is_listed(cli: Any, root: Path) -> None:
    rows = cli("trials", "--root", root, "--json").data
    assert [row["study"] for row in rows] == ["sip SPY"] * 5 + ["sip QQQ"]
    shown = cli("trials", "--root", root).out
    assert "failed" in shown
    assert "placebo" in shown


def test_a_study_says_what_its_best_try_is_worth(cli: Any, root: Path) -> None:
    data = cli("trials", "sip SPY", "--root", root, "--json").data
    summary = data["summary"]
    assert (summary["different tries"], summary["not finished"], summary["pipelines fitted"]) == (4, 1, 69)
    best = max((row for row in data["trials"] if row["sharpe"] is not None), key=lambda row: row["sharpe"])
    assert summary["best"] == best["trial_id"]
    assert summary["its sharpe"] == pytest.approx(best["sharpe"])
    with barlake.open(root) as lake:
        found = lake.trials.deflation(best["trial_id"])
        assert found is not None
        assert summary["its probability"] == pytest.approx(found.probability)
        assert summary["probability of overfitting"] == lake.trials.overfitting("sip SPY")
    assert "different tries" in cli("trials", "sip SPY", "--root", root).out


def test_an_empty_ledger_says_how_it_fills(cli: Any, tmp_path: Path) -> None:
    assert "every `barlake train` is one" in cli("trials", "--root", tmp_path / "empty").out
    assert "No trials of 'sip SPY'" in cli("trials", "sip SPY", "--root", tmp_path / "empty").out
