"""Macro values and news for features: every version out of the lake, with the instant since when it was known."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from barlake import Lake
from barlake.layout import MACRO, NEWS
from barlake.record_kinds import KINDS

__all__ = ["macro_versions", "news_articles"]

_VERSION_ORDER = pl.struct("published_at", "ingested_at")


def macro_versions(lake: Lake, series: Collection[str]) -> pl.DataFrame | None:
    """Values of series as they were released and revised; None where nothing is held of any of them.

    A series that several sources have is taken from the one that `BARLAKE_MACRO_SOURCES` names first, else from
    the first by name. Releases without a value are passed over, as `Lake.macro_known_at` does.

    Returns
    -------
    series, reference_date, value, known_at: a row for each version that was the standing one from `known_at` on;
    by series and `known_at`.
    """
    versions = _of_preferred(lake, MACRO, ["series"], lake.settings.sources.order.macro_sources, sorted(series))
    if versions.is_empty():
        return None
    stated = versions.filter(pl.col("value").is_not_null())
    one = ["series", "date"]
    ordered = stated.with_columns(_VERSION_ORDER.rank("ordinal").over(one).alias("order")).sort("known_at", "order")
    # A version that was published before the standing one, and became known after it, never stood.
    standing = ordered.filter(pl.col("order") == pl.col("order").cum_max().over(one))
    by_date = standing.sort("series", "known_at", "date", "order")
    return by_date.select("series", pl.col("date").alias("reference_date"), "value", "known_at")


def news_articles(lake: Lake, symbol: str) -> pl.DataFrame | None:
    """One row for each article that names the symbol, oldest first; None where the lake holds no news at all.

    Sources tell of the same event in articles of their own: they are those of the source that
    `BARLAKE_NEWS_SOURCES` names first, else of the first by name.

    Returns
    -------
    article_id, known_at: when its first version that names the symbol could be known.
    """
    versions = _of_preferred(lake, NEWS, [], lake.settings.sources.order.news_sources)
    if versions.is_empty():
        return None
    about = versions.filter(pl.col("symbols").str.split(" ").list.contains(symbol))
    return about.group_by("article_id").agg(pl.col("known_at").min()).sort("known_at", "article_id")


def _of_preferred(
    lake: Lake, dataset: str, within: Sequence[str], preference: Sequence[str], parts: Sequence[str] | None = None
) -> pl.DataFrame:
    """Versions of one source: of each series, or of everything where nothing is named."""
    versions = lake.records.read(KINDS[dataset], parts=parts)
    places = {name: place for place, name in enumerate(preference)}
    place = pl.col("source").replace_strict(places, default=len(places), return_dtype=pl.Int64())
    first = pl.col("source").sort_by(place, "source").first()
    return versions.filter(pl.col("source") == (first.over(*within) if within else first))
