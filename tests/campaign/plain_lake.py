"""What a lake must hold after any series of commits, as dicts: the plain model beside the real one."""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from barlake.partitions import content_hashes
from barlake.records import RowRank
from barlake.sessions import NEW_YORK
from barlake.snapshots import lake_root

Key = tuple[str, str]
"""Feed and symbol."""

Values = tuple[Any, ...]
"""open, high, low, close, volume, trade_count, vwap."""

Rows = dict[dt.datetime, Values]
Content = dict[Key, Rows]

SCHEMA = {
    "timestamp": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("open", "high", "low", "close"), pl.Float64),
    **dict.fromkeys(("volume", "trade_count"), pl.Int64),
    "vwap": pl.Float64,
}


def session(stamp: dt.datetime) -> dt.date:
    return stamp.astimezone(NEW_YORK).date()


def frame_of(rows: Rows) -> pl.DataFrame:
    return pl.DataFrame([(stamp, *rows[stamp]) for stamp in sorted(rows)], schema=SCHEMA, orient="row")


@dataclass(frozen=True)
class Bar:
    """Values, since when they are held, and what their source is worth."""

    values: Values
    since: dt.datetime
    rank: RowRank


@dataclass(frozen=True)
class OldValue:
    """Values a bar had in [since, until), or was refused at that one instant."""

    stamp: dt.datetime
    values: Values
    since: dt.datetime
    until: dt.datetime
    kind: str


@dataclass
class Told:
    """What a write must report."""

    inserted: int = 0
    unchanged: int = 0
    changed: int = 0
    outranked: int = 0
    removed: int = 0


@dataclass
class PlainLake:
    """Bars and old values by feed and symbol."""

    bars: dict[Key, dict[dt.datetime, Bar]] = field(default_factory=dict)
    old: dict[Key, list[OldValue]] = field(default_factory=dict)

    def write(self, key: Key, rows: Rows, rank: RowRank, moment: dt.datetime) -> Told:
        """An equal or higher rank replaces; a lower one is refused, and remembered once."""
        told, held, old = Told(), self.bars.setdefault(key, {}), self.old.setdefault(key, [])
        for stamp, values in rows.items():
            bar = held.get(stamp)
            if bar is None:
                told.inserted += 1
                held[stamp] = Bar(values, moment, rank)
            elif bar.values == values:
                told.unchanged += 1
                held[stamp] = Bar(values, bar.since, max(bar.rank, rank))
            elif rank >= bar.rank:
                told.changed += 1
                held[stamp] = Bar(values, moment, rank)
                old.append(OldValue(stamp, bar.values, bar.since, moment, "replaced"))
            else:
                told.outranked += 1
                if (stamp, values) not in {(one.stamp, one.values) for one in old}:
                    old.append(OldValue(stamp, values, moment, moment, "refused"))
        return told

    def finalise(self, key: Key, sessions: set[dt.date], moment: dt.datetime) -> Told:
        """Bars of these sessions that are still provisional go."""
        held, old = self.bars.get(key, {}), self.old.setdefault(key, [])
        gone = [stamp for stamp, bar in held.items() if session(stamp) in sessions and bar.rank < RowRank.FINAL]
        for stamp in gone:
            bar = held.pop(stamp)
            old.append(OldValue(stamp, bar.values, bar.since, moment, "removed"))
        return Told(removed=len(gone))

    def give_up(self, cut: dt.date) -> None:
        """Sessions before the cut were never here."""
        for key, held in self.bars.items():
            self.bars[key] = {stamp: bar for stamp, bar in held.items() if session(stamp) >= cut}
        for key, old in self.old.items():
            self.old[key] = [one for one in old if session(one.stamp) >= cut]

    def held(self) -> list[Key]:
        """Feeds and symbols of which a bar is held."""
        return sorted(key for key, held in self.bars.items() if held)

    def rows(self, key: Key) -> Rows:
        held = self.bars.get(key, {})
        return {stamp: held[stamp].values for stamp in sorted(held)}

    def content(self) -> Content:
        return {key: self.rows(key) for key in self.held()}

    def copy(self) -> PlainLake:
        return copy.deepcopy(self)

    def root(self) -> str:
        """The Merkle root, from the rows alone."""
        return root_of(self.content())


def root_of(content: Content) -> str:
    hashes = [
        content_hashes(frame_of(rows)).select(
            pl.lit(feed).alias("feed"), pl.lit(symbol).alias("symbol"), "session", "content_hash"
        )
        for (feed, symbol), rows in content.items()
        if rows
    ]
    schema = {"feed": pl.String, "symbol": pl.String, "session": pl.Date, "content_hash": pl.String}
    return lake_root(pl.concat(hashes) if hashes else pl.DataFrame(schema=schema))
