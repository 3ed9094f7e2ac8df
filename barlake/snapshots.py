"""One hash for many bars: a moment, and roots over the sessions it covers.

A session's hash is over its values; a symbol's root is over its sessions, a feed's over its symbols, the
lake's over its feeds. Equal roots mean equal bars, however they are laid out in files, and where two
roots differ the next level says where. Nothing here reads bars: the manifest holds the session hashes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

__all__ = ["Snapshot", "SymbolSnapshot", "lake_root", "session_differences", "symbol_root", "take_snapshot"]


@dataclass(frozen=True)
class SymbolSnapshot:
    """What a snapshot covers of one symbol; the hash is over values, never over file bytes."""

    symbol: str
    rows: int
    first: dt.datetime | None
    last: dt.datetime | None
    content_hash: str


@dataclass(frozen=True)
class Snapshot:
    """A moment, and one hash over all sessions it covers.

    Parameters
    ----------
    moment
        The lake's last commit when it was taken: reading `as_of` this instant gives the same bars for ever.
    """

    moment: dt.datetime
    feed: str
    root_hash: str
    symbols: tuple[SymbolSnapshot, ...]

    def as_dict(self) -> dict[str, Any]:
        """The snapshot as JSON can hold it, without the moment: equal contents give equal dicts."""
        return {"feed": self.feed, "root_hash": self.root_hash, "symbols": [_as_dict(one) for one in self.symbols]}


def _as_dict(symbol: SymbolSnapshot) -> dict[str, Any]:
    edges = {name: edge and edge.isoformat() for name, edge in (("first", symbol.first), ("last", symbol.last))}
    return asdict(symbol) | edges


def symbol_root(feed: str, symbol: str, held: pl.DataFrame) -> str:
    """Root over the sessions of one symbol.

    Parameters
    ----------
    held
        session and content_hash, oldest first.
    """
    lines = [f"{session} {digest}" for session, digest in held.select("session", "content_hash").iter_rows()]
    return _digest([f"{feed} {symbol}", *lines])


def lake_root(held: pl.DataFrame) -> str:
    """Root over everything a lake holds: feeds, symbols and sessions in the order of their names."""
    symbols = {
        (str(feed), str(symbol)): symbol_root(str(feed), str(symbol), part.sort("session"))
        for (feed, symbol), part in held.group_by(["feed", "symbol"])
    }
    return _digest(f"{feed} {symbol} {root}" for (feed, symbol), root in sorted(symbols.items()))


def take_snapshot(held: pl.DataFrame, *, feed: str, symbols: Iterable[str], moment: dt.datetime) -> Snapshot:
    """Snapshot over the sessions of `held`, with the symbols in the order given.

    Parameters
    ----------
    held
        As `Manifest.held` gives it, of one feed.
    """
    found = []
    for name in symbols:
        own = held.filter(pl.col("symbol") == name)
        rows = int(own["rows"].sum())
        root = symbol_root(feed, name, own)
        found.append(SymbolSnapshot(name, rows, _edge(own["first"].min()), _edge(own["last"].max()), root))
    return Snapshot(moment, feed, _digest(one.content_hash for one in found), tuple(found))


def session_differences(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """Sessions that two lakes do not hold alike, from their hashes alone.

    Parameters
    ----------
    ours, theirs
        As `Manifest.held` gives them.

    Returns
    -------
    feed, symbol, session, difference (`only_a`, `only_b`, `differs`), bars_a, bars_b.
    """
    keys = ["feed", "symbol", "session"]
    columns = [*keys, "rows", "content_hash"]
    both = ours.select(columns).join(theirs.select(columns), on=keys, how="full", coalesce=True, suffix="_b")
    difference = (
        pl.when(pl.col("content_hash_b").is_null())
        .then(pl.lit("only_a"))
        .when(pl.col("content_hash").is_null())
        .then(pl.lit("only_b"))
        .when(pl.col("content_hash") != pl.col("content_hash_b"))
        .then(pl.lit("differs"))
    )
    found = both.with_columns(difference.alias("difference")).filter(pl.col("difference").is_not_null())
    return found.select(*keys, "difference", pl.col("rows").alias("bars_a"), pl.col("rows_b").alias("bars_b")).sort(
        keys
    )


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _edge(value: Any) -> dt.datetime | None:
    return value if isinstance(value, dt.datetime) else None
