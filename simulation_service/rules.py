"""What a run may do beside following its signal: go short, hold parts of shares, and leave for its own safety."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import Any

from barlake.errors import InvalidInputError
from barlake.keys import parse_member
from simulation_service.ticks import rate_units

__all__ = ["Direction", "Reason", "Rules"]


class Direction(StrEnum):
    """Which positions a signal may open: above 0 asks to be long, below 0 to be short, 0 to be flat."""

    LONG = "long"
    SHORT = "short"
    BOTH = "both"

    @classmethod
    def parse(cls, value: str) -> Direction:
        """Direction of that name; `InvalidInputError` lists the names there are."""
        return parse_member(cls, "direction", value)


class Reason(IntEnum):
    """Why a fill was made; arrays hold the number, tables the `label`."""

    SIGNAL = 0
    STOP = 1
    TARGET = 2
    TRAILING = 3
    HOLDING = 4
    CLOSE = 5
    DRAWDOWN = 6
    DAILY_LOSS = 7
    MARGIN = 8
    REBALANCE = 9

    @property
    def label(self) -> str:
        """The name in small letters, such as `daily_loss`."""
        return self.name.lower()


@dataclass(frozen=True)
class Rules:
    """Limits of a run; by default long, whole shares, and nothing but the signal.

    Parameters
    ----------
    direction
        Which positions may be opened. A signal that asks for a position that may not be opened asks to be flat.
    fractional
        Whether shares come in millionths rather than whole.
    stop_loss, take_profit
        Loss and gain on the average entry price at which a position is left, at the first whole tick that
        reaches it. A bar that touches both stops; a bar that opens beyond either fills at its open.
    trailing_stop
        Fall from the best price since entry, by bars complete before, at which a position is left.
    flat_at_close
        Leave at the close of the last minute of each session and open nothing there. If that minute has no bar,
        the position is left at the next open.
    max_holding_bars
        Bars after its entry that a position is left, at the price (open or close) that signals fill at.
    max_drawdown
        Fall of equity at a bar's close from its highest close so far that ends all trading; the position is left
        at the next open.
    daily_loss_limit
        Loss since the last close of the session before, at a bar's close, that ends trading for the session; the
        position is left at the next open.

    Raises
    ------
    InvalidInputError
        If a fraction is not above 0 (and below 1 where it is a loss) or is finer than 1e-8, or
        `max_holding_bars` is below 1.
    """

    direction: Direction = Direction.LONG
    fractional: bool = False
    stop_loss: float | None = None
    take_profit: float | None = None
    trailing_stop: float | None = None
    flat_at_close: bool = False
    max_holding_bars: int | None = None
    max_drawdown: float | None = None
    daily_loss_limit: float | None = None

    def __post_init__(self) -> None:
        for name in ("stop_loss", "trailing_stop", "max_drawdown", "daily_loss_limit"):
            value = getattr(self, name)
            if value is not None:
                rate_units(value, name=name, above=0.0, most=0.9999)
        if self.take_profit is not None:
            rate_units(self.take_profit, name="take_profit", above=0.0, most=100.0)
        held = self.max_holding_bars
        if held is not None and (held < 1 or int(held) != held):
            raise InvalidInputError(
                f"max_holding_bars {held} is not a number of bars to hold: give 1 or more, or none."
            )

    def as_dict(self) -> dict[str, Any]:
        """Rules by name, as JSON can hold them."""
        return asdict(self) | {"direction": self.direction.value}
