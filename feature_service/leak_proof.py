"""Proof that a feature looks neither ahead nor back for ever. For the features here and for your own.

A feature at t may depend on the rows up to t only, so computing it over a shorter history must give
the same bits. Whoever reads ahead (`shift(-1)`, a centred mean, a z-score over everything, the day's
final VWAP, a backward fill) changes some row of some prefix. One cut may miss it: use twenty.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import polars as pl

from barlake.errors import InvalidInputError, LookAheadError

__all__ = ["history_proof", "prefix_proof"]

Compute = Callable[[pl.DataFrame], pl.DataFrame]


def prefix_proof(compute: Compute, frame: pl.DataFrame, *, cuts: int = 20, seed: int = 0) -> None:
    """Check that no value changes, in any bit, when later rows are not there yet.

    Parameters
    ----------
    compute
        Takes rows, gives one row of features per row; pure.
    frame
        Rows of one symbol, oldest first.
    cuts
        How many random prefixes to compute again.

    Raises
    ------
    LookAheadError
        Names the first feature that differs, the row and the cut.
    InvalidInputError
        If there are fewer rows than cuts.
    """
    whole = compute(frame)
    for length in _draw(frame.height, cuts, seed):
        part = compute(frame.head(length))
        for name in whole.columns:
            wrong = _first_difference(part[name], whole[name].head(length))
            if wrong is not None:
                raise LookAheadError(
                    f"feature {name!r} at row {wrong}{_at(frame, wrong)} is {whole[name][wrong]} with all "
                    f"{frame.height} rows but {part[name][wrong]} with the first {length}: it reads rows "
                    "that come later. Use past rows only (shift(n >= 0), windows that end at the row)."
                )


def history_proof(
    compute: Compute,
    frame: pl.DataFrame,
    *,
    history_bars: int = 4000,
    cuts: int = 3,
    seed: int = 0,
    tolerance: float = 1e-9,
) -> None:
    """Check that values no longer depend on where the history starts, some bars after its start.

    Raises
    ------
    InvalidInputError
        Names the first feature that differs by more than `tolerance` standard deviations of its own;
        such a level would change with every backfill. Also if there are too few rows.
    """
    whole = compute(frame)
    for start in _draw(frame.height - history_bars, cuts, seed):
        part = compute(frame.slice(start)).slice(history_bars)
        rest = whole.slice(start + history_bars)
        for name in whole.columns:
            scale = rest[name].cast(pl.Float64).std() or 1.0
            far = (part[name] - rest[name]).abs() > tolerance * _number(scale)
            if far.any() or not part[name].is_null().eq(rest[name].is_null()).all():
                raise InvalidInputError(
                    f"feature {name!r} still depends on where the history starts after {history_bars} bars "
                    f"(history from row {start} on): use its difference over a window, or leave it out."
                )


def _draw(rows: int, cuts: int, seed: int) -> list[int]:
    if not 1 <= cuts < rows:
        raise InvalidInputError(f"cuts {cuts} does not fit {rows} usable rows: give fewer cuts or more rows.")
    return sorted(random.Random(seed).sample(range(1, rows), cuts))  # noqa: S311 - no secret hangs on it


def _first_difference(part: pl.Series, whole: pl.Series) -> int | None:
    differs = part.ne_missing(whole).arg_true()
    return int(differs[0]) if differs.len() else None


def _at(frame: pl.DataFrame, row: int) -> str:
    return f" ({frame['timestamp'][row]})" if "timestamp" in frame.columns else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 1.0
