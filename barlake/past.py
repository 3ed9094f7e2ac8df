"""What a lake held at an earlier instant, session by session, as its records said then.

A session that no commit touched since is still on record as it was. One that a later commit changed, or took
all bars from, is described again from the bars of that instant, one symbol at a time. So a session whose bars
were lost and fetched again is known from then on, as its bars are.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import astuple

import polars as pl

from barlake.keys import Period, is_always_open
from barlake.manifest import HELD, Manifest
from barlake.partition_write import held_sessions
from barlake.partitions import collect
from barlake.ranges import TimeRange, time_range
from barlake.reader import read_bars, read_superseded
from barlake.sessions import Calendar
from barlake.stores import Store

__all__ = ["calendar_name", "held_as_of", "symbols_of", "with_calendar"]

_KEYS = ["feed", "symbol", "session"]


def held_as_of(
    store: Store,
    manifest: Manifest,
    calendar: Calendar,
    as_of: dt.datetime,
    *,
    feed: str | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
) -> pl.DataFrame:
    """Sessions held at an instant, as `Manifest.held` gave them then.

    Raises
    ------
    FormatError
        If a file with bars of that instant is not on disk.
    """
    now = manifest.held_with_commits(feed=feed, start=start, end=end)
    is_old = pl.col("committed_at") <= as_of
    found = [now.filter(is_old).select(*HELD)]
    later = now.filter(~is_old)
    for of_feed, symbol in manifest.pairs_changed_after(as_of):
        if feed in {None, of_feed}:
            changed = set(later.filter(feed=of_feed, symbol=symbol)["session"])
            # Sessions of which no bar is left are on record in the old values alone.
            span = time_range(start, end, of_feed)
            old = read_superseded(store, manifest, feed=of_feed, symbol=symbol, span=span, as_of=as_of)
            changed.update(collect(old)["session"])
            found.append(_described(store, manifest, calendar, as_of, of_feed, symbol, changed))
    return pl.concat(found).sort(_KEYS)


def _described(
    store: Store, manifest: Manifest, calendar: Calendar, as_of: dt.datetime, feed: str, symbol: str, days: set[dt.date]
) -> pl.DataFrame:
    """These sessions of one symbol, from the bars of that instant; a year is in memory at a time."""
    parts = [pl.DataFrame(schema=HELD)]
    for year in sorted({Period.of_year(day) for day in days}):
        own = [day for day in days if year.start <= day < year.end]
        span: TimeRange = time_range(min(own), max(own) + dt.timedelta(days=1), feed)
        rows = read_bars(store, manifest, feed=feed, symbol=symbol, span=span, as_of=as_of)
        bars = collect(rows.filter(pl.col("session").is_in(own)))
        described = [(feed, symbol, *astuple(session)) for session in held_sessions(bars, calendar, feed)]
        parts.append(pl.DataFrame(described, schema=HELD, orient="row"))
    return pl.concat(parts)


def symbols_of(held: pl.DataFrame) -> pl.DataFrame:
    """What `Manifest.symbols` gives, of sessions held."""
    session = pl.col("session")
    return (
        held.group_by("feed", "symbol")
        .agg(
            pl.len().cast(pl.Int64).alias("sessions"),
            pl.col("rows").sum().alias("bars"),
            session.min().alias("first"),
            session.max().alias("last"),
        )
        .sort("feed", "symbol")
    )


def calendar_name(feed: str) -> str:
    """`24/7` where the feed's market never closes, else `XNYS`."""
    return "24/7" if is_always_open(feed) else "XNYS"


def with_calendar(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows with `calendar`, which the name of their feed says: `XNYS` or `24/7`."""
    names = {feed: calendar_name(feed) for feed in rows["feed"].unique()}
    return rows.with_columns(pl.col("feed").replace_strict(names, return_dtype=pl.String()).alias("calendar"))
