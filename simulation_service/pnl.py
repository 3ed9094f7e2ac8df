"""What one position would have made between two moments: `barlake pnl`.

Prices are as traded, and what happened to the shares in between is counted: a split changes how many there
are, a dividend is paid to who is long and owed by who is short. No cost, no interest, no fee for borrowing
shares. Sums are exact: prices are decimal, share counts are fractions.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import polars as pl

from barlake import Lake
from barlake.actions import RATIO_KINDS, ActionKind
from barlake.errors import InvalidInputError
from barlake.keys import SYNTHETIC_FEED, parse_symbol
from barlake.ranges import Boundary
from simulation_service.price_points import PricePoint, SessionPrice, price_point

__all__ = ["CountedAction", "ProfitAndLoss", "profit_and_loss"]

_CENTS, _FINEST = Decimal("0.01"), Decimal("1e-8")
_DENOMINATOR, _SAME = 1_000_000, 1e-12


@dataclass(frozen=True)
class CountedAction:
    """A corporate action between entry and exit, and what it did to the position.

    Parameters
    ----------
    ratio
        New shares for an old one; None for what is no split.
    cash_usd
        Paid to the position, below 0 when it is short; None for what pays no cash.
    counts
        False for a kind whose worth cannot be told from prices, such as a spin-off: it is named, not counted.
    """

    ex_date: dt.date
    kind: str
    ratio: Fraction | None
    cash_usd: Fraction | None
    counts: bool


@dataclass(frozen=True)
class ProfitAndLoss:
    """A position between two moments, and what became of it.

    Parameters
    ----------
    quantity
        Shares at the entry, above 0 on either side.
    actions
        Splits and dividends with an ex-date after the session of the entry, up to that of the exit.
    actions_known
        Whether the lake knows any corporate action of the symbol at all; else absence says nothing.
    """

    symbol: str
    feed: str
    is_short: bool
    quantity: Fraction
    entry: PricePoint
    exit: PricePoint
    actions: tuple[CountedAction, ...]
    actions_known: bool

    @property
    def shares_at_exit(self) -> Fraction:
        """Shares after all splits; a fraction of a share is valued as such, not paid out."""
        shares = self.quantity
        for action in self.actions:
            shares *= action.ratio or 1
        return shares

    @property
    def price_profit_usd(self) -> Fraction:
        """What the position made by its price: value at the exit less value at the entry, turned when short."""
        gain = self.shares_at_exit * Fraction(self.exit.price_usd) - self.invested_usd
        return -gain if self.is_short else gain

    @property
    def dividends_usd(self) -> Fraction:
        """Dividends received, below 0 when owed."""
        return sum((action.cash_usd or Fraction(0) for action in self.actions), Fraction(0))

    @property
    def invested_usd(self) -> Fraction:
        """Value of the shares at the entry."""
        return self.quantity * Fraction(self.entry.price_usd)

    @property
    def profit_usd(self) -> Fraction:
        """Price and dividends together."""
        return self.price_profit_usd + self.dividends_usd

    @property
    def simple_return(self) -> float:
        """Profit for each dollar of shares at the entry."""
        return float(self.profit_usd / self.invested_usd)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it; money is decimal text, to the cent and beyond where it is finer."""
        return {
            "symbol": self.symbol,
            "feed": self.feed,
            "synthetic": self.feed == SYNTHETIC_FEED,
            "side": "short" if self.is_short else "long",
            "quantity": _text(self.quantity),
            "entry": _moment(self.entry),
            "exit": _moment(self.exit),
            "invested_usd": _money(self.invested_usd),
            "shares_at_exit": _text(self.shares_at_exit),
            "price_profit_usd": _money(self.price_profit_usd),
            "dividends_usd": _money(self.dividends_usd),
            "profit_usd": _money(self.profit_usd),
            "simple_return": self.simple_return,
            "actions": [_told(action) for action in self.actions],
            "actions_known": self.actions_known,
        }


