"""The trading rule with costs, limits and exits of its own, replayed in whole ticks: exact, and compiled.

Everything is a whole number in int64: prices and cash in ticks, shares in lots (one share, or one millionth),
rates in units of 1e-8. Whatever has to be rounded is rounded against the trader.

A bar has three moments, and each knows only what came before it: the open; the way through the bar, of which
only the high and the low are known; and the close. What a close decides is done at the next open.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulation_service.compiled import compiled, inlined
from simulation_service.rules import Reason
from simulation_service.ticks import RATE_UNITS, FloatArray

__all__ = ["LOTS_PER_SHARE", "Book", "Terms", "Way", "World", "full_loop"]

LOTS_PER_SHARE = 1_000_000
"""Lots in a share where shares come in parts."""

_NOBODY = -1  # no exit under way, no bar, no session
_SHORT, _FLAT, _LONG, _HOLD = -1, 0, 1, 2  # what a signal asks for; hold: it is not a number
_OPEN, _INSIDE, _CLOSING = 0, 1, 2  # of a bar
_ENDLESS = 2**62  # lots, where volume sets no limit
_NEVER_BELOW, _NEVER_ABOVE = -1, 2**62  # prices out of reach
_NO_LEVEL = -(2**62)  # equity out of reach
_MOST_VOLUME = 2.0**40
_TICK_UNITS = 10_000  # units of 1e-8 dollars in a tick
# A short position is closed when equity falls below 30 % of what it would cost to buy back: FINRA Rule 4210(c)(3),
# https://www.finra.org/rules-guidance/rulebooks/finra-rules/4210
_MAINTENANCE_TENTHS = 3

_SIGNAL, _STOP, _TARGET, _TRAILING, _HOLDING, _CLOSE, _DRAWDOWN, _DAILY_LOSS, _MARGIN, _REBALANCE = (
    int(one) for one in Reason
)


class World(NamedTuple):
    """Arrays of a market, see `simulation_service.market.Market`."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    session: npt.NDArray[np.int64]
    session_end: npt.NDArray[np.bool_]
    tradable: npt.NDArray[np.bool_]


class Terms(NamedTuple):
    """Costs in units of 1e-8, see `simulation_service.costs.Costs.units`."""

    worse: int
    per_share: int
    per_order: int
    sell_rate: int
    sell_share: int
    sell_most: int


class Way(NamedTuple):
    """Settings of a replay; 0 for a rule that is not asked for.

    `moment` is the one of a bar that signals fill in (0 the open, 2 the close), `limit` the largest account in ticks
    times lots per share, and fractions come in units of 1e-8.
    """

    moment: int
    lag: int
    long: bool
    short: bool
    lot: int
    limit: int
    volume_share: int
    stop: int
    target: int
    trailing: int
    flat_at_close: bool
    holding: int
    drawdown: int
    daily_loss: int


class Book(NamedTuple):
    """What is written: per bar cash, shares and equity; per fill everything else. Lots of shares are not divided."""

    cash: FloatArray
    shares: FloatArray
    equity: FloatArray
    bars: npt.NDArray[np.int64]
    lots: FloatArray
    prices: FloatArray
    quotes: FloatArray
    fees: FloatArray
    reasons: npt.NDArray[np.int8]
    signal_bars: npt.NDArray[np.int64]
    asked: FloatArray


@compiled
def _part_up(amount: int, rate: int) -> int:
    """Part of an amount at a rate in 1e-8, rounded up; split so that no product leaves int64."""
    whole = amount // RATE_UNITS
    rest = amount - whole * RATE_UNITS
    return whole * rate + (rest * rate + RATE_UNITS - 1) // RATE_UNITS


@compiled
def _per_share_up(lots: int, rate: int, fixed: int, lot: int) -> int:
    """Ticks of a charge by share and one by order, in 1e-8 dollars, together rounded up."""
    unit = _TICK_UNITS * lot
    whole = lots // unit
    return whole * rate + ((lots - whole * unit) * rate + fixed * lot + unit - 1) // unit


@compiled
def _worth(lots: int, price: int, lot: int) -> int:
    """Ticks for lots at a price, rounded down: what is owed (lots below 0) rounds away from zero."""
    return lots * price if lot == 1 else lots * price // lot


@compiled
def _worsened(quote: int, side: int, costs: Terms) -> int:
    """Price of a fill: `side` 1 buys dearer, -1 sells cheaper, never below a tick."""
    return max(1, quote + side * _part_up(quote, costs.worse)) if costs.worse else quote


