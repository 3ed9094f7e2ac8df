"""How far two feeds, or two sources, agree on the same symbol. Pure: frames in, frames out."""

from __future__ import annotations

import polars as pl

from barlake.checks import CheckName, Severity, findings

__all__ = ["agreement", "disagreements", "worst_minutes"]

_BPS = 10_000


def _common(first: pl.DataFrame, second: pl.DataFrame, close_tolerance_bps: float) -> pl.DataFrame:
    other = second.select("symbol", "timestamp", pl.col("close", "volume").name.suffix("_other"))
    joined = first.join(other, on=["symbol", "timestamp"], how="inner", maintain_order="left")
    distance_bps = (pl.col("close") / pl.col("close_other")).log().abs() * _BPS
    return joined.with_columns(distance_bps.alias("distance_bps")).with_columns(
        (pl.col("distance_bps") <= close_tolerance_bps).alias("close_enough")
    )


def agreement(first: pl.DataFrame, second: pl.DataFrame, *, close_tolerance_bps: float = 5.0) -> pl.DataFrame:
    """How alike two tables of bars are, session by session, on the minutes both have.

    Parameters
    ----------
    first, second
        Bars of one or more symbols, as `Lake.bars` gives them.
    close_tolerance_bps
        Closes so near to each other count as close enough.

    Returns
    -------
    symbol, session, common_bars, equal_closes, equal_volumes, close_enough (shares of the common bars),
    worst_timestamp, worst_bps. Sessions without a common minute are left out.
    """
    return (
        _common(first, second, close_tolerance_bps)
        .group_by("symbol", "session", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("common_bars"),
            (pl.col("close") == pl.col("close_other")).mean().alias("equal_closes"),
            (pl.col("volume") == pl.col("volume_other")).mean().alias("equal_volumes"),
            pl.col("close_enough").mean(),
            pl.col("timestamp").get(pl.col("distance_bps").arg_max()).alias("worst_timestamp"),
            pl.col("distance_bps").max().alias("worst_bps"),
        )
    )


def worst_minutes(first: pl.DataFrame, second: pl.DataFrame, *, minutes: int = 10) -> pl.DataFrame:
    """The common minutes whose closes are farthest apart, worst first.

    Returns
    -------
    symbol, session, timestamp, close, close_other, volume, volume_other, distance_bps.
    """
    columns = ["close", "close_other", "volume", "volume_other", "distance_bps"]
    common = _common(first, second, 0.0).select("symbol", "session", "timestamp", *columns)
    return common.sort("distance_bps", "timestamp", descending=[True, False]).head(minutes)


def disagreements(
    first: pl.DataFrame,
    second: pl.DataFrame,
    *,
    close_tolerance_bps: float = 5.0,
    least_close_enough: float = 0.95,
    least_common_bars: int = 30,
) -> pl.DataFrame:
    """Sessions in which two feeds tell different prices.

    Parameters
    ----------
    close_tolerance_bps
        How far apart closes may be: the last trade of a minute differs from venue to venue.
    least_close_enough
        Share of common minutes that must be within it.
    least_common_bars
        With fewer common minutes nothing is said of the session.

    Returns
    -------
    One finding a session, under the first table's feed, at the worst minute; `value` is the share that
    is close enough, `expected` the least. Volumes are told, not judged: one venue is a part of all.
    """
    names = second["feed"].unique().sort().to_list()
    found = agreement(first, second, close_tolerance_bps=close_tolerance_bps)
    feeds = first.select("feed", "symbol").unique()
    picked = found.join(feeds, on="symbol").filter(
        pl.col("common_bars") >= least_common_bars, pl.col("close_enough") < least_close_enough
    )
    percent = [(pl.col(name) * 100).round(1) for name in ("close_enough", "equal_closes", "equal_volumes")]
    detail = pl.format(
        f"beside {', '.join(names)}, of {{}} common minutes {{}} % have closes within {close_tolerance_bps:g} bps, "
        "{} % equal closes, {} % equal volumes; worst {} bps",
        "common_bars",
        *percent,
        pl.col("worst_bps").round(1),
    )
    return findings(
        picked.rename({"worst_timestamp": "timestamp"}),
        CheckName.FEEDS_DISAGREE,
        Severity.WARNING,
        value=pl.col("close_enough"),
        expected=pl.lit(least_close_enough),
        detail=detail,
    )
