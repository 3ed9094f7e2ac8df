"""Many symbols on one cash account, replayed minute by minute in whole ticks and lots: exact, and compiled.

A minute has the three moments of `simulation_service.full_kernel`: the open, the way through the bar, the close. In
each of them the symbols take their turn, in their order:

1. Who leaves, leaves, and what is above its weight is trimmed. That frees cash.
2. At the moment in which signals are filled the account is valued: who has a bar at its price, who has none at its last
   close. Then a signal while flat opens as many lots as its weight, the exposure limits and the cash allow,
   and what is below its weight is filled up.

A loan is never taken to buy: cash pays for it or it does not happen. Proceeds of short sales are cash. What a cap on
volume leaves of an order goes on with the symbol's next bar; what limits and cash leave of it lapses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulation_service.compiled import compiled
from simulation_service.exposure import MILLION
from simulation_service.full_kernel import Terms, Way
from simulation_service.full_kernel import _affordable as affordable
from simulation_service.full_kernel import _fee as fee_of
from simulation_service.full_kernel import _part_up as part_up
from simulation_service.full_kernel import _touched as touched
from simulation_service.full_kernel import _worsened as worsened
from simulation_service.full_kernel import _worth as worth_of
from simulation_service.rules import Reason
from simulation_service.ticks import FloatArray

__all__ = ["LEDGER", "NO_LIMIT", "NO_SIGNAL", "Caps", "Paths", "Scene", "portfolio_loop"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

LEDGER = ("bar", "symbol", "lots", "price", "quote", "fee", "reason", "decided", "asked")
"""Columns of the table of fills: `decided` is the bar in which the signal's turn came, -1 where no signal did it."""

NO_SIGNAL = -(2**62)
NO_LIMIT = -1

_NOBODY = -1
_OPEN, _INSIDE, _CLOSE_MOMENT = 0, 1, 2
_SIGNAL, _HOLDING, _CLOSE, _DRAWDOWN, _DAILY_LOSS, _MARGIN, _REBALANCE = (
    int(reason)
    for reason in (
        Reason.SIGNAL, Reason.HOLDING, Reason.CLOSE, Reason.DRAWDOWN, Reason.DAILY_LOSS, Reason.MARGIN, Reason.REBALANCE
    )
)  # fmt: skip
_MAINTENANCE_TENTHS = 3  # as for one symbol

# What the account remembers: cash, fills so far, its value at the last close, the highest of these, the one
# before the session, the session, whether trading has ended for ever, the session in which it ended.
_CASH, _FILLS, _EQUITY, _HIGHEST, _SESSION_START, _SESSION, _ENDED, _BARRED = range(8)
_PURSE = 8


class Scene(NamedTuple):
    """The market on the timeline: shape (n_bars, n_symbols), prices in ticks, volumes in lots.

    `close` is the last known one, 0 before the first; `here` tells where a symbol has a bar. `room_before` and
    `room_own` are the most lots that fills may take at the open and by the close. `session` and `period` have the
    shape (n_bars,); a new period is when positions are brought back to their weights.
    """

    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    here: BoolArray
    tradable: BoolArray
    last_minute: BoolArray
    room_before: IntArray
    room_own: IntArray
    session: IntArray
    period: IntArray


class Caps(NamedTuple):
    """Millionths of the account: limits of exposure (or `NO_LIMIT`), and how far a position may drift.

    `rebalances` tells whether periods mean anything.
    """

    gross: int
    net: int
    drift: int
    rebalances: bool


class Paths(NamedTuple):
    """What is written per bar: cash and equity (n_bars,), lots (n_bars, n_symbols)."""

    cash: FloatArray
    equity: FloatArray
    lots: FloatArray


class _Positions(NamedTuple):
    """State by symbol, int64. Lots below 0 are short."""

    lots: IntArray
    opening: IntArray  # still asked for by an order that makes the position larger
    trimming: IntArray  # still to go by an order that makes it smaller
    weight: IntArray  # the last one asked for
    kept: IntArray  # a signal that was not acted upon yet
    kept_from: IntArray
    asker: IntArray
    grower: IntArray  # reason of the order to open
    leaver: IntArray
    leaving: IntArray  # why the position is being left
    due: IntArray  # the same at the moment in which signals are filled
    bars_seen: IntArray  # of the symbol itself
    may_open: IntArray
    room: IntArray
    used: IntArray
    entry: IntArray  # average price
    paid: IntArray
    best: IntArray
    entry_bar: IntArray  # number of the symbol's own bar
    period: IntArray


