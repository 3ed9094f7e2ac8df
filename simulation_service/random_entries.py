"""What chance gives with the same exposure: as many trades, held as long, entered at random.

A strategy that is long half of a rising year earns half of the rise, whatever it looks at. So its holding times
and the gaps between them are put in a random order, many times, over the same bars: each draw has the same
number of trades, the same bars in the market, the same sides, the same share of the account in each trade and the
same cost for each dollar traded; only the moments are another's. The strategy's own trades are reckoned by the same
formula, so that whole shares and cash left over speak neither for it nor against it. Where it stands among the
draws is what its moments were worth.

Holding times are counted in bars: a strategy that is flat every night is compared with entries that are not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulation_service.compiled import compiled
from simulation_service.execution import Execution
from simulation_service.kernel import Replay
from simulation_service.market import Market
from simulation_service.ticks import FloatArray

__all__ = ["QUANTILES", "RandomEntries", "Trips", "draw_returns", "random_entries"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

IntArray = npt.NDArray[np.int64]

_MOST_DRAWS, _FEWEST_DRAWS = 200, 40
_SAME = 1e-12
"""How near two returns are that differ by rounding alone."""
_MOST_TRIPS = 5_000_000
"""Trips of all draws together: with more trips there are fewer draws, so that a run does not wait for them."""


@dataclass(frozen=True)
class RandomEntries:
    """Where a strategy stands among random entries of the same exposure.

    Parameters
    ----------
    draws, seed
        How many random orders were drawn, and from which seed: the same one gives the same figures.
    trades, exposure
        Of the strategy and of every draw: round trips, the last open one too, and the fraction of bars held.
    invested
        Share of the account that went into a trade, on average; the same for every draw.
    total_return
        Of the strategy's account.
    own_return
        Of the strategy's trades, with that share of the account in each: what the draws are compared with.
    quantiles
        Total return of the draws by quantile, such as "0.5" for the median.
    lower
        Fraction of the draws below `own_return`; those that equal it count half.
    """

    draws: int
    seed: int
    trades: int
    exposure: float
    invested: float
    total_return: float
    own_return: float
    quantiles: dict[str, float]
    lower: float

    def as_dict(self) -> dict[str, Any]:
        """Figures by name, as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Trips:
    """Round trips on a row of prices, one after the other.

    Parameters
    ----------
    entry, exit
        Shape (n_trips,), index of the prices bought and sold at; each exit at or before the next entry.
    side
        Shape (n_trips,), 1 long and -1 short.
    """

    entry: IntArray
    exit: IntArray
    side: FloatArray

    @classmethod
    def of(cls, done: Replay, *, last: int) -> Trips:
        """Trips of a replay; one that is still open ends at the price of that index."""
        # Counted in the smallest parts: as shares, the parts of a position would add up only within rounding.
        after = np.sign(np.cumsum(np.rint(done.fill_shares * done.lots_per_share)))
        before = np.append(0.0, after[:-1])
        entered, left = (after != before) & (after != 0), (after != before) & (before != 0)
        exits = done.fill_bars[left]
        if after[-1] != 0:
            exits = np.append(exits, last)
        return cls(done.fill_bars[entered], exits, after[entered])

    @property
    def holding(self) -> IntArray:
        """Shape (n_trips,), prices from entry to exit."""
        return self.exit - self.entry

    def gaps(self, size: int) -> IntArray:
        """Shape (n_trips + 1,), prices without a position before, between and after the trips, of so many."""
        gaps: IntArray = np.append(self.entry, size - 1) - np.append(0, self.exit)
        return gaps


