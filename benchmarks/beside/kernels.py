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
from simulation_service.full_kernel import Terms, World, full_loop
from simulation_service.kernel import _blank_book, _way, basic_loop, replay
from simulation_service.market import Market
from simulation_service.rules import Direction, Rules
from simulation_service.tick_prices import price_ticks
from simulation_service.ticks import FloatArray, cash_to_ticks

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
    close: FloatArray,
    cash: float,
    equity_path: FloatArray,
    fill_bars: npt.NDArray[np.int64],
    fill_shares: FloatArray,
) -> int:
    """The plain rule in float dollars at the next open, with the record that the exact loop keeps."""
    shares = 0.0
    fills = 0
    equity_path[0] = cash
    for bar in range(1, price.size):
        wanted = signal[bar - 1]
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
        equity_path[bar] = cash + shares * close[bar]
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
    record = np.empty(bars), np.empty(bars, dtype=np.int64), np.empty(bars)
    execution, rules = EVERYTHING
    costs = Execution(costs=Costs.typical())

    way, terms = _way(execution, rules, execution.lag), Terms(*execution.costs.units().tolist())
    ends = market.session_end
    assert ends is not None  # noqa: S101 - `market_of` gives them
    world = World(
        market.open, market.high, market.low, market.close, market.volume, market.session_number, ends, market.tradable
    )
    book = _blank_book(bars)

    def fresh() -> object:
        own = np.empty(bars), np.empty(bars, dtype=np.int64), np.empty(bars)
        count = float_loop(open_, signal, close, float(CASH_USD), *own)
        return own[0], own[1][:count].copy(), own[2][:count].copy(), open_[own[1][:count]]

    return fastest(
        {
            "add": lambda: np.add(open_, close, out=record[0]),
            "float loop": lambda: float_loop(open_, signal, close, float(CASH_USD), *record),
            "exact loop": lambda: basic_loop(market.open, signal, market.close, float(cash), 1, *record),
            "float call": fresh,
            "exact call": lambda: replay(signal, market, cash_ticks=cash),
            "with costs": lambda: replay(signal, market, cash_ticks=cash, execution=costs),
            "everything loop": lambda: full_loop(world, signal, cash, way, terms, book),
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
