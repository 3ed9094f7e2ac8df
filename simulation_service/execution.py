"""How an order becomes a fill: at which price, how many bars later, at what cost, and how much of the volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from barlake.errors import InvalidInputError
from barlake.keys import parse_member
from simulation_service.costs import Costs
from simulation_service.ticks import rate_units

__all__ = ["Execution", "Fill"]


class Fill(StrEnum):
    """Where an order made of a bar's signal is granted."""

    NEXT_OPEN = "next_open"
    NEXT_CLOSE = "next_close"
    SAME_CLOSE = "same_close"

    @property
    def is_optimistic(self) -> bool:
        """Whether the fill uses a price that is known only at the instant the signal is."""
        return self is Fill.SAME_CLOSE

    @property
    def is_at_open(self) -> bool:
        """Whether the fill is granted when its bar opens, and so knows nothing else of that bar."""
        return self is Fill.NEXT_OPEN

    @classmethod
    def parse(cls, value: str) -> Fill:
        """Fill of that name; `InvalidInputError` lists the names there are."""
        return parse_member(cls, "fill", value)


@dataclass(frozen=True)
class Execution:
    """What lies between a signal and its fill.

    Parameters
    ----------
    fill
        Which price of which bar an order is granted at.
    delay_bars
        Bars that an order waits longer than `fill` says.
    costs
        What each fill pays beside the price.
    volume_share
        Largest part of the volume of the last complete bar that the fills of one bar may take; what is left
        of an order goes on with the next bar. None: no cap. A fill at the open knows the bar before, a fill at
        the close its own.

    Raises
    ------
    InvalidInputError
        If `delay_bars` is below 0 or `volume_share` is not in (0, 1].
    """

    fill: Fill = Fill.NEXT_OPEN
    delay_bars: int = 0
    costs: Costs = field(default_factory=Costs)
    volume_share: float | None = None

    def __post_init__(self) -> None:
        if self.delay_bars < 0 or int(self.delay_bars) != self.delay_bars:
            raise InvalidInputError(f"delay_bars {self.delay_bars} is not a number of bars to wait: give 0 or more.")
        if self.volume_share is not None:
            rate_units(self.volume_share, name="volume_share", above=0.0, most=1.0)

    @property
    def lag(self) -> int:
        """Bars between the bar of a signal and the bar of its fill."""
        return self.delay_bars + (0 if self.fill is Fill.SAME_CLOSE else 1)

    def as_dict(self) -> dict[str, Any]:
        """Settings by name, as JSON can hold them."""
        return {
            "fill": self.fill.value,
            "delay_bars": self.delay_bars,
            "costs": self.costs.as_dict(),
            "volume_share": self.volume_share,
        }