@compiled
def portfolio_loop(
    scene: Scene, wanted: IntArray, cash: int, way: Way, caps: Caps, costs: Terms, paths: Paths
) -> tuple[IntArray, int]:
    """Replay into `paths`.

    Parameters
    ----------
    wanted
        Shape (n_bars, n_symbols), signed millionths of the account in the bar whose turn it is; or `NO_SIGNAL`.

    Returns
    -------
    The table of fills, and -1, or the bar at which the account grew too large.
    """
    bars, symbols = wanted.shape
    p = _blank(symbols)
    purse = np.zeros(_PURSE, dtype=np.int64)
    purse[_CASH] = purse[_EQUITY] = purse[_HIGHEST] = purse[_SESSION_START] = cash
    purse[_SESSION] = purse[_BARRED] = _NOBODY
    fills = np.empty((1024, len(LEDGER)), dtype=np.int64)
    for bar in range(bars):
        if scene.session[bar] != purse[_SESSION]:
            _begin_session(p, purse, scene.session[bar], way)
        if _take_turns(p, scene, wanted, bar, way, caps, purse):
            if _too_large(p, scene, bar, way):
                return fills[: purse[_FILLS]].copy(), bar
            fills = _longer(fills, purse[_FILLS] + 4 * symbols)
            for moment in range(3):
                _pass_moment(p, scene, bar, moment, way, caps, costs, purse, fills)
            _finish(p, scene, bar, way)
        _judge(p, scene, bar, way, purse)
        if purse[_EQUITY] * way.lot >= way.limit:
            return fills[: purse[_FILLS]].copy(), bar
        paths.cash[bar], paths.equity[bar] = purse[_CASH], purse[_EQUITY]
        for s in range(symbols):
            paths.lots[bar, s] = p.lots[s]
    return fills[: purse[_FILLS]].copy(), -1


@compiled
def _pass_moment(
    p: _Positions, scene: Scene, bar: int, moment: int, way: Way, caps: Caps, costs: Terms, purse: IntArray,
    fills: IntArray,
) -> None:  # fmt: skip
    """Who leaves, who shrinks, and at the moment in which signals are filled who opens and grows."""
    quotes = scene.close[bar] if moment == _CLOSE_MOMENT else scene.open[bar]
    if moment == way.moment:
        worth = _exposure(p, scene, bar, moment, purse, way)[0]
        for s in range(quotes.size):
            if scene.tradable[bar, s]:
                _heed(p, s, bar, quotes[s], worth, scene.period[bar], way, caps)
    for s in range(quotes.size):
        if scene.tradable[bar, s]:
            if moment == _CLOSE_MOMENT:
                p.room[s] = max(0, scene.room_own[bar, s] - p.used[s])
            _reduce(p, s, scene, bar, moment, quotes[s], way, costs, purse, fills)
    if moment == way.moment:
        worth, gross, net = _exposure(p, scene, bar, moment, purse, way)
        for s in range(quotes.size):
            if scene.tradable[bar, s]:
                added = _grow(p, s, bar, quotes[s], worth, gross, net, way, caps, costs, purse, fills)
                gross += worth_of(abs(added), quotes[s], way.lot)
                net += worth_of(added, quotes[s], way.lot)


@compiled
def _blank(symbols: int) -> _Positions:
    zeros = np.zeros((20, symbols), dtype=np.int64)
    p = _Positions(
        zeros[0], zeros[1], zeros[2], zeros[3], zeros[4], zeros[5], zeros[6], zeros[7], zeros[8], zeros[9], zeros[10],
        zeros[11], zeros[12], zeros[13], zeros[14], zeros[15], zeros[16], zeros[17], zeros[18], zeros[19],
    )  # fmt: skip
    p.kept[:] = NO_SIGNAL
    p.leaving[:] = _NOBODY
    p.period[:] = _NOBODY
    return p


