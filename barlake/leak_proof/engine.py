"""The proof: many futures at many borders, each answer compared with the first one bit by bit.

Three ways to look, because leaks differ. Over the whole history at a few borders: finds what reads far ahead,
and what depends on how much history there is. In short pieces of history at many more: a piece costs
little, so many rows are tried. By sweeps over all rows at once (`sweep.py`): finds what one row in thousands
does. A sweep only points; whatever it points at is tried at its own border before it is called a leak.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from barlake.errors import InvalidInputError
from barlake.leak_proof.borders import Borders, draw
from barlake.leak_proof.compare import ROWS, Answer, answer_of
from barlake.leak_proof.locate import located
from barlake.leak_proof.report import Finding, ProofReport
from barlake.leak_proof.suspicions import Suspicions
from barlake.leak_proof.sweep import sweep
from barlake.leak_proof.world import Compute, Future, World, piece_span

__all__ = ["Effort", "Progress", "prove"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Parameters
    ----------
    whole
        Borders tried over the whole history.
    pieces
        Short pieces of history; at `per_piece` borders of each one.
    piece_rows
        Rows of a piece: more than most columns need before they have a value.
    sweeps
        Sweeps over all rows.
    futures
        What is put in place of the future, by turns.
    random_share
        Of the borders: how many are drawn from all rows, and not from a kind.
    """

    whole: int = 6
    pieces: int = 24
    per_piece: int = 5
    piece_rows: int = 3000
    sweeps: int = 8
    futures: tuple[Future, ...] = (Future.WILD, Future.CUT, Future.RISE, Future.FALL)
    random_share: float = 0.25


def prove(
    compute: Compute,
    world: World,
    borders: Borders,
    *,
    subject: str = "column",
    effort: Effort | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProofReport:
    """Try to show that something known at an instant depends on what comes later.

    Parameters
    ----------
    compute
        Pure: the same tables, the same answer.
    borders
        Where to look, by kind; see `bar_borders` and `record_borders`.
    subject
        What a column of the answer is called in messages.

    Raises
    ------
    InvalidInputError
        If there are fewer than two rows, or the answer does not say when its rows are known.
    """
    started = time.perf_counter()
    effort = effort or Effort()
    clock = world.clock.instants
    if clock.size <= 1:
        raise InvalidInputError(f"a proof needs at least two rows, there are {clock.size}: give more bars.")
    suspicions = Suspicions(compute)
    whole = answer_of(compute, world.frames)
    steps: Iterable[tuple[str, Callable[[], None]]] = itertools.chain(
        _whole_steps(suspicions, world, whole, borders, effort, seed),
        _piece_steps(suspicions, world, borders, effort, seed),
        sweep(suspicions, world, whole, borders, effort.sweeps, seed),
    )
    listed = list(steps)
    for number, (doing, step) in enumerate(listed):
        if progress is not None:
            progress(doing, number, len(listed))
        step()
    findings = tuple(_findings(suspicions, world, whole, effort.futures))
    if progress is not None:
        progress("done", len(listed), len(listed))
    taken = time.perf_counter() - started
    return ProofReport(subject, tuple(whole.values.columns), findings, dict(suspicions.tried), clock.size, taken)


Step = tuple[str, Callable[[], None]]


def _whole_steps(
    suspicions: Suspicions, world: World, whole: Answer, borders: Borders, effort: Effort, seed: int
) -> Iterable[Step]:
    drawn = draw(borders, world.clock.instants, effort.whole, seed, random_share=effort.random_share)
    for (kind, instant), future in zip(drawn, itertools.cycle(effort.futures), strict=False):
        yield f"whole history: {kind}", functools.partial(suspicions.look, world, whole, kind, instant, future)


def _piece_steps(suspicions: Suspicions, world: World, borders: Borders, effort: Effort, seed: int) -> Iterable[Step]:
    clock = world.clock.instants
    if clock.size <= effort.piece_rows:
        # The whole is no longer than a piece: look at more borders of it.
        drawn = draw(borders, clock, effort.pieces * effort.per_piece, seed + 1)
        yield "pieces", functools.partial(_try_piece, suspicions, world, drawn, effort.futures)
        return
    for number, (kind, anchor) in enumerate(draw(borders, clock, effort.pieces, seed + 1)):
        yield (
            f"pieces: {kind}",
            functools.partial(_anchored, suspicions, world, borders, effort, kind, anchor, seed + number),
        )


def _anchored(
    suspicions: Suspicions, world: World, borders: Borders, effort: Effort, kind: str, anchor: int, seed: int
) -> None:
    """A piece of history around one border, tried at it and at others near it."""
    clock = world.clock.instants
    ahead = effort.piece_rows // 6
    row = int(np.searchsorted(clock, anchor, side="right"))
    first, end = piece_span(clock, row, effort.piece_rows - ahead, ahead)
    # What is near its own end could look no farther than that.
    near_first, near_end = int(clock[max(row - ahead, 0)]), int(clock[min(row + ahead // 2, clock.size - 2)])
    near = {name: found[(found >= near_first) & (found < near_end)] for name, found in borders.items()}
    around = clock[(clock >= near_first) & (clock < near_end)]
    drawn = [(kind, anchor), *draw(near, around, effort.per_piece - 1, seed)]
    _try_piece(suspicions, world.between(first, end), drawn, effort.futures, turn=seed)


def _try_piece(
    suspicions: Suspicions, piece: World, drawn: list[tuple[str, int]], futures: tuple[Future, ...], *, turn: int = 0
) -> None:
    before = answer_of(suspicions.compute, piece.frames)
    for number, (kind, instant) in enumerate(drawn, start=turn):
        suspicions.look(piece, before, kind, instant, futures[number % len(futures)])


def _findings(suspicions: Suspicions, world: World, whole: Answer, futures: tuple[Future, ...]) -> Iterable[Finding]:
    """What was seen, each tried once more for stability and then followed to its cause."""
    tried = sum(suspicions.tried.values())
    for name in [*whole.values.columns, ROWS]:
        if name in suspicions.seen:
            yield located(suspicions, world, whole, name, tried, futures)
