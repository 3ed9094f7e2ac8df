"""The rules of a portfolio in plain Python and Decimal dollars: nothing of the simulation is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

ZERO, TICK = Decimal(0), Decimal("0.0001")


@dataclass(frozen=True)
class OracleCosts:
    """Each as a user gives it, in text."""

    worse_bps: str = "0"
    per_share: str = "0"
    per_order: str = "0"
    sale_rate: str = "0"
    sale_per_share: str = "0"
    sale_most: str | None = None

    def price(self, quote: Decimal, side: int) -> Decimal:
        return quote + side * up(quote * Decimal(self.worse_bps) / 10_000)

    def fee(self, shares: int, price: Decimal, side: int) -> Decimal:
        fee = up(shares * Decimal(self.per_share) + Decimal(self.per_order))
        if side < 0:
            by_share = shares * Decimal(self.sale_per_share)
            if self.sale_most is not None:
                by_share = min(by_share, Decimal(self.sale_most))
            fee += up(shares * price * Decimal(self.sale_rate)) + up(by_share)
        return fee

    def affordable(self, money: Decimal, quote: Decimal, side: int = 1) -> int:
        """Most shares whose value and fees a sum covers, found by halving."""
        price = self.price(quote, side)
        low, high = 0, max(down(money / price), 0)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle * price + self.fee(middle, price, side) <= money else (low, middle - 1)
        return low


@dataclass(frozen=True)
class OracleBar:
    open: Decimal
    close: Decimal
    volume: int = 10**9
    weight: Decimal | None = None
    """Share of the account that the signal made of this bar asks for."""


@dataclass
class OraclePosition:
    bars: dict[int, OracleBar]
    held: int = 0
    goal: int = 0
    weight: Decimal = ZERO
    pending: Decimal | None = None
    seen: int = -1
    decided: int = -1
    is_leaving: bool = False
    is_called: bool = False
    was_called: int = -1
    last: Decimal = ZERO

    def before(self, minute: int, lag: int) -> OracleBar | None:
        """The bar `lag` of the symbol's own bars before the one of this minute."""
        earlier = [other for other in sorted(self.bars) if other <= minute]
        return self.bars[earlier[-1 - lag]] if len(earlier) > lag else None


