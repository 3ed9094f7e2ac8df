"""Which feature tables are not what today's bars, hours and code would give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from barlake import Lake
from barlake.feature_tables import FeatureTables
from barlake.keys import SessionFilter, parse_symbol
from feature_service.build import current_inputs
from feature_service.sets import find_feature_set
from feature_service.sources import LakeBars, Target

__all__ = ["StaleTable", "stale_tables"]


@dataclass(frozen=True)
class StaleTable:
    """A table to be built: the version it will have, and the hash of the bars it will be made from."""

    set_name: str
    symbol: str
    feed: str
    version: str
    bars_hash: str
    why: str


def stale_tables(lake: Lake, sets: Iterable[str], symbols: Iterable[str], *, feed: str) -> list[StaleTable]:
    """Tables of these sets and symbols that are missing or were made from other bars; nothing is built.

    Only the manifests are read. A symbol of which the feed holds no regular bar has no table and needs none.

    Raises
    ------
    NotFoundError
        If there is no such set.
    """
    wanted = {name: find_feature_set(name) for name in sets}
    elsewhere = lake.settings.dest_parquet_dir
    tables = lake.feature_tables if elsewhere is None else FeatureTables(elsewhere)
    source, found = LakeBars(lake), []
    for symbol in dict.fromkeys(map(parse_symbol, symbols)) if wanted else ():
        if not lake.manifest.held(feed=feed, symbol=symbol)["regular_rows"].sum():
            continue
        inputs = current_inputs(source, Target(feed, symbol), lake.calendar)
        for name, chosen in wanted.items():
            key = chosen.key(feed=feed, session=SessionFilter.REGULAR)
            if tables.is_current(key, symbol, inputs):
                continue
            why = "never built" if tables.entry(key, symbol) is None else "its bars have changed"
            found.append(StaleTable(name, symbol, feed, key.version, str(inputs["content_hash"]), why))
    return found
