"""A few sessions out of large files: only the groups of rows that hold them are unpacked.

A scan of polars looks for rows by all columns and threads at once, which pays for years and costs more than the
rows do for a week. What is read here is what the scan would give.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from barlake.layout import parse_partition_path
from barlake.ranges import TimeRange
from barlake.schemas import BARS
from barlake.stores import Store

__all__ = ["read_by_group", "read_narrow"]

MOST_FILES = 3
MOST_GROUPS = 3
"""More than these are the scan's."""

KEPT_GROUPS = 64
"""Unpacked groups kept in memory, the last ones asked for: 80 MB. The newest bars are asked for again and again."""

KEPT_FOOTERS = 256

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def read_narrow(store: Store, paths: Sequence[str], span: TimeRange) -> pl.DataFrame | None:
    """Rows of these files with start <= timestamp < end, in the order of the files: feed, symbol, `schemas.BARS`.

    Returns
    -------
    None where a scan does better: of many files or groups of rows, in a bucket, or without a start. Also where a
    file is not there: the scan says what to do then.

    Raises
    ------
    pyarrow.ArrowException, OSError
        If a file is damaged.
    """
    if store.is_remote or span.start is None or not 0 < len(paths) <= MOST_FILES:
        return None
    parts = []
    for path in paths:
        try:
            rows = _rows(store.address(path), span)
        except FileNotFoundError:
            return None
        if rows is None:
            return None
        key = parse_partition_path(PurePosixPath(path).parent)[1]
        # A slice of what is kept: columns that are put into it are not in the kept frame.
        rows.insert_column(0, _constant("symbol", key.symbol, rows.height))
        parts.append(rows.insert_column(0, _constant("feed", key.feed, rows.height)))
    return pl.concat(parts)


def read_by_group(
    path: Path, span: TimeRange, *, columns: Sequence[str], newest_first: bool = False
) -> Iterator[pl.DataFrame]:
    """Rows of one file, sorted by timestamp, with start <= timestamp < end: a frame for each group that may hold some.

    Parameters
    ----------
    columns
        Those wanted, `timestamp` among them.
    newest_first
        Give the last group first; within a group the oldest row is the first all the same.

    Raises
    ------
    pyarrow.ArrowException, OSError
        If the file is damaged, or not there.
    """
    start, end = _micros(span.start), _micros(span.end)
    with pq.ParquetFile(path, pre_buffer=False) as file:
        groups = _groups(file.metadata, start, end)
        for group in reversed(groups) if newest_first else groups:
            rows = pl.from_arrow(file.read_row_group(group, columns=list(columns), use_threads=False))
            assert isinstance(rows, pl.DataFrame)  # noqa: S101 - narrows polars' union type
            yield _trimmed(rows, start, end)


def _rows(address: str, span: TimeRange) -> pl.DataFrame | None:
    start, end = _micros(span.start), _micros(span.end)
    facts = Path(address).stat()
    version = facts.st_mtime_ns, facts.st_size
    groups = _groups_of(address, version, start, end)
    if len(groups) > MOST_GROUPS:
        return None
    return pl.concat(
        [_trimmed(_group(address, version, number), start, end) for number in groups]
        or [_group(address, version, 0)[:0]]
    )


_Version = tuple[int, int]
"""Instant of the last change and bytes. Files are never changed; whoever damages one shall be found out."""


@functools.lru_cache(maxsize=4_096)
def _groups_of(address: str, version: _Version, start: int | None, end: int | None) -> tuple[int, ...]:
    """Numbers of the groups of a range."""
    return tuple(_groups(_footer(address, version), start, end))


@functools.lru_cache(maxsize=KEPT_FOOTERS)
def _footer(address: str, version: _Version) -> pq.FileMetaData:
    """What a file says of its groups."""
    del version
    return pq.read_metadata(address)


@functools.lru_cache(maxsize=KEPT_GROUPS)
def _group(address: str, version: _Version, number: int) -> pl.DataFrame:
    """The rows of one group."""
    with pq.ParquetFile(address, metadata=_footer(address, version), pre_buffer=False) as file:
        table = file.read_row_group(number, columns=BARS.names, use_threads=False)
    rows = pl.from_arrow(table)
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 - narrows polars' union type
    return rows


def _constant(name: str, value: str, count: int) -> pl.Series:
    return pl.Series(name, [value], dtype=pl.String).new_from_index(0, count)


def _trimmed(rows: pl.DataFrame, start: int | None, end: int | None) -> pl.DataFrame:
    """The rows of a range; they are sorted."""
    stamps = rows["timestamp"].to_numpy().view(np.int64)
    begin = 0 if start is None else int(stamps.searchsorted(start))
    stop = rows.height if end is None else int(stamps.searchsorted(end))
    return rows[begin:stop]


def _groups(metadata: pq.FileMetaData, start: int | None, end: int | None) -> list[int]:
    """Groups that may hold a row of the range, by the bounds in the footer."""
    place = metadata.schema.names.index("timestamp")
    found = []
    for number in range(metadata.num_row_groups):
        bounds = metadata.row_group(number).column(place).statistics
        is_bounded = bounds is not None and bounds.has_min_max
        is_before = is_bounded and start is not None and bounds.max_raw < start
        is_after = is_bounded and end is not None and bounds.min_raw >= end
        if not (is_before or is_after):
            found.append(number)
    return found


def _micros(instant: dt.datetime | None) -> int | None:
    return None if instant is None else (instant - _EPOCH) // _MICROSECOND
