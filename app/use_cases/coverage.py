"""How complete the lake is: by symbol, and by session as a calendar shows it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import polars as pl

from barlake.coverage import SOURCE_DELAY
from barlake.keys import parse_symbols
from barlake.lake import Lake
from barlake.sessions import NEW_YORK

__all__ = ["RECENT_SESSIONS", "holdings", "recent_shares", "session_shares"]

RECENT_SESSIONS = 60
"""About a quarter."""

_DAY = dt.timedelta(days=1)


def holdings(lake: Lake, *, feed: str | None = None) -> pl.DataFrame:
    """One row per feed and symbol, those that are furthest behind first.

    Returns
    -------
    feed, symbol, bars, sessions, first, last (session dates), calendar, expected (sessions from its first to the
    last that the feed holds of any symbol), absent (of those: without any bar), behind (of those absent: after its
    last), share (of regular minutes in expected sessions, 0 to 1; a minute without a trade has no bar, so a thin
    symbol stays below 1 though nothing is missing).
    """
    found = lake.symbols(feed)
    parts = [_completed(lake, str(name), own) for (name,), own in found.group_by("feed", maintain_order=True)]
    if not parts:
        kinds = {"expected": pl.Int64(), "absent": pl.Int64(), "behind": pl.Int64(), "share": pl.Float64()}
        return found.with_columns(pl.lit(None, kind).alias(name) for name, kind in kinds.items())
    return pl.concat(parts).sort("behind", "feed", "symbol", descending=[True, False, False])


def _completed(lake: Lake, feed: str, own: pl.DataFrame) -> pl.DataFrame:
    """Rows of one feed with what was expected of each symbol."""
    sessions = _sessions_of(lake, feed, own["first"].min(), own["last"].max())
    minutes = sessions["minutes"].cum_sum()
    total, count = minutes[-1], sessions.height
    days = sessions["session"]
    before = days.search_sorted(own["first"], side="left").cast(pl.Int64)
    until = days.search_sorted(own["last"], side="right").cast(pl.Int64)
    earlier = pl.concat([pl.Series([0], dtype=minutes.dtype), minutes]).gather(before)
    held = lake.held(feed=feed).group_by("symbol").agg(
        pl.col("regular_rows").sum().alias("regular"), pl.col("session").is_in(days.implode()).sum().alias("counted")
    )  # fmt: skip
    expected = own.join(held, on="symbol", how="left", maintain_order="left").with_columns(
        (count - before).alias("expected"), (count - until).alias("behind"), (total - earlier).alias("minutes")
    )
    return expected.with_columns(
        (pl.col("expected") - pl.col("counted")).alias("absent"),
        (pl.col("regular") / pl.col("minutes")).clip(0, 1).alias("share"),
    ).select(*own.columns, "expected", "absent", "behind", "share")


def _sessions_of(lake: Lake, feed: str, first: Any, last: Any) -> pl.DataFrame:
    """Session and minutes (regular ones) of a feed's calendar, both ends included."""
    found = lake.calendar.of(feed).in_range(first, last + _DAY)
    return found.select("session", (pl.col("close") - pl.col("open")).dt.total_minutes().alias("minutes"), "post_close")


def recent_shares(
    lake: Lake, feed: str, symbols: Sequence[str], *, sessions: int = RECENT_SESSIONS
) -> dict[str, list[float]]:
    """Of each symbol, the share of regular minutes held in the last sessions that the feed holds, oldest first."""
    names = parse_symbols(list(symbols))
    known = lake.symbols(feed)
    if known.is_empty():
        return {name: [] for name in names}
    first, newest = known["first"].min(), known["last"].max()
    expected = _sessions_of(lake, feed, first, newest).tail(sessions)
    held = lake.held(feed=feed, start=expected["session"][0])
    grid = pl.DataFrame({"symbol": names}).join(expected, how="cross", maintain_order="left_right")
    joined = grid.join(held, on=["symbol", "session"], how="left", maintain_order="left")
    share = (pl.col("regular_rows").fill_null(0) / pl.col("minutes")).clip(0, 1).alias("share")
    found = joined.with_columns(share).group_by("symbol", maintain_order=True).agg("share")
    return dict(found.iter_rows())


def session_shares(lake: Lake, feed: str, symbol: str | None = None) -> pl.DataFrame:
    """One row per session of the years that are held, up to now, of one symbol or of all of the feed.

    Returns
    -------
    session, symbols (how many the feed had begun by then), complete (of those: with every regular minute), held (of
    those: with any bar), share (of their regular minutes, 0 to 1; 0 before the first began), is_over (whether every
    source may have given it out by now).
    """
    held = lake.held(feed=feed, symbol=symbol)
    if held.is_empty():
        kinds = {"session": pl.Date(), "symbols": pl.Int64(), "complete": pl.Int64(), "held": pl.Int64()}
        return pl.DataFrame(schema={**kinds, "share": pl.Float64(), "is_over": pl.Boolean()})
    sessions = _sessions_of(lake, feed, *_years_around(lake, held["session"]))
    begun = held.group_by("symbol").agg(pl.col("session").min())["session"].sort()
    counted = (
        held.join(sessions, on="session")
        .group_by("session")
        .agg(
            pl.len().cast(pl.Int64).alias("held"),
            pl.col("regular_rows").sum().alias("regular"),
            (pl.col("regular_rows") >= pl.col("minutes")).sum().cast(pl.Int64).alias("complete"),
        )
    )
    alive = begun.search_sorted(sessions["session"], side="right").cast(pl.Int64).alias("symbols")
    joined = sessions.with_columns(alive).join(counted, on="session", how="left", maintain_order="left")
    every = pl.col("symbols").clip(1) * pl.col("minutes")
    return joined.with_columns(pl.col("held", "regular", "complete").fill_null(0)).select(
        "session", "symbols", "complete", "held", (pl.col("regular") / every).clip(0, 1).alias("share"),
        (pl.col("post_close") + SOURCE_DELAY <= lake.now()).alias("is_over"),
    )  # fmt: skip


def _years_around(lake: Lake, sessions: pl.Series) -> tuple[dt.date, dt.date]:
    """From the first day of the first year to the last of the last, but no further than today or the calendar."""
    first, last = sessions.dt.year().min(), sessions.dt.year().max()
    today, newest = lake.now().astimezone(NEW_YORK).date(), sessions.max()
    end = max(min(dt.date(int(str(last)), 12, 31), today), dt.date.fromisoformat(str(newest)))
    return max(dt.date(int(str(first)), 1, 1), lake.calendar.first), end
