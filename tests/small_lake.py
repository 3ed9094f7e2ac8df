"""A small real lake with features, a model and a run, made once for all tests that only read."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import filelock
import polars as pl
import pytest

from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars

REAL_BARS = Path(__file__).resolve().parents[2] / "shared" / "data" / "bars_1m" / "year_2024"
FIRST, END = dt.date(2024, 3, 26), dt.date(2024, 4, 20)
"""Eighteen sessions."""


@dataclass(frozen=True)
class SmallLake:
    """A lake on disk and the names of what is in it; `feed` is `sip` with real bars, else `synthetic`."""

    root: Path
    feed: str
    symbols: tuple[str, str]
    model_id: str
    run_id: str


@pytest.fixture(scope="session")
def small_lake(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> SmallLake:
    """Two symbols over eighteen sessions, with core features, a model and its run; for reading, not for writing.

    It is made once a run of the tests, and every xdist worker has a copy.
    """
    folder = tmp_path_factory.getbasetemp()
    made = (folder if worker_id == "master" else folder.parent) / "small-lake"
    names = made.parent / "small-lake-names"
    with filelock.FileLock(f"{made}.lock"):
        if not names.exists():
            names.write_text("\n".join(_make(made)))
    feed, first, second, model_id, run_id = names.read_text().splitlines()
    root = folder / "small-lake-copy"
    shutil.copytree(made, root)
    return SmallLake(root, feed, (first, second), model_id, run_id)


def _make(root: Path) -> tuple[str, ...]:
    from feature_service.build import build_features
    from simulation_service.plan import ModelSource, SimulationPlan
    from simulation_service.simulate import simulate
    from training_service.train import train

    with Lake(root, Settings(_env_file=None)) as lake:
        feed, symbols = _bars_into(lake)
        build_features(lake, symbols, feed=feed, workers=1)
        model = train(lake, symbols[0], target="direction", horizon=5, feed=feed, folds=2).model_id
        run = simulate(lake, SimulationPlan((symbols[0],), ModelSource(model))).run_id
        lake.publish()
    return (feed, *symbols, model, run)


def _bars_into(lake: Lake) -> tuple[str, tuple[str, str]]:
    if REAL_BARS.is_dir():
        within = pl.col("timestamp").is_between(FIRST, END)
        for symbol in ("SPY", "QQQ"):
            bars = pl.read_parquet(REAL_BARS / f"{symbol}.parquet").filter(within).drop("symbol")
            lake.write_bars(bars, feed="sip", symbol=symbol, source="file")
        return "sip", ("SPY", "QQQ")
    frame = Calendar.default().frame
    sessions = frame.filter(pl.col("session").is_between(FIRST, END, closed="left"))["session"].to_list()
    for seed, symbol in enumerate(("SYNA", "SYNB")):
        lake.write_bars(make_bars(sessions, seed=seed), feed="synthetic", symbol=symbol)
    return "synthetic", ("SYNA", "SYNB")