@compiled
def _too_large(p: _Positions, scene: Scene, bar: int, way: Way) -> bool:
    """Whether a sum of this bar could leave the exact range."""
    largest = 0
    for s in range(p.lots.size):
        dearest = max(scene.open[bar, s], scene.high[bar, s], scene.close[bar, s])
        largest = max(largest, abs(p.lots[s]) * dearest * p.lots.size)
    return largest >= way.limit


@compiled
def _begin_session(p: _Positions, purse: IntArray, session: int, way: Way) -> None:
    purse[_SESSION], purse[_SESSION_START] = session, purse[_EQUITY]
    for s in range(p.lots.size):
        if way.flat_at_close and p.lots[s] != 0 and p.leaving[s] <= _SIGNAL:
            p.leaving[s] = _CLOSE  # its last minute had no bar to leave in


@compiled
def _judge(p: _Positions, scene: Scene, bar: int, way: Way, purse: IntArray) -> None:
    """What this close says about the account, which is acted upon at the next open."""
    equity, owed = purse[_CASH], 0
    for s in range(p.lots.size):
        value = worth_of(p.lots[s], scene.close[bar, s], way.lot)
        equity += value
        owed -= min(value, 0)
    purse[_EQUITY], purse[_HIGHEST] = equity, max(purse[_HIGHEST], equity)
    verdict = _NOBODY
    if way.drawdown and equity <= purse[_HIGHEST] - part_up(purse[_HIGHEST], way.drawdown):
        purse[_ENDED], verdict = 1, _DRAWDOWN
    elif way.daily_loss and equity <= purse[_SESSION_START] - part_up(max(0, purse[_SESSION_START]), way.daily_loss):
        purse[_BARRED], verdict = purse[_SESSION], _DAILY_LOSS
    elif 10 * equity < _MAINTENANCE_TENTHS * owed:
        verdict = _MARGIN
    if verdict != _NOBODY:
        for s in range(p.lots.size):
            if verdict != _MARGIN or p.lots[s] < 0:
                p.opening[s] = 0
                if p.lots[s] != 0 and p.leaving[s] <= _SIGNAL:
                    p.leaving[s] = verdict


@compiled
def _take_turns(p: _Positions, scene: Scene, wanted: IntArray, bar: int, way: Way, caps: Caps, purse: IntArray) -> bool:
    """Signals whose turn it is; where nothing can be filled they wait, unless a newer one comes.

    Returns whether there is anything to do in this bar.
    """
    may_open = not purse[_ENDED] and purse[_BARRED] != purse[_SESSION]
    busy = False
    watched = way.stop + way.target + way.trailing + way.holding > 0 or way.flat_at_close or caps.rebalances
    for s in range(p.lots.size):
        p.bars_seen[s] += scene.here[bar, s]
        if wanted[bar, s] != NO_SIGNAL:
            p.kept[s], p.kept_from[s] = wanted[bar, s], bar
        if scene.tradable[bar, s]:
            p.room[s], p.used[s] = scene.room_before[bar, s], 0
            p.may_open[s] = may_open and p.leaving[s] <= _SIGNAL
            turned = p.kept[s] != NO_SIGNAL and np.sign(p.kept[s]) != np.sign(p.lots[s])
            under_way = p.opening[s] != 0 or p.trimming[s] != 0 or p.leaving[s] != _NOBODY
            if turned or under_way or (watched and p.lots[s] != 0):
                busy = True
            else:
                p.kept[s] = NO_SIGNAL
    return busy


@compiled
def _exposure(p: _Positions, scene: Scene, bar: int, moment: int, purse: IntArray, way: Way) -> tuple[int, int, int]:
    """Value of the account at an instant, and of its positions without and with sign."""
    gross = net = 0
    for s in range(p.lots.size):
        if p.lots[s] != 0:
            price = scene.close[bar, s]
            if moment != _CLOSE_MOMENT:
                price = scene.open[bar, s] if scene.here[bar, s] else scene.close[bar - 1, s]
            value = worth_of(p.lots[s], price, way.lot)
            gross += abs(value)
            net += value
    return purse[_CASH] + net, gross, net


