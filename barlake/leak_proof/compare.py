"""Answers compared bit by bit: which column differs at which rows, among those known by an instant. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError
from barlake.leak_proof.world import KNOWN_AT, Compute, Frames, Instants, instants

__all__ = ["ROWS", "Answer", "answer_of"]

ROWS = "(rows)"
"""Stands for a column where the rows themselves differ: one more, or one less, than there was."""

IndexArray = npt.NDArray[np.int64]
Rows = IndexArray | slice


@dataclass(frozen=True, eq=False)
class Answer:
    """Columns of values, and when each row is known."""

    values: pl.DataFrame
    known_at: Instants

    @functools.cached_property
    def is_sorted(self) -> bool:
        """Whether rows become known in their order."""
        return bool((np.diff(self.known_at) >= 0).all())

    def rows_by(self, instant: int) -> Rows:
        """The rows known at an instant."""
        if self.is_sorted:
            return slice(0, int(np.searchsorted(self.known_at, instant, side="right")))
        return np.flatnonzero(self.known_at <= instant)

    def differences(self, other: Answer, instant: int) -> Iterator[tuple[str, IndexArray]]:
        """Each column that is not the same at the rows known by an instant, with the rows of this answer."""
        here, there = self.rows_by(instant), other.rows_by(instant)
        if not np.array_equal(self.known_at[here], other.known_at[there]):
            yield ROWS, np.array([_first_unequal(self.known_at[here], other.known_at[there])])
            return
        for name in other.values.columns:
            wrong = self._unequal(other, name, here, there)
            if wrong.size:
                yield name, wrong + here.start if isinstance(here, slice) else here[wrong]

    def _unequal(self, other: Answer, name: str, here: Rows, there: Rows) -> IndexArray:
        """Places, among the rows compared, at which two columns differ in type, in null or in any bit."""
        one, two = self.values[name], other.values[name]
        if one.dtype != two.dtype:
            return np.arange(len(self.known_at[here]))
        if not one.dtype.is_float():
            return _part(one, here).ne_missing(_part(two, there)).arg_true().to_numpy().astype(np.int64)
        wrong = self.bits[name][here] != other.bits[name][there]
        if one.null_count() or two.null_count():
            wrong |= self.nulls[name].to_numpy()[here] != other.nulls[name].to_numpy()[there]
        return np.flatnonzero(wrong)

    @functools.cached_property
    def bits(self) -> dict[str, npt.NDArray[np.signedinteger[npt.NBitBase]]]:
        """The raw bits of floats, nulls among them: zero is not minus zero, and one NaN may differ from another."""
        floats = self.values.select(pl.selectors.float())
        return {
            column.name: column.to_numpy().view(np.int64 if column.dtype == pl.Float64 else np.int32)
            for column in floats.iter_columns()
        }

    @functools.cached_property
    def nulls(self) -> pl.DataFrame:
        """Where floats are null. One request for all columns: a request for each costs more than the comparison."""
        return self.values.select(pl.selectors.float().is_null())


def answer_of(compute: Compute, frames: Frames, columns: Sequence[str] | None = None) -> Answer:
    """What a computation answers to these tables; asked for some columns, these alone.

    Raises
    ------
    InvalidInputError
        If the answer does not say when its rows are known.
    """
    found = compute(frames, columns)
    if KNOWN_AT not in found.columns:
        raise InvalidInputError(
            f"the answer has no column {KNOWN_AT!r}, only {found.columns}: say when rows are known."
        )
    values = found.drop(KNOWN_AT) if columns is None else found.select(columns)
    return Answer(values, instants(found, pl.col(KNOWN_AT)))


def _part(column: pl.Series, rows: Rows) -> pl.Series:
    return column.head(rows.stop) if isinstance(rows, slice) else column.gather(rows)


def _first_unequal(one: Instants, two: Instants) -> int:
    both = min(one.size, two.size)
    unequal = np.flatnonzero(one[:both] != two[:both])
    return int(unequal[0]) if unequal.size else max(both - 1, 0) if one.size <= both else both
