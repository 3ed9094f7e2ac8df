"""What is here, what is missing, and how we know. Pure: frames in, frames out.

What is expected comes from the calendar, what is present from the manifest, and what a source said
about the rest from its answers. Nothing is ever concluded from counting minutes alone: a minute
without an eligible trade has no bar.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from enum import StrEnum

import polars as pl

from barlake.halts import halted_minutes
from barlake.keys import is_always_open
from barlake.records import AnswerStatus
from barlake.sessions import Calendar, session_of

__all__ = ["SOURCE_DELAY", "GapClass", "coverage", "finished_sessions", "gaps", "gaps_of_lives", "session_classes"]

SOURCE_DELAY = dt.timedelta(minutes=16)
"""A source's free plan withholds the newest 15 minutes; one more for its clock."""

_KEYS = ["feed", "symbol", "session"]


class GapClass(StrEnum):
    """Why bars of a session are absent."""

    GAP = "gap"  # nobody answered for it yet: ingest it
    NO_TRADE = "no_trade"  # a source answered to the last page, and had nothing more
    UNCONFIRMED = "unconfirmed"  # minutes are missing and no second answer confirmed it
    HALT = "halt"  # trading was halted everywhere
    CLOSED = "closed"  # the exchange was closed: minutes of a holiday, or after an early close
    NOT_YET = "not_yet"  # the session has not ended


def finished_sessions(sessions: pl.DataFrame, now: dt.datetime) -> pl.DataFrame:
    """Sessions whose extended hours ended long enough ago for every source to give them out."""
    return sessions.filter(pl.col("post_close") + SOURCE_DELAY <= now)


