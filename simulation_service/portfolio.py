"""Many symbols, one cash account: signals and an allocation become weights, orders, fills and one equity curve."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from simulation_service import portfolio_kernel as compiled
from simulation_service.allocation import Allocation, target_weights
from simulation_service.execution import Execution
from simulation_service.exposure import MILLION, whole_millionths
from simulation_service.full_kernel import Terms, Way
from simulation_service.kernel import Replay
from simulation_service.kernel import _session_ends as session_ends
from simulation_service.kernel import _too_large as too_large
from simulation_service.kernel import _way as way_of
from simulation_service.panel import IntArray, Panel
from simulation_service.rebalance import Every, Rebalance
from simulation_service.rules import Direction, Rules
from simulation_service.ticks import RATE_UNITS, FloatArray

__all__ = ["PortfolioReplay", "allowed", "hold_evenly", "replay_portfolio", "replay_weights"]

_BASIC_EXECUTION = Execution()
_BASIC_RULES = Rules()


@dataclass(frozen=True, eq=False)
class PortfolioReplay:
    """What became of the account, all money in ticks.

    Parameters
    ----------
    account
        All symbols together on the common timeline; `account.shares` are those of all of them, without sign.
    shares
        Shape (n_bars, n_symbols), below 0 where a position is short.
    fill_symbols
        Shape (n_fills,): the column of the symbol of each fill of `account`.
    """

    account: Replay
    shares: FloatArray
    fill_symbols: IntArray

    def of_symbol(self, column: int, rows: IntArray) -> Replay:
        """The fills and shares of one symbol, by its own bars; cash and equity are those of the account.

        Parameters
        ----------
        rows
            Those of the panel: the row of the timeline of each of the symbol's bars.
        """
        own = self.fill_symbols == column
        fills = {name: getattr(self.account, name)[own] for name in _FILL_COLUMNS}
        for name in ("fill_bars", "fill_signal_bars"):
            fills[name] = np.where(fills[name] < 0, -1, np.searchsorted(rows, fills[name]))
        paths = {name: getattr(self.account, name)[rows] for name in ("cash", "equity")}
        return dataclasses.replace(self.account, shares=self.shares[rows, column], **fills, **paths)


_FILL_COLUMNS = [entry.name for entry in dataclasses.fields(Replay) if entry.name.startswith("fill_")]


def replay_portfolio(
    signals: FloatArray,
    panel: Panel,
    *,
    cash_ticks: int,
    allocation: Allocation,
    execution: Execution = _BASIC_EXECUTION,
    rules: Rules = _BASIC_RULES,
    earlier_closes: pl.DataFrame | None = None,
) -> PortfolioReplay:
    """Replay of the signals of several symbols on one account.

    Parameters
    ----------
    signals
        Shape (n_bars, n_symbols), on the panel's timeline, each known when its bar has closed; NaN holds.
    cash_ticks
        Starting cash, whole ticks.
    earlier_closes
        session, then one column per symbol: session closes in dollars before the panel's first session, for
        sizes and correlations that are estimated from the past. None: they begin with the panel.

    Raises
    ------
    InvalidInputError
        If signals and panel differ in shape, or the account outgrows what is exact.
    """
    if signals.shape != panel.shape:
        raise InvalidInputError(
            f"signals have the shape {signals.shape}, the panel {panel.shape}: give one column per symbol "
            "and one row per minute of the timeline."
        )
    weights = target_weights(allowed(signals, rules.direction), panel, allocation, earlier_closes=earlier_closes)
    return replay_weights(
        weights, panel, cash_ticks=cash_ticks, allocation=allocation, execution=execution, rules=rules
    )


def replay_weights(
    weights: FloatArray,
    panel: Panel,
    *,
    cash_ticks: int,
    allocation: Allocation,
    execution: Execution = _BASIC_EXECUTION,
    rules: Rules = _BASIC_RULES,
) -> PortfolioReplay:
    """As `replay_portfolio`, from weights that `target_weights` found: they are the same for every execution."""
    return _replay(weights, panel, cash_ticks, allocation, execution, rules, lag=execution.lag)


def hold_evenly(panel: Panel, *, cash_ticks: int, execution: Execution = _BASIC_EXECUTION) -> PortfolioReplay:
    """Replay of one buy of each symbol with an equal part of the account, kept; at its first open or first close."""
    weights = panel.spread([np.full(rows.size, float(MILLION // len(panel.symbols))) for rows in panel.rows], np.nan)
    return _replay(weights, panel, cash_ticks, Allocation(), execution, _BASIC_RULES, lag=0)


def allowed(signals: FloatArray, direction: Direction) -> FloatArray:
    """Signals that ask for a position that may not be opened ask to be flat."""
    if direction is Direction.LONG:
        return np.maximum(signals, 0.0)
    return np.minimum(signals, 0.0) if direction is Direction.SHORT else signals


def _replay(
    weights: FloatArray,
    panel: Panel,
    cash: int,
    allocation: Allocation,
    execution: Execution,
    rules: Rules,
    *,
    lag: int,
) -> PortfolioReplay:
    waited = panel.delayed(weights, lag)
    way = way_of(execution, rules, lag)
    paths = compiled.Paths(np.empty(panel.shape[0]), np.empty(panel.shape[0]), np.empty(panel.shape))
    table, grown_at = compiled.portfolio_loop(
        _scene(panel, way, allocation.rebalance, rules),
        np.where(np.isnan(waited), compiled.NO_SIGNAL, waited).astype(np.int64),
        cash,
        way,
        _caps(allocation),
        Terms(*execution.costs.units().tolist()),
        paths,
    )
    if grown_at >= 0:
        raise too_large(way.limit // way.lot, grown_at)
    column = {name: table[:, place] for place, name in enumerate(compiled.LEDGER)}
    account = Replay(
        start_cash=cash,
        cash=paths.cash,
        shares=np.abs(paths.lots).sum(axis=1) / way.lot,
        equity=paths.equity,
        fill_bars=column["bar"].copy(),
        fill_shares=column["lots"] / way.lot,
        fill_prices=column["price"].astype(np.float64),
        fill_quotes=column["quote"].astype(np.float64),
        fill_fees=column["fee"].astype(np.float64),
        fill_reasons=column["reason"].astype(np.int8),
        fill_signal_bars=_signal_bars(panel, column["decided"], column["symbol"], lag),
        fill_asked=column["asked"] / way.lot,
        lots_per_share=way.lot,
    )
    return PortfolioReplay(account, paths.lots / way.lot, column["symbol"].copy())


def _scene(panel: Panel, way: Way, rebalance: Rebalance, rules: Rules) -> compiled.Scene:
    prices = {
        name: panel.spread([getattr(market, name) for market in panel.markets], 0.0).astype(np.int64)
        for name in ("open", "high", "low")
    }
    periods = rebalance.periods(panel.session)
    return compiled.Scene(
        **prices,
        close=panel.closes().astype(np.int64),
        here=panel.spread([np.ones(rows.size, dtype=np.bool_) for rows in panel.rows], absent=False),
        tradable=panel.spread([market.tradable for market in panel.markets], absent=False),
        last_minute=panel.spread([session_ends(market, rules) for market in panel.markets], absent=False),
        room_before=panel.spread([_room(market.volume, way, bars_before=1) for market in panel.markets], 0),
        room_own=panel.spread([_room(market.volume, way, bars_before=0) for market in panel.markets], 0),
        session=panel.session_rows(),
        period=np.zeros(panel.shape[0], dtype=np.int64) if periods is None else periods,
    )


def _caps(allocation: Allocation) -> compiled.Caps:
    limits, rebalance = allocation.limits, allocation.rebalance
    gross, drift = (int(whole_millionths(np.array(value))) for value in (limits.gross, rebalance.drift))
    net = compiled.NO_LIMIT if limits.net is None else int(whole_millionths(np.array(limits.net)))
    return compiled.Caps(gross, net, drift, rebalance.every is not Every.NEVER)


def _signal_bars(panel: Panel, decided: IntArray, symbols: IntArray, lag: int) -> IntArray:
    """Row of the bar whose signal was acted upon at `decided`: `lag` bars before, by the symbol's own bars."""
    found = np.full(decided.size, -1, dtype=np.int64)
    for place, rows in enumerate(panel.rows):
        own = symbols == place
        made = own & (decided >= 0)
        found[made] = rows[np.searchsorted(rows, decided[made]) - lag]
    return found


def _room(volume: FloatArray, way: Way, *, bars_before: int) -> IntArray:
    """Most lots that fills may take of the volume `bars_before`, rounded down; none of a bar that is not there."""
    if way.volume_share == 0:
        return np.full(volume.size, _ENDLESS, dtype=np.int64)
    # Split so that no product leaves int64.
    lots = (np.minimum(volume, _MOST_VOLUME) * way.lot).astype(np.int64)
    whole = lots // RATE_UNITS
    room: IntArray = whole * way.volume_share + (lots - whole * RATE_UNITS) * way.volume_share // RATE_UNITS
    return np.concatenate([np.zeros(bars_before, dtype=np.int64), room])[: volume.size]


_ENDLESS = 2**62
_MOST_VOLUME = 2.0**40
