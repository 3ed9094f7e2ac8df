"""The trading rule, replayed bar by bar in whole ticks: exact, and compiled.

Signal above 0 while flat buys the most whole shares that cash allows; signal 0 or below while long sells
them all; anything else holds. A buy that cash cannot pay is tried again at every following bar whose
signal is above 0. A bar without a signal (NaN) holds.

Why whole ticks: in float dollars 0.30 / 0.10 is 2.9999999999999996, a share is lost, and the account is wrong
from there on. Here cash and prices are whole numbers in float64 with cash + price < 2**53; the
quotient of two such numbers never rounds up to the next whole number, so its floor is the true share count.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError
from simulation_service.compiled import compiled
from simulation_service.execution import Execution, Fill
from simulation_service.full_kernel import LOTS_PER_SHARE, Book, Terms, Way, World, full_loop
from simulation_service.late import Late
from simulation_service.market import Market
from simulation_service.rules import Direction, Rules
from simulation_service.ticks import MAX_TICKS, TICKS_PER_DOLLAR, ExactRangeError, FloatArray, rate_units

__all__ = ["Fill", "Replay", "buy_and_hold", "replay"]

_BASIC_EXECUTION = Execution()
_BASIC_RULES = Rules()

# Ticks times lots per share: with either, no product of shares, prices and fees leaves int64.
_WHOLE_LIMIT = 2**49
_FRACTIONAL_LIMIT = 2**61


@dataclass(frozen=True, eq=False)
class Replay:
    """What the rule did, all money in ticks.

    Parameters
    ----------
    start_cash
        Cash before the first bar.
    cash, shares, equity
        Shape (n_bars,), after the bar has closed; equity is cash plus shares at the bar's close. Of the plain rule
        cash and shares are worked out of the fills, when they are first looked at.
    fill_bars, fill_shares, fill_prices
        Shape (n_fills,), in order of time: the bar filled in, shares bought (above 0) or sold (below 0),
        and the price of one share, with spread and slippage.
    fill_quotes, fill_fees
        The price before spread and slippage, and all fees.
    fill_reasons
        Numbers of `Reason`.
    fill_signal_bars
        The bar whose signal asked for it; -1 where no signal did.
    fill_asked
        Shares that the order still asked for, signed as `fill_shares`: more than those if volume was capped.
    lots_per_share
        1, or a million where shares come in parts.
    """

    start_cash: int
    equity: FloatArray
    fill_bars: npt.NDArray[np.int64]
    fill_shares: FloatArray
    fill_prices: FloatArray
    fill_quotes: FloatArray
    fill_fees: FloatArray
    fill_reasons: npt.NDArray[np.int8]
    fill_signal_bars: npt.NDArray[np.int64]
    fill_asked: FloatArray
    cash: Late = Late()  # noqa: RUF009 - a descriptor is what makes the field late
    shares: Late = Late()  # noqa: RUF009 - as above
    lots_per_share: int = 1

    @property
    def final_value(self) -> int:
        """Equity at the last close, ticks."""
        return int(self.equity[-1])

    @property
    def shares_bought(self) -> float:
        """Sum of the shares of all buys; an int unless shares came in parts."""
        total = float(self.fill_shares[self.fill_shares > 0].sum())
        return int(total) if total.is_integer() else total

    @property
    def fill_cash(self) -> FloatArray:
        """Shape (n_fills,), what each fill added to the cash (a buy: below 0), fees taken off; whole ticks."""
        if self.lots_per_share == 1:
            return -self.fill_shares * self.fill_prices - self.fill_fees
        lots = np.rint(self.fill_shares * self.lots_per_share).astype(np.int64)
        value = -lots * self.fill_prices.astype(np.int64) // self.lots_per_share
        return value - self.fill_fees

    @property
    def fees_paid(self) -> int:
        """Sum of all fees, ticks."""
        return int(self.fill_fees.sum())

    @property
    def spread_paid(self) -> float:
        """What spread and slippage took, ticks: shares times the distance from quote to price."""
        return float((np.abs(self.fill_shares) * np.abs(self.fill_prices - self.fill_quotes)).sum())

    @property
    def costs_paid(self) -> float:
        """Fees, spread and slippage together, ticks."""
        return self.fees_paid + self.spread_paid


@compiled
def basic_loop(
    price: FloatArray,
    signal: FloatArray,
    close: FloatArray,
    cash: float,
    lag: int,
    equity_path: FloatArray,
    fill_bars: npt.NDArray[np.int64],
    fill_shares: FloatArray,
) -> int:
    """Fill the three output arrays and return the number of fills. `lag` bars lie between signal and fill."""
    shares = 0.0
    fills = 0
    for bar in range(price.size):
        wanted = signal[bar - lag] if bar >= lag else np.nan
        if shares == 0.0 and wanted > 0.0:
            shares = np.floor(cash / price[bar])
            if shares > 0.0:
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


def _basic_replay(price: FloatArray, signal: FloatArray, close: FloatArray, cash: int, *, lag: int) -> Replay:
    bars = price.size
    # One fill per bar at most; pages that no fill reaches are never touched.
    equity, fill_bars, fill_shares = np.empty(bars), np.empty(bars, dtype=np.int64), np.empty(bars)
    count = basic_loop(price, signal, close, float(cash), lag, equity, fill_bars, fill_shares)
    # Sums only grow under rounding, so an account that ever left the exact range shows it here.
    if equity.max() >= MAX_TICKS:
        raise _too_large(MAX_TICKS, int(np.argmax(equity >= MAX_TICKS)))
    bars_of_fills, shares_of_fills = fill_bars[:count].copy(), fill_shares[:count].copy()
    prices = price[bars_of_fills]
    reasons = np.zeros(count, dtype=np.int8)  # `Reason.SIGNAL`, in pages that cost nothing until they are read
    after = functools.partial(_after_each_bar, shares_of_fills, bars_of_fills, bars)
    return Replay(
        cash, equity, bars_of_fills, shares_of_fills, prices, prices, np.zeros(count), reasons, bars_of_fills - lag,
        shares_of_fills, functools.partial(after, paid=prices, cash=float(cash)), after,
    )  # fmt: skip


def _after_each_bar(
    shares: FloatArray,
    fill_bars: npt.NDArray[np.int64],
    bars: int,
    paid: FloatArray | None = None,
    cash: float = 0.0,
) -> FloatArray:
    """Shares held after each bar; with a price paid at each fill, the cash left. Whole numbers: the sums are exact."""
    levels = np.cumsum(shares) if paid is None else cash - np.cumsum(shares * paid)
    return np.repeat(np.concatenate([[cash], levels]), np.diff(fill_bars, prepend=0, append=bars))


def _full_replay(
    signal: FloatArray, market: Market, cash: int, execution: Execution, rules: Rules, *, lag: int
) -> Replay:
    way = _way(execution, rules, lag)
    world = World(
        market.open, market.high, market.low, market.close, market.volume, market.session_number,
        _session_ends(market, rules), market.tradable,
    )  # fmt: skip
    book = _blank_book(market.bars)
    count = full_loop(world, signal, cash, way, Terms(*execution.costs.units().tolist()), book)
    if count < 0:
        raise _too_large(way.limit // way.lot, -count - 1)
    made = slice(count)
    if way.lot > 1:
        # The nearest float to so many millionths; whole shares are lots already.
        for lots in (book.shares, book.lots[made], book.asked[made]):
            np.divide(lots, way.lot, out=lots)
    return Replay(
        cash, book.equity, book.bars[made], book.lots[made], book.prices[made], book.quotes[made], book.fees[made],
        book.reasons[made], book.signal_bars[made], book.asked[made], book.cash, book.shares, way.lot,
    )  # fmt: skip


def _way(execution: Execution, rules: Rules, lag: int) -> Way:
    """Settings as the loop counts them."""
    fractions = {
        name: 0 if value is None else rate_units(value, name=name, most=100.0)
        for name, value in (
            ("volume_share", execution.volume_share),
            ("stop", rules.stop_loss),
            ("target", rules.take_profit),
            ("trailing", rules.trailing_stop),
            ("drawdown", rules.max_drawdown),
            ("daily_loss", rules.daily_loss_limit),
        )
    }
    return Way(
        moment=0 if execution.fill.is_at_open else 2,
        lag=lag,
        long=rules.direction is not Direction.SHORT,
        short=rules.direction is not Direction.LONG,
        lot=LOTS_PER_SHARE if rules.fractional else 1,
        limit=_FRACTIONAL_LIMIT if rules.fractional else _WHOLE_LIMIT,
        flat_at_close=rules.flat_at_close,
        holding=rules.max_holding_bars or 0,
        **fractions,
    )


def _session_ends(market: Market, rules: Rules) -> npt.NDArray[np.bool_]:
    if market.session_end is not None:
        return market.session_end
    if rules.flat_at_close:
        raise InvalidInputError(
            "flat_at_close needs to know when sessions end: make the market with the calendar,"
            " such as Market.of(bars, calendar=lake.calendar)."
        )
    return np.zeros(market.bars, dtype=np.bool_)


def _blank_book(bars: int) -> Book:
    # No bar has more than four fills; pages that none reaches are never touched.
    most = 4 * bars
    return Book(
        cash=np.empty(bars), shares=np.empty(bars), equity=np.empty(bars), bars=np.empty(most, dtype=np.int64),
        lots=np.empty(most), prices=np.empty(most), quotes=np.empty(most), fees=np.empty(most),
        reasons=np.empty(most, dtype=np.int8), signal_bars=np.empty(most, dtype=np.int64), asked=np.empty(most),
    )  # fmt: skip


def _too_large(limit: int, bar: int) -> ExactRangeError:
    return ExactRangeError(
        f"the account passes {limit // TICKS_PER_DOLLAR:,} dollars at bar {bar}, beyond"
        " which cents are not exact: start with less cash or check the prices."
    )


def replay(
    signal: FloatArray,
    market: Market,
    *,
    cash_ticks: int,
    execution: Execution = _BASIC_EXECUTION,
    rules: Rules = _BASIC_RULES,
) -> Replay:
    """Replay of one signal series over the bars of one symbol.

    Parameters
    ----------
    signal
        Shape (n_bars,), known when its bar has closed; NaN holds.
    cash_ticks
        Starting cash, whole ticks.
    execution
        By default `next_open`: the signal of bar i fills at the open of bar i+1, the last bar's fills nothing.
        `same_close` fills at the close of bar i itself, which is optimistic.
    rules
        By default long only, whole shares.

    Raises
    ------
    InvalidInputError
        If signal and market differ in length or are empty, cash is below 0, or a rule needs what the market
        does not have.
    ExactRangeError
        If the account outgrows 450 billion dollars (56 billion with costs or rules, 230 million where shares
        come in parts).

    Examples
    --------
    >>> dollars = np.array([10.0, 11.0, 12.0]) * 10_000
    >>> done = replay(np.array([1.0, 0.0, 0.0]), Market.from_ticks(dollars, dollars), cash_ticks=1_000_000)
    >>> done.fill_bars, done.fill_shares, done.final_value
    (array([1, 2]), array([ 9., -9.]), 1090000)
    """
    _require_same_length(signal, market.open, market.close)
    return _replayed(signal, market, cash_ticks, execution, rules, lag=execution.lag)


def _replayed(signal: FloatArray, market: Market, cash: int, execution: Execution, rules: Rules, *, lag: int) -> Replay:
    if cash < 0:
        raise InvalidInputError(f"cash_ticks {cash} is below 0: an account starts with money, or with none.")
    if _is_basic(market, execution, rules):
        price = market.open if execution.fill.is_at_open else market.close
        return _basic_replay(price, signal, market.close, cash, lag=lag)
    return _full_replay(signal, market, cash, execution, rules, lag=lag)


def buy_and_hold(market: Market, *, cash_ticks: int, execution: Execution = _BASIC_EXECUTION) -> Replay:
    """Replay of one buy, kept: at the first open for `next_open`, else at the first close."""
    _require_same_length(market.open, market.close)
    return _replayed(np.ones(market.bars), market, cash_ticks, execution, _BASIC_RULES, lag=0)


def _is_basic(market: Market, execution: Execution, rules: Rules) -> bool:
    plain = rules == _BASIC_RULES and execution.costs.is_free and execution.volume_share is None
    return plain and bool(market.tradable.all())


def _require_same_length(*arrays: FloatArray) -> None:
    sizes = [array.size for array in arrays]
    if len(set(sizes)) > 1 or sizes[0] == 0:
        raise InvalidInputError(f"signal, open and close have {sizes} bars: each needs the same number, at least 1.")
