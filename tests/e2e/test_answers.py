"""One known answer through the whole command line; all of them are with the simulator's own tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ANSWERS = Path(__file__).resolve().parents[3] / "shared" / "answers"

WRITE_CASE = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np, polars as pl, simulation_case
bars = simulation_case.bars()
bars.write_parquet(sys.argv[1])
signals = np.asarray(simulation_case.signals(0.02, 1, bars.height))
bars.select("timestamp", signal=pl.Series(signals)).write_csv(sys.argv[2])
"""


@pytest.mark.slow
def test_imported_bars_and_a_file_of_signals_end_on_the_known_cents(barlake_command: Any, tmp_path: Path) -> None:
    if not ANSWERS.is_dir():
        pytest.skip("the folder of exact answers is not beside this checkout")
    bars, signals, root = tmp_path / "bars.parquet", tmp_path / "signals.csv", tmp_path / "lake"
    subprocess.run(
        [sys.executable, "-B", "-c", WRITE_CASE, bars, signals], check=True, env={"PYTHONPATH": str(ANSWERS)}
    )
    total = barlake_command.json("import", bars, "--feed", "answers", "--symbol", "CASE", "--root", root)["total"]
    assert (total["inserted"], total["quarantined"]) == (977_640, 0)
    shown = barlake_command.json("simulate", "--signals", signals, "--symbol", "CASE", "--root", root)
    # Origin: README.md of that folder, worked out in integer cents.
    assert (shown["final_value"], shown["fills"], shown["shares_bought"]) == ("103636.16", 19_629, 3_198_287)
    optimistic = shown["same_close"]
    assert (optimistic["final_value"], optimistic["fills"]) == ("105808.58", 19_629)
    assert optimistic["shares_bought"] == 3_223_614
    held = {fill: account["final_value"] for fill, account in shown["buy_and_hold"].items()}
    assert held == {"same_close": "101247.11", "next_open": "101124.00"}
