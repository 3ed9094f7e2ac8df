"""The trading rules in plain Python and Decimal dollars: the judge of the compiled kernel, which it does not use.

Written from the words of decision 0031, `docs/decisions/0031-one-account-in-whole-ticks.md`, for reading and not for
speed: amounts are dollars, rates are the numbers a user gives, and every rounding is a `quantize` to a whole tick.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from simulation_service.execution import Execution, Fill
from simulation_service.rules import Direction, Rules

__all__ = ["OracleAccount", "OracleBar", "OracleFill", "decimal_replay"]

TICK = Decimal("0.0001")
ZERO = Decimal(0)
BPS = Decimal("0.0001")


def up(amount: Decimal) -> Decimal:
    return amount.quantize(TICK, ROUND_CEILING)


def down(amount: Decimal) -> Decimal:
    return amount.quantize(TICK, ROUND_FLOOR)


def exact(number: float | None) -> Decimal:
    return Decimal(str(number))


@dataclass(frozen=True)
class OracleBar:
    """One bar, dollars."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    session: int
    ends_session: bool
    tradable: bool


@dataclass(frozen=True)
class OracleFill:
    bar: int
    shares: Decimal
    price: Decimal
    fee: Decimal
    reason: str
    signal_bar: int
    asked: Decimal


@dataclass
class Position:
    """What is held; `shares` below 0 is short."""

    shares: Decimal = ZERO
    paid: Decimal = ZERO
    entry: Decimal = ZERO
    best: Decimal = ZERO
    since: int = -1

    @property
    def side(self) -> int:
        return (self.shares > 0) - (self.shares < 0)

    def entered(self, shares: Decimal, price: Decimal) -> None:
        """Average price after one more part has been opened, against the trader."""
        self.paid += shares * price
        average = self.paid / abs(self.shares)
        self.entry = up(average) if self.shares > 0 else down(average)


