"""vectorbt's side of the simulator's benchmark, in an environment of its own: `python vectorbt_side.py FILE ROUNDS`.

FILE is an `.npz` with close and one array of signals, 0 or 1, for each share of flips. Whole shares, no costs, all
cash into each buy, at the close of the signal's bar: the simulator's basic rule as vectorbt says it. The equity
of every bar is part of the task, because the simulator's replay has it. Needs vectorbt alone.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import vectorbt as vbt

CASH_USD = 100_000.0


def traded(close: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Equity after each bar, dollars."""
    portfolio = vbt.Portfolio.from_signals(
        close,
        signal > 0,
        signal <= 0,
        init_cash=CASH_USD,
        size=np.inf,
        size_granularity=1,
        fees=0.0,
        slippage=0.0,
        freq="1min",
    )
    return np.asarray(portfolio.value()).ravel()


def main() -> None:
    """Print the CPU seconds of the fastest round, of the first call, and the final value, by share of flips."""
    held, rounds = np.load(sys.argv[1]), int(sys.argv[2])
    found = {}
    for name in held.files:
        if name == "close":
            continue
        seconds = []
        for _ in range(rounds + 1):
            begun = time.process_time()
            equity = traded(held["close"], held[name])
            seconds.append(time.process_time() - begun)
        found[name] = {"seconds": min(seconds[1:]), "first": seconds[0], "final": float(equity[-1])}
    print(json.dumps({"version": vbt.__version__, "flips": found}))


if __name__ == "__main__":
    main()
