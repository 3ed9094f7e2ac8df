"""When a position returns to its weight: never by itself, on a calendar, or when it has drifted too far."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError

__all__ = ["Every", "Rebalance"]


class Every(StrEnum):
    """How often positions are looked at."""

    NEVER = "never"
    BARS = "bars"
    SESSION = "session"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Rebalance:
    """When held positions are brought back to their weights; signals open and close them at any bar.

    Parameters
    ----------
    every
        `session`, `week` and `month` mean the first bar of each; `bars` every `bars` minutes that have a bar.
    bars
        With `bars` only: how many, 1 or more.
    drift
        A position nearer to its weight than this share of the account is left alone.

    Examples
    --------
    >>> Rebalance.parse("month", drift=0.05)
    Rebalance(every=<Every.MONTH: 'month'>, bars=None, drift=0.05)
    >>> Rebalance.parse("30").bars
    30
    """

    every: Every = Every.NEVER
    bars: int | None = None
    drift: float = 0.0

    def __post_init__(self) -> None:
        if (self.every is Every.BARS) != (self.bars is not None) or (self.bars is not None and self.bars < 1):
            raise InvalidInputError(
                f"rebalance every {self.every.value!r} with bars {self.bars!r}: give bars, 1 or more, "
                "with 'bars' and with nothing else."
            )
        if not (math.isfinite(self.drift) and 0 <= self.drift <= 1):
            raise InvalidInputError(f"drift {self.drift!r} must be a share of the account from 0 to 1.")
        if self.every is Every.NEVER and self.drift:
            raise InvalidInputError(
                f"drift {self.drift!r} without rebalancing is never looked at: say how often, such as 'session'."
            )

    @classmethod
    def parse(cls, text: str, *, drift: float = 0.0) -> Rebalance:
        """From a name, or a number of bars; `InvalidInputError` lists what there is."""
        if text.isdecimal():
            return cls(Every.BARS, int(text), drift)
        names = [every.value for every in Every if every is not Every.BARS]
        if text not in names:
            raise InvalidInputError(f"rebalance {text!r} is not known: use {', '.join(names)}, or a number of bars.")
        return cls(Every(text), None, drift)

    def as_dict(self) -> dict[str, Any]:
        """Fields by name, as JSON can hold them."""
        return {**asdict(self), "every": self.every.value}

    def periods(self, session: pl.Series) -> npt.NDArray[np.int64] | None:
        """A number per bar that changes where positions are looked at; None if they never are.

        Parameters
        ----------
        session
            Shape (n_bars,), dates, oldest first.
        """
        if self.every is Every.NEVER:
            return None
        if self.bars is not None:
            return np.arange(session.len(), dtype=np.int64) // self.bars
        number = {
            Every.SESSION: session.rle_id(),
            Every.WEEK: session.dt.truncate("1w").rle_id(),
            Every.MONTH: session.dt.truncate("1mo").rle_id(),
        }[self.every]
        return number.to_numpy().astype(np.int64)
