"""A feature beside the candles of a picture: one value a candle."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from app.use_cases.candle_intervals import bucket_of
from app.use_cases.candles import Candles
from app.use_cases.feature_views import FeatureView
from barlake.feature_tables import feature_tables_of
from barlake.keys import Adjustment, Timeframe
from barlake.lake import Lake
from barlake.resample import with_bucket

__all__ = ["Overlay", "feature_overlay"]

_DOLLARS = "dollars"
_NEAR = 2.0


@dataclass(frozen=True)
class Overlay:
    """A feature's values in a picture.

    Parameters
    ----------
    values
        One for each row of the candles: the last one in it, null where there is none.
    is_price
        It is a price like the candles' own, and can be drawn among them.
    """

    feature: str
    unit: str
    values: pl.Series
    is_price: bool


def feature_overlay(lake: Lake, found: Candles, view: FeatureView, feature: str) -> Overlay:
    """The last value of a feature in each candle: what was known at its end.

    Raises
    ------
    InvalidInputError
        If the table has no such column.
    FormatError
        If a file of the table is damaged.
    """
    rows = feature_tables_of(lake).read(
        view.key, view.symbol, columns=[feature], start=found.span.start, end=found.span.end
    )
    values = rows.with_columns(pl.col(feature).cast(pl.Float64).fill_nan(None).alias("value"))
    ends = _with_bucket(lake, values, found).group_by("bucket").agg(pl.col("value").drop_nulls().last())
    bucket = pl.col("timestamp").alias("bucket") if found.interval.is_intraday else bucket_of(found.interval)
    is_candle = pl.col("open").is_not_null()
    placed = found.rows.with_columns(pl.when(is_candle).then(bucket).alias("bucket"))
    aligned = placed.join(ends, on="bucket", how="left", maintain_order="left")["value"]
    return Overlay(feature, str(view.of(feature)["unit"]), aligned, _is_price(found, view, feature, aligned))


def _with_bucket(lake: Lake, values: pl.DataFrame, found: Candles) -> pl.DataFrame:
    if not found.interval.is_intraday:
        return values.with_columns(bucket_of(found.interval))
    if found.interval.timeframe is Timeframe.MINUTE:
        return values.with_columns(pl.col("timestamp").alias("bucket"))
    return with_bucket(values, found.interval.timeframe, lake.calendar.of(found.feed).frame)


def _is_price(found: Candles, view: FeatureView, feature: str, values: pl.Series) -> bool:
    """In dollars, of prices as traded, and about as large as the candles: a true range is in dollars and no price."""
    middle, low, high = values.median(), found.rows["low"].min(), found.rows["high"].max()
    if view.of(feature)["unit"] != _DOLLARS or view.adjustment != Adjustment.RAW:
        return False
    if not all(isinstance(one, float) for one in (middle, low, high)):
        return False
    return bool(low / _NEAR <= middle <= high * _NEAR)  # type: ignore[operator]
