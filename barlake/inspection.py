"""The checks, run on what a lake holds and has not been checked yet; and its absent minutes, with the evidence.

Only regular minutes are checked: before and after hours, thin trading looks like every fault there is.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from barlake import agreement, checks
from barlake.artifacts import code_hash
from barlake.coverage import session_classes
from barlake.keys import SessionFilter, is_always_open, parse_symbol
from barlake.missing_minutes import EVER, Reference, missing_minutes
from barlake.ranges import TimeRange

if TYPE_CHECKING:
    from barlake.lake import Lake
    from barlake.manifest import Manifest

__all__ = ["REFERENCES", "Symbols", "absent_minutes", "check_changed", "check_symbol", "current_findings", "inspect"]

Symbols = str | Iterable[str] | None
"""One name, several, or None for all that are held."""

REFERENCES = ("SPY", "QQQ")
"""Symbols that trade in every minute the market is open; silences are held against the first other one."""

_KEYS = ["feed", "symbol", "session"]


def absent_minutes(
    lake: Lake, symbol: str, span: TimeRange, *, feed: str | None = None, reference: str | None = None
) -> pl.DataFrame:
    """Runs of absent minutes of one symbol from 09:30 to 16:00 New York, Monday to Friday, or round the clock.

    Parameters
    ----------
    span
        A side that is open ends with the first or the last session held.
    feed
        None takes the one that `Lake.bars` would.
    reference
        Symbol of the same feed whose silence in the same minutes shows a halt; None takes the first of
        `REFERENCES` that is another and is held.

    Returns
    -------
    feed, symbol, session, first, last (opening instants of the first and the last absent minute), minutes,
    class, evidence; oldest first. What the exchange closed is class `closed`.
    """
    symbol = parse_symbol(symbol)
    feed = lake.feed_of(symbol, feed)
    held = lake.manifest.held(feed=feed, symbol=symbol)
    start = span.first_session or _day(held["session"].min())
    end = span.end_session or _day(held["session"].max()) + dt.timedelta(days=1)
    pairs = pl.DataFrame({"feed": [feed], "symbol": [symbol]})
    answers = lake.manifest.answers(feed=feed, symbol=symbol)
    calendar = lake.calendar.of(feed)
    classes = session_classes(pairs, held, answers, calendar.in_range(start, end), now=lake.now())
    runs = missing_minutes(
        _minutes(lake, feed, symbol, start, end),
        classes,
        calendar.frame,
        start,
        end,
        reference=_reference(lake, feed, symbol, start, end, reference),
        within=span,
        is_always_open=is_always_open(feed),
    )
    return runs.select(pl.lit(feed).alias("feed"), pl.lit(symbol).alias("symbol"), pl.all())


def _day(value: object) -> dt.date:
    assert isinstance(value, dt.date)  # noqa: S101 - narrows polars' Any
    return value


def _minutes(lake: Lake, feed: str, symbol: str, start: dt.date, end: dt.date) -> pl.DataFrame:
    return lake.bars(symbol, start, end, session=SessionFilter.REGULAR, feed=feed).select("timestamp")


def _reference(
    lake: Lake, feed: str, symbol: str, start: dt.date, end: dt.date, wanted: str | None
) -> Reference | None:
    """The symbol to compare silences with: the one wanted, or the first usual one that the feed holds."""
    if wanted is not None:
        wanted = parse_symbol(wanted)
        lake.feed_of(wanted, feed)
        return Reference(wanted, _minutes(lake, feed, wanted, start, end))
    held = lake.manifest.feeds().get(feed, set())
    usual = next((name for name in REFERENCES if name != symbol and name in held), None)
    return None if usual is None else Reference(usual, _minutes(lake, feed, usual, start, end))


def check_changed(lake: Lake, feed: str, symbols: Iterable[str]) -> int:
    """Check what is new of some symbols; how many sessions that were."""
    return sum(check_symbol(lake, feed, symbol) for symbol in sorted(symbols))


def check_symbol(lake: Lake, feed: str, symbol: str) -> int:
    """Check every session of one symbol whose bars, or whose bars in another feed, changed since the last time.

    The bars of one quarter are in memory at a time.

    Returns
    -------
    How many sessions were checked.
    """
    held = lake.manifest.held(symbol=symbol)
    inputs = _inputs(held, feed)
    before = lake.manifest.quality.checked(feed=feed, symbol=symbol)
    due = inputs.join(before, on=["session", "input_hash"], how="anti", maintain_order="left")
    if due.is_empty():
        return 0
    found: list[pl.DataFrame] = []
    volumes: list[pl.DataFrame] = []
    for _, near in due.group_by(pl.col("session").dt.truncate("1q"), maintain_order=True):
        bars = _bars(lake, feed, symbol, near)
        found += _check_sessions(bars)
        volumes.append(_volumes(bars))
        for other in held.join(near, on="session", how="semi")["feed"].unique().sort():
            if other != feed:
                found.append(agreement.disagreements(bars, _bars(lake, other, symbol, near)))
    checked = due.join(pl.concat(volumes).drop("feed", "symbol"), on="session", how="left", maintain_order="left")
    checked = checked.with_columns(pl.col("regular_bars", "regular_volume").fill_null(0))
    known = before.join(due, on="session", how="anti").select(*_KEYS, "regular_bars", "regular_volume")
    own = (pl.lit(feed).alias("feed"), pl.lit(symbol).alias("symbol"))
    found.append(checks.volume_scale(pl.concat([known, checked.select(*own, *known.columns[2:])])))
    lake.manifest.quality.replace(feed, symbol, checked, pl.concat(found), now=lake.now())
    return due.height


def _check_sessions(bars: pl.DataFrame) -> list[pl.DataFrame]:
    return [check(bars) for check in (checks.stale_runs, checks.spikes, checks.outside_range, checks.zero_volume_range)]


def _bars(lake: Lake, feed: str, symbol: str, sessions: pl.DataFrame) -> pl.DataFrame:
    """Regular bars of some sessions, which lie near each other."""
    days = sessions["session"].sort()
    bars = lake.bars(symbol, days[0], days[-1] + dt.timedelta(days=1), session=SessionFilter.REGULAR, feed=feed)
    return bars.join(sessions, on="session", how="semi", maintain_order="left")


def _volumes(bars: pl.DataFrame) -> pl.DataFrame:
    counted = bars.group_by(_KEYS, maintain_order=True)
    return counted.agg(
        pl.len().cast(pl.Int64).alias("regular_bars"), pl.col("volume").sum().cast(pl.Int64).alias("regular_volume")
    )


@functools.cache
def _rules_hash() -> str:
    """Other checks, or other defaults, are another look: every session is due again."""
    return code_hash(checks, agreement)


def _inputs(held: pl.DataFrame, feed: str) -> pl.DataFrame:
    """session, content_hash and input_hash (over the rules, the session's bars and those of other feeds)."""
    named = held.sort("feed").with_columns(pl.concat_str("feed", pl.lit("="), "content_hash").alias("named"))
    joined = named.group_by("session").agg(pl.col("named").str.join(" ").alias("inputs"))
    own = held.filter(pl.col("feed") == feed).select("session", "content_hash").sort("session")
    own = own.join(joined, on="session", how="left", maintain_order="left")
    hashes = [hashlib.sha256(f"{_rules_hash()} {text}".encode()).hexdigest() for text in own["inputs"]]
    return own.select("session", "content_hash", pl.Series("input_hash", hashes, dtype=pl.String()))


def inspect(lake: Lake, pairs: pl.DataFrame, span: TimeRange = EVER) -> pl.DataFrame:
    """What is wrong with the regular bars of some sessions; sessions that changed since the last time are checked now.

    Parameters
    ----------
    pairs
        feed and symbol to look at.
    span
        Whose sessions are told of; a refused row whose session cannot be read belongs to every range.

    Returns
    -------
    Columns of `barlake.checks.FINDINGS`, by feed, symbol, session and timestamp. The catalogue is published
    when anything was checked.
    """
    if sum(check_symbol(lake, feed, symbol) for feed, symbol in pairs.select("feed", "symbol").rows()):
        lake.publish()
    return current_findings(lake.manifest, span).join(pairs, on=["feed", "symbol"], how="semi", maintain_order="left")


def current_findings(manifest: Manifest, span: TimeRange = EVER) -> pl.DataFrame:
    """Findings on record about the bars held now, and the refused rows; by feed, symbol, session, timestamp.

    What was found in a session that changed since is left out until it is checked again. A finding without
    a session belongs to every range.
    """
    found = manifest.quality.findings(start=span.first_session, end=span.end_session)
    first, end = span.first_session or dt.date.min, span.end_session or dt.date.max
    inside = pl.col("session").is_between(first, end, closed="left") | pl.col("session").is_null()
    refused = checks.quarantined(manifest.quarantine()).filter(inside)
    return pl.concat([found, refused]).sort(*_KEYS, "timestamp", "check_name")
