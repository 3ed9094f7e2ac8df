"""Adjustment factors of what the lake holds: actions and closes from the manifest, absent closes from the files.

The arithmetic is in `adjust.py`. A close that was read from a file is kept in the manifest with the content
hash of its session, so publishing reads each file once and a corrected session is read again.
"""

from __future__ import annotations

import datetime as dt

import polars as pl

from barlake.actions import ActionKind, counting
from barlake.adjust import FACTORS, adjustment_factors, factors_by_date, regular_closes
from barlake.adjust_forward import STEPS, forward_steps
from barlake.manifest import Manifest
from barlake.partitions import collect
from barlake.ranges import TimeRange, time_range
from barlake.reader import read_bars
from barlake.stores import Store

__all__ = ["current_factors", "factors_of", "forward_steps_of"]

_KEYS = ["feed", "symbol", "session"]
_CLOSES = {"feed": pl.String(), "symbol": pl.String(), "session": pl.Date(), "close": pl.Float64()}
_SCHEMA = {"feed": pl.String(), **FACTORS}
_EVERYTHING = TimeRange(None, None)


def current_factors(
    store: Store,
    manifest: Manifest,
    sessions: pl.DataFrame,
    *,
    feed: str | None = None,
    symbol: str | None = None,
    held: pl.DataFrame | None = None,
    keep: bool = False,
) -> pl.DataFrame:
    """Factors of the bars held now: feed, then the columns of `adjust.FACTORS`; sorted by feed, symbol and ex_date.

    Parameters
    ----------
    sessions
        `Calendar.frame`.
    feed, symbol
        None takes all that have actions.
    held
        What `Manifest.held` gives for them, when it is at hand.
    keep
        Write closes that had to be read from files into the manifest.
    """
    actions = counting(manifest.actions.statements(None if symbol is None else [symbol]))
    if actions.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    closes, spans = _closes(store, manifest, sessions, actions, feed=feed, symbol=symbol, held=held, keep=keep)
    return _by_feed(actions, closes, spans, sessions)


def forward_steps_of(
    store: Store, manifest: Manifest, sessions: pl.DataFrame, *, feed: str, symbol: str
) -> pl.DataFrame:
    """Steps of one symbol's bars in the terms of the first of them: `adjust_forward.STEPS`."""
    actions = counting(manifest.actions.statements([symbol]))
    if actions.is_empty():
        return pl.DataFrame(schema=STEPS)
    closes, spans = _closes(store, manifest, sessions, actions, feed=feed, symbol=symbol)
    return forward_steps(factors_by_date(actions, closes.filter(feed=feed), spans.filter(feed=feed), sessions))


def _closes(
    store: Store,
    manifest: Manifest,
    sessions: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    feed: str | None,
    symbol: str | None,
    held: pl.DataFrame | None = None,
    keep: bool = False,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Closes before dividends, and what is held of each feed and symbol."""
    held = manifest.held(feed=feed, symbol=symbol) if held is None else held
    held = held.join(actions, on="symbol", how="semi", maintain_order="left")
    spans = _spans(held)
    needed = _sessions_before_dividends(actions, held, spans)
    known = manifest.actions.closes(feed, symbol).join(needed, on=_KEYS, how="semi")
    absent = needed.join(known, on=_KEYS, how="anti")
    read = _read_closes(store, manifest, absent, sessions)
    if keep and not read.is_empty():
        # A session that was corrected while its file was read may have lent its old hash to its new close.
        hashed = [*_KEYS, "content_hash"]
        unchanged = held.join(manifest.held(feed=feed, symbol=symbol), on=hashed, how="semi").select(hashed)
        manifest.actions.put_closes(read.join(unchanged, on=_KEYS).to_dicts())
    return pl.concat([known, read]), spans


def factors_of(
    store: Store,
    manifest: Manifest,
    sessions: pl.DataFrame,
    *,
    feed: str,
    symbol: str,
    as_of: dt.datetime | None = None,
) -> pl.DataFrame:
    """Factors of one symbol's bars; `as_of` an instant: of those held then, by the actions known then."""
    if as_of is None:
        return current_factors(store, manifest, sessions, feed=feed, symbol=symbol)
    actions = counting(manifest.actions.statements([symbol], as_of=as_of))
    if actions.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    rows = read_bars(store, manifest, feed=feed, symbol=symbol, span=_EVERYTHING, as_of=as_of)
    bars = collect(rows.select(*_KEYS, "timestamp", "close"))
    closes = regular_closes(bars, sessions).with_columns(pl.lit(feed).alias("feed"))
    return _by_feed(actions, closes, _spans(bars), sessions)


def _spans(held: pl.DataFrame) -> pl.DataFrame:
    """Feed, symbol, first and last session held."""
    session = pl.col("session")
    return held.group_by("feed", "symbol").agg(session.min().alias("first"), session.max().alias("last"))


def _sessions_before_dividends(actions: pl.DataFrame, held: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """The newest session with regular bars before each dividend: feed, symbol, session."""
    dividends = (
        actions.filter(pl.col("kind") == ActionKind.DIVIDEND.value)
        .join(spans, on="symbol")
        .filter(pl.col("ex_date") <= pl.col("last"))
        .select("feed", "symbol", (pl.col("ex_date") - pl.duration(days=1)).alias("until"))
        .unique()
        .sort("until")
    )
    regular = held.filter(pl.col("regular_rows") > 0).select(_KEYS).sort("session")
    found = dividends.join_asof(
        regular, left_on="until", right_on="session", by=["feed", "symbol"], coalesce=False, check_sortedness=False
    )
    return found.select(_KEYS).drop_nulls().unique()


def _read_closes(store: Store, manifest: Manifest, absent: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    found = [pl.DataFrame(schema=_CLOSES)]
    for (feed, symbol), part in absent.sort("session").group_by("feed", "symbol", maintain_order=True):
        days = part["session"]
        end = days[-1] + dt.timedelta(days=1)
        rows = read_bars(store, manifest, feed=str(feed), symbol=str(symbol), span=time_range(days[0], end, str(feed)))
        rows = rows.filter(pl.col("session").is_in(days.implode()))
        closes = regular_closes(collect(rows.select(*_KEYS, "timestamp", "close")), sessions)
        found.append(closes.select(pl.lit(str(feed)).alias("feed"), "symbol", "session", "close"))
    return pl.concat(found)


def _by_feed(actions: pl.DataFrame, closes: pl.DataFrame, spans: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Factors of each feed by its own closes and its own last session."""
    found = [pl.DataFrame(schema=_SCHEMA)]
    for feed in spans["feed"].unique().sort():
        mine = adjustment_factors(actions, closes.filter(feed=feed), spans.filter(feed=feed), sessions)
        found.append(mine.select(pl.lit(feed).alias("feed"), *FACTORS))
    return pl.concat(found)
