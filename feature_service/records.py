"""Records: macro series and news, as known at the minute. Releases count from `known_at`, never from their date.

Null while nothing has been released, and throughout when the lake holds no such records.
"""

from __future__ import annotations

import polars as pl

from feature_service.declare import feature

__all__ = ["macro_change", "macro_level", "minutes_since_news", "news_count"]

_KNOWN = pl.col("timestamp") + pl.duration(minutes=1)


@feature(unit="the series' own")
def macro_level(*, series: str) -> pl.Expr:
    """Newest released value of a macro series.

    Formula: value of the latest observation that is known at the minute, in the version that stands then.
    Source: the series' publisher, as the lake holds it.
    """
    return pl.col(f"macro_{series}")


@feature(unit="the series' own")
def macro_change(*, series: str) -> pl.Expr:
    """Newest released value of a macro series less the observation before it.

    Formula: latest observation known at the minute - the one before it, both as they stand then.
    Source: the series' publisher, as the lake holds it.
    """
    return pl.col(f"macro_{series}") - pl.col(f"macro_{series}_before")


@feature(unit="articles")
def news_count(*, window_minutes: int) -> pl.Expr:
    """Articles about the symbol that became known of late.

    Formula: count of articles with known_at in the `window_minutes` up to the minute. Null before the first
    article that is held.
    Source: the lake's news.
    """
    return pl.col(f"news_articles_{window_minutes}")


@feature(unit="minutes")
def minutes_since_news() -> pl.Expr:
    """How long ago the last article about the symbol became known, in whole minutes.

    Formula: timestamp + 1 minute - known_at of the last article known by then. Null before the first.
    Source: the lake's news.
    """
    return (_KNOWN - pl.col("news_known_at")).dt.total_minutes()
