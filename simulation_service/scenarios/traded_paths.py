"""One account traded again on many synthetic paths: the strategy decides anew on every one of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from barlake.errors import InvalidInputError
from simulation_service.scenarios.monte_carlo import Futures
from simulation_service.scenarios.resampling import DEFAULT_BLOCK_SESSIONS
from simulation_service.scenarios.session_blocks import SessionBlocks
from simulation_service.scenarios.shocks import Stage
from simulation_service.scenarios.trading import Trader
from simulation_service.scenarios.volatility_paths import VolatilityModel, session_log_returns

__all__ = ["traded_paths"]

Notify = Callable[[str, int, int], None]


def traded_paths(
    trader: Trader,
    blocks: SessionBlocks,
    *,
    paths: int,
    sessions: int | None = None,
    block_sessions: float = DEFAULT_BLOCK_SESSIONS,
    seed: int = 0,
    model: VolatilityModel | None = None,
    notify: Notify = lambda _name, _done, _of: None,
) -> Futures:
    """Futures of an account on minute bars put together from drawn sessions.

    Lows and drawdowns are those of every bar, not of sessions alone.

    Parameters
    ----------
    sessions
        Length of a path, at most as many as there are sessions to stand on. Default: that many, or fewer where
        the model says so.
    model
        Volatility that comes and goes, fitted to the returns of the traded symbol; it stretches the drawn sessions
        of every symbol. None: sessions as they are.

    Raises
    ------
    InvalidInputError
        If a path would be longer than the bars.
    """
    length = blocks.count if sessions is None else sessions
    if not 1 <= length <= blocks.count:
        raise InvalidInputError(
            f"sessions {length} is no length for a path of bars: the span has {blocks.count} sessions to stand on. "
            "Take fewer, or a longer span."
        )
    if model is not None:
        length = model.longest(length)
    order = blocks.draw(np.random.default_rng(seed), paths=paths, block_sessions=block_sessions)[:, :length]
    bends = None if model is None else model.bends(order, session_log_returns(blocks, trader.symbol))
    closes, lowest, drawdowns = np.empty((paths, length)), np.empty(paths), np.empty(paths)
    for number in range(paths):
        notify("paths", number, paths)
        bent = {} if bends is None else {"stretch": bends[0][number], "tilt": bends[1][number]}
        traded = trader.trade(Stage.of(blocks.path(order[number], **bent)), made_up=True)
        closes[number], drawdowns[number] = traded.session_closes, traded.drawdown
        lowest[number] = min(float(traded.values.min()), 1.0)
    notify("paths", paths, paths)
    return Futures(closes, lowest, drawdowns)
