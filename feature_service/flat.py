"""Windows in which nothing moved: where a position within a range is zero over zero.

TA-Lib answers 0 there, or what rounding left behind; a model would read either as an extreme. Features
that divide by a range have no value on such a window.
"""

from __future__ import annotations

import polars as pl

__all__ = ["is_flat", "ratio"]


def is_flat(price: pl.Expr, window_bars: int) -> pl.Expr:
    """Whether the last `window_bars` values, this row's among them, are all exactly equal.

    False while the window reaches before the first row.

    Examples
    --------
    >>> frame = pl.DataFrame({"close": [1.0, 2.0, 2.0, 2.0]})
    >>> frame.select(is_flat(pl.col("close"), 3)).to_series().to_list()
    [False, False, False, True]
    """
    changes = (price != price.shift(1)).fill_null(value=False).cum_sum()
    return (changes == changes.shift(window_bars - 1)).fill_null(value=False)


def ratio(value: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    """`value` / `divisor`, null where the divisor is zero.

    Examples
    --------
    >>> frame = pl.DataFrame({"close": [1.0, 3.0], "volume": [0, 2]})
    >>> frame.select(ratio(pl.col("close"), pl.col("volume"))).to_series().to_list()
    [None, 1.5]
    """
    return pl.when(divisor != 0).then(value / divisor)
