"""The simulator's loops and calls beside a plain float loop, numpy's add and vectorbt, over the same bars.

CPU seconds of the fastest of several rounds in which all contenders take turns: what a busy machine adds is left out,
and none has quieter minutes than another. The float loop keeps the plain rule in float dollars with the same record of
every bar and fill; it is the one that loses a share now and then.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simulation_service.compiled import compiled
from simulation_service.costs import Costs
from simulation_service.execution import Execution
from simulation_service.kernel import basic_loop, replay
from simulation_service.market import Market
from simulation_service.rules import Direction, Rules
from simulation_service.ticks import FloatArray, cash_to_ticks, price_ticks

__all__ = ["EVERYTHING", "bars_and_signal", "fastest", "of_vectorbt", "seconds_of_kernels"]

CASH_USD = 100_000
EVERYTHING = (
    Execution(costs=Costs.typical(), volume_share=0.1, delay_bars=1),
    Rules(
        direction=Direction.BOTH,
        stop_loss=0.01,
        take_profit=0.02,
        trailing_stop=0.015,
        flat_at_close=True,
        max_holding_bars=300,
        max_drawdown=0.999,
        daily_loss_limit=0.5,
    ),
)
"""Every cost, cap, stop and limit at once, with limits that end no account early."""

_SESSION_BARS = 390
_VBT = Path(__file__).with_name("vectorbt_side.py")


@compiled
def float_loop(
    price: FloatArray,
    signal: FloatArray,
    cash: float,
    cash_path: FloatArray,
    shares_path: FloatArray,
    equity_path: FloatArray,
    fill_bars: npt.NDArray[np.int64],
    fill_shares: FloatArray,
) -> int:
    """The plain rule in float dollars at the same close, with the record that the exact loop keeps."""
    shares = 0.0
    fills = 0
    for bar in range(price.size):
        wanted = signal[bar]
        if shares == 0.0 and wanted > 0.0:
            shares = np.floor(cash / price[bar])
            cash -= shares * price[bar]
            fill_bars[fills] = bar
            fill_shares[fills] = shares
            fills += 1
        elif shares > 0.0 and wanted <= 0.0:
            cash += shares * price[bar]
            fill_bars[fills] = bar
            fill_shares[fills] = -shares
            fills += 1
            shares = 0.0
        cash_path[bar] = cash
        shares_path[bar] = shares
        equity_path[bar] = cash + shares * price[bar]
    return fills


def bars_and_signal(bars: int, flip: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Opens and closes in whole cents, and a 0/1 signal that changes with probability `flip` at each bar."""
    generator = np.random.default_rng(7)
    close = np.round(250.0 * np.exp(np.cumsum(generator.normal(0.0, 2e-4, bars))), 2)
    open_ = np.round(close * np.exp(generator.normal(0.0, 1e-4, bars)), 2)
    signal = (np.cumsum(generator.random(bars) < flip) % 2).astype(np.float64)
    return open_, close, signal


def fastest(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU seconds of each one's fastest round; they take turns, and a first round compiles and warms."""
    found = dict.fromkeys(works, float("inf"))
    for number in range(rounds + 1):
        for name, work in works.items():
            before = time.process_time_ns()
            work()
            if number:
                found[name] = min(found[name], (time.process_time_ns() - before) / 1e9)
    return found


def market_of(open_: FloatArray, close: FloatArray) -> Market:
    """A market of whole sessions, in which every bar but one in a hundred trades enough for any order."""
    bars = close.size
    opens, closes = price_ticks(open_, name="open").ticks, price_ticks(close, name="close").ticks
    number = np.arange(bars)
    return Market.from_ticks(
        opens,
        closes,
        high=np.maximum(opens, closes) + 100.0,
        low=np.minimum(opens, closes) - 100.0,
        volume=np.where(number % 100 == 0, 500.0, 50_000.0),
        session_number=number // _SESSION_BARS,
        session_end=number % _SESSION_BARS == _SESSION_BARS - 1,
    )


def seconds_of_kernels(bars: int, flip: float, rounds: int) -> dict[str, float]:
    """CPU seconds of each contender in this process."""
    open_, close, signal = bars_and_signal(bars, flip)
    market, cash = market_of(open_, close), cash_to_ticks(CASH_USD)
    paths = [np.empty(bars) for _ in range(3)]
    fills = np.empty(bars, dtype=np.int64), np.empty(bars)
    execution, rules = EVERYTHING
    costs = Execution(costs=Costs.typical())

    def fresh() -> object:
        own = [np.empty(bars) for _ in range(3)], np.empty(bars, dtype=np.int64), np.empty(bars)
        count = float_loop(close, signal, float(CASH_USD), *own[0], *own[1:])
        return own[0], own[1][:count].copy(), own[2][:count].copy()

    return fastest(
        {
            "add": lambda: np.add(open_, close, out=paths[0]),
            "float loop": lambda: float_loop(close, signal, float(CASH_USD), *paths, *fills),
            "exact loop": lambda: basic_loop(market.open, signal, market.close, float(cash), 1, *paths, *fills),
            "float call": fresh,
            "exact call": lambda: replay(signal, market, cash_ticks=cash),
            "with costs": lambda: replay(signal, market, cash_ticks=cash, execution=costs),
            "everything": lambda: replay(signal, market, cash_ticks=cash, execution=execution, rules=rules),
        },
        rounds,
    )


def of_vectorbt(python: Path, folder: Path, bars: int, flips: tuple[float, ...], rounds: int) -> dict[str, Any]:
    """What vectorbt's own environment says: its version, and CPU seconds and final value by share of flips."""
    close = bars_and_signal(bars, flips[0])[1]
    file = folder / "bars.npz"
    np.savez(file, close=close, **{str(flip): bars_and_signal(bars, flip)[2] for flip in flips})
    caches = os.environ | {"NUMBA_CACHE_DIR": str(folder / "numba")}
    done = subprocess.run([python, _VBT, file, str(rounds)], check=True, capture_output=True, text=True, env=caches)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