@compiled
def _heed(p: _Positions, s: int, bar: int, quote: int, worth: int, period: int, way: Way, caps: Caps) -> None:
    """What the signal and the calendar say about a position that is held."""
    signal, lots = p.kept[s], p.lots[s]
    if signal != NO_SIGNAL:
        p.weight[s] = signal
    p.due[s] = _NOBODY
    if lots != 0 and p.leaving[s] <= _SIGNAL:
        if signal != NO_SIGNAL:
            p.leaver[s] = p.kept_from[s]
            # With the position's own sign it also ends an exit that was half done.
            p.leaving[s] = _NOBODY if np.sign(signal) == np.sign(lots) else _SIGNAL
        if p.leaving[s] == _NOBODY and way.holding and p.bars_seen[s] - p.entry_bar[s] >= way.holding:
            p.leaving[s] = _HOLDING
        p.due[s] = p.leaving[s]
    if caps.rebalances and p.period[s] != period:
        p.period[s] = period
        if p.leaving[s] == _NOBODY and p.weight[s] * np.sign(lots) > 0:
            due = _share_of(worth, abs(p.weight[s])) * way.lot // quote
            away = due - abs(lots)
            if worth_of(abs(away), quote, way.lot) > _share_of(worth, caps.drift):
                p.trimming[s] = max(-away, 0)
                p.opening[s] = max(away, 0) * np.sign(lots)
                p.grower[s], p.asker[s] = _REBALANCE, bar


@compiled
def _reduce(
    p: _Positions, s: int, scene: Scene, bar: int, moment: int, quote: int, way: Way, costs: Terms,
    purse: IntArray, fills: IntArray,
) -> None:  # fmt: skip
    """Leave or trim one position as far as the volume allows; the rest goes on with the symbol's next bar."""
    reason, decided = _NOBODY, _NOBODY
    if moment == _OPEN and p.leaving[s] > _SIGNAL:
        reason = p.leaving[s]
    elif moment == _INSIDE and p.lots[s] != 0 and p.leaving[s] == _NOBODY:
        side = 1 if p.lots[s] > 0 else -1
        quote, reason = touched(
            scene.open[bar, s], scene.high[bar, s], scene.low[bar, s], side, p.entry[s], p.best[s], way
        )
    elif moment == _CLOSE_MOMENT and way.flat_at_close and scene.last_minute[bar, s]:
        reason, p.may_open[s] = _CLOSE, 0
    if reason == _NOBODY and moment == way.moment and p.due[s] != _NOBODY:
        reason = p.due[s]
        decided = p.leaver[s] if reason == _SIGNAL else _NOBODY
    asked = abs(p.lots[s])
    if reason != _NOBODY:
        p.opening[s] = p.trimming[s] = 0
    elif moment == way.moment and p.trimming[s] > 0:
        reason, asked = _REBALANCE, p.trimming[s]
    else:
        return
    part = min(asked, p.room[s])
    if part > 0:
        side = -1 if p.lots[s] > 0 else 1
        _fill(p, s, bar, quote, side * part, side * asked, reason, decided, way, costs, purse, fills)
    if reason == _REBALANCE:
        p.trimming[s] -= part
    else:
        p.leaving[s] = reason if p.lots[s] != 0 else _NOBODY