def random_entries(done: Replay, market: Market, *, execution: Execution, seed: int = 0) -> RandomEntries | None:
    """Random entries with the exposure, the number of trades and the cost per dollar of a replay.

    Parameters
    ----------
    done
        The strategy's replay over `market` with `execution`; what each dollar cost it, every draw pays too.

    Returns
    -------
    None where the strategy never traded.
    """
    if not done.fill_bars.size:
        return None
    prices = _fill_prices(market, execution)
    trips = Trips.of(done, last=prices.size - 1)
    draws = min(_MOST_DRAWS, max(_FEWEST_DRAWS, _MOST_TRIPS // trips.entry.size))
    cost = done.costs_paid / float((np.abs(done.fill_shares) * done.fill_quotes).sum())
    invested, ratio = _own_trips(done, trips, last_close=float(market.close[-1]))
    returns = draw_returns(trips, prices, cost=cost, draws=draws, seed=seed, invested=invested)
    own = float(np.prod(np.maximum(1.0 + invested * (trips.side * (ratio - 1.0) - cost * (1.0 + ratio)), 0.0))) - 1.0
    found = np.quantile(returns, QUANTILES)
    # The same product in another order may differ in its last digits.
    tied = np.abs(returns - own) <= _SAME * (1.0 + abs(own))
    return RandomEntries(
        draws=draws,
        seed=seed,
        trades=int(trips.entry.size),
        exposure=float(np.count_nonzero(done.shares) / done.shares.size),
        invested=invested,
        total_return=done.final_value / done.start_cash - 1.0,
        own_return=own,
        quantiles={str(quantile): float(value) for quantile, value in zip(QUANTILES, found, strict=True)},
        lower=float(np.mean((returns < own) & ~tied) + np.mean(tied) / 2),
    )


def _own_trips(done: Replay, trips: Trips, *, last_close: float) -> tuple[float, FloatArray]:
    """Share of the account put into a trip, on average, and of each trip the price left at by the price entered at.

    Both prices are averages over the fills, before spread and slippage: those are in the cost of each dollar. What is
    still held is left at the last close.
    """
    after = np.cumsum(np.rint(done.fill_shares * done.lots_per_share))
    flat_before = np.append(True, after[:-1] == 0)
    trip = np.cumsum(flat_before) - 1
    opening = np.sign(done.fill_shares) == trips.side[trip]
    shares = np.abs(done.fill_shares)
    bought, sold = (np.bincount(trip[which], shares[which], trips.entry.size) for which in (opening, ~opening))
    paid, got = (
        np.bincount(trip[which], (shares * done.fill_quotes)[which], trips.entry.size) for which in (opening, ~opening)
    )
    held = np.maximum(bought - sold, 0.0)
    got = got + held * last_close
    before = np.append(float(done.start_cash), done.equity)[trips.entry]
    shares_of_account = paid[before > 0] / before[before > 0]
    invested = float(shares_of_account.mean()) if shares_of_account.size else 1.0
    return invested, got / (sold + held) / (paid / bought)


def _fill_prices(market: Market, execution: Execution) -> FloatArray:
    """What an order is filled at, bar by bar, where nothing can be filled the price of the next bar that can.

    The last price is the last close: it values what is still held.
    """
    prices = market.open if execution.fill.is_at_open else market.close
    if not market.tradable.all():
        bars = np.where(market.tradable, np.arange(market.bars), market.bars - 1)
        prices = prices[np.minimum.accumulate(bars[::-1])[::-1]]
    return np.append(prices, market.close[-1]) if execution.fill.is_at_open else prices


def draw_returns(
    trips: Trips, prices: FloatArray, *, cost: float, draws: int, seed: int, invested: float = 1.0
) -> FloatArray:
    """Total return of each random order of the trips.

    Parameters
    ----------
    prices
        Shape (n_prices,): what an order is filled at, bar by bar.
    cost
        For each dollar bought or sold, a fraction.
    invested
        Share of the account that goes into each trip.

    Returns
    -------
    Shape (draws,); -1 for a draw that short trips ruin.
    """
    returns = np.empty(draws)
    # Length and side travel together, as one signed number; a trip of no length earns nothing on either side.
    signed = (trips.holding * trips.side).astype(np.int32)
    gaps = trips.gaps(prices.size).astype(np.int32)
    _compiled_loop(signed, gaps, prices, cost, invested, np.random.default_rng(seed), returns)
    return returns


def _loop(
    signed: npt.NDArray[np.int32],
    gaps: npt.NDArray[np.int32],
    prices: FloatArray,
    cost: float,
    invested: float,
    rng: np.random.Generator,
    returns: FloatArray,
) -> None:
    """Fill `returns`; trips and gaps are put in a new order in place for each of them (Fisher and Yates)."""
    for draw in range(returns.size):
        for values in (signed, gaps):
            for last in range(values.size - 1, 0, -1):
                other = int(rng.random() * (last + 1))
                values[last], values[other] = values[other], values[last]
        growth = 1.0
        at = 0
        for trip in range(signed.size):
            at += gaps[trip]
            entry = prices[at]
            at += abs(signed[trip])
            ratio = prices[at] / entry
            side = 1.0 if signed[trip] > 0 else -1.0
            # An account that a short trip has ruined does not come back with the next one.
            growth *= max(1.0 + invested * (side * (ratio - 1.0) - cost * (1.0 + ratio)), 0.0)
        returns[draw] = growth - 1.0


_compiled_loop = compiled(_loop)
