"""Sweeps: one run that tries thousands of rows at once, to point at leaks that are too rare for single borders.

Some rows, far enough from each other, are nudged together. What is computed from the past alone answers at the
nudged row and fades after it; what looks ahead answers already in the row before. A long memory still remembers
the nudge before that one, so an answer counts only where it rises again after it had faded. Rounding makes this
no proof, therefore every place pointed at is tried at its own border, bit by bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.leak_proof.borders import Borders
from barlake.leak_proof.compare import Answer, answer_of
from barlake.leak_proof.suspicions import Suspicions
from barlake.leak_proof.world import Future, Instants, World, piece_span

__all__ = ["sweep"]

_SPACINGS = (97, 97, 97, 487)
"""Rows between nudges, by turns. Primes: no rhythm of sessions and hours has the same rows nudged always."""

_FADED = (15, 30)
"""So many rows before a nudged one the answer to the one before it must have faded."""

_CONFIRMED = 16
"""Rows tried at most of those that one sweep points at."""

_ROWS_BEFORE, _ROWS_AFTER = 3000, 64
_FAINT = 1e-7
_RISES = 3.0
_SESSION_ENDS = "last bar of a session"

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]


def sweep(
    suspicions: Suspicions, world: World, whole: Answer, borders: Borders, count: int, seed: int
) -> Iterable[tuple[str, Callable[[], None]]]:
    """Steps of a proof: each nudges many rows and confirms what it points at.

    An answer of one row per row of the clock is needed; of another one there are no steps.
    """
    clock = world.clock.instants
    if not np.array_equal(clock, whole.known_at) or not whole.is_sorted:
        return
    for number, rows in enumerate(_row_sets(clock, borders, count, seed)):
        if rows.size:
            yield f"sweep {number + 1}: {rows.size} rows", functools.partial(_swept, suspicions, world, whole, rows)


def _row_sets(clock: Instants, borders: Borders, count: int, seed: int) -> Iterable[IndexArray]:
    """Rows to nudge, set by set: the first after every session, then every so many from a drawn offset."""
    chance = np.random.default_rng([seed, 11])
    for number in range(count):
        if number == 0 and borders.get(_SESSION_ENDS, np.empty(0)).size > 1:
            found = np.searchsorted(clock, borders[_SESSION_ENDS], side="right")
            yield found[np.diff(found, prepend=-_SPACINGS[0]) >= _SPACINGS[0]]
            continue
        spacing = _SPACINGS[(number - 1) % len(_SPACINGS)]
        # From one nudge to the next the distance varies a little, lest every one stands on the same minute.
        steps = spacing + chance.integers(0, 4, size=clock.size // spacing)
        rows = int(chance.integers(1, spacing)) + np.cumsum(steps)
        yield rows[rows < clock.size]


def _swept(suspicions: Suspicions, world: World, whole: Answer, rows: IndexArray) -> None:
    clock = world.clock.instants
    nudged = answer_of(suspicions.compute, world.nudged(clock[rows]))
    pointed: dict[int, list[str]] = {}
    for name in whole.values.columns:
        if name not in suspicions.seen:
            for row in _chosen(_pointed_at(whole.values[name], nudged.values[name], rows)):
                pointed.setdefault(row, []).append(name)
    # A row that many columns point at is worth more than one that a single column does.
    busiest = sorted(pointed, key=lambda row: -len(pointed[row]))[:_CONFIRMED]
    for row in busiest:
        _confirm(suspicions, world, row, pointed[row])


def _chosen(pointed: list[tuple[float, int]]) -> set[int]:
    """The row pointed at most strongly, and one that is not: many long memories point strongly, and wrongly."""
    rows = [row for _, row in sorted(pointed, reverse=True)]
    return {rows[0], rows[len(rows) // 2]} if rows else set()


def _pointed_at(before: pl.Series, after: pl.Series, rows: IndexArray) -> list[tuple[float, int]]:
    """Rows just before a nudged one at which the answer is there already, each after how much it stands out."""
    if not (before.dtype.is_numeric() or before.dtype == pl.Boolean):
        return []
    change = _change(before, after)
    rows = rows[rows >= _SPACINGS[0]]
    own = change[rows]
    own = own[np.isfinite(own)]
    faint = _FAINT * (float(np.median(own)) if own.size else 0.0)
    early = change[rows - 1]
    faded = np.max([change[rows - back] for back in range(*_FADED)], axis=0)
    places = np.flatnonzero((early > faint) & (early > _RISES * faded))
    return [(float(early[at] / max(faded[at], faint, _FAINT)), int(rows[at]) - 1) for at in places]


def _change(before: pl.Series, after: pl.Series) -> FloatArray:
    """How much each value moved; infinity where it came or went."""
    one, two = before.cast(pl.Float64), after.cast(pl.Float64)
    moved = (one - two).abs().fill_nan(None).fill_null(0.0).to_numpy().copy()
    moved[(one.is_null() != two.is_null()).to_numpy()] = np.inf
    return moved


def _confirm(suspicions: Suspicions, world: World, row: int, names: Sequence[str]) -> None:
    """Try one border, in a short piece of history around it."""
    clock = world.clock.instants
    piece = world.between(*piece_span(clock, row, _ROWS_BEFORE, _ROWS_AFTER))
    before = answer_of(suspicions.compute, piece.frames, names)
    for future in (Future.WILD, Future.RISE):
        suspicions.look(piece, before, "pointed at by a sweep", int(clock[row]), future, names)
