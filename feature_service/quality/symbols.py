"""Measure the feature tables of some symbols, keep what was found and show it in the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from barlake import Lake
from barlake.errors import NotFoundError
from barlake.feature_catalogue import publish_features
from barlake.feature_quality import write_quality
from barlake.feature_tables import FeatureTables, feature_tables_of
from barlake.keys import FeatureSetKey, parse_feed, parse_symbol
from feature_service.quality.drift import PERIODS
from feature_service.quality.importance import newest_importance
from feature_service.quality.measure import FeatureQuality, feature_names, measure_quality

__all__ = ["MeasuredSymbol", "Progress", "measure_symbols"]

Progress = Callable[[str, int, int], None]
"""Called as each symbol begins, with its name, how many are done and how many there are; and at the end."""


@dataclass(frozen=True)
class MeasuredSymbol:
    """The quality of one symbol's table, and the table: session, timestamp, features."""

    key: FeatureSetKey
    feed: str
    symbol: str
    table: pl.DataFrame
    quality: FeatureQuality


def measure_symbols(
    lake: Lake,
    symbols: Sequence[str] = (),
    *,
    set_name: str = "core",
    feed: str | None = None,
    periods: int = PERIODS,
    finished: Callable[[MeasuredSymbol], None] | None = None,
    progress: Progress | None = None,
) -> int:
    """How many tables were measured: the newest of a set for each symbol, one at a time.

    Tables and catalogue are the lake's, or those that the settings `dest_parquet_dir` and `dest_duckdb_path` name.

    Parameters
    ----------
    symbols
        Empty means all that have a table of the set.
    feed
        None takes `sip` before `iex` before the only other one, for each symbol.
    periods
        How many groups of sessions are compared.
    finished
        Called with each symbol's measurement, which is not kept in memory afterwards.

    Raises
    ------
    NotFoundError
        If a symbol, or the set, has no table.
    InvalidInputError
        If a table has fewer sessions than periods.
    ConflictError
        If a table is built anew meanwhile.
    """
    tables = feature_tables_of(lake)
    names = list(dict.fromkeys(map(parse_symbol, symbols))) or _symbols_with(tables, set_name, feed)
    keys = [tables.latest(set_name, name, feed) for name in names]
    done = 0
    try:
        for key, symbol in zip(keys, names, strict=True):
            if progress:
                progress(symbol, done, len(names))
            measured = _measure(lake, tables, key, symbol, periods)
            done += 1
            if finished:
                finished(measured)
        if progress:
            progress("", done, len(names))
    finally:
        if done:
            _publish(lake, tables)
    return done


def _symbols_with(tables: FeatureTables, set_name: str, feed: str | None) -> list[str]:
    held = tables.versions(set_name)
    if feed is not None:
        held = held.filter(pl.col("feed") == parse_feed(feed))
    names = sorted(set(held["symbol"]))
    if not names:
        where = "" if feed is None else f" from feed {feed!r}"
        raise NotFoundError(f"feature set {set_name!r} has no table{where}: `barlake features` builds it.")
    return names


def _measure(lake: Lake, tables: FeatureTables, key: FeatureSetKey, symbol: str, periods: int) -> MeasuredSymbol:
    entry, definition = tables.entry(key, symbol) or {}, tables.definition(key)
    table = tables.read(key, symbol, columns=feature_names(definition))
    importance = newest_importance(lake, key, symbol)
    quality = measure_quality(
        table,
        definition["features"],
        periods=periods,
        importance=None if importance is None else importance.frame,
        model=None if importance is None else importance.model,
    )
    write_quality(tables, key, symbol, quality.tables(), measured=entry)
    return MeasuredSymbol(key, str(definition["feed"]), symbol, table, quality)


def _publish(lake: Lake, tables: FeatureTables) -> None:
    elsewhere = lake.settings.dest_duckdb_path
    if elsewhere is None:
        lake.publish()
    else:
        publish_features(elsewhere, tables)
