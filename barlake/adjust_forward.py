"""Bars in the terms of the first of them: each split and dividend changes the bars from its ex-date on. Pure.

`adjust.py` restates the past in the terms of today, for eyes: each new split changes every bar before it, so a
price of last year knows of this year's split. Here a bar depends on the actions up to its own session and no
other: not one bit of it changes when later ones become known. Ratios of prices are the same either way.
"""

from __future__ import annotations

import polars as pl

from barlake.adjust import dividend_fault
from barlake.keys import Adjustment

__all__ = ["STEPS", "adjust_forward", "forward_steps"]

STEPS: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "ex_date": pl.Date(),  # first date it is for, up to the next one
    "split_factor": pl.Float64(),  # prices times this: new shares for an old one
    "dividend_factor": pl.Float64(),  # prices times this; null: it cannot be measured, see `close_from`
    "price_factor": pl.Float64(),  # the product of the two
    "close_before": pl.Float64(),
    "close_from": pl.String(),
}
"""One row per symbol and ex-date, by both; volumes are divided by `split_factor`."""

_PRICES = ("open", "high", "low", "close", "vwap")
_FACTORS = {
    Adjustment.SPLIT: "split_factor",
    Adjustment.DIVIDEND: "dividend_factor",
    Adjustment.ALL: "price_factor",
}


def forward_steps(by_date: pl.DataFrame) -> pl.DataFrame:
    """What prices are multiplied by from each ex-date on: `STEPS`.

    Parameters
    ----------
    by_date
        Of `adjust.factors_by_date`.
    """
    unmeasured_as_nan = pl.col("dividend_factor").fill_null(float("nan"))
    split = pl.col("ratio").cum_prod().over("symbol")
    dividend = (1.0 / unmeasured_as_nan).cum_prod().over("symbol")
    steps = by_date.sort("symbol", "ex_date").with_columns(
        split.alias("split_factor"),
        dividend.fill_nan(None).alias("dividend_factor"),
        (split * dividend).fill_nan(None).alias("price_factor"),
    )
    return steps.select(pl.col(name).cast(kind) for name, kind in STEPS.items())


def adjust_forward(bars: pl.DataFrame, steps: pl.DataFrame, adjustment: Adjustment) -> pl.DataFrame:
    """The same rows in the terms of the first session held.

    Parameters
    ----------
    bars
        Raw, with symbol, session, open, high, low, close, volume and maybe vwap; each symbol oldest first.
    steps
        Of `forward_steps`, of these symbols.
    adjustment
        `split` scales prices and volumes, `dividend` prices alone, `all` does both; `raw` gives the bars back.

    Returns
    -------
    Prices are not rounded; volume is a float unless `raw` is asked for.

    Raises
    ------
    NotFoundError
        If a dividend that counts has no close to be measured by; the message says which session to ingest.
    """
    if adjustment is Adjustment.RAW:
        return bars
    factor = _FACTORS[adjustment]
    unmeasured = steps.filter(pl.col(factor).is_null(), pl.col("close_from").is_in(["missing", "too_low"]))
    if not unmeasured.is_empty():
        raise dividend_fault(*unmeasured.select("symbol", "ex_date", "close_before", "close_from").row(0))
    scaled = steps.select("symbol", pl.col("ex_date").alias("session"), pl.col(factor).alias("by"), "split_factor")
    joined = bars.join_asof(
        scaled.sort("session"), on="session", by="symbol", strategy="backward", check_sortedness=False
    )
    volume = pl.col("volume").cast(pl.Float64())
    if adjustment is not Adjustment.DIVIDEND:
        volume /= pl.col("split_factor").fill_null(1.0)
    prices = [pl.col(name) * pl.col("by").fill_null(1.0) for name in _PRICES if name in bars.columns]
    return joined.with_columns(*prices, volume).select(bars.columns)
