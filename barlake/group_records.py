"""What a write of many symbols at once has to know of the manifest: one question for all of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import polars as pl
from sqlalchemy import select

from barlake import tables
from barlake.database import reading
from barlake.keys import PartitionKey, Period
from barlake.manifest import COMMITS, Manifest
from barlake.records import FileRecord

__all__ = ["RANKS", "commits_since", "counting_files", "counting_paths", "ranks_of"]

RANKS = {"symbol": pl.String(), "timestamp": pl.Datetime("us", "UTC"), "standing": pl.Int64()}
"""Columns of bars that are provisional."""


def counting_files(
    manifest: Manifest, dataset: str, *, feed: str, symbols: Sequence[str], start: dt.date, end: dt.date
) -> dict[str, list[FileRecord]]:
    """By symbol, the files of a dataset that count and may hold sessions in [start, end), by period and path."""
    table = tables.files
    query = (
        select(table)
        .where(
            table.c.dataset == dataset,
            table.c.feed == feed,
            table.c.symbol.in_(symbols),
            table.c.removed_at.is_(None),
            table.c.period_start < end,
            table.c.period_end > start,
        )
        .order_by(table.c.symbol, table.c.period_start, table.c.path)
    )
    found: dict[str, list[FileRecord]] = {}
    with reading(manifest.engine) as connection:
        for row in connection.execute(query):
            key = PartitionKey(row.feed, row.symbol, Period.parse(row.period))
            stamps = row.first_timestamp, row.last_timestamp
            record = FileRecord(row.path, row.dataset, key, row.rows, row.bytes, *stamps)
            found.setdefault(row.symbol, []).append(record)
    return found


def counting_paths(manifest: Manifest, dataset: str) -> list[str]:
    """Every file of a dataset that counts, by feed, symbol, period and path."""
    table = tables.files
    query = select(table.c.path).where(table.c.dataset == dataset, table.c.removed_at.is_(None))
    query = query.order_by(table.c.feed, table.c.symbol, table.c.period_start, table.c.path)
    with reading(manifest.engine) as connection:
        return list(connection.execute(query).scalars())


def commits_since(manifest: Manifest, instant: dt.datetime) -> pl.DataFrame:
    """What `Manifest.commits` gives, of those after an instant."""
    table = tables.commits
    query = select(*(table.c[name] for name in COMMITS)).where(
        table.c.committed_at > instant, table.c.moment.is_not(None)
    )
    with reading(manifest.engine) as connection:
        rows = [tuple(row) for row in connection.execute(query.order_by(table.c.committed_at))]
    return pl.DataFrame(rows, schema=COMMITS, orient="row")


def ranks_of(manifest: Manifest, bars: pl.DataFrame, *, feed: str) -> pl.DataFrame:
    """Of these bars (symbol, timestamp), those that are provisional, with their rank: columns of `RANKS`."""
    if bars.is_empty():
        return pl.DataFrame(schema=RANKS)
    table = tables.provisional_rows
    query = select(table.c.symbol, table.c.timestamp, table.c.rank).where(
        table.c.feed == feed,
        table.c.symbol.in_(bars["symbol"].unique().to_list()),
        table.c.timestamp.in_(bars["timestamp"].unique().to_list()),
    )
    with reading(manifest.engine) as connection:
        rows: list[Any] = [tuple(row) for row in connection.execute(query)]
    return pl.DataFrame(rows, schema=RANKS, orient="row")
