"""Where bars come from: the lake, or any DuckDB file. Each hands out one symbol at a time."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from barlake import Lake
from barlake.adjust_forward import adjust_forward
from barlake.artifacts import canonical_json
from barlake.duckdb_source import read_bars_from_duckdb, symbols_in_duckdb
from barlake.errors import InvalidInputError, NotFoundError, did_you_mean
from barlake.factors import forward_steps_of
from barlake.keys import Adjustment, parse_feed, parse_symbol, preferred_feed
from barlake.partitions import content_hashes

__all__ = ["BarSource", "DuckDBBars", "LakeBars", "Target", "hash_of_rows", "source_of"]


@dataclass(frozen=True)
class Target:
    """The bars of one symbol of one feed."""

    feed: str
    symbol: str


class BarSource(Protocol):
    """What a build needs of a place that holds bars."""

    def targets(self, symbols: Sequence[str], feed: str | None) -> list[Target]:
        """What these symbols mean here; no symbol means all, each from the feed that goes first."""

    def inputs(self, target: Target, adjustment: Adjustment) -> dict[str, Any]:
        """What is held of a symbol: feed, rows, first, last, content_hash; equal for equal bars.

        Of adjusted bars with `actions_hash`: over what their prices are multiplied by.
        """

    def read(self, target: Target, adjustment: Adjustment) -> pl.DataFrame:
        """All bars of a symbol, oldest first; adjusted ones in the terms of the first session held."""


def source_of(lake: Lake) -> BarSource:
    """The source that a lake's settings name: its own bars, or those of a DuckDB file."""
    path = lake.settings.source_duckdb_path
    return LakeBars(lake) if path is None else DuckDBBars(path)


def hash_of_rows(frame: pl.DataFrame) -> str:
    """SHA-256 over the values of a small frame, row by row."""
    return hashlib.sha256(canonical_json(frame.rows()).encode()).hexdigest()


@dataclass(frozen=True)
class LakeBars:
    """Bars out of the lake."""

    lake: Lake

    def targets(self, symbols: Sequence[str], feed: str | None) -> list[Target]:
        """Named symbols from one common feed; all of them, when none is named.

        Raises
        ------
        NotFoundError
            If a symbol is not held, or nothing is.
        """
        if symbols:
            own = self.lake.feed_of(symbols, feed)
            return [Target(own, name) for name in dict.fromkeys(map(parse_symbol, symbols))]
        names = sorted(set(self.lake.symbols(feed)["symbol"]))
        if not names:
            where = "" if feed is None else f" of feed {parse_feed(feed)!r}"
            raise NotFoundError(
                f"the lake {self.lake.store.name} holds no bars{where}: `barlake ingest SPY` or `barlake import PATH` "
                "brings some."
            )
        return [Target(self.lake.feed_of(name, feed), name) for name in names]

    def inputs(self, target: Target, adjustment: Adjustment) -> dict[str, Any]:
        """The lake's snapshot of the symbol."""
        snapshot = self.lake.snapshot(target.symbol, feed=target.feed).as_dict()
        one = snapshot["symbols"][0]
        found = {"feed": snapshot["feed"], **{name: one[name] for name in ("rows", "first", "last", "content_hash")}}
        if adjustment is not Adjustment.RAW:
            found["actions_hash"] = hash_of_rows(self._steps(target))
        return found

    def read(self, target: Target, adjustment: Adjustment) -> pl.DataFrame:
        """All bars of the symbol, of all hours.

        Raises
        ------
        NotFoundError
            If a dividend to adjust by has no close to be measured by.
        """
        bars = self.lake.bars(target.symbol, feed=target.feed)
        if adjustment is Adjustment.RAW:
            return bars
        return adjust_forward(bars, self._steps(target), adjustment)

    def _steps(self, target: Target) -> pl.DataFrame:
        lake, sessions = self.lake, self.lake.calendar.of(target.feed).frame
        return forward_steps_of(lake.store, lake.manifest, sessions, feed=target.feed, symbol=target.symbol)


@dataclass(frozen=True)
class DuckDBBars:
    """Bars out of a DuckDB file with a view or table `bars`. Nothing is known of corporate actions there."""

    path: Path

    def targets(self, symbols: Sequence[str], feed: str | None) -> list[Target]:
        """Named symbols, or all, each from the feed that goes first or the one named.

        Raises
        ------
        NotFoundError
            If a symbol is not in the file, or nothing is.
        InvalidInputError
            If several feeds hold a symbol and none of them goes first.
        """
        held = symbols_in_duckdb(self.path)
        if feed is not None:
            held = held.filter(pl.col("feed") == parse_feed(feed))
        known = sorted(set(held["symbol"]))
        names = list(dict.fromkeys(map(parse_symbol, symbols))) or known
        if not names:
            raise NotFoundError(f"{self.path} holds no bars to build features from.")
        found = []
        for name in names:
            feeds = held.filter(pl.col("symbol") == name)["feed"].to_list()
            if not feeds:
                raise NotFoundError(f"symbol {name!r} has no bars in {self.path}.{did_you_mean(name, known)}")
            first = preferred_feed(feeds)
            if first is None:
                raise InvalidInputError(
                    f"{name} is held from the feeds {', '.join(sorted(feeds))}: name one with --feed."
                )
            found.append(Target(first, name))
        return found

    def inputs(self, target: Target, adjustment: Adjustment) -> dict[str, Any]:
        """Counts and a hash over the values of every session, made by reading all of them."""
        bars = self.read(target, adjustment)
        first, last = bars["timestamp"].min(), bars["timestamp"].max()
        if not isinstance(first, dt.datetime) or not isinstance(last, dt.datetime):
            raise NotFoundError(f"symbol {target.symbol!r} of feed {target.feed!r} has no bars in {self.path}.")
        sessions = content_hashes(bars, target.feed)
        return {
            "feed": target.feed,
            "rows": bars.height,
            "first": first.isoformat(),
            "last": last.isoformat(),
            "content_hash": hash_of_rows(sessions.select("session", "content_hash")),
        }

    def read(self, target: Target, adjustment: Adjustment) -> pl.DataFrame:
        """All bars of the symbol, of all hours.

        Raises
        ------
        InvalidInputError
            If adjusted bars are asked for.
        """
        if adjustment is not Adjustment.RAW:
            raise InvalidInputError(
                f"adjustment {adjustment.value!r} needs corporate actions, and {self.path} has none: use raw, or "
                "import the bars and the actions into the lake."
            )
        return read_bars_from_duckdb(self.path, [target.symbol], target.feed)
