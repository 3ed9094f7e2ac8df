"""The strategies once more, one bar after the other in plain Python, with exact fractions where order matters.

Nothing here is shared with the product: windows are cut out of lists, and positions are a variable in a loop.
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

import polars as pl

Signals = list[float | None]


def closes_of(bars: pl.DataFrame) -> list[Fraction]:
    """Closes as the decimal numbers they are written as."""
    return [Fraction(Decimal(repr(value))) for value in bars["close"]]


def cross(closes: Sequence[Fraction], fast: int, slow: int) -> Signals:
    """Sign of the fast mean minus the slow one."""
    found: Signals = []
    for end in range(1, len(closes) + 1):
        if end < slow:
            found.append(None)
            continue
        gap = sum(closes[end - fast : end]) / fast - sum(closes[end - slow : end]) / slow
        found.append(float((gap > 0) - (gap < 0)))
    return found


def threshold(
    values: Sequence[float | None], enter: float, leave: float, short_enter: float, short_leave: float
) -> Signals:
    """Long above one level until at the next, short below the third until at the last."""
    position, found = 0, list[float | None]()
    for value in values:
        if value is None:
            found.append(None)
            continue
        if position == 1 and value <= leave:
            position = 0
        if position == -1 and value >= short_leave:
            position = 0
        if position == 0 and value > enter:
            position = 1
        if position == 0 and value < short_enter:
            position = -1
        found.append(float(position))
    return found


def distances(values: Sequence[float], window: int) -> Iterator[float | None]:
    """Deviations from the mean of the last values, by the library's statistics."""
    for end in range(1, len(values) + 1):
        last = values[end - window : end]
        if end < window:
            yield None
        elif (spread := statistics.pstdev(last)) == 0:
            yield 0.0
        else:
            yield (values[end - 1] - statistics.fmean(last)) / spread


def reversion(values: Sequence[float], window: int, entry: float, leave: float) -> Signals:
    """Against what is far from its mean until it is near it."""
    return threshold([None if z is None else -z for z in distances(values, window)], entry, leave, -entry, -leave)


def breakout(bars: pl.DataFrame, entry: int, leave: int) -> Signals:
    """Beyond the channel of the bars before."""
    high, low, close = (bars[name].to_list() for name in ("high", "low", "close"))
    position, found = 0, list[float | None]()
    for at in range(len(close)):
        if at < entry:
            found.append(None)
            continue
        if position == 1 and close[at] < min(low[at - leave : at]):
            position = 0
        if position == -1 and close[at] > max(high[at - leave : at]):
            position = 0
        if close[at] > max(high[at - entry : at]):
            position = 1
        if close[at] < min(low[at - entry : at]):
            position = -1
        found.append(float(position))
    return found


def together(bars: pl.DataFrame, symbols: Sequence[str]) -> dict[dt.datetime, list[float]]:
    """Closes of each minute in which all symbols have a bar."""
    minutes: dict[dt.datetime, dict[str, float]] = {}
    for symbol, stamp, close in bars.select("symbol", "timestamp", "close").iter_rows():
        minutes.setdefault(stamp, {})[symbol] = close
    return {
        stamp: [held[name] for name in symbols]
        for stamp, held in sorted(minutes.items(), key=lambda minute: minute[0])
        if len(held) == len(symbols)
    }


def spread(
    bars: pl.DataFrame, weights: dict[str, float], window: int, entry: float, leave: float
) -> dict[tuple[object, str], float | None]:
    """Share of each symbol at each common minute."""
    minutes = together(bars, list(weights))
    values = [
        math.fsum(weight * math.log(close) for weight, close in zip(weights.values(), closes, strict=True))
        for closes in minutes.values()
    ]
    positions = reversion(values, window, entry, leave)
    gross = sum(abs(weight) for weight in weights.values())
    return {
        (stamp, name): None if position is None else position * weight / gross
        for stamp, position in zip(minutes, positions, strict=True)
        for name, weight in weights.items()
    }


def switch(
    bars: pl.DataFrame, symbols: Sequence[str], window: int, lead: float, least: float | None
) -> dict[tuple[object, str], float | None]:
    """The stronger of two at each common minute, by exact returns."""
    minutes = together(bars, symbols)
    stamps, closes = list(minutes), [[Fraction(repr(value)) for value in pair] for pair in minutes.values()]
    chosen: int | None = None
    found: dict[tuple[object, str], float | None] = {}
    for at, stamp in enumerate(stamps):
        rises = [now / before - 1 for now, before in zip(closes[at], closes[max(at - window, 0)], strict=True)]
        if at >= window and rises[0] - rises[1] > Fraction(repr(lead)):
            chosen = 0
        if at >= window and rises[1] - rises[0] > Fraction(repr(lead)):
            chosen = 1
        for number, name in enumerate(symbols):
            is_held = chosen == number and (least is None or rises[number] > Fraction(repr(least)))
            found[stamp, name] = None if chosen is None else float(is_held)
    return found
