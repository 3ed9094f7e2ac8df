"""How much history each column needs: from how many rows after a later beginning its values are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError
from barlake.leak_proof.compare import Answer, answer_of
from barlake.leak_proof.world import Compute, World

__all__ = ["HistoryNeed", "history_frame", "measure_history"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HistoryNeed:
    """Rows that must lie before a row for its value to be that of the whole history.

    Parameters
    ----------
    rows_needed
        To within `tolerance` standard deviations of the column; None: more than `rows_tried`.
    rows_to_same_bits
        To the last bit; None: more than `rows_tried`. A running sum keeps its rounding for ever.
    """

    column: str
    rows_needed: int | None
    rows_to_same_bits: int | None
    rows_tried: int

    @property
    def forgets(self) -> bool:
        """Whether the column no longer depends on where the history began."""
        return self.rows_needed is not None

    def as_dict(self) -> dict[str, Any]:
        """The row of a table."""
        return asdict(self)


def measure_history(
    compute: Compute, world: World, *, rows: int = 8000, starts: int = 4, tolerance: float = 1e-9, seed: int = 0
) -> list[HistoryNeed]:
    """Begin the history later, at several rows, and see when each column has become what it was.

    Parameters
    ----------
    rows
        How many rows after each beginning are looked at; half as many where there are fewer.
    tolerance
        In standard deviations of the column.

    Raises
    ------
    InvalidInputError
        If there are fewer than four rows, or the answer has not one row per row of the clock.
    """
    clock = world.clock.instants
    rows = min(rows, clock.size // 2)
    if rows <= 1:
        raise InvalidInputError(f"history of {clock.size} rows is too short to begin later: give more bars.")
    whole = answer_of(compute, world.frames)
    if not np.array_equal(whole.known_at, clock):
        raise InvalidInputError("history is measured of answers with one row per bar: this one has others.")
    far: dict[str, list[int]] = {name: [] for name in whole.values.columns}
    bits: dict[str, list[int]] = {name: [] for name in whole.values.columns}
    for start in _starts(clock.size - rows, starts, seed):
        part = answer_of(compute, world.between(int(clock[start]), int(clock[start + rows - 1]) + 1).frames)
        for name in whole.values.columns:
            near, same = _agreement(whole, part, name, start, rows, tolerance)
            far[name].append(_needed(near))
            bits[name].append(_needed(same))
    return [HistoryNeed(name, _within(max(far[name]), rows), _within(max(bits[name]), rows), rows) for name in far]


def history_frame(needs: Sequence[HistoryNeed]) -> pl.DataFrame:
    """One row per column: rows needed, rows to the same bits, rows tried; null is more than were tried."""
    schema = {"column": pl.String, "rows_needed": pl.Int64, "rows_to_same_bits": pl.Int64, "rows_tried": pl.Int64}
    return pl.DataFrame([one.as_dict() for one in needs], schema=schema)


def _starts(last: int, count: int, seed: int) -> list[int]:
    """Rows to begin at: never the first, where nothing would be left out."""
    drawn = np.random.default_rng([seed, 13]).integers(1, last + 1, size=count)
    return sorted({int(start) for start in drawn})


def _agreement(
    whole: Answer, part: Answer, name: str, start: int, rows: int, tolerance: float
) -> tuple[BoolArray, BoolArray]:
    """Row by row: whether values are near each other, and whether they are the same."""
    one, two = whole.values[name].slice(start, rows), part.values[name]
    same = one.eq_missing(two).to_numpy()
    if not one.dtype.is_numeric():
        return same, same
    first, second = one.cast(pl.Float64), two.cast(pl.Float64)
    scale = whole.values[name].cast(pl.Float64).std()
    unit = float(scale) if isinstance(scale, (int, float)) and scale > 0 else 1.0
    close = ((first - second).abs() <= tolerance * unit).fill_null(value=False).to_numpy()
    return same | close, same


def _needed(agrees: BoolArray) -> int:
    """How many rows come before the stretch, to the end, in which all rows agree."""
    wrong = np.flatnonzero(~agrees)
    return int(wrong[-1]) + 1 if wrong.size else 0


def _within(needed: int, rows: int) -> int | None:
    return None if needed >= rows else needed
