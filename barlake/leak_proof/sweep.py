"""Sweeps: one run that tries thousands of rows at once, to point at leaks that are too rare for single moments.

Some rows, far enough from each other, are nudged together. What is computed from the past alone answers at the
nudged row and fades after it; what looks ahead answers already in the row before. A long memory still remembers
the nudge before that one, so an answer counts only where it rises again after it had faded. Rounding makes this
no proof, therefore every place pointed at is tried at its own moment, over the history up to there, bit by bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.leak_proof.compare import Answer, answer_of
from barlake.leak_proof.moments import Moments
from barlake.leak_proof.trial import Trial
from barlake.leak_proof.world import Future, Instants, World

__all__ = ["sweep"]

_SPACINGS = (61, 61, 61, 487)
"""Rows between nudges, by turns. Primes: no rhythm of sessions and hours has the same rows nudged always."""

_CONFIRM_PER_COLUMN = 2
_CONFIRM_ROWS_AFTER = 64
_FAINT = 1e-7
_RISES = 3.0
_SESSION_STARTS = "last bar of a session"

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Pointed:
    """A column, the row before a nudged one, and how much it answers there."""

    column: str
    row: int
    strength: float


def sweep(
    trial: Trial, world: World, whole: Answer, moments: Moments, count: int, seed: int
) -> Iterable[tuple[str, Callable[[], None]]]:
    """Steps of a proof: each nudges many rows and confirms what it points at.

    An answer of one row per row of the clock is needed; of another one there are no steps.
    """
    clock = world.clock.instants
    if not np.array_equal(clock, whole.known_at) or not whole.is_sorted:
        return
    for number, rows in enumerate(_row_sets(clock, moments, count, seed)):
        if rows.size:
            yield f"sweep {number + 1}: {rows.size} rows", functools.partial(_swept, trial, world, whole, rows)


def _row_sets(clock: Instants, moments: Moments, count: int, seed: int) -> Iterable[IndexArray]:
    """Rows to nudge, set by set: the first of every session, then every so many from a drawn offset."""
    chance = np.random.default_rng([seed, 11])
    for number in range(count):
        if number == 0 and moments.get(_SESSION_STARTS, np.empty(0)).size > 1:
            found = np.searchsorted(clock, moments[_SESSION_STARTS], side="right")
            yield found[np.diff(found, prepend=-_SPACINGS[0]) >= _SPACINGS[0]]
            continue
        spacing = _SPACINGS[(number - 1) % len(_SPACINGS)]
        # From one nudge to the next the distance varies a little, lest every one stands on the same minute.
        steps = spacing + chance.integers(0, 4, size=clock.size // spacing)
        rows = int(chance.integers(1, spacing)) + np.cumsum(steps)
        yield rows[rows < clock.size]


def _swept(trial: Trial, world: World, whole: Answer, rows: IndexArray) -> None:
    clock = world.clock.instants
    nudged = answer_of(trial.compute, world.nudged(clock[rows]))
    pointed: dict[int, list[str]] = {}
    for name in whole.values.columns:
        if name not in trial.seen:
            for one in _pointed_at(name, whole.values[name], nudged.values[name], rows)[:_CONFIRM_PER_COLUMN]:
                pointed.setdefault(one.row, []).append(name)
    for row, names in pointed.items():
        _confirm(trial, world, row, names)


def _pointed_at(name: str, before: pl.Series, after: pl.Series, rows: IndexArray) -> list[_Pointed]:
    """Rows before a nudged one at which the answer is there already, the strongest first."""
    if not (before.dtype.is_numeric() or before.dtype == pl.Boolean):
        return []
    change = _change(before, after)
    rows = rows[rows >= _SPACINGS[0]]
    own = change[rows]
    typical = float(np.median(own[np.isfinite(own)])) if np.isfinite(own).any() else 0.0
    early = change[rows - 1]
    faded = np.max([change[rows - back] for back in range(_SPACINGS[0] // 4, _SPACINGS[0] // 2)], axis=0)
    stands_out = (early > _FAINT * typical) & (early > _RISES * faded)
    places = np.flatnonzero(stands_out)
    found = [
        _Pointed(name, int(rows[at]) - 1, float(early[at] / (faded[at] + _FAINT * typical or 1.0))) for at in places
    ]
    return sorted(found, key=lambda one: -one.strength)


def _change(before: pl.Series, after: pl.Series) -> FloatArray:
    """How much each value moved; infinity where it came or went."""
    one, two = before.cast(pl.Float64), after.cast(pl.Float64)
    moved = (one - two).abs().fill_nan(None).fill_null(0.0).to_numpy().copy()
    moved[(one.is_null() != two.is_null()).to_numpy()] = np.inf
    return moved


def _confirm(trial: Trial, world: World, row: int, names: Sequence[str]) -> None:
    """Try one moment over the history up to a little after it."""
    clock = world.clock.instants
    end = min(row + _CONFIRM_ROWS_AFTER, clock.size - 1)
    piece = world.between(int(clock[0]), int(clock[end]) + 1)
    before = answer_of(trial.compute, piece.frames, names)
    for future in (Future.WILD, Future.RISE):
        trial.look(piece, before, "pointed at by a sweep", int(clock[row]), future, names)
