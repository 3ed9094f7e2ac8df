"""Qlib's side of its own task, in an environment of its own, with one thread and without a cache.

    python daily_qlib.py FOLDER [FILE]

FILE gets the matrix, to be compared; the clock has stopped then. Needs pyqlib alone.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import qlib
from daily_expressions import EXPRESSIONS, QLIB, peak_mb
from qlib.constant import REG_US
from qlib.data import D


def main() -> None:
    """Print what it took."""
    folder = Path(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        qlib.init(provider_uri=str(folder / QLIB), region=REG_US, kernels=1, expression_cache=None, dataset_cache=None)
    begun, cpu = time.perf_counter(), time.process_time()
    frame = D.features(D.instruments("all"), list(EXPRESSIONS.values()), freq="day", disk_cache=0)
    found = frame.to_numpy(dtype=np.float32)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    answer = {"wall": wall, "cpu": cpu, "shape": found.shape, "peak_mb": peak_mb(), "version": qlib.__version__}
    print(json.dumps(answer))
    if len(sys.argv) > 2:
        np.save(sys.argv[2], found)


if __name__ == "__main__":
    main()
