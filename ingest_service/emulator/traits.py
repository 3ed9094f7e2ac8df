"""What kind of stock a made-up symbol is: its price, its risk, how often it trades."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

__all__ = ["Traits", "generator", "traits_of"]


@dataclass(frozen=True)
class Traits:
    """Constants of one made-up symbol.

    Parameters
    ----------
    first_price
        Dollars, at the start of the made-up history.
    beta
        Exposure to the market factor that all symbols share.
    own_volatility
        Annual volatility besides the market's, a fraction.
    trades_per_minute
        Mean over the regular session.
    shares_per_trade
        Mean.
    half_spread
        Distance of bid and ask from the mid price, a fraction of it; at least half a cent is added.
    """

    first_price: float
    beta: float
    own_volatility: float
    trades_per_minute: float
    shares_per_trade: float
    half_spread: float


_NAMED = {
    "SYNA": Traits(380.0, 1.0, 0.07, 260.0, 90.0, 0.00002),  # a large fund: every minute trades
    "SYNB": Traits(120.0, 1.25, 0.18, 12.0, 110.0, 0.00008),  # a mid-size stock: now and then a minute without
    "SYNC": Traits(45.0, 0.8, 0.24, 3.0, 140.0, 0.0003),  # a thin one: many minutes without
    "THIN": Traits(18.0, 0.7, 0.26, 0.55, 150.0, 0.0006),  # two minutes of five trade
    "HALT": Traits(60.0, 1.0, 0.20, 60.0, 110.0, 0.0001),
}


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """Random numbers that depend on the seed and the keys alone, whatever was drawn before."""
    words = [key if isinstance(key, int) else zlib.crc32(key.encode()) for key in keys]
    return np.random.default_rng([seed, *words])


def traits_of(symbol: str, *, seed: int) -> Traits:
    """Traits of a symbol: fixed for a few, drawn from the seed for any other."""
    if symbol in _NAMED:
        return _NAMED[symbol]
    draw = generator(seed, symbol, "traits")
    return Traits(
        first_price=math.exp(draw.uniform(math.log(40), math.log(400))),
        beta=draw.uniform(0.6, 1.4),
        own_volatility=draw.uniform(0.08, 0.28),
        trades_per_minute=math.exp(draw.uniform(math.log(2), math.log(300))),
        shares_per_trade=draw.uniform(60, 160),
        half_spread=draw.uniform(0.00002, 0.0003),
    )
