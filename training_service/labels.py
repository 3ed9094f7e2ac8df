"""Labels: what a model learns to predict, made on one symbol's own bars, inside each session.

They are made before any join, because a join drops minutes, and what is five rows later would no longer be
five minutes later.

With L the log return from the close of the bar to the close at which its label ends, and S the volatility:
the standard deviation of the last `volatility_window` one-minute log returns, times the square root of the
minutes to the horizon.

- `direction`: 1 if L > 0, else 0.
- `return`: L.
- `scaled_return`: L / S; as a class, 1 if that is above `threshold`. Dividing by volatility makes quiet and
  loud hours count alike (Moskowitz, Ooi and Pedersen 2012, https://doi.org/10.1016/j.jfineco.2011.11.003).
- `triple_barrier`: L up to the first close that is `upper` x S above or `lower` x S below, or to the horizon
  when none is; as a class, 1 if L > 0 (Lopez de Prado 2018, Advances in Financial Machine Learning, 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError
from barlake.sessions import Calendar
from training_service.targets import Target, TargetSpec, Task

__all__ = ["Target", "TargetSpec", "Task", "make_labels"]

FloatArray = npt.NDArray[np.float64]
RowArray = npt.NDArray[np.int64]
MaskArray = npt.NDArray[np.bool_]

_MINUTE = pl.duration(minutes=1)


@dataclass(frozen=True)
class _Ends:
    """By bar, where its label ends at the latest; arrays of shape (n_bars,).

    Parameters
    ----------
    row
        Row of the last bar the label may look at; its own row where there is none.
    is_there
        Whether that bar is the one at the horizon, so that a label without barriers exists.
    minutes
        From the bar's close to the horizon.
    """

    row: RowArray
    is_there: MaskArray
    minutes: FloatArray


def make_labels(bars: pl.DataFrame, spec: TargetSpec, *, calendar: Calendar | None = None) -> pl.DataFrame:
    """One label per bar, with the instant from which it is known.

    With a horizon in minutes, a bar gets a label when every minute up to the horizon has its bar in the same
    session. To the close, it gets one when the session's closing bar is there; a hole on the way does not
    matter. A triple barrier needs every minute up to its end in both cases: a barrier may have been passed in
    the minute that is missing. Bars whose horizon lies beyond the close have none, also where a barrier was
    passed in time: if only those had one, the label would tell which barrier is nearer. Where volatility is not
    known yet, or is 0, labels that need it are missing.

    Parameters
    ----------
    bars
        One symbol's minute bars: session, timestamp, close (dollars); oldest first, each minute once.
    calendar
        Closes of the sessions, for barriers and for a horizon to the close; None takes those of XNYS.

    Returns
    -------
    One row per bar, in the same order: session, timestamp, label (Float64; 0.0 or 1.0 for a class), known_at
    (Datetime us UTC: the last bar the label looks at, plus one minute). Both are null where there is no label.

    Raises
    ------
    InvalidInputError
        If a close is null, NaN or not positive, or the bars are not in time order.

    Examples
    --------
    >>> import datetime as dt
    >>> minutes = [dt.datetime(2024, 1, 2, 14, 30 + i, tzinfo=dt.UTC) for i in range(3)]
    >>> bars = pl.DataFrame({"timestamp": minutes, "close": [5.0, 5.5, 5.0]})
    >>> bars = bars.with_columns(session=dt.date(2024, 1, 2))
    >>> make_labels(bars, TargetSpec.parse("direction", 1))["label"].to_list()
    [1.0, 0.0, None]
    """
    _require_usable(bars)
    ends = _ends_in_minutes(bars, spec.horizon) if spec.horizon is not None else _ends_at_close(bars, calendar)
    row, has_label, value = ends.row, ends.is_there, _log_return(bars, ends.row)
    if spec.target in {Target.SCALED_RETURN, Target.TRIPLE_BARRIER}:
        scale = _volatility(bars, int(spec.parameters["volatility_window"])) * np.sqrt(ends.minutes)
        if spec.target is Target.TRIPLE_BARRIER:
            row, has_label = _first_touch(bars, scale, ends, spec)
            if spec.horizon is not None:
                has_label &= _ends_before_close(bars, spec.horizon, calendar)
            value = _log_return(bars, row)
        else:
            has_label = has_label & (scale > 0)
            value = value / np.where(scale > 0, scale, np.nan)
    if spec.task is Task.CLASSIFICATION:
        value = (value > spec.parameters.get("threshold", 0.0)).astype(np.float64)
    return bars.select(
        "session",
        "timestamp",
        pl.when(pl.lit(pl.Series(has_label))).then(pl.lit(pl.Series(value))).alias("label"),
        pl.when(pl.lit(pl.Series(has_label))).then(pl.lit(bars["timestamp"].gather(row)) + _MINUTE).alias("known_at"),
    )


def _log_return(bars: pl.DataFrame, row: RowArray) -> FloatArray:
    close: FloatArray = bars["close"].to_numpy()
    return np.log(close[row] / close)


def _ends_in_minutes(bars: pl.DataFrame, horizon: int) -> _Ends:
    here, last = np.arange(bars.height), _last_row_without_hole(bars)
    return _Ends(np.minimum(here + horizon, last), here + horizon <= last, np.full(bars.height, float(horizon)))


def _ends_at_close(bars: pl.DataFrame, calendar: Calendar | None) -> _Ends:
    """Ends at the bar that closes when its session does; without that bar at the last one before it."""
    closes = (calendar or Calendar.default()).frame.select("session", session_close="close")
    rows = bars.select("session", "timestamp").with_row_index("row")
    rows = rows.join(closes, on="session", how="left", validate="m:1", maintain_order="left")
    known_at = pl.col("timestamp") + _MINUTE
    rows = rows.with_columns(
        pl.col("row").filter(known_at <= pl.col("session_close")).last().over("session").fill_null(0).alias("last"),
        (known_at == pl.col("session_close")).any().over("session").fill_null(value=False).alias("closes"),
        ((pl.col("session_close") - known_at).dt.total_seconds() / 60).fill_null(0).clip(0).alias("minutes"),
    )
    here = np.arange(bars.height)
    end = np.maximum(rows["last"].cast(pl.Int64).to_numpy(), here)
    return _Ends(end, rows["closes"].to_numpy() & (end > here), rows["minutes"].to_numpy())


def _ends_before_close(bars: pl.DataFrame, minutes: int, calendar: Calendar | None) -> MaskArray:
    """Whether the horizon lies before the close that is next by the calendar; true on a date that is no session.

    The regular close, and after it the end of extended hours: scheduled, so that no later bar has a say in it.
    """
    closes = (calendar or Calendar.default()).frame.select(
        "session", session_close="close", extended_close="post_close"
    )
    rows = bars.select("session", "timestamp").join(
        closes, on="session", how="left", validate="m:1", maintain_order="left"
    )
    timestamp, close = pl.col("timestamp"), pl.col("session_close")
    next_close = pl.when(timestamp < close).then(close).otherwise("extended_close")
    fits = timestamp + pl.duration(minutes=minutes + 1) <= next_close
    return rows.select(fits.fill_null(value=True)).to_series().to_numpy()


def _last_row_without_hole(bars: pl.DataFrame) -> RowArray:
    """By bar, the last row up to which every minute of its session has a bar."""
    timestamp = pl.col("timestamp")
    begins = ((timestamp.diff() != _MINUTE) | (pl.col("session") != pl.col("session").shift(1))).fill_null(value=True)
    stretches = bars.select(begins.cum_sum().alias("stretch")).with_row_index("row")
    return stretches.select(pl.col("row").cast(pl.Int64).max().over("stretch")).to_series().to_numpy()


def _volatility(bars: pl.DataFrame, window: int) -> FloatArray:
    """Deviation of the last `window` one-minute log returns known at each bar; NaN before there are so many.

    A return over a missing minute or a night is none of them. Returns that are all the same give exactly 0.
    """
    one_minute = (pl.col("timestamp").diff() == _MINUTE) & (pl.col("session") == pl.col("session").shift(1))
    returns = bars.select(
        pl.int_range(pl.len()).alias("row"), pl.when(one_minute).then(pl.col("close").log().diff()).alias("value")
    )
    value = pl.col("value")
    is_flat = value.rolling_max(window) == value.rolling_min(window)
    measured = returns.drop_nulls("value").select(
        "row", pl.when(is_flat).then(0.0).otherwise(value.rolling_std(window)).alias("volatility")
    )
    joined = returns.join(measured, on="row", how="left", validate="1:1", maintain_order="left")
    return joined["volatility"].forward_fill().fill_null(float("nan")).to_numpy()


def _first_touch(bars: pl.DataFrame, scale: FloatArray, ends: _Ends, spec: TargetSpec) -> tuple[RowArray, MaskArray]:
    """Row at which each triple-barrier label ends, and whether the bar has a label."""
    log_price = bars["close"].log().to_numpy()
    last = np.minimum(ends.row, _last_row_without_hole(bars))
    row, is_touched = last.copy(), np.zeros(bars.height, dtype=np.bool_)
    upper, lower = spec.parameters["upper"] * scale, -spec.parameters["lower"] * scale
    pending, ahead = np.flatnonzero((scale > 0) & (last > np.arange(bars.height))), 1
    while pending.size:
        moved = log_price[pending + ahead] - log_price[pending]
        is_out = (moved >= upper[pending]) | (moved <= lower[pending])
        row[pending[is_out]] = pending[is_out] + ahead
        is_touched[pending[is_out]] = True
        pending = pending[~is_out & (pending + ahead < last[pending])]
        ahead += 1
    return row, is_touched | (ends.is_there & (last == ends.row) & (scale > 0))


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
