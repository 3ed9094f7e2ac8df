"""`barlake sweep` and `barlake sweeps`: what a person types, and what comes out."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from barlake import Lake
from barlake.settings import Settings
from barlake.testing import make_bars

GRID = ("--set", "fast_bars=2,4", "--set", "slow_bars=3,8,16", "--set", "half_spread_bps=0.5")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    sessions = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4)]
    with Lake(tmp_path / "lake", Settings(_env_file=None)) as lake:
        lake.write_bars(make_bars(sessions, minutes=40), feed="synthetic", symbol="SPY")
    return tmp_path / "lake"


def test_a_sweep_prints_the_best_sets_and_what_the_best_is_worth(cli: Any, root: Path) -> None:
    asked = ("sweep", "--symbol", "SPY", "--strategy", "moving_average_cross", *GRID, "--workers", "1", "--root", root)
    told = cli(*asked)
    assert told.code == 0, told.errors
    assert "The best of 6 sets is fast_bars" in told.out
    assert "half_spread_bps" not in told.out.split("The best")[0]
    again = cli(*asked, "--json").data
    assert (again["created"], again["sets"], again["failed"]) == (False, 6, 1)
    sharpes = [row["sharpe"] for row in again["best_sets"] if row["sharpe"] is not None]
    assert sharpes == sorted(sharpes, reverse=True)
    (listed,) = cli("sweeps", "--json", "--root", root).data
    assert listed["sweep"] == again["sweep_id"]
    shown = cli("sweeps", again["sweep_id"][:8], "--root", root)
    assert "The best of 6 sets" in shown.out


def test_a_wrong_sweep_is_refused_with_the_way_out(cli: Any, root: Path) -> None:
    told = cli("sweep", "--symbol", "SPY", "--strategy", "moving_average_cross", "--set", "fast=2,3", "--root", root)
    assert told.code == 1
    assert "'fast' cannot be set here" in told.errors
    nothing = cli("sweeps", "--root", root)
    assert "No sweeps yet" in nothing.out
