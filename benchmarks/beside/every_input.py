"""Everything that the set `full` reads, made up: a symbol, a context symbol with holes, releases, news."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from history import a_history

from feature_service.inputs import FeatureInputs
from feature_service.known_columns import macro_series
from feature_service.sets import FEATURE_SETS

__all__ = ["every_input"]


def every_input(bars: int) -> FeatureInputs:
    """So many bars, of the context nine in ten; a release of each series each day; ten articles a day."""
    draw = np.random.default_rng(5)
    history, context = a_history(bars, seed=5), a_history(bars, seed=6)
    context = context.filter(pl.Series(draw.random(context.height) < 0.9))
    days = history.select("session", "session_open").unique(maintain_order=True)
    series = macro_series(name for one in FEATURE_SETS["full"].features for name in one.inputs)
    macro = pl.concat(
        days.select(
            pl.lit(name).alias("series"),
            (pl.col("session") - pl.duration(days=1)).alias("reference_date"),
            pl.Series("value", draw.normal(3, 1, days.height)),
            pl.col("session_open").alias("known_at"),
        )
        for name in series
    )
    first, last = history["timestamp"][0], history["timestamp"][-1]
    seconds = np.sort(draw.integers(0, int((last - first).total_seconds()), 10 * days.height))
    news = pl.DataFrame({"known_at": [first + dt.timedelta(seconds=int(at)) for at in seconds]})
    news = news.cast(pl.Datetime("us", "UTC"))
    return FeatureInputs(history, context=context, macro=macro, news=news)