@dataclass
class OraclePortfolio:
    positions: list[OraclePosition]
    cash: Decimal
    at_open: bool = True
    lag: int = 1
    gross: Decimal = Decimal(1)
    net: Decimal | None = None
    drift: Decimal = ZERO
    periods: Sequence[int] | None = None
    volume_share: Decimal | None = None
    costs: OracleCosts = field(default_factory=OracleCosts)
    fills: list[tuple[int, int, int, Decimal, Decimal]] = field(default_factory=list)
    path: list[tuple[Decimal, list[int], Decimal]] = field(default_factory=list)

    def run(self, minutes: int) -> OraclePortfolio:
        with localcontext(prec=60):
            for minute in range(minutes):
                self.step(minute)
        return self

    def step(self, minute: int) -> None:  # noqa: C901 - one minute from its open to its close, in one place
        quotes = [self.quote(position, minute) for position in self.positions]
        marks = [self.mark(position, minute) for position in self.positions]
        for position in self.positions:
            signalled = position.before(minute, self.lag) if minute in position.bars else None
            if signalled is not None and signalled.weight is not None:
                position.pending = signalled.weight
        covered = [self.cover(number, minute) for number in range(len(self.positions))]
        left = [
            max(self.room(position, minute, at_open=self.at_open) - used, 0)
            for position, used in zip(self.positions, covered, strict=True)
        ]
        worth = self.worth(marks)
        for number, position in enumerate(self.positions):
            quote = quotes[number]
            if quote is None or position.is_called:
                continue
            self.decide(position, minute, quote, worth)
            kept = abs(position.goal) if position.goal * position.held > 0 else 0
            shares = min(max(abs(position.held) - kept, 0), left[number])
            self.trade(number, minute, quote, -sign(position.held) * shares)
            left[number] -= shares
        worth = self.worth(marks)
        for number, position in enumerate(self.positions):
            quote = quotes[number]
            if quote is None:
                continue
            if position.was_called == minute:
                position.pending = None
            if position.held == position.goal == 0 and position.pending:
                money = abs(position.pending) * worth
                position.goal = sign(position.pending) * self.costs.affordable(money, quote, sign(position.pending))
                position.decided = minute
            position.pending = None
            missing = abs(position.goal) - abs(position.held)
            if missing > 0:
                side = sign(position.goal)
                most = self.allowed(side, worth, marks, marks[number], quote)
                if position.decided == minute or most == 0:
                    missing = min(missing, most)
                    position.goal = position.held + side * missing
                self.trade(number, minute, quote, side * min(missing, most, left[number]))
        for position in self.positions:
            if minute in position.bars:
                position.last = position.bars[minute].close
        self.call_margin()
        held = [position.held for position in self.positions]
        self.path.append((self.cash, held, self.worth([position.last for position in self.positions])))

    def call_margin(self) -> None:
        """Short positions end at the next open when equity is below 30 % of what they would cost to buy back."""
        owed = sum(-position.held * position.last for position in self.positions if position.held < 0)
        if 10 * self.worth([position.last for position in self.positions]) < 3 * owed:
            for position in self.positions:
                if position.held < 0:
                    position.is_called, position.goal = True, 0

    def cover(self, number: int, minute: int) -> int:
        """Shares bought back at the open because they were called."""
        position, bar = self.positions[number], self.positions[number].bars.get(minute)
        if not position.is_called or bar is None or bar.volume == 0:
            return 0
        shares = min(-position.held, self.room(position, minute, at_open=True))
        self.trade(number, minute, bar.open, shares)
        position.is_called, position.was_called = position.held != 0, minute
        return shares

    def decide(self, position: OraclePosition, minute: int, quote: Decimal, worth: Decimal) -> None:
        if position.pending is not None:
            position.weight = position.pending
            if sign(position.pending) != sign(position.held or position.goal):
                position.goal = 0
            elif abs(position.goal) < abs(position.held) and position.is_leaving:
                position.goal = position.held
            position.is_leaving = position.goal == 0
        if self.periods is not None and position.seen != self.periods[minute]:
            position.seen = self.periods[minute]
            if position.weight * position.held > 0:
                due = sign(position.held) * max(down(abs(position.weight) * worth / quote), 0)
                if abs(due - position.held) * quote > self.drift * worth:
                    position.goal, position.decided = due, minute

    def allowed(self, side: int, worth: Decimal, marks: list[Decimal], mark: Decimal, quote: Decimal) -> int:
        values = [position.held * each for position, each in zip(self.positions, marks, strict=True)]
        rooms = [max(worth, ZERO) * self.gross - sum(abs(value) for value in values)]
        if self.net is not None:
            rooms.append(max(worth, ZERO) * self.net - side * sum(values))
        most = min(down(room / mark) for room in rooms)
        if side > 0:
            most = min(most, self.costs.affordable(self.cash, quote))
        return max(most, 0)

    def trade(self, number: int, minute: int, quote: Decimal, change: int) -> None:
        if change:
            price = self.costs.price(quote, sign(change))
            fee = self.costs.fee(abs(change), price, sign(change))
            self.cash -= change * price + fee
            self.positions[number].held += change
            self.fills.append((minute, number, change, price, fee))

    def quote(self, position: OraclePosition, minute: int) -> Decimal | None:
        bar = position.bars.get(minute)
        if bar is None or bar.volume == 0:
            return None
        return bar.open if self.at_open else bar.close

    def mark(self, position: OraclePosition, minute: int) -> Decimal:
        bar = position.bars.get(minute)
        return position.last if bar is None else (bar.open if self.at_open else bar.close)

    def room(self, position: OraclePosition, minute: int, *, at_open: bool) -> int:
        if self.volume_share is None:
            return 10**15
        known = position.before(minute, 1 if at_open else 0)
        return down(known.volume * self.volume_share) if known is not None else 0

    def worth(self, marks: list[Decimal]) -> Decimal:
        return self.cash + sum(position.held * mark for position, mark in zip(self.positions, marks, strict=True))


def sign(value: Decimal | int) -> int:
    return (value > 0) - (value < 0)


def down(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_FLOOR))


def up(dollars: Decimal) -> Decimal:
    """To the next whole tick, against the trader."""
    return dollars.quantize(TICK, ROUND_CEILING)
