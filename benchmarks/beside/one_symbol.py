"""One measurement of features in a process of its own; the answer is a line of JSON.

    python one_symbol.py make BARS FILE        made-up bars, for the others
    python one_symbol.py speed FILE
    python one_symbol.py memory FILE WHO       ours64: float64 columns, ours32: the table that is written, or talib
    python one_symbol.py proof BARS

`memory` counts all that the process holds, Python and the bars among it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from history import Columns, a_history, as_numpy
from line import forget_peak, peak_mb
from talib_columns import indicators, others

from feature_service.compute import compute_features, feature_table
from feature_service.declare import Feature
from feature_service.inputs import FeatureInputs
from feature_service.sets import FEATURE_SETS

REPEATS = 5
FULL = {one.name: one for one in FEATURE_SETS["full"].features}


def make(bars: str, file: str) -> int:
    """How many bars were put into a file."""
    history = a_history(int(bars))
    history.write_parquet(file)
    return history.height


def speed(file: str) -> list[dict[str, Any]]:
    """CPU seconds of both sides, of the columns that TA-Lib has and of all."""
    history = pl.read_parquet(file)
    inputs, columns = FeatureInputs(history), as_numpy(history)
    theirs = indicators(columns)
    some = [FULL[name] for name in theirs]
    theirs |= others(columns)
    every = [FULL[name] for name in theirs]
    _assert_same(compute_features(inputs, every), theirs)
    del theirs
    return [
        _beside("TA-Lib has them", some, history.height, inputs, lambda: indicators(columns)),
        _beside("all", every, history.height, inputs, lambda: indicators(columns) | others(columns)),
    ]


def _beside(
    what: str, features: list[Feature], bars: int, inputs: FeatureInputs, theirs: Callable[[], Columns]
) -> dict[str, Any]:
    """Least CPU seconds of some rounds in turns, after one that warms up."""
    sides: dict[str, Callable[[], object]] = {"ours": lambda: compute_features(inputs, features), "theirs": theirs}
    found: dict[str, list[float]] = {who: [] for who in sides}
    for _ in range(REPEATS + 1):
        for who, work in sides.items():
            begun = time.process_time()
            work()
            found[who].append(time.process_time() - begun)
    least = {who: min(seconds[1:]) for who, seconds in found.items()}
    return {"what": what, "columns": len(features), "bars": bars, **least}


def _assert_same(ours: pl.DataFrame, theirs: Columns) -> None:
    """Both sides made the same columns, or the table would compare different work."""
    for name, values in theirs.items():
        one = ours[name].fill_null(float("nan")).to_numpy()
        both = ~(np.isnan(one) | np.isnan(values))
        if both.sum() <= 0.99 * len(values):
            sys.exit(f"{name} has values in {both.sum()} of {len(values)} rows on both sides.")
        far = np.abs(one[both] - values[both]).max()
        if far > 1e-5 * max(float(np.std(values[both])), 1e-9):
            sys.exit(f"{name} differs by {far}.")


def memory(file: str, who: str) -> dict[str, Any]:
    """Most memory of the process while it makes 64 columns of bars it holds, in MB, and the size of what it made."""
    history = pl.read_parquet(file)
    some = history.head(2000)
    names = list(indicators(as_numpy(some)) | others(as_numpy(some)))
    features = [FULL[name] for name in names]
    feature_table(FeatureInputs(some), features)  # loads what the work needs
    forget_peak()
    before = peak_mb()
    if who == "talib":
        columns = as_numpy(history)
        size = sum(one.nbytes for one in (indicators(columns) | others(columns)).values())
    else:
        inputs = FeatureInputs(history)
        table = feature_table(inputs, features) if who == "ours32" else compute_features(inputs, features)
        size = int(table.estimated_size())
    return {"who": who, "columns": len(names), "output_mb": size / 2**20, "before_mb": before, "peak_mb": peak_mb()}


def proof(bars: str) -> dict[str, Any]:
    """Seconds of the leak proof of the set `full`, with a context symbol, macro releases and news."""
    from every_input import every_input  # noqa: PLC0415 - the other measurements need none of it

    from feature_service.leak_proof import prove_features  # noqa: PLC0415 - the same

    features, inputs = FEATURE_SETS["full"].features, every_input(int(bars))
    begun, cpu = time.perf_counter(), time.process_time()
    report = prove_features(features, inputs)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    report.require_clean()
    return {"features": len(features), "bars": inputs.bars.height, "wall": seconds, "cpu": cpu}


TASKS: dict[str, Callable[..., object]] = {"make": make, "speed": speed, "memory": memory, "proof": proof}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*sys.argv[2:])))
