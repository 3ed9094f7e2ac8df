"""Bars out of the files: as they are now, as they were at an earlier instant, and what they were before.

`ingested_at` says since when a row has its values, `superseded_at` until when an old one had them. A row
that a later answer changed has left the bars and stands among the old values, so for every instant and
minute at most one of the two is valid.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from barlake import layout
from barlake.manifest import Manifest
from barlake.partitions import collect, read_files, reading_errors
from barlake.ranges import TimeRange
from barlake.records import FileView
from barlake.row_groups import read_narrow
from barlake.schemas import BAR_VALUES, BARS
from barlake.sessions import session_dates, session_of
from barlake.stores import Store

__all__ = ["read_bars", "read_paths", "read_present", "read_revisions", "read_superseded", "read_view"]


def read_bars(
    store: Store, manifest: Manifest, *, feed: str, symbol: str, span: TimeRange, as_of: dt.datetime | None = None
) -> pl.LazyFrame:
    """Lazy bars of one symbol with start <= timestamp < end, by timestamp: feed, symbol, session, `schemas.BARS`.

    Parameters
    ----------
    as_of
        An aware instant: exactly the bars the lake held then, whatever was corrected or rolled up since.
        None reads what it holds now.

    Raises
    ------
    FormatError
        If a file that counts is not on disk.
    """
    view = manifest.view(feed=feed, symbol=symbol, start=span.first_session, end=span.end_session, as_of=as_of)
    return read_view(store, view, feed=feed, span=span, as_of=as_of)


def read_view(
    store: Store, view: FileView, *, feed: str, span: TimeRange, as_of: dt.datetime | None = None
) -> pl.LazyFrame:
    """What `read_bars` gives, from the files that the manifest named at an earlier look."""
    bars = read_files(store, view.bars, feed=feed, labelled=True)
    if as_of is None:
        return _with_session(_within(bars, span), feed)
    bars = bars.filter(_known(view, as_of))
    if view.revisions:
        bars = pl.concat([bars, _superseded_later(store, view, as_of)]).sort("timestamp")
    return _with_session(_within(bars, span), feed)


def read_superseded(
    store: Store, manifest: Manifest, *, feed: str, symbol: str, span: TimeRange, as_of: dt.datetime
) -> pl.LazyFrame:
    """Of the bars that `read_bars` gives for an instant, those that are bars no more, in no order."""
    view = manifest.view(feed=feed, symbol=symbol, start=span.first_session, end=span.end_session, as_of=as_of)
    old = _superseded_later(store, view, as_of) if view.revisions else read_files(store, [], feed=feed, labelled=True)
    return _with_session(_within(old, span), feed)


def _known(view: FileView, as_of: dt.datetime) -> pl.Expr:
    # A row may carry a moment before `as_of` and still have been committed after it.
    since = pl.col("ingested_at")
    return (since <= as_of) & ~since.is_in(view.late)


def _superseded_later(store: Store, view: FileView, as_of: dt.datetime) -> pl.LazyFrame:
    until = pl.col("superseded_at")
    later = (until > as_of) | until.is_in(view.late)
    old = read_files(store, view.revisions, labelled=True)
    return old.filter(_known(view, as_of) & later).drop("superseded_at")


def read_present(
    store: Store, manifest: Manifest, *, feed: str, symbols: Sequence[str], span: TimeRange
) -> pl.DataFrame:
    """Bars of several symbols as they are now, by symbol in the order given, then by timestamp; as `read_bars`.

    One look at the manifest and one scan of all files.
    """
    paths = manifest.bar_paths(feed=feed, symbols=symbols, start=span.first_session, end=span.end_session)
    return read_paths(store, paths, feed=feed, span=span)


def read_paths(store: Store, paths: Sequence[str], *, feed: str, span: TimeRange) -> pl.DataFrame:
    """The bars of these files with start <= timestamp < end, in the order of the files; columns as `read_bars`."""
    with reading_errors():
        rows = read_narrow(store, paths, span)
    if rows is None:
        lazy = _within(read_files(store, paths, feed=feed, labelled=True), span)
        rows = collect(lazy.select("feed", "symbol", *BARS.names))
    return rows.insert_column(2, session_dates(rows["timestamp"], feed).alias("session"))


def _with_session(rows: pl.LazyFrame, feed: str) -> pl.LazyFrame:
    return rows.select("feed", "symbol", session_of(pl.col("timestamp"), feed).alias("session"), *BARS.names)


def _within(rows: pl.LazyFrame, span: TimeRange) -> pl.LazyFrame:
    if span.start is not None:
        rows = rows.filter(pl.col("timestamp") >= span.start)
    if span.end is not None:
        rows = rows.filter(pl.col("timestamp") < span.end)
    return rows


def read_revisions(store: Store, manifest: Manifest, *, feed: str, symbol: str, span: TimeRange) -> pl.DataFrame:
    """Every value that a bar of a symbol once had or was refused, with what stands in its place.

    Returns
    -------
    feed, symbol, session, timestamp, kind, known_from, known_until, then each value as it was (`close_old`)
    and as the bar that took its place has it (`close_new`); by timestamp, then known_until. The kind is
    `replaced`, `removed` (a final answer had no such bar; no new values), or `refused` (a lower rank said
    otherwise; the old values are what it said, the new ones what was kept, and it was never valid).
    """
    view = manifest.view(
        feed=feed, symbol=symbol, start=span.first_session, end=span.end_session, as_of=dt.datetime.now(tz=dt.UTC)
    )
    old = collect(_within(read_files(store, view.revisions, dataset=layout.REVISIONS, feed=feed), span))
    bars = collect(_within(read_files(store, view.bars, feed=feed), span))
    since, until = pl.col("ingested_at"), pl.col("superseded_at")
    refused = since == until
    versions = pl.concat([bars, old.filter(~refused).select(BARS.names)])
    successor = versions.rename({"ingested_at": "since"})
    replaced = old.filter(~refused).join(
        successor, left_on=["timestamp", "superseded_at"], right_on=["timestamp", "since"], how="left", suffix="_new"
    )
    # What was kept when a value was refused: the version that was valid at that instant.
    kept = (
        old.filter(refused)
        .sort("superseded_at")
        .join_asof(
            successor.sort("since"),
            left_on="superseded_at",
            right_on="since",
            by="timestamp",
            suffix="_new",
            check_sortedness=False,
        )
        .drop("since")
    )
    found = pl.concat([replaced, kept.select(replaced.columns)])
    is_removed = pl.col("open_new").is_null()
    kind = (
        pl.when(refused).then(pl.lit("refused")).when(is_removed).then(pl.lit("removed")).otherwise(pl.lit("replaced"))
    )
    values = [column for name in BAR_VALUES for column in (pl.col(name).alias(f"{name}_old"), pl.col(f"{name}_new"))]
    return found.select(
        pl.lit(feed).alias("feed"),
        pl.lit(symbol).alias("symbol"),
        session_of(pl.col("timestamp"), feed).alias("session"),
        "timestamp",
        kind.alias("kind"),
        since.alias("known_from"),
        until.alias("known_until"),
        *values,
    ).sort("timestamp", "known_until")
