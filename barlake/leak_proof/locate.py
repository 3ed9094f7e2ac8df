"""From a wrong value to its cause: the earliest wrong row, how far it looked, and at which column."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from barlake.leak_proof.compare import ROWS, Answer, answer_of
from barlake.leak_proof.report import Finding, Verdict
from barlake.leak_proof.suspicions import Suspicion, Suspicions
from barlake.leak_proof.world import Compute, Frames, Future, World

__all__ = ["located"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_VALUE_FUTURES = (Future.RISE, Future.FALL, Future.WILD)


@dataclass(frozen=True, eq=False)
class _Cell:
    """One value, and the question whether it is the same in other tables."""

    compute: Compute
    seen: Suspicion
    futures: tuple[Future, ...]

    def other(self, frames: Frames) -> Answer:
        column = self.seen.column
        return answer_of(self.compute, frames, None if column == ROWS else (column,))

    def differs(self, frames: Frames) -> bool:
        found = self.other(frames)
        return any(
            name == self.seen.column and (rows == self.seen.row).any()
            for name, rows in self.seen.before.differences(found, self.seen.known_at)
        )


def located(
    suspicions: Suspicions, world: World, whole: Answer, column: str, borders_tried: int, futures: Sequence[Future]
) -> Finding:
    """Follow a wrong value to its cause, by the futures that this proof may use."""
    seen = suspicions.seen[column]
    cell = _Cell(suspicions.compute, seen, tuple(futures))
    unstable = cell.differs(seen.world.frames)
    if not unstable:
        cell = _earlier(cell, world, whole)
    seen = cell.seen
    until = seen.instant if unstable else _farthest(cell)
    ahead = _rows_between(seen.world, seen.known_at, until)
    after = cell.other(seen.world.with_future(seen.instant, seen.future))
    return Finding(
        column=seen.column,
        verdict=Verdict.UNSTABLE if unstable else Verdict.LEAKS,
        first_wrong_row=_row_in(whole, seen),
        known_at=_instant(seen.known_at),
        value=_value(seen.before, seen.column, seen.row),
        other_value=_value(after, seen.column, _row_at(after, seen)),
        border=_instant(seen.instant),
        kind_of_border=seen.kind,
        future=seen.future.value,
        rows_ahead=ahead,
        time_ahead=_instant(until) - _instant(seen.known_at),
        looked_at=() if unstable else tuple(_looked_at(cell)),
        borders_wrong=suspicions.wrong[column],
        borders_tried=borders_tried,
    )


def _earlier(cell: _Cell, world: World, whole: Answer) -> _Cell:
    """The same column at an earlier row, if borders nearer and nearer to the beginning show one."""
    clock, seen = world.clock.instants, cell.seen
    if seen.column == ROWS:
        return cell
    for place in _doubling(int(np.searchsorted(clock, seen.known_at))):
        instant = int(clock[place])
        for future in cell.futures[:2]:
            found = answer_of(cell.compute, world.with_future(instant, future), (seen.column,))
            for _, rows in whole.differences(found, instant):
                row = int(rows[0])
                known = int(whole.known_at[row])
                found_here = Suspicion(seen.column, world, whole, row, known, instant, seen.kind, future)
                return dataclasses.replace(cell, seen=found_here)
    return cell


def _doubling(below: int) -> Iterable[int]:
    place = 1
    while place < below:
        yield place - 1
        place *= 2


def _farthest(cell: _Cell) -> int:
    """When the last thing is known that the value depends on, to the row of the clock. By bisection."""
    seen = cell.seen
    clock = seen.world.clock.instants
    # Another future after `low` changes the value; after `high`, where nothing is left to change, it does not.
    low, high = int(np.searchsorted(clock, seen.instant, side="right")) - 1, clock.size - 1
    while high - low > 1:
        middle = (low + high) // 2
        if cell.differs(seen.world.with_future(int(clock[middle]), seen.future)):
            low = middle
        else:
            high = middle
    return int(clock[high])


def _looked_at(cell: _Cell) -> Iterable[str]:
    """The columns that change the value when they alone have another future."""
    seen = cell.seen
    for name, source in seen.world.sources.items():
        own = [
            f"{name}.{column}"
            for column in source.values
            if any(
                cell.differs(seen.world.with_future(seen.instant, future, source=name, column=column))
                for future in _VALUE_FUTURES
            )
        ]
        yield from own
        if not own and any(
            cell.differs(seen.world.with_future(seen.instant, future, source=name)) for future in cell.futures
        ):
            yield f"{name} (rows)"


def _rows_between(world: World, known_at: int, until: int) -> int:
    clock = world.clock.instants
    return int(np.searchsorted(clock, until, side="right") - np.searchsorted(clock, known_at, side="right"))


def _row_in(whole: Answer, seen: Suspicion) -> int:
    """The row of a piece, counted in the whole answer."""
    if seen.before is whole:
        return seen.row
    here = int(np.count_nonzero(seen.before.known_at[: seen.row] == seen.known_at))
    same = np.flatnonzero(whole.known_at == seen.known_at)
    return int(same[min(here, same.size - 1)]) if same.size else seen.row


def _row_at(after: Answer, seen: Suspicion) -> int:
    """The same row in another answer: of those known by then, as many rows come before it."""
    here = seen.before.rows_by(seen.instant)
    if isinstance(here, slice):
        return seen.row
    there = np.asarray(after.rows_by(seen.instant)) if not after.is_sorted else np.arange(after.known_at.size)
    place = int(np.searchsorted(here, seen.row))
    return int(there[place]) if place < there.size else -1


def _value(answer: Answer, column: str, row: int) -> Any:
    if column == ROWS:
        return f"{answer.known_at.size} rows"
    return answer.values[column][row] if 0 <= row < answer.values.height else None


def _instant(micros: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=micros)