@dataclass
class OracleAccount:
    """An account that follows one signal over the bars of one symbol."""

    cash: Decimal
    execution: Execution
    rules: Rules
    position: Position = field(default_factory=Position)
    exit_reason: str | None = None
    exit_signal_bar: int = -1
    to_open: Decimal = ZERO
    open_signal_bar: int = -1
    waiting: tuple[float, int] | None = None
    trading_over: bool = False
    session_over: bool = False
    session: int | None = None
    session_start: Decimal = ZERO
    highest: Decimal = ZERO
    equity: Decimal = ZERO
    cash_path: list[Decimal] = field(default_factory=list)
    shares_path: list[Decimal] = field(default_factory=list)
    equity_path: list[Decimal] = field(default_factory=list)
    fills: list[OracleFill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.equity = self.highest = self.cash
        self.unit = Decimal("0.000001") if self.rules.fractional else Decimal(1)

    # What things cost.

    def price_of(self, quote: Decimal, side: int) -> Decimal:
        costs = self.execution.costs
        worse = up(quote * (exact(costs.half_spread_bps) + exact(costs.slippage_bps)) * BPS)
        return max(TICK, quote + side * worse)

    def fee_of(self, shares: Decimal, price: Decimal, side: int) -> Decimal:
        costs = self.execution.costs
        fee = up(shares * exact(costs.per_share_usd) + exact(costs.per_order_usd))
        if side < 0:
            fee += up(down(shares * price) * exact(costs.sell_fee_rate))
            activity = up(shares * exact(costs.sell_fee_per_share_usd))
            if costs.sell_fee_most_usd is not None:
                activity = min(activity, up(exact(costs.sell_fee_most_usd)))
            fee += activity
        return fee

    def affordable(self, price: Decimal, side: int) -> Decimal:
        """Most shares whose value and fees the cash would pay: halving what is left between enough and too many."""
        enough, too_many = 0, int(max(ZERO, self.cash) / price / self.unit) + 1
        while too_many - enough > 1:
            middle = (enough + too_many) // 2
            shares = middle * self.unit
            if up(shares * price) + self.fee_of(shares, price, side) <= self.cash:
                enough = middle
            else:
                too_many = middle
        return enough * self.unit

    def share_of(self, volume: Decimal) -> Decimal | None:
        if self.execution.volume_share is None:
            return None
        return volume * exact(self.execution.volume_share) // self.unit * self.unit

    # One fill.

    def fill(self, bar: int, quote: Decimal, shares: Decimal, asked: Decimal, reason: str, signal_bar: int) -> Decimal:
        side = 1 if shares > 0 else -1
        price = self.price_of(quote, side)
        fee = self.fee_of(abs(shares), price, side)
        self.cash += down(-shares * price) - fee
        self.position.shares += shares
        self.used += abs(shares)
        self.fills.append(OracleFill(bar, shares, price, fee, reason, signal_bar, asked))
        return price

    def allowed(self, shares: Decimal) -> Decimal:
        return shares if self.room is None else min(shares, max(ZERO, self.room - self.used))

    def leave(self, bar: int, quote: Decimal, reason: str) -> None:
        self.to_open = ZERO
        held = self.position.shares
        part = self.allowed(abs(held))
        if part:
            signal_bar = self.exit_signal_bar if reason == "signal" else -1
            self.fill(bar, quote, -part * self.position.side, -held, reason, signal_bar)
        self.exit_reason = reason if self.position.shares else None

    # The moments of a bar.

    def begin_session(self, session: int) -> None:
        if session == self.session:
            return
        self.session, self.session_start, self.session_over = session, self.equity, False
        if self.rules.flat_at_close and self.position.shares and self.exit_reason in (None, "signal"):
            self.exit_reason = "close"

    def wish(self, wanted: float) -> int:
        if wanted > 0:
            return 1 if self.rules.direction is not Direction.SHORT else 0
        if wanted < 0:
            return -1 if self.rules.direction is not Direction.LONG else 0
        return 0

    def follow(self, bar: int, quote: Decimal, order: tuple[float, int] | None) -> None:
        """Do what the signal says, at one price; None: nothing new was said."""
        wish = None if order is None else self.wish(order[0])
        self.leave_by_signal(bar, quote, wish, order)
        if self.exit_reason is None:
            self.open_by_signal(bar, quote, wish, order)

    def leave_by_signal(self, bar: int, quote: Decimal, wish: int | None, order: tuple[float, int] | None) -> None:
        if not self.position.shares or self.exit_reason not in (None, "signal"):
            return
        held_bars = bar - self.position.since
        if wish is not None and wish != self.position.side:
            assert order is not None
            self.exit_signal_bar = order[1]
            self.leave(bar, quote, "signal")
        elif wish is None and self.exit_reason == "signal":
            self.leave(bar, quote, "signal")
        elif self.rules.max_holding_bars is not None and held_bars >= self.rules.max_holding_bars:
            self.leave(bar, quote, "holding")
        else:
            self.exit_reason = None

    def open_by_signal(self, bar: int, quote: Decimal, wish: int | None, order: tuple[float, int] | None) -> None:
        if not self.may_open:
            self.to_open = ZERO
            return
        if wish is not None and wish * self.to_open <= 0:
            self.to_open = ZERO
        if not self.to_open:
            if self.position.shares or not wish:
                return
            assert order is not None
            self.to_open = wish * self.affordable(self.price_of(quote, wish), wish)
            self.open_signal_bar = order[1]
        side = 1 if self.to_open > 0 else -1
        most = self.affordable(self.price_of(quote, side), side)
        if not most:
            self.to_open = ZERO
            return
        part = self.allowed(min(abs(self.to_open), most))
        if part:
            if not self.position.shares:
                self.position = Position(best=self.price_of(quote, side), since=bar)
            price = self.fill(bar, quote, side * part, self.to_open, "signal", self.open_signal_bar)
            self.position.entered(part, price)
            self.to_open -= side * part

    def through(self, bar: int, row: OracleBar) -> None:
        """Stops and targets between the open and the close."""
        if not self.position.shares or self.exit_reason is not None:
            return
        side, rules = self.position.side, self.rules
        stops: list[tuple[Decimal, str]] = []
        # Against the position is down for a long one and up for a short one; the first tick that reaches the level.
        against, along = (down, up) if side > 0 else (up, down)
        if rules.stop_loss is not None:
            stops.append((against(self.position.entry * (1 - side * exact(rules.stop_loss))), "stop"))
        if rules.trailing_stop is not None:
            stops.append((against(self.position.best * (1 - side * exact(rules.trailing_stop))), "trailing"))
        stop = max(stops, key=lambda one: side * one[0]) if stops else None
        target = None
        if rules.take_profit is not None:
            target = along(self.position.entry * (1 + side * exact(rules.take_profit)))
        worst, most = (row.low, row.high) if side > 0 else (row.high, row.low)
        if stop is not None and side * row.open <= side * stop[0]:
            self.leave(bar, row.open, stop[1])
        elif target is not None and side * row.open >= side * target:
            self.leave(bar, row.open, "target")
        elif stop is not None and side * worst <= side * stop[0]:
            self.leave(bar, *stop)
        elif target is not None and side * most >= side * target:
            self.leave(bar, target, "target")

    def live(self, bar: int, rows: Sequence[OracleBar], order: tuple[float, int] | None) -> None:
        """One bar in which something can be filled."""
        row = rows[bar]
        at_open = self.execution.fill is Fill.NEXT_OPEN
        urgent = self.exit_reason not in (None, "signal")
        self.may_open = not (self.trading_over or self.session_over or urgent)
        self.used, self.room = ZERO, self.share_of(rows[bar - 1].volume if bar else ZERO)
        if urgent:
            assert self.exit_reason is not None
            self.leave(bar, row.open, self.exit_reason)
        if at_open:
            self.follow(bar, row.open, order)
        self.through(bar, row)
        self.room = self.share_of(row.volume)
        closing = self.rules.flat_at_close and row.ends_session
        if closing:
            self.to_open = ZERO
            if self.position.shares:
                self.leave(bar, row.close, "close")
        elif not at_open:
            self.follow(bar, row.close, order)
        if self.position.side > 0 and (at_open or self.position.since < bar):
            self.position.best = max(self.position.best, row.high)
        if self.position.side < 0 and (at_open or self.position.since < bar):
            self.position.best = min(self.position.best, row.low)

    def judge(self, close: Decimal) -> None:
        """What the account is worth at a close, and whether that ends anything."""
        worth = down(self.position.shares * close)
        self.equity = self.cash + worth
        self.highest = max(self.highest, self.equity)
        verdict = None
        limit, loss = self.rules.max_drawdown, self.rules.daily_loss_limit
        if limit is not None and self.equity <= self.highest * (1 - exact(limit)):
            verdict, self.trading_over = "drawdown", True
        elif loss is not None and self.equity <= self.session_start - max(ZERO, self.session_start) * exact(loss):
            verdict, self.session_over = "daily_loss", True
        elif self.position.shares < 0 and self.equity < Decimal("0.3") * -worth:
            verdict = "margin"
        if verdict is not None:
            self.to_open = ZERO
            if self.position.shares and self.exit_reason in (None, "signal"):
                self.exit_reason = verdict
        self.cash_path.append(self.cash)
        self.shares_path.append(self.position.shares)
        self.equity_path.append(self.equity)


def decimal_replay(
    rows: Sequence[OracleBar],
    signals: Sequence[float | None],
    cash: Decimal,
    execution: Execution | None = None,
    rules: Rules | None = None,
) -> OracleAccount:
    """The account after all bars; a signal of None or NaN holds."""
    execution = execution or Execution()
    account = OracleAccount(cash, execution, rules or Rules())
    lag = execution.delay_bars + (0 if execution.fill is Fill.SAME_CLOSE else 1)
    with localcontext() as context:
        context.prec = 60
        for bar, row in enumerate(rows):
            account.begin_session(row.session)
            said = signals[bar - lag] if bar >= lag else None
            order = account.waiting if said is None or math.isnan(said) else (said, bar - lag)
            if row.tradable:
                account.waiting = None
                account.live(bar, rows, order)
            else:
                account.waiting = order
            account.judge(row.close)
    return account