def profit_and_loss(
    lake: Lake,
    symbol: str,
    *,
    entry: Boundary,
    exit: Boundary,  # noqa: A002 - the word of the trade
    quantity: Decimal | float | str = 1,
    short: bool = False,
    entry_at: str = SessionPrice.CLOSE,
    exit_at: str = SessionPrice.CLOSE,
    feed: str | None = None,
) -> ProfitAndLoss:
    """Hypothetical profit and loss of a position between two moments.

    Parameters
    ----------
    entry, exit
        Session dates, or aware instants: then the last price known.
    quantity
        Shares, above 0; a fraction is allowed.
    short
        Sell first and buy back.
    entry_at, exit_at
        For dates: `open` or `close` of the regular session.
    feed
        None takes `sip` before `iex` before the only other feed that holds the symbol.

    Raises
    ------
    InvalidInputError
        If an option is wrong, a date is no session, or the exit is not after the entry.
    NotFoundError
        If the lake has no bar that tells one of the prices.
    """
    name, shares = parse_symbol(symbol), _quantity(quantity)
    chosen = lake.feed_of(name, feed)
    first = price_point(lake, name, entry, name="entry", feed=chosen, at=entry_at)
    last = price_point(lake, name, exit, name="exit", feed=chosen, at=exit_at)
    if first.instant >= last.instant:
        raise InvalidInputError(
            f"the exit's price of {last.instant} is not after the entry's of {first.instant}: choose a later exit."
        )
    known = lake.corporate_actions(name).filter("counts")
    between = known.filter(pl.col("ex_date") > first.session, pl.col("ex_date") <= last.session)
    counted = _counted(between, -shares if short else shares)
    return ProfitAndLoss(name, chosen, short, shares, first, last, counted, not known.is_empty())


def _quantity(quantity: Decimal | float | str) -> Fraction:
    try:
        shares = Decimal(str(quantity))
    except InvalidOperation:
        shares = Decimal("NaN")
    if not shares.is_finite() or shares <= 0:
        raise InvalidInputError(f"quantity {quantity!r} is not a number of shares above 0: --short sells them first.")
    return Fraction(shares)


def _counted(actions: pl.DataFrame, shares: Fraction) -> tuple[CountedAction, ...]:
    """Actions in order of time; `shares` are below 0 when short. Cash of a date is for the shares before its split."""
    found = []
    is_split = pl.col("kind").is_in([kind.value for kind in RATIO_KINDS])
    for action in actions.sort("ex_date", is_split).iter_rows(named=True):
        ratio = cash = None
        if action["kind"] in RATIO_KINDS:
            ratio = _exact(action["ratio"])
        elif action["kind"] == ActionKind.DIVIDEND:
            cash = shares * Fraction(Decimal(str(action["cash_usd"])))
        shares *= ratio or 1
        counts = ratio is not None or cash is not None
        found.append(CountedAction(action["ex_date"], action["kind"], ratio, cash, counts))
    return tuple(found)


def _exact(ratio: float) -> Fraction:
    """The fraction that a ratio's float64 stands for: 0.3333333333333333 is one third."""
    near = Fraction(ratio).limit_denominator(_DENOMINATOR)
    return near if abs(float(near) / ratio - 1) <= _SAME else Fraction(ratio)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _money(value: Fraction) -> str:
    """Dollars as text: cents, or as many decimals as an exact amount has, at most eight."""
    amount = _decimal(value)
    cents = amount.quantize(_CENTS)
    return str(cents) if cents == amount else format(amount.quantize(_FINEST).normalize(), "f")


def _text(value: Fraction) -> str:
    return format(_decimal(value).normalize(), "f")


def _moment(point: PricePoint) -> dict[str, str]:
    return {
        "session": point.session.isoformat(),
        "instant": point.instant.isoformat(),
        "price_usd": _money(Fraction(point.price_usd)),
    }


def _told(action: CountedAction) -> dict[str, Any]:
    return {
        "ex_date": action.ex_date.isoformat(),
        "kind": action.kind,
        "ratio": None if action.ratio is None else _text(action.ratio),
        "cash_usd": None if action.cash_usd is None else _money(action.cash_usd),
        "counts": action.counts,
    }
