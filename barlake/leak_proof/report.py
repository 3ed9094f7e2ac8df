"""What a proof found: a verdict for each column, as data, as text, as an error."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from barlake.errors import InvalidInputError, LookAheadError

__all__ = ["Finding", "ProofReport", "Verdict"]


class Verdict(StrEnum):
    """What a proof says of a column."""

    CLEAN = "clean"
    LEAKS = "leaks"
    UNSTABLE = "unstable"  # computed twice from the same tables it is not the same


@dataclass(frozen=True)
class Finding:
    """One column that is not what it should be.

    Parameters
    ----------
    first_wrong_row
        The earliest row, among all that were seen to be wrong, counted from 0 in the answer; `known_at` is
        when that row claims to be known.
    value, other_value
        In that row: with the tables as they are, and with another future after `border`.
    border
        The instant after which things were changed, at `known_at` or later.
    kind_of_border, future
        Where the proof looked, and what it put there.
    rows_ahead, time_ahead
        How far that row looked: from when it claims to be known to when the farthest thing it depends on is
        known, in rows of the first table and in time. The row may look farther at other places.
    looked_at
        Columns, as `bars.close`, that change the value; `bars (rows)` where the mere presence of rows does.
    borders_wrong, borders_tried
        At how many of the borders tried it was wrong: how rare the leak is.
    """

    column: str
    verdict: Verdict
    first_wrong_row: int
    known_at: dt.datetime
    value: Any
    other_value: Any
    border: dt.datetime
    kind_of_border: str
    future: str
    rows_ahead: int
    time_ahead: dt.timedelta
    looked_at: tuple[str, ...]
    borders_wrong: int
    borders_tried: int

    @property
    def sentence(self) -> str:
        """What is wrong and how it shows, in one sentence."""
        if self.verdict is Verdict.UNSTABLE:
            return f"{self.column!r} is not the same when it is computed twice from the same tables"
        return (
            f"{self.column!r} at row {self.first_wrong_row} (known at {self.known_at:%Y-%m-%d %H:%M:%S}Z) is "
            f"{self.value} but {self.other_value} with another future: it looks {self.rows_ahead} rows "
            f"({self.time_ahead}) ahead, at {', '.join(self.looked_at) or 'what no single column tells'}"
        )


@dataclass(frozen=True)
class ProofReport:
    """What a proof tried and found.

    Parameters
    ----------
    subject
        What was put to the proof, such as `feature`.
    columns
        All columns of values, in their order.
    tried
        Kind of border -> how many were tried.
    rows
        Of the first table.
    """

    subject: str
    columns: tuple[str, ...]
    findings: tuple[Finding, ...]
    tried: Mapping[str, int]
    rows: int
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def frame(self) -> pl.DataFrame:
        """One row per column of values: its verdict and, where it is not clean, the finding."""
        found = {one.column: one for one in self.findings}
        names = [*self.columns, *(name for name in found if name not in self.columns)]
        return pl.DataFrame([_row(name, found.get(name)) for name in names], schema=_SCHEMA)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it, once instants and durations are text."""
        return {
            "subject": self.subject,
            "clean": self.is_clean,
            "rows": self.rows,
            "borders": sum(self.tried.values()),
            "tried": dict(self.tried),
            "seconds": round(self.seconds, 3),
            "columns": self.frame().to_dicts(),
        }

    def require_clean(self) -> None:
        """Raise when a column looks ahead, or is another one each time.

        Raises
        ------
        LookAheadError
            Names every column that leaks, and of the first one the row, how far it looked and at what.
        InvalidInputError
            If nothing leaks but a column is not the same when it is computed twice.
        """
        leaks = [one for one in self.findings if one.verdict is Verdict.LEAKS]
        if leaks:
            others = ", ".join(repr(one.column) for one in leaks[1:])
            raise LookAheadError(
                f"{self.subject} {leaks[0].sentence}. Use what is known by then only: shift(n >= 0), windows that end "
                "at the row, records by their known_at." + (f" These look ahead too: {others}." if others else "")
            )
        if self.findings:
            raise InvalidInputError(
                f"{self.subject} {self.findings[0].sentence}: draw from a seed of its own, and read no clock."
            )


_SCHEMA: dict[str, pl.DataType] = {
    "column": pl.String(),
    "verdict": pl.String(),
    "first_wrong_row": pl.Int64(),
    "known_at": pl.Datetime("us", "UTC"),
    "rows_ahead": pl.Int64(),
    "time_ahead": pl.Duration("us"),
    "looked_at": pl.String(),
    "borders_wrong": pl.Int64(),
    "borders_tried": pl.Int64(),
}


def _row(name: str, found: Finding | None) -> dict[str, Any]:
    if found is None:
        return {"column": name, "verdict": Verdict.CLEAN.value}
    row = {key: getattr(found, key) for key in _SCHEMA}
    return row | {"verdict": found.verdict.value, "looked_at": ", ".join(found.looked_at)}
