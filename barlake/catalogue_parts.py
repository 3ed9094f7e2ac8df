"""What a catalogue is built from: files, tables, further views. Pure data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["Catalogue", "Made", "Minutes", "ParquetView"]


@dataclass(frozen=True)
class ParquetView:
    """A view over Parquet files of Hive-named folders; all path keys are read as text, and `hidden` ones not shown.

    Parameters
    ----------
    folder
        A first column of this name holds the name of the folder each file lies in. None: no such column.
    """

    name: str
    paths: Sequence[Path | str]
    keys: Sequence[str] = ("symbol", "dt")
    hidden: Sequence[str] = ("dt",)
    folder: str | None = None


@dataclass(frozen=True)
class Catalogue:
    """Everything a catalogue shows: the files of bars, of their old values and of records, tables, and further views.

    Parameters
    ----------
    root
        The place it is published for.
    last_commit
        The newest commit that it shows; None before the first.
    filesystem
        What DuckDB needs to read the files, when it is not a disk.
    """

    root: str
    last_commit: dt.datetime | None = None
    bars: Sequence[str] = ()
    revisions: Sequence[str] = ()
    records: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    views: Sequence[ParquetView] = ()
    with_bars: bool = True
    filesystem: AbstractFileSystem | None = None


@dataclass(frozen=True)
class Made:
    """The part of a catalogue that changes when something is made of bars that stay as they are."""

    tables: Mapping[str, pl.DataFrame]
    views: Sequence[ParquetView]


@dataclass(frozen=True)
class Minutes:
    """What changes in a catalogue when a session grows by some minutes.

    Parameters
    ----------
    last_commit
        The newest commit it will show.
    bars, revisions
        All files.
    calendar
        Name of the feed's calendar.
    coverage
        The rows of `coverage` of that feed and session.
    commits
        The rows of `commits` that are new.
    """

    last_commit: dt.datetime | None
    bars: Sequence[str]
    revisions: Sequence[str]
    feed: str
    calendar: str
    session: dt.date
    coverage: pl.DataFrame
    commits: pl.DataFrame
    filesystem: AbstractFileSystem | None = None
