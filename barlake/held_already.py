"""Rows that need no second look: whole sessions that come again with the values that are held.

A session's hash covers every value that a source states, so equal hashes mean equal rows, and rows that were
stored once passed every check. Most of what is ingested twice is found so without reading a file.
"""

from __future__ import annotations

import datetime as dt

import polars as pl

from barlake.manifest import Manifest
from barlake.partitions import content_hashes
from barlake.sessions import session_dates

__all__ = ["held_already"]


def held_already(rows: pl.DataFrame, manifest: Manifest, *, feed: str, symbol: str) -> pl.Series:
    """Sessions of these rows that are held with just these values, every bar of them final.

    Parameters
    ----------
    rows
        timestamp and `BAR_VALUES` in their types; nothing is found where the stamps do not rise from row to row.
    """
    stamps = rows["timestamp"]
    none = pl.Series("session", [], pl.Date())
    if stamps.is_empty() or stamps.null_count() or not (stamps.diff().drop_nulls() > dt.timedelta(0)).all():
        return none
    first, last = session_dates(pl.concat([stamps.head(1), stamps.tail(1)]), feed)
    span = {"feed": feed, "symbol": symbol, "start": first, "end": last + dt.timedelta(days=1)}
    held = manifest.held(**span).select("session", "content_hash")
    if held.is_empty():
        return none
    # What a final answer settles must be merged, though no value changes.
    unsettled = session_dates(manifest.provisional(**span)["timestamp"], feed)
    at_stake = rows.filter(session_dates(stamps, feed).is_in(held["session"].implode()))
    equal = content_hashes(at_stake, feed).join(held, on=["session", "content_hash"], how="semi")["session"]
    return equal.filter(~equal.is_in(unsettled.implode()))