@compiled
def _grow(
    p: _Positions, s: int, bar: int, quote: int, worth: int, gross: int, net: int, way: Way, caps: Caps,
    costs: Terms, purse: IntArray, fills: IntArray,
) -> int:  # fmt: skip
    """Open or add to one position; the signed lots that were filled."""
    signal, lots = p.kept[s], p.lots[s]
    p.kept[s] = NO_SIGNAL
    if p.leaving[s] != _NOBODY:
        return 0
    asked = signal if signal != NO_SIGNAL else 0
    if not p.may_open[s] or (signal != NO_SIGNAL and np.sign(p.opening[s]) != np.sign(asked)):
        p.opening[s] = 0
    is_new = p.opening[s] == 0 and lots == 0 and asked != 0
    if not p.may_open[s] or not (is_new or p.opening[s] != 0):
        return 0
    side = int(np.sign(asked if is_new else p.opening[s]))
    price = worsened(quote, side, costs)
    most = affordable(purse[_CASH], price, side, way.lot, costs) if side > 0 else NO_SIGNAL
    most = _less(most, caps.gross, worth, gross, quote, way.lot)
    most = max(0, _less(most, caps.net, worth, side * net, quote, way.lot))
    if is_new:
        p.opening[s] = side * affordable(_share_of(worth, abs(asked)), price, side, way.lot, costs)
        p.grower[s], p.asker[s] = _SIGNAL, p.kept_from[s]
    if p.asker[s] == bar or is_new:
        p.opening[s] = side * min(abs(p.opening[s]), most)
    part: int = side * min(abs(p.opening[s]), most, p.room[s])
    if part == 0:
        p.opening[s] = p.opening[s] if most > 0 else 0
        return 0
    if lots == 0:
        p.paid[s], p.best[s], p.entry_bar[s] = 0, price, p.bars_seen[s]
    decided = p.asker[s] if p.grower[s] == _SIGNAL else _NOBODY
    _fill(p, s, bar, quote, part, p.opening[s], p.grower[s], decided, way, costs, purse, fills)
    p.paid[s] += abs(part) * price
    # Against the trader: a long position paid the rounded-up average, a short one got the rounded-down.
    p.entry[s] = -(-p.paid[s] // p.lots[s]) if side > 0 else p.paid[s] // -p.lots[s]
    p.opening[s] -= part
    return part


@compiled
def _less(most: int, limit: int, worth: int, used: int, quote: int, lot: int) -> int:
    """The smaller of `most` and the lots until `used` ticks reach a limit; `NO_SIGNAL` stands for endless."""
    if limit == NO_LIMIT:
        return most
    lots: int = (_share_of(worth, limit) - used) * lot // quote
    return lots if most == NO_SIGNAL else min(most, lots)


@compiled
def _fill(
    p: _Positions, s: int, bar: int, quote: int, lots: int, asked: int, reason: int, decided: int, way: Way,
    costs: Terms, purse: IntArray, fills: IntArray,
) -> None:  # fmt: skip
    """One fill of signed lots: cash, position and a line of the table."""
    side = 1 if lots > 0 else -1
    price = worsened(quote, side, costs)
    fee = fee_of(side * lots, price, side, way.lot, costs)
    line = fills[purse[_FILLS]]
    line[0], line[1], line[2], line[3], line[4] = bar, s, lots, price, quote
    line[5], line[6], line[7], line[8] = fee, reason, decided, asked
    purse[_CASH] += worth_of(-lots, price, way.lot) - fee
    purse[_FILLS] += 1
    if lots * p.lots[s] < 0:
        # What is left keeps its average price.
        p.paid[s] -= abs(lots) * p.paid[s] // abs(p.lots[s])
    p.lots[s] += lots
    p.room[s] -= abs(lots)
    p.used[s] += abs(lots)


@compiled
def _finish(p: _Positions, scene: Scene, bar: int, way: Way) -> None:
    """The best price since entry; a position opened at the close has seen nothing of this bar."""
    for s in range(p.lots.size):
        if scene.tradable[bar, s] and (way.moment == _OPEN or p.entry_bar[s] < p.bars_seen[s]):
            if p.lots[s] > 0:
                p.best[s] = max(p.best[s], scene.high[bar, s])
            elif p.lots[s] < 0:
                p.best[s] = min(p.best[s], scene.low[bar, s])


@compiled
def _share_of(worth: int, millionths: int) -> int:
    """Whole ticks of a share of the account, rounded down; split so that no product leaves int64."""
    if worth <= 0:
        return 0
    whole = worth // MILLION
    return whole * millionths + (worth - whole * MILLION) * millionths // MILLION


@compiled
def _longer(fills: IntArray, lines: int) -> IntArray:
    """The table of fills with room for so many lines."""
    while fills.shape[0] < lines:
        fills = np.concatenate((fills, np.empty_like(fills)))
    return fills
