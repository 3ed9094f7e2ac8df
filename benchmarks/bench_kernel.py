"""Speed of the exact kernel, beside a plain float loop and beside what the memory can stream.

Run `python benchmarks/bench_kernel.py`: prints a Markdown table in million bars a second, higher is better.
CPU seconds, the best of several rounds, on made-up bars of whole cents. "Loop" is the compiled loop into
output arrays that exist; "replay" is the whole call with its new arrays and equity. The float loop is the
same rule in plain dollars, the one that loses a share now and then.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt

from simulation_service.execution import Execution, Fill
from simulation_service.kernel import basic_loop, replay
from simulation_service.market import Market
from simulation_service.ticks import cash_to_ticks, price_ticks

FloatArray = npt.NDArray[np.float64]

CASH_USD = 100_000


def _float_loop(
    price: FloatArray, signal: FloatArray, cash: float, cash_path: FloatArray, shares_path: FloatArray
) -> float:
    """Replay the rule in plain dollars at the same close: no fills recorded, nothing exact."""
    shares = 0.0
    for bar in range(price.size):
        if shares == 0.0 and signal[bar] > 0.0:
            shares = np.floor(cash / price[bar])
            cash -= shares * price[bar]
        elif shares > 0.0 and signal[bar] <= 0.0:
            cash += shares * price[bar]
            shares = 0.0
        cash_path[bar] = cash
        shares_path[bar] = shares
    return cash


float_loop = numba.njit(cache=True, nogil=True)(_float_loop)


def bars_and_signal(bars: int, flip: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Opens and closes in whole cents, and a 0/1 signal that changes with probability `flip` at each bar."""
    generator = np.random.default_rng(7)
    close = np.round(250.0 * np.exp(np.cumsum(generator.normal(0.0, 2e-4, bars))), 2)
    open_ = np.round(close * np.exp(generator.normal(0.0, 1e-4, bars)), 2)
    signal = (np.cumsum(generator.random(bars) < flip) % 2).astype(np.float64)
    return open_, close, signal


def best_cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the fastest round, after one that compiles and warms."""
    work()
    seconds = []
    for _ in range(rounds):
        before = time.process_time_ns()
        work()
        seconds.append((time.process_time_ns() - before) / 1e9)
    return min(seconds)


def measure(bars: int, flip: float, rounds: int) -> dict[str, float]:
    """Million bars a second of each contender."""
    open_, close, signal = bars_and_signal(bars, flip)
    open_ticks, close_ticks = price_ticks(open_, name="open").ticks, price_ticks(close, name="close").ticks
    cash = cash_to_ticks(CASH_USD)
    out_a, out_b, out_c, fills_b = (np.empty(bars) for _ in range(4))
    fills_a = np.empty(bars, dtype=np.int64)

    def loop(price: FloatArray, lag: int) -> Callable[[], object]:
        return lambda: basic_loop(price, signal, close_ticks, float(cash), lag, out_a, out_b, out_c, fills_a, fills_b)

    market = Market.from_ticks(open_ticks, close_ticks)

    def whole(fill: Fill) -> Callable[[], object]:
        return lambda: replay(signal, market, cash_ticks=cash, execution=Execution(fill))

    contenders: dict[str, Callable[[], object]] = {
        "np.add, the memory's limit": lambda: np.add(open_, close, out=out_a),
        "float loop, same close": lambda: float_loop(close, signal, float(CASH_USD), out_a, out_b),
        "exact loop, same close": loop(close_ticks, 0),
        "exact loop, next open": loop(open_ticks, 1),
        "exact replay, next open": whole(Fill.NEXT_OPEN),
    }
    return {name: bars / best_cpu_seconds(work, rounds) / 1e6 for name, work in contenders.items()}


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--bars", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=15)
    given = options.parse_args()
    flips = (0.02, 0.5)
    columns = [measure(given.bars, flip, given.rounds) for flip in flips]
    base = [column["float loop, same close"] for column in columns]
    heads = " | ".join(f"{flip:.0%} flips, M bars/s | by float loop" for flip in flips)
    print(f"| {given.bars:,} bars | {heads} |")
    print("|---|" + "---:|" * (2 * len(flips)))
    for name in columns[0]:
        cells = " | ".join(
            f"{column[name]:,.0f} | {column[name] / one:.2f}" for column, one in zip(columns, base, strict=True)
        )
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
