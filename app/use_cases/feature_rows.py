"""Rows of a feature table for those who ask over a wire: all of a range group by group, or the newest page by page."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from barlake.errors import ConflictError, InvalidInputError, did_you_mean
from barlake.feature_tables import KEY_COLUMNS, FeatureTables
from barlake.keys import FeatureSetKey, parse_symbol
from barlake.partitions import reading_errors
from barlake.ranges import TimeRange, time_range
from barlake.row_groups import read_by_group

__all__ = ["FeaturePlace", "FeatureQuestion", "PinnedFeatures", "newest_features", "pin_features"]


@dataclass(frozen=True)
class FeatureQuestion:
    """Which rows of which table.

    Parameters
    ----------
    version
        None takes the one that was most recently built for the symbol.
    columns
        Beside session and timestamp; none takes all.
    """

    symbol: str
    set_name: str
    version: str | None = None
    feed: str | None = None
    start: str | None = None
    end: str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class PinnedFeatures:
    """The table of one symbol in one version, as its files were at one look; they never change."""

    key: FeatureSetKey
    symbol: str
    feed: str | None
    span: TimeRange
    paths: tuple[Path, ...]
    columns: tuple[str, ...]
    empty: pl.DataFrame = field(repr=False)

    @property
    def state(self) -> str:
        """One hash of the table: files are named after the hashes of their values."""
        return hashlib.sha256("\n".join(path.name for path in self.paths).encode()).hexdigest()

    def frames(self) -> Iterator[pl.DataFrame]:
        """Rows with start <= timestamp < end, oldest first; one frame at least."""
        yield self.empty
        yield from self._groups(self.paths)

    def newest(self, count: int) -> pl.DataFrame:
        """The last `count` of these rows, oldest first; no more is read than that takes."""
        found: list[pl.DataFrame] = []
        for frame in self._groups(self.paths[::-1], newest_first=True):
            found.insert(0, frame)
            if sum(one.height for one in found) >= count:
                break
        return pl.concat([self.empty, *found]).tail(count)

    def _groups(self, paths: Sequence[Path], *, newest_first: bool = False) -> Iterator[pl.DataFrame]:
        for path in paths:
            with reading_errors():
                yield from read_by_group(path, self.span, columns=self.columns, newest_first=newest_first)


@dataclass(frozen=True)
class FeaturePlace:
    """Where a page of earlier rows begins: before an instant, in the table of these files."""

    before: dt.datetime
    state: str


def pin_features(tables: FeatureTables, question: FeatureQuestion) -> PinnedFeatures:
    """What a question of a feature table is answered from.

    Raises
    ------
    NotFoundError
        If the set has no table of the symbol, or there is no such version.
    InvalidInputError
        If a column is not in the table, or the range is reversed or lacks its zone.
    FormatError
        If a file is missing or damaged.
    """
    symbol = parse_symbol(question.symbol)
    if question.version is None:
        key = tables.latest(question.set_name, symbol, question.feed)
    else:
        key = FeatureSetKey(question.set_name, question.version)
    feed = tables.definition(key).get("feed")
    paths = tuple(tables.paths(key, symbol))
    with reading_errors():
        empty = pl.read_parquet_schema(paths[0])
    columns = _chosen(question, list(empty))
    frame = pl.DataFrame(schema={name: empty[name] for name in columns})
    return PinnedFeatures(key, symbol, feed, time_range(question.start, question.end), paths, columns, frame)


def newest_features(
    pinned: PinnedFeatures, limit: int, place: FeaturePlace | None = None
) -> tuple[pl.DataFrame, FeaturePlace | None]:
    """The last `limit` rows, or of those before a page's place; and where the page of earlier ones begins.

    Raises
    ------
    ConflictError
        If the table was built again since the page before.
    """
    if place is not None:
        if place.state != pinned.state:
            raise ConflictError(
                f"features of {pinned.symbol!r} were built again since the page before: begin without a cursor."
            )
        pinned = replace(pinned, span=replace(pinned.span, end=place.before))
    # One more than asked for says whether there is an earlier page.
    rows = pinned.newest(limit + 1)
    page = rows.tail(limit)
    return page, FeaturePlace(page["timestamp"][0], pinned.state) if rows.height > limit else None


def _chosen(question: FeatureQuestion, names: Sequence[str]) -> tuple[str, ...]:
    for name in question.columns:
        if name not in names:
            raise InvalidInputError(
                f"column {name!r} is not in feature set {question.set_name!r}.{did_you_mean(name, names)} "
                f"It has {', '.join(names)}."
            )
    return tuple(dict.fromkeys((*KEY_COLUMNS, *question.columns))) if question.columns else tuple(names)