@compiled
def _fee(lots: int, price: int, side: int, lot: int, costs: Terms) -> int:
    """All fees of a fill of `lots` (above 0), ticks; `side` -1 is a sale."""
    fee = _per_share_up(lots, costs.per_share, costs.per_order, lot) if costs.per_share or costs.per_order else 0
    if side < 0 and costs.sell_share:
        activity = _per_share_up(lots, costs.sell_share, 0, lot)
        fee += activity if costs.sell_most < 0 else min(activity, -(-costs.sell_most // _TICK_UNITS))
    if side < 0 and costs.sell_rate:
        fee += _part_up(_worth(lots, price, lot), costs.sell_rate)
    return fee


@compiled
def _average(paid: int, lots: int) -> int:
    """Average price of a position, rounded against the trader: up for a long one, down for a short one."""
    return -(-paid // lots) if lots > 0 else paid // -lots


@compiled
def _affordable(cash: int, price: int, side: int, lot: int, costs: Terms) -> int:
    """Most lots whose value and fees together are at most `cash`."""
    # Whole numbers below 2**53: their quotient never rounds up to the next whole number.
    most = int(max(0, cash) / price) if lot == 1 else max(0, cash) * lot // price
    charged = costs.per_share + costs.per_order + costs.sell_rate + costs.sell_share
    if charged == 0 or most == 0:
        return most
    # Each of four roundings adds less than a tick, and no share costs more than `dearest` units of 1e-8 dollars.
    dearest = price * (1.0 + costs.sell_rate / RATE_UNITS) + (costs.per_share + costs.sell_share) / _TICK_UNITS
    fewest = int((cash - costs.per_order / _TICK_UNITS - 6.0) / dearest * lot * (1.0 - 1e-12)) - 1
    low, high = min(most, max(0, fewest)), most + 1
    while high - low > 1:
        middle = (low + high) // 2
        if -_worth(-middle, price, lot) + _fee(middle, price, side, lot, costs) <= cash:
            low = middle
        else:
            high = middle
    return low


@compiled
def _room(volume: float, way: Way) -> int:
    """Most lots that fills may take of the volume of a bar."""
    if way.volume_share == 0:
        return _ENDLESS
    lots = int(min(volume, _MOST_VOLUME) * way.lot)
    return lots - _part_up(lots, RATE_UNITS - way.volume_share)


@compiled
def _desire(wanted: float, way: Way) -> int:
    """What a signal asks for; what may not be opened asks to be flat."""
    if wanted > 0.0:
        return _LONG if way.long else _FLAT
    if wanted < 0.0:
        return _SHORT if way.short else _FLAT
    return _FLAT if wanted == 0.0 else _HOLD


@compiled
def _stop(side: int, entry: int, best: int, way: Way) -> tuple[int, int]:
    """Price at which a position is stopped, and why; nobody's is out of reach."""
    price, reason = (_NEVER_BELOW if side > 0 else _NEVER_ABOVE), _NOBODY
    if way.stop:
        price, reason = entry - side * _part_up(entry, way.stop), _STOP
    if way.trailing:
        trail = best - side * _part_up(best, way.trailing)
        if side * (trail - price) > 0:
            price, reason = trail, _TRAILING
    return price, reason


@compiled
def _target(side: int, entry: int, way: Way) -> int:
    """Price at which a position has gained enough; out of reach if no gain is."""
    if way.target:
        return entry + side * _part_up(entry, way.target)
    return _NEVER_ABOVE if side > 0 else _NEVER_BELOW


@compiled
def _levels(side: int, entry: int, best: int, way: Way) -> tuple[float, float]:
    """The lower and the upper price at which a position is left inside a bar."""
    stop, target = _stop(side, entry, best, way)[0], _target(side, entry, way)
    return (float(stop), float(target)) if side > 0 else (float(target), float(stop))


@compiled
def _touched(open_: int, high: int, low: int, side: int, entry: int, best: int, way: Way) -> tuple[int, int]:
    """Price and reason of an exit inside a bar, or nobody.

    The open comes first, so a bar that opens beyond a level fills there; after it, a stop comes before a target.
    """
    stop, reason = _stop(side, entry, best, way)
    target = _target(side, entry, way)
    worst, most = (low, high) if side > 0 else (high, low)
    if side * (open_ - stop) <= 0:
        return open_, reason
    if side * (open_ - target) >= 0:
        return open_, _TARGET
    if side * (worst - stop) <= 0:
        return stop, reason
    return (target, _TARGET) if side * (most - target) >= 0 else (open_, _NOBODY)


@compiled
def _due(leaving: int, desire: int, side: int, held_bars: int, way: Way) -> int:
    """Reason to leave a position when its signal's turn has come, or nobody."""
    if desire not in (side, _HOLD):
        return _SIGNAL
    if leaving == _SIGNAL and desire == _HOLD:
        return _SIGNAL
    return _HOLDING if way.holding and held_bars >= way.holding else _NOBODY


@compiled
def _fallen(amount: int, fraction: int) -> int:
    """An amount that has fallen by a fraction, rounded down; never reached where there is none."""
    return amount - _part_up(max(0, amount), fraction) if fraction else _NO_LEVEL


@inlined
def _trade(
    book: Book, count: int, bar: int, quote: int, lots: int, asked: int, reason: int, signal_bar: int, cash: int,
    lot: int, costs: Terms,
) -> int:  # fmt: skip
    """Cash after a fill of signed `lots`, which is written down as number `count`."""
    side = 1 if lots > 0 else -1
    price = _worsened(quote, side, costs)
    fee = _fee(side * lots, price, side, lot, costs)
    book.bars[count] = bar
    book.lots[count] = lots
    book.prices[count] = price
    book.quotes[count] = quote
    book.fees[count] = fee
    book.reasons[count] = reason
    book.signal_bars[count] = signal_bar
    book.asked[count] = asked
    return cash + _worth(-lots, price, lot) - fee


@compiled
def full_loop(  # noqa: C901, PLR0912, PLR0915 - a bar is read from its open to its close, in one place
    world: World, signal: FloatArray, cash: int, way: Way, costs: Terms, book: Book
) -> int:
    """Replay into `book`; the number of fills, or minus the bar (from 1) at which the account grew too large."""
    lots = opening = count = 0  # held (below 0: short), still asked for by an order to open, fills so far
    entry = paid = best = 0  # average price of the position, the sum it comes from, best price since
    lower, upper = float(_NEVER_BELOW), float(_NEVER_ABOVE)  # prices at which the position is left inside a bar
    entry_bar = asker = leaver = kept_from = _NOBODY
    leaving = _NOBODY  # why the position is being left, while an exit is under way
    kept = np.nan  # a signal that met bars in which nothing could be filled
    volume_before = 0.0
    ended = barred = False  # no trading ever again, none in this session
    session, equity, highest = _NOBODY, cash, cash
    breaker, enough = _fallen(cash, way.drawdown), _NO_LEVEL  # equity that ends trading, for ever and for the session
    opens, highs, lows, closes, volumes, sessions, session_ends, tradables = world
    by_session = way.flat_at_close or way.daily_loss > 0
    too_much = -(-way.limit // way.lot)
    for bar in range(signal.size):
        if equity >= too_much or abs(lots) * closes[bar] >= way.limit:
            return -bar - 1
        if by_session and sessions[bar] != session:
            session, barred, enough = sessions[bar], False, _fallen(equity, way.daily_loss)
            if way.flat_at_close and lots != 0 and leaving <= _SIGNAL:
                leaving = _CLOSE  # the last minute had no bar to leave in

        # The signal whose turn it is; where nothing can be filled it waits, unless a newer one comes.
        wanted, wanted_from = kept, kept_from
        said_at = bar - way.lag
        if said_at >= 0 and not np.isnan(signal[said_at]):
            wanted, wanted_from = signal[said_at], said_at
        desire = _desire(wanted, way)
        tradable = tradables[bar]
        if not tradable:
            kept, kept_from = wanted, wanted_from
            eventful = False
        elif lots == 0:
            eventful = opening != 0 or abs(desire) == 1
        else:
            stays = desire == _HOLD or desire * lots > 0
            inside = lower < min(opens[bar], lows[bar]) and max(opens[bar], highs[bar]) < upper
            due = way.holding > 0 and bar - entry_bar >= way.holding
            shut = way.flat_at_close and session_ends[bar]
            eventful = not stays or not inside or due or shut or opening != 0 or leaving != _NOBODY

        if eventful:
            open_, high, low = int(opens[bar]), int(highs[bar]), int(lows[bar])
            if abs(lots) * max(opens[bar], highs[bar]) >= way.limit:
                return -bar - 1
            room, used = _room(volume_before, way), 0
            may_open = not ended and not barred and leaving <= _SIGNAL
            for moment in range(3):
                # 1. Which exit is due at this moment, and at what price?
                reason, quote = _NOBODY, open_
                if moment == _OPEN:
                    if leaving > _SIGNAL:
                        reason = leaving
                elif moment == _INSIDE:
                    if lots == 0 or leaving != _NOBODY or (min(open_, low) > lower and max(open_, high) < upper):
                        continue
                    quote, reason = _touched(open_, high, low, _LONG if lots > 0 else _SHORT, entry, best, way)
                elif way.moment == _CLOSING or way.flat_at_close:
                    quote, room = int(closes[bar]), max(0, _room(volumes[bar], way) - used)
                    if way.flat_at_close and session_ends[bar]:
                        reason, may_open = _CLOSE, False
                if moment == way.moment and reason == _NOBODY and lots != 0 and leaving <= _SIGNAL:
                    reason = _due(leaving, desire, _LONG if lots > 0 else _SHORT, bar - entry_bar, way)
                    if desire != _HOLD:
                        leaver = wanted_from
                    if reason == _NOBODY:
                        leaving = _NOBODY  # an exit half done, and now the signal wants to stay

                # 2. Leave, as far as the volume allows; the rest goes on with the next bar.
                if reason != _NOBODY:
                    opening = 0
                    part = min(abs(lots), room)
                    if part > 0:
                        part = -part if lots > 0 else part
                        signal_bar = leaver if reason == _SIGNAL else _NOBODY
                        cash = _trade(book, count, bar, quote, part, -lots, reason, signal_bar, cash, way.lot, costs)
                        count += 1
                        lots += part
                        room -= abs(part)
                        used += abs(part)
                    leaving = reason if lots != 0 else _NOBODY

                # 3. Open what the signal asks for, as far as cash and volume allow.
                if moment != way.moment or leaving != _NOBODY:
                    continue
                if not may_open or (desire != _HOLD and opening * desire <= 0):
                    opening = 0
                side = desire if opening == 0 else (_LONG if opening > 0 else _SHORT)
                if may_open and (opening != 0 or (lots == 0 and abs(side) == 1)):
                    price = _worsened(quote, side, costs)
                    most = _affordable(cash, price, side, way.lot, costs)
                    if opening == 0:
                        opening, asker = side * most, wanted_from
                    part = side * min(abs(opening), most, room)
                    if part != 0:
                        if lots == 0:
                            paid, best, entry_bar = 0, price, bar
                        cash = _trade(book, count, bar, quote, part, opening, _SIGNAL, asker, cash, way.lot, costs)
                        count += 1
                        lots += part
                        paid += abs(part) * price
                        entry = price if lots == part else _average(paid, lots)
                        opening -= part
                        room -= abs(part)
                        used += abs(part)
                        lower, upper = _levels(side, entry, best, way)
                    elif most == 0:
                        opening = 0

        if tradable:
            kept = np.nan
            # A position opened at the close has seen nothing of this bar.
            seen = way.trailing > 0 and lots != 0 and (way.moment == _OPEN or entry_bar < bar)
            if seen and (highs[bar] > best if lots > 0 else lows[bar] < best):
                best = int(highs[bar] if lots > 0 else lows[bar])
                lower, upper = _levels(_LONG if lots > 0 else _SHORT, entry, best, way)

        # What this close says about the account is acted upon at the next open.
        worth = _worth(lots, int(closes[bar]), way.lot) if lots != 0 else 0
        equity = cash + worth
        if equity > highest and way.drawdown:
            highest, breaker = equity, _fallen(equity, way.drawdown)
        verdict = _NOBODY
        if equity <= breaker:
            ended, verdict = True, _DRAWDOWN
        elif equity <= enough:
            barred, verdict = True, _DAILY_LOSS
        elif lots < 0 and 10 * equity < -_MAINTENANCE_TENTHS * worth:
            verdict = _MARGIN
        if verdict != _NOBODY:
            opening = 0
            if lots != 0 and leaving <= _SIGNAL:
                leaving = verdict
        book.cash[bar] = cash
        book.shares[bar] = lots
        book.equity[bar] = equity
        volume_before = volumes[bar]  # kept at every bar: a look back at few of them would wait for memory
    return count
