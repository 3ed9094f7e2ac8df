"""When a walk forward fits its model anew: with each week, month or quarter, or after so many sessions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from training_service.folds import RowArray, require_at_least

__all__ = ["Period", "Refit"]

_SESSIONS = re.compile(r"(\d+)-sessions?")


class Period(StrEnum):
    """Stretches of the calendar; a week begins on Monday."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"

    @property
    def interval(self) -> str:
        """The same as polars writes it."""
        return {Period.WEEK: "1w", Period.MONTH: "1mo", Period.QUARTER: "1q"}[self]


@dataclass(frozen=True)
class Refit:
    """A schedule: each test is one period, predicted by a model fitted when the period begins.

    Parameters
    ----------
    every
        A period of the calendar, or a number of sessions, counted from the first one there is: sessions that
        come later never move the tests there were.

    Raises
    ------
    InvalidInputError
        If the number is below 1.
    """

    every: Period | int

    def __post_init__(self) -> None:
        if isinstance(self.every, int):
            require_at_least("refit sessions", self.every, 1)

    @classmethod
    def parse(cls, text: str) -> Refit:
        """Schedule of that name: `week`, `month`, `quarter`, or a number of sessions such as `20-sessions`.

        Examples
        --------
        >>> Refit.parse("20-sessions"), str(Refit.parse("Month"))
        (Refit(every=20), 'month')
        """
        wanted = text.strip().lower()
        counted = _SESSIONS.fullmatch(wanted)
        if counted is not None:
            return cls(int(counted[1]))
        if wanted not in list(Period):
            raise InvalidInputError(
                f"refit {text!r} is not known: use {', '.join(Period)}, or a number of sessions such as 20-sessions."
            )
        return cls(Period(wanted))

    def __str__(self) -> str:
        """Give the text that `parse` reads."""
        return f"{self.every}-sessions" if isinstance(self.every, int) else self.every.value

    def test_sessions(self, sessions: pl.Series, *, latest: int | None = None) -> RowArray:
        """Numbers of the sessions with which a test begins.

        Parameters
        ----------
        sessions
            Dates, each once, rising.
        latest
            How many of the latest periods are tested; None: all but the first one, however much of it there is.

        Raises
        ------
        InvalidInputError
            If there are not as many periods, and one before them to train on.

        Examples
        --------
        >>> import datetime as dt
        >>> days = pl.Series([dt.date(2024, 1, 31), dt.date(2024, 2, 1), dt.date(2024, 2, 2), dt.date(2024, 3, 1)])
        >>> Refit.parse("month").test_sessions(days)
        array([1, 3])
        """
        begins = self._begins(sessions)
        needed = 1 if latest is None else latest
        if begins.size < needed:
            raise InvalidInputError(
                f"refit {self} needs at least {needed + 1} periods for {needed} tests, {sessions.len()} sessions make "
                f"{begins.size + 1}: use shorter periods or fewer folds, or ingest more sessions."
            )
        return begins[begins.size - needed if latest is not None else 0 :]

    def _begins(self, sessions: pl.Series) -> RowArray:
        if isinstance(self.every, int):
            return np.arange(self.every, sessions.len(), self.every, dtype=np.intp)
        period = sessions.dt.truncate(self.every.interval).to_numpy()
        return np.flatnonzero(period[1:] != period[:-1]) + 1
