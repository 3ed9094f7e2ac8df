"""Tables of which each row becomes known at an instant, and other futures for them. Pure.

Instants are whole microseconds since 1970, UTC. The past of an instant is every row known at it or before;
the rest is its future, and a proof may take that away or put another one in its place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = [
    "KNOWN_AT",
    "Compute",
    "Frames",
    "Future",
    "Instants",
    "Source",
    "World",
    "instants",
    "minutes",
    "piece_span",
]

Frames = Mapping[str, pl.DataFrame]
Instants = npt.NDArray[np.int64]

KNOWN_AT = "known_at"
"""Column of an answer that says when each of its rows is known."""

_LONGEST_FACTOR = 3.0
_NUDGE = 0.02
_BEAT = 1000


class Compute(Protocol):
    """What is put to the proof."""

    def __call__(self, frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        """An answer from these tables: `known_at` and columns of values, one row per thing that is known.

        Parameters
        ----------
        columns
            The only columns of values that are asked for; None asks for all. More may be given.
        """


class Future(StrEnum):
    """What an instant's future is replaced by."""

    CUT = "cut"  # nothing: it has not happened yet
    RISE = "rise"  # every value up to three times as large
    FALL = "fall"  # every value down to a third
    WILD = "wild"  # each row up or down by itself; the next row and half of the others are missing
    NUDGE = "nudge"  # each row up or down by two hundredths


def minutes(count: int = 1) -> pl.Expr:
    """When a bar of so many minutes is known: its opening instant plus its length."""
    return pl.col("timestamp") + pl.duration(minutes=count)


def piece_span(clock: Instants, row: int, rows_before: int, rows_after: int) -> tuple[int, int]:
    """First instant, and end, of a piece of history around a row.

    It begins at a row whose number is a multiple of 1000, where a rhythm that is counted in rows keeps its beat.
    """
    first = max(row - rows_before, 0) // _BEAT * _BEAT
    return int(clock[first]), int(clock[min(row + rows_after, clock.size - 1)]) + 1


def instants(frame: pl.DataFrame, known_at: pl.Expr) -> Instants:
    """Microseconds since 1970 of each row; a row without an instant is never known."""
    found = frame.select(known_at.cast(pl.Datetime("us", "UTC")).to_physical().alias(KNOWN_AT))[KNOWN_AT]
    return found.fill_null(np.iinfo(np.int64).max).to_numpy()


@dataclass(frozen=True, eq=False)
class Source:
    """A table, when its rows become known, and what in them could have come otherwise.

    Parameters
    ----------
    known_at
        Instant from which a row is known.
    values
        Columns of numbers that another future may change; the rest of a row (its key, its calendar) stays.
    otherwise
        How a column of `values` changes where a multiple of it would mean nothing: a label of 0 or 1 becomes
        the other one.
    early
        Columns of a row that are known before the row is, and when: the open of a bar, at its opening instant.
    is_continuous
        Whether the rows before some instant may be left out, as bars before the beginning of a shorter
        history are. Of records the old ones stay: the last release still holds.
    """

    frame: pl.DataFrame
    known_at: pl.Expr
    values: tuple[str, ...] = ()
    otherwise: Mapping[str, Callable[[pl.Series], pl.Series]] = field(default_factory=dict)
    early: Mapping[str, pl.Expr] = field(default_factory=dict)
    is_continuous: bool = True

    @functools.cached_property
    def instants(self) -> Instants:
        """When each row is known."""
        return instants(self.frame, self.known_at)

    @functools.cached_property
    def is_sorted(self) -> bool:
        """Whether rows become known in their order."""
        return bool((np.diff(self.instants) >= 0).all())

    def thins(self, future: Future) -> bool:
        """Whether rows are missing in that future. Where there are no values nothing else can be different."""
        return future is Future.WILD or not (self.values or future is Future.CUT)

    def between(self, first: int, end: int) -> Source:
        """The rows known in [first, end); of records also the older ones."""
        inside = self.instants < end
        if self.is_continuous:
            inside &= self.instants >= first
        return replace(self, frame=self.frame.filter(pl.Series(inside)))

    def changed(self, future: Future, seed: int) -> pl.DataFrame:
        """The same rows with every value as that future has it, and a column that says which rows it has."""
        rows = self.frame.height
        chance = np.random.default_rng([seed, list(Future).index(future)])
        factor = _factors(future, chance, rows)
        present = _heads(chance, rows) if self.thins(future) else np.full(rows, future is not Future.CUT)
        columns = [
            self.otherwise[name](self.frame[name]) if name in self.otherwise else _times(self.frame[name], factor)
            for name in self.values
        ]
        return self.frame.with_columns(*columns, pl.Series(_PRESENT, present))


