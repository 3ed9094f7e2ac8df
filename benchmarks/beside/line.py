"""What both workers share: answer one timing request a line, each with what proves that the work was done."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

Task = Callable[..., object]

VALUES = ("open", "high", "low", "close", "volume", "trade_count", "vwap", "minutes")


def proof(found: object) -> dict[str, Any]:
    """Rows of a result and the sums of its columns: two contenders that did the same work have the same.

    Prices are summed in hundredths of a cent, so the order of the rows does not matter; a vwap that was
    computed may differ in its last bits and is summed in cents.
    """
    if not isinstance(found, pl.DataFrame):
        return {"said": found}
    sums: dict[str, Any] = {"rows": found.height}
    if "timestamp" in found.columns:
        minutes = found["timestamp"].dt.cast_time_unit("us").dt.epoch("us") // 60_000_000
        sums["timestamp"] = int(minutes.sum())
    for name in VALUES:
        if name in found.columns:
            column = found[name]
            by = 100.0 if name == "vwap" else 10_000.0
            whole = (column * by).round().cast(pl.Int64) if column.dtype.is_float() else column.cast(pl.Int64)
            sums[name] = int(whole.sum())
    return sums


def peak_mb() -> float | None:
    """Most memory this process held since `forget_peak`, in MB; None where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return None


def forget_peak() -> None:
    """Count the most memory from here."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def answer_requests(tasks: dict[str, Task]) -> None:
    """Do each task that a line of standard input names, and say how long it took.

    A task may be a pair made by its first call: what comes before the clock starts, and what is timed.
    """
    for line in sys.stdin:
        request = json.loads(line)
        work = tasks[request["task"]](**request["with"])
        if not callable(work):
            print(json.dumps({"said": work}), flush=True)
            continue
        forget_peak()
        wall, cpu = time.perf_counter(), time.process_time()
        found = work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = peak_mb()
        proven = proof(found() if callable(found) else found)
        print(json.dumps({"wall": wall, "cpu": cpu, "peak_mb": peak, "proof": proven}), flush=True)