def _each_calendar(held: pl.DataFrame, calendar: Calendar) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Sessions held, those of feeds whose market closes first, each part with the sessions there are."""
    open_always = [feed for feed in held["feed"].unique() if is_always_open(feed)]
    is_open = pl.col("feed").is_in(open_always)
    yield held.filter(~is_open), calendar.frame
    if open_always:
        yield held.filter(is_open), calendar.of(open_always[0]).frame


def coverage(held: pl.DataFrame, answers: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """One row per session held.

    Parameters
    ----------
    held, answers
        As `Manifest.held` and `Manifest.answers` give them.

    Returns
    -------
    feed, symbol, session, bars, regular_bars, expected_bars (regular minutes of the session; null on a
    date that is none), first, last, status (a source's last answer, or null), content_hash.
    """
    parts = [_covered(part, answers, sessions) for part, sessions in _each_calendar(held, calendar)]
    return parts[0] if len(parts) == 1 else pl.concat(parts).sort(_KEYS)


def _covered(held: pl.DataFrame, answers: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    expected = sessions.select("session", _regular_minutes().alias("expected_bars"))
    said = answers.select("feed", "symbol", "session", "status")
    joined = held.join(expected, on="session", how="left", maintain_order="left")
    joined = joined.join(said, on=["feed", "symbol", "session"], how="left", maintain_order="left")
    return joined.rename({"rows": "bars", "regular_rows": "regular_bars"}).select(
        "feed",
        "symbol",
        "session",
        "bars",
        "regular_bars",
        "expected_bars",
        "first",
        "last",
        "status",
        "content_hash",
    )


def gaps(
    pairs: pl.DataFrame,
    held: pl.DataFrame,
    answers: pl.DataFrame,
    sessions: pl.DataFrame,
    *,
    now: dt.datetime,
) -> pl.DataFrame:
    """One row per session with absent regular minutes, with its class and the evidence for it.

    Parameters
    ----------
    pairs
        feed and symbol to look at.
    sessions
        The sessions that are expected of each of them.

    Returns
    -------
    feed, symbol, session, class, expected_bars, held_bars, missing_bars (regular minutes), evidence. The
    class is `halt` where no more minutes are missing than a market-wide halt covers.
    """
    return _gaps_of(pairs.join(_expected(sessions), how="cross"), held, answers, now)


def gaps_of_lives(held: pl.DataFrame, answers: pl.DataFrame, calendar: Calendar, *, now: dt.datetime) -> pl.DataFrame:
    """Gaps of every symbol held, each from its own first session to the last session its feed holds.

    Parameters
    ----------
    held, answers
        As `Manifest.held` and `Manifest.answers` give them, of the whole lake.
    """
    parts = [_gaps_of_lives(part, answers, sessions, now) for part, sessions in _each_calendar(held, calendar)]
    return parts[0] if len(parts) == 1 else pl.concat(parts).sort(_KEYS)


def _gaps_of_lives(held: pl.DataFrame, answers: pl.DataFrame, sessions: pl.DataFrame, now: dt.datetime) -> pl.DataFrame:
    lives = held.group_by("feed", "symbol").agg(pl.col("session").min().alias("first"))
    lives = lives.join(held.group_by("feed").agg(pl.col("session").max().alias("last")), on="feed")
    expected = _expected(sessions)
    grid = lives.join_where(expected, pl.col("session") >= pl.col("first"), pl.col("session") <= pl.col("last"))
    return _gaps_of(grid, held, answers, now)


def session_classes(
    pairs: pl.DataFrame,
    held: pl.DataFrame,
    answers: pl.DataFrame,
    sessions: pl.DataFrame,
    *,
    now: dt.datetime,
) -> pl.DataFrame:
    """What the answers on record say of each session's absent minutes, whether any are absent or not.

    Returns
    -------
    The columns of `gaps`, and status (a source's last answer, or null). Halts are not looked at.
    """
    return _classified(_counted(pairs.join(_expected(sessions), how="cross"), held), answers, now)


def _counted(grid: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    grid = grid.join(held.select(*_KEYS, "regular_rows"), on=_KEYS, how="left")
    grid = grid.with_columns(pl.col("regular_rows").fill_null(0).alias("held_bars"))
    return grid.with_columns((pl.col("expected_bars") - pl.col("held_bars")).alias("missing_bars"))


def _classified(grid: pl.DataFrame, answers: pl.DataFrame, now: dt.datetime) -> pl.DataFrame:
    grid = grid.join(answers.select(*_KEYS, "status", "attempts", "answered_at"), on=_KEYS, how="left")
    confirmed = pl.col("status").is_in([AnswerStatus.EMPTY.value, AnswerStatus.SPARSE.value])
    answered = pl.format(
        "answered {} time(s), last at {}", "attempts", pl.col("answered_at").dt.strftime("%Y-%m-%dT%H:%MZ")
    )
    kind = (
        pl.when(pl.col("post_close") + SOURCE_DELAY > now)
        .then(pl.lit(GapClass.NOT_YET.value))
        .when(confirmed)
        .then(pl.lit(GapClass.NO_TRADE.value))
        .when((pl.col("held_bars") > 0) | (pl.col("status") == AnswerStatus.COMPLETE.value))
        .then(pl.lit(GapClass.UNCONFIRMED.value))
        .otherwise(pl.lit(GapClass.GAP.value))
    )
    evidence = (
        pl.when(pl.col("status") == AnswerStatus.IMPORTED.value)
        .then(pl.lit("imported from a file; no source was asked"))
        .when(pl.col("status").is_not_null())
        .then(answered)
        .otherwise(pl.lit("no answer on record"))
    )
    return grid.with_columns(kind.alias("class"), evidence.alias("evidence")).select(
        *_KEYS, "class", "expected_bars", "held_bars", "missing_bars", "evidence", "status"
    )


def _gaps_of(grid: pl.DataFrame, held: pl.DataFrame, answers: pl.DataFrame, now: dt.datetime) -> pl.DataFrame:
    """Gaps among expected sessions, those that a market-wide halt explains told apart."""
    found = _classified(_counted(grid, held).filter(pl.col("missing_bars") > 0), answers, now)
    by_session = halted_minutes().group_by(session_of(pl.col("timestamp")).alias("session"))
    halted = by_session.agg(pl.len().alias("halted"), pl.col("evidence").first().alias("halt"))
    found = found.join(halted, on="session", how="left", maintain_order="left")
    # The exchanges that are halted are those that close.
    closing = [feed for feed in found["feed"].unique() if not is_always_open(feed)]
    is_halt = pl.col("feed").is_in(closing) & (pl.col("held_bars") > 0) & (pl.col("missing_bars") <= pl.col("halted"))
    is_halt = (is_halt & (pl.col("class") != GapClass.NOT_YET.value)).fill_null(value=False)
    found = found.with_columns(
        pl.when(is_halt).then(pl.lit(GapClass.HALT.value)).otherwise("class").alias("class"),
        pl.when(is_halt).then("halt").otherwise("evidence").alias("evidence"),
    )
    return found.drop("halted", "halt", "status").sort(_KEYS)


def _expected(sessions: pl.DataFrame) -> pl.DataFrame:
    """session, post_close, expected_bars (regular minutes)."""
    return sessions.select("session", "post_close", _regular_minutes().alias("expected_bars"))


def _regular_minutes() -> pl.Expr:
    return (pl.col("close") - pl.col("open")).dt.total_minutes()
