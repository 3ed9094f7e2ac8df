"""Windows in which nothing moved: where a position within a range is zero over zero.

TA-Lib answers 0 there, or what rounding left behind; a model would read either as an extreme. Features
that divide by a range have no value on such a window.
"""

from __future__ import annotations

import polars as pl

__all__ = ["is_flat"]


def is_flat(price: pl.Expr, window_bars: int) -> pl.Expr:
    """Whether the last `window_bars` values, this row's among them, are all exactly equal.

    Counts back to the last change, so a window reaching before the first row is judged by the rows
    there are.

    Examples
    --------
    >>> frame = pl.DataFrame({"close": [1.0, 2.0, 2.0, 2.0]})
    >>> frame.select(is_flat(pl.col("close"), 3)).to_series().to_list()
    [False, False, False, True]
    """
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    changed = pl.when(price != price.shift(1)).then(row).forward_fill().fill_null(0)
    return row - changed >= window_bars - 1