_PRESENT = "__present__"


def _factors(future: Future, chance: np.random.Generator, rows: int) -> npt.NDArray[np.float64]:
    size = 1.0 + (_LONGEST_FACTOR - 1.0) * (0.25 + 0.75 * chance.random(rows))
    if future is Future.FALL:
        return 1.0 / size
    if future is Future.WILD:
        return np.where(_heads(chance, rows), size, 1.0 / size)
    if future is Future.NUDGE:
        return np.where(_heads(chance, rows), 1.0 + _NUDGE, 1.0 - _NUDGE)
    return size


def _heads(chance: np.random.Generator, rows: int) -> npt.NDArray[np.bool_]:
    return chance.integers(0, 2, size=rows).astype(bool)


def _times(column: pl.Series, factor: npt.NDArray[np.float64]) -> pl.Series:
    """The column times the factors, of the same type; whole numbers stay whole and differ from what they were."""
    changed = (column.cast(pl.Float64) * pl.Series(factor)).alias(column.name)
    if not column.dtype.is_integer():
        return changed.cast(column.dtype)
    whole = changed.round().cast(column.dtype)
    return whole.zip_with(whole != column, column + 1)


@dataclass(frozen=True, eq=False)
class World:
    """Tables by name, the first of which is the clock: its rows are what "one row later" means.

    Parameters
    ----------
    seed
        Of what is drawn for other futures; the same seed, the same futures.
    """

    sources: Mapping[str, Source]
    seed: int = 0

    @property
    def clock(self) -> Source:
        """The first table."""
        return next(iter(self.sources.values()))

    @property
    def frames(self) -> dict[str, pl.DataFrame]:
        """The tables as they are."""
        return {name: source.frame for name, source in self.sources.items()}

    def between(self, first: int, end: int) -> World:
        """The part known in [first, end); see `Source.between`."""
        return replace(self, sources={name: one.between(first, end) for name, one in self.sources.items()})

    def with_future(
        self, instant: int, future: Future, *, source: str | None = None, column: str | None = None
    ) -> dict[str, pl.DataFrame]:
        """The tables with another future after an instant; all else is the same in every bit.

        Parameters
        ----------
        source
            The only table that changes; None: all.
        column
            The only column of it that changes; its rows all stay.
        """
        found = self.frames
        for name, one in self.sources.items():
            if source in {None, name}:
                found[name] = _replaced(one, self._changed(name, future), instant, future, column)
        return found

    def nudged(self, at: Instants) -> dict[str, pl.DataFrame]:
        """The tables with the rows known exactly at these instants nudged; all others as they are."""
        found = self.frames
        for name, one in self.sources.items():
            if one.values:
                hit = pl.Series(np.isin(one.instants, at))
                other = self._changed(name, Future.NUDGE)
                found[name] = one.frame.with_columns(
                    other[column].zip_with(hit, one.frame[column]) for column in one.values
                )
        return found

    @functools.cached_property
    def _cache(self) -> dict[tuple[str, Future], pl.DataFrame]:
        return {}

    def _changed(self, name: str, future: Future) -> pl.DataFrame:
        key = (name, future)
        if key not in self._cache:
            self._cache[key] = self.sources[name].changed(future, self.seed)
        return self._cache[key]


def _replaced(source: Source, other: pl.DataFrame, instant: int, future: Future, column: str | None) -> pl.DataFrame:
    if source.is_sorted and not source.early and column is None:
        known = int(np.searchsorted(source.instants, instant, side="right"))
        if future is Future.CUT:
            return source.frame.head(known)
        later = other.slice(known)
        if source.thins(future):
            later = later.slice(1).filter(_PRESENT)
        # In one piece: of two, every column would be joined anew by every expression over it.
        return pl.concat([source.frame.head(known), later.drop(_PRESENT)], rechunk=True)
    return _replaced_by_mask(source, other, instant, column)


def _replaced_by_mask(source: Source, other: pl.DataFrame, instant: int, column: str | None) -> pl.DataFrame:
    """As `_replaced`, for rows in any order and columns that are known before their row."""
    known = pl.Series(source.instants <= instant)
    begun, columns = known, []
    for name in source.values if column is None else (column,):
        known_here = known
        if name in source.early:
            known_here = pl.Series(instants(source.frame, source.early[name]) <= instant)
            begun = begun | known_here
        columns.append(source.frame[name].zip_with(known_here, other[name]))
    changed = source.frame.with_columns(columns)
    return changed if column is not None else changed.filter(begun | other[_PRESENT])
