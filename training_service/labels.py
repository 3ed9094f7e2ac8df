"""Labels: what a model learns to predict, made on one symbol's own bars, inside each session.

They are made before any join, because a join drops minutes and `horizon_bars` rows would no longer be
`horizon_bars` minutes.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError

__all__ = ["Target", "forward_log_return", "make_labels"]

FloatArray = npt.NDArray[np.float64]


class Target(StrEnum):
    """What is predicted: whether the close rises over the horizon, or by how much."""

    DIRECTION = "direction"
    RETURN = "return"

    @classmethod
    def parse(cls, value: str) -> Target:
        """Target of that name, in any case; `InvalidInputError` lists the names there are."""
        for member in cls:
            if member.value == str(value).lower():
                return member
        names = ", ".join(member.value for member in cls)
        raise InvalidInputError(f"target {value!r} is not known: use one of {names}.")


def forward_log_return(close: FloatArray, *, horizon_bars: int) -> FloatArray:
    """Log return from each close to the close `horizon_bars` later.

    Parameters
    ----------
    close
        Shape (n_bars,), dollars, one symbol, oldest first. Rows are counted, not minutes: where the bars have
        holes or change session, `make_labels` throws the value away.

    Returns
    -------
    Shape (n_bars,). The last `horizon_bars` values are NaN: their future is not known.

    Raises
    ------
    InvalidInputError
        If `horizon_bars` < 1 or a close is not positive.

    Examples
    --------
    >>> forward_log_return(np.array([100.0, 110.0]), horizon_bars=1).round(4)
    array([0.0953,    nan])
    """
    _require_horizon(horizon_bars)
    if not bool(np.all(close > 0)):
        raise InvalidInputError("close must be positive in every bar: a log return needs a price.")
    future = np.full(close.shape, np.nan)
    future[:-horizon_bars] = close[horizon_bars:]
    return np.log(future / close)


def make_labels(bars: pl.DataFrame, *, target: Target, horizon_bars: int) -> pl.DataFrame:
    """One label per bar, with the instant from which it is known.

    Bar i gets a label when bar i + horizon_bars lies in the same session, exactly `horizon_bars` minutes
    later: no label crosses a session border or a missing minute.

    Parameters
    ----------
    bars
        One symbol's minute bars: session, timestamp, close (dollars); oldest first, each minute once.
    target
        `direction` gives 1.0 if the close `horizon_bars` later is higher and 0.0 if it is equal or lower;
        `return` gives the log return between the two closes.

    Returns
    -------
    One row per bar, in the same order: session, timestamp, label (Float64), known_at (Datetime us UTC: the
    last bar the label looks at, plus one minute). Both are null where there is no label.

    Raises
    ------
    InvalidInputError
        If `horizon_bars` < 1, a close is null, NaN or not positive, or the bars are not in time order.

    Examples
    --------
    >>> import datetime as dt
    >>> minutes = [dt.datetime(2024, 1, 2, 14, 30 + i, tzinfo=dt.UTC) for i in range(3)]
    >>> bars = pl.DataFrame({"timestamp": minutes, "close": [5.0, 5.5, 5.0]})
    >>> bars = bars.with_columns(session=dt.date(2024, 1, 2))
    >>> make_labels(bars, target=Target.DIRECTION, horizon_bars=1)["label"].to_list()
    [1.0, 0.0, None]
    """
    _require_horizon(horizon_bars)
    _require_usable(bars)
    timestamp = pl.col("timestamp")
    reached = timestamp.shift(-horizon_bars).over("session")
    log_return = pl.lit(pl.Series(forward_log_return(bars["close"].to_numpy(), horizon_bars=horizon_bars)))
    value = {Target.DIRECTION: (log_return > 0).cast(pl.Float64), Target.RETURN: log_return}[target]
    is_whole = reached - timestamp == pl.duration(minutes=horizon_bars)
    return bars.select(
        "session",
        "timestamp",
        pl.when(is_whole).then(value).alias("label"),
        pl.when(is_whole).then(reached + pl.duration(minutes=1)).alias("known_at"),
    )


def _require_horizon(horizon_bars: int) -> None:
    if horizon_bars < 1:
        raise InvalidInputError(f"horizon {horizon_bars} is below 1: a label looks at least one bar ahead.")


def _require_usable(bars: pl.DataFrame) -> None:
    usable = pl.col("close").is_not_null() & pl.col("close").is_finite() & (pl.col("close") > 0)
    faults = bars.filter(~usable.fill_null(value=False))
    if faults.height:
        row = faults.row(0, named=True)
        raise InvalidInputError(
            f"close is {row['close']} at {row['timestamp']}: every bar needs a positive close. "
            "Look at the bars of that minute before training on them."
        )
    if not bars.select((pl.col("timestamp").diff().drop_nulls() > pl.duration(minutes=0)).all()).item():
        raise InvalidInputError("bars are not in time order, or hold a minute twice: sort them and drop the copies.")
