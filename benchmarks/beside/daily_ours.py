"""Our side of Qlib's task, in a fresh process with one thread: `python daily_ours.py FOLDER [FILE]`.

FILE gets the matrix, to be compared; the clock has stopped then.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from daily_expressions import EXPRESSIONS, PARQUET, peak_mb

from feature_service import candles, returns, trend, volatility, volume
from feature_service.compute import compute_features
from feature_service.inputs import FeatureInputs

FEATURES = (
    *(returns.log_return.named(f"log_return_{span}", span_bars=span) for span in (1, 5, 20)),
    *(trend.sma_distance.named(f"sma_distance_{window}", window_bars=window) for window in (5, 20, 60)),
    *(volatility.volatility.named(f"volatility_{window}", window_bars=window) for window in (20, 60)),
    trend.channel_position.named("channel_position_20", window_bars=20),
    volume.volume_ratio.named("volume_ratio_20", window_bars=20),
    trend.trend_slope.named("trend_slope_20", window_bars=20),
    candles.body.named("body"),
    candles.bar_range.named("bar_range"),
    returns.drawdown.named("drawdown_60", window_bars=60),
)


def matrix(folder: Path) -> np.ndarray:
    """Features in float32, shape (symbols times days, features), symbol after symbol."""
    stamp = pl.col("session").cast(pl.Datetime("us", "UTC"))
    bars = pl.read_parquet(folder / PARQUET).with_columns(
        pl.col("open", "high", "low", "close", "volume").cast(pl.Float64),
        stamp.alias("timestamp"),
        stamp.alias("session_open"),
        (stamp + pl.duration(days=1)).alias("session_close"),
        pl.col("session").to_physical().alias("session_number"),
    )
    parts = [
        compute_features(FeatureInputs(own), FEATURES, dtype=pl.Float32)
        for own in bars.partition_by("symbol", maintain_order=True)
    ]
    return pl.concat(parts).to_numpy()


def main() -> None:
    """Print what it took."""
    folder = Path(sys.argv[1])
    assert [one.name for one in FEATURES] == list(EXPRESSIONS)  # noqa: S101 - both sides make the same columns
    begun, cpu = time.perf_counter(), time.process_time()
    found = matrix(folder)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "shape": found.shape, "peak_mb": peak_mb()}))
    if len(sys.argv) > 2:
        np.save(sys.argv[2], found)


if __name__ == "__main__":
    main()
