"""What the features of one symbol may be computed from, and what of it could be known at an instant."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl

from barlake.errors import InvalidInputError

__all__ = ["MINUTE", "FeatureInputs"]

MINUTE = dt.timedelta(minutes=1)
"""How long a bar lasts: a row may use what is known at `timestamp` + this."""

_BARS = (
    "session", "session_number", "session_open", "session_close", "timestamp", "open", "high", "low", "close", "volume",
)  # fmt: skip
_COLUMNS = {
    "bars": _BARS,
    "context": _BARS,
    "macro": ("series", "reference_date", "value", "known_at"),
    "news": ("known_at",),
}


@dataclass(frozen=True)
class FeatureInputs:
    """Everything a feature of one symbol may be computed from. All instants are UTC and aware.

    Parameters
    ----------
    bars
        One symbol, one continuous history, oldest first, as `compute.on_sessions` makes it: session,
        session_number, session_open, session_close (null on a date that is no session), timestamp, open,
        high, low, close, volume.
    context
        Bars of one other symbol, the same columns. None: there is none, and what reads it is null.
    macro
        series, reference_date, value (may be null), known_at: every version of every observation, in any
        order. None as above.
    news
        known_at: one row for each article about the symbol, in any order. None as above.

    Raises
    ------
    InvalidInputError
        If a frame lacks one of its columns.
    """

    bars: pl.DataFrame
    context: pl.DataFrame | None = None
    macro: pl.DataFrame | None = None
    news: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        for name, wanted in _COLUMNS.items():
            frame: pl.DataFrame | None = getattr(self, name)
            missing = [] if frame is None else [column for column in wanted if column not in frame.columns]
            if missing:
                raise InvalidInputError(
                    f"{name} of the inputs lacks {', '.join(missing)}: give the columns {', '.join(wanted)}."
                )

    def known_by(self, instant: dt.datetime) -> FeatureInputs:
        """The part that could be known at an instant (aware): complete bars, and records with `known_at` until then."""
        is_complete = pl.col("timestamp") + MINUTE <= instant
        is_known = pl.col("known_at") <= instant
        return FeatureInputs(
            bars=self.bars.filter(is_complete),
            context=None if self.context is None else self.context.filter(is_complete),
            macro=None if self.macro is None else self.macro.filter(is_known),
            news=None if self.news is None else self.news.filter(is_known),
        )
