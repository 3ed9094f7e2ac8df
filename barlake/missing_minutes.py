"""Which regular minutes have no bar, and why. Pure: frames in, frames out.

The class of a session (see `barlake.coverage`) says what its answers prove; here the minutes that the
exchange was closed or halted are told apart, each with its own evidence.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from barlake.coverage import GapClass
from barlake.halts import MARKET_HALTS, Halt, halted_minutes, silent_together
from barlake.ranges import TimeRange
from barlake.records import AnswerStatus

__all__ = ["EVER", "Reference", "missing_minutes"]

EVER = TimeRange(None, None)
"""Every instant there is."""

_OPEN, _CLOSE = dt.time(9, 30), dt.time(16, 0)
_FRIDAY = 5
_STAMP = pl.Datetime("us", "UTC")
_RUN = {
    "session": pl.Date(),
    "first": _STAMP,
    "last": _STAMP,
    "minutes": pl.Int64(),
    "class": pl.String(),
    "evidence": pl.String(),
}


@dataclass(frozen=True)
class Reference:
    """A symbol that trades in every minute the market is open, to compare silences with.

    Parameters
    ----------
    bars
        timestamp of its bars.
    """

    symbol: str
    bars: pl.DataFrame


def missing_minutes(
    present: pl.DataFrame,
    classes: pl.DataFrame,
    sessions: pl.DataFrame,
    start: dt.date,
    end: dt.date,
    *,
    reference: Reference | None = None,
    halts: Sequence[Halt] = MARKET_HALTS,
    within: TimeRange = EVER,
    is_always_open: bool = False,
) -> pl.DataFrame:
    """Runs of absent minutes between 09:30 and 16:00 New York on the weekdays of [start, end).

    Of a market that never closes, every minute of every session counts, and no halt explains any.

    Parameters
    ----------
    present
        timestamp of the symbol's bars; more than the range may be given.
    classes
        session, class, evidence, status of each session, as `barlake.coverage.session_classes` gives them
        for one symbol of one feed.
    sessions
        `Calendar.frame`.
    reference
        Where it falls silent together with the symbol, amid steady trading of both, and a source answered
        for the session, the minutes are a halt. Where none did, a failed fetch looks the same: the class
        stays and the evidence tells of the silence.
    within
        Only minutes of this range of instants.

    Returns
    -------
    session, first, last (opening instants of the first and the last absent minute), minutes, class,
    evidence; one class and one evidence a run, oldest first. A run ends with its session. The minutes of
    holidays, and those after an early close, are `closed`.
    """
    ordinary = _every_minute if is_always_open else _ordinary_minutes
    halts = () if is_always_open else halts
    absent = ordinary(sessions, start, end).join(present, on="timestamp", how="anti", maintain_order="left")
    halted = halted_minutes(halts).rename({"evidence": "halt"})
    absent = absent.join(halted, on="timestamp", how="left", maintain_order="left")
    answers = classes.select("session", "class", "evidence", "status")
    absent = absent.join(answers, on="session", how="left", maintain_order="left")
    silent = _silences(present, sessions, start, end, halted, reference)
    absent = absent.join(silent, on=["session", "timestamp"], how="left", maintain_order="left")
    if within.start is not None:
        absent = absent.filter(pl.col("timestamp") >= within.start)
    if within.end is not None:
        absent = absent.filter(pl.col("timestamp") < within.end)
    return _runs(_decided(absent))


def _ordinary_minutes(sessions: pl.DataFrame, start: dt.date, end: dt.date) -> pl.DataFrame:
    """session, timestamp of the 390 minutes of every weekday, with why the exchange was closed, or null."""
    days = pl.date_range(start, end, "1d", closed="left", eager=True).alias("session").to_frame()
    days = days.filter(pl.col("session").dt.weekday() <= _FRIDAY)
    days = days.join(sessions.select("session", "open", "close"), on="session", how="left", maintain_order="left")
    minutes = days.with_columns(
        pl.datetime_ranges(_new_york(_OPEN), _new_york(_CLOSE), "1m", closed="left").alias("timestamp")
    ).explode("timestamp")
    close = pl.col("close").dt.convert_time_zone("America/New_York").dt.strftime("%H:%M")
    closed = (
        pl.when(pl.col("open").is_null())
        .then(pl.lit("no session of XNYS on this date"))
        .when(pl.col("timestamp") >= pl.col("close"))
        .then(pl.format("early close of XNYS at {} New York", close))
        .when(pl.col("timestamp") < pl.col("open"))
        .then(pl.lit("late opening of XNYS"))
    )
    return minutes.select("session", "timestamp", closed.alias("closed"))


def _every_minute(sessions: pl.DataFrame, start: dt.date, end: dt.date) -> pl.DataFrame:
    """What `_ordinary_minutes` gives, of sessions that are never closed."""
    days = sessions.filter(pl.col("session").is_between(start, end, closed="left"))
    minutes = days.select("session", pl.datetime_ranges("open", "close", "1m", closed="left").alias("timestamp"))
    return minutes.explode("timestamp").with_columns(closed=pl.lit(None, pl.String()))


def _new_york(wall_time: dt.time) -> pl.Expr:
    local = pl.col("session").dt.combine(pl.lit(wall_time), time_unit="us")
    return local.dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC")


def _silences(
    present: pl.DataFrame,
    sessions: pl.DataFrame,
    start: dt.date,
    end: dt.date,
    halted: pl.DataFrame,
    reference: Reference | None,
) -> pl.DataFrame:
    """session, timestamp and evidence (`silence`) of minutes in which the reference is silent too."""
    if reference is None:
        return pl.DataFrame(schema={"session": pl.Date(), "timestamp": _STAMP, "silence": pl.String()})
    expected = (
        sessions.filter(pl.col("session").is_between(start, end, closed="left"))
        .select("session", pl.datetime_ranges("open", "close", "1m", closed="left").alias("timestamp"))
        .explode("timestamp")
        .join(halted, on="timestamp", how="anti")
    )
    found = silent_together(expected, present, reference.bars)
    text = pl.format(
        f"{reference.symbol} is silent in the same {{}} minutes; both have bars in at least {{}} % of the others",
        "minutes",
        (pl.col("traded_share") * 100).floor().cast(pl.Int64),
    )
    return found.select("session", "timestamp", text.alias("silence"))


def _decided(absent: pl.DataFrame) -> pl.DataFrame:
    """Class and evidence of each absent minute: what the exchange did goes before what a source answered."""
    closed, halted = pl.col("closed").is_not_null(), pl.col("halt").is_not_null()
    silent = pl.col("silence").is_not_null() & (pl.col("class") != GapClass.NOT_YET.value)
    answered = pl.col("status").is_in([AnswerStatus.COMPLETE.value, AnswerStatus.SPARSE.value])
    together = (silent & answered).fill_null(value=False)
    kind = (
        pl.when(closed)
        .then(pl.lit(GapClass.CLOSED.value))
        .when(halted | together)
        .then(pl.lit(GapClass.HALT.value))
        .otherwise("class")
    )
    why = (
        pl.when(closed)
        .then("closed")
        .when(halted)
        .then("halt")
        .when(silent)
        .then(pl.format("{}; {}", "evidence", "silence"))
        .otherwise("evidence")
    )
    return absent.select("session", "timestamp", kind.alias("class"), why.alias("evidence"))


def _runs(absent: pl.DataFrame) -> pl.DataFrame:
    follows = pl.col("timestamp").diff() == pl.duration(minutes=1)
    same = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(name).shift(1)) for name in ("session", "class", "evidence")
    )
    begins = (~(follows & same)).fill_null(value=True)
    return (
        absent.sort("timestamp")
        .with_columns(begins.cum_sum().alias("run"))
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("session").first(),
            pl.col("timestamp").first().alias("first"),
            pl.col("timestamp").last().alias("last"),
            pl.len().cast(pl.Int64).alias("minutes"),
            pl.col("class").first(),
            pl.col("evidence").first(),
        )
        .select([pl.col(name).cast(kind) for name, kind in _RUN.items()])
    )
