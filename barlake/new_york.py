"""New York dates of many instants at once: whole-number arithmetic between the few changes of its clock.

A calendar conversion row by row costs more than reading the rows does; New York's clock changes twice a
year, so between two changes the date is the instant plus a constant, divided by a day.
"""

from __future__ import annotations

import datetime as dt
import functools

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["new_york_dates"]

_ZONE = "America/New_York"
_KNOWN = (dt.datetime(1900, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC))
_DAY_US = 86_400_000_000

Whole = npt.NDArray[np.int64]


def new_york_dates(instants: pl.Series) -> pl.Series:
    """The date on New York's calendar at each instant; null where there is none.

    Examples
    --------
    >>> instants = pl.Series(["2024-01-03T04:59:00Z", "2024-01-03T05:00:00Z"]).str.to_datetime(time_zone="UTC")
    >>> new_york_dates(instants).to_list()
    [datetime.date(2024, 1, 2), datetime.date(2024, 1, 3)]
    """
    if instants.null_count() or instants.is_empty():
        return _slowly(instants)
    epoch = instants.to_numpy().astype("datetime64[us]", copy=False).view(np.int64)
    first, last = int(epoch.min()), int(epoch.max())
    changes, offsets = _clock()
    if first < changes[0] or last >= _KNOWN[1].timestamp() * 1e6:
        return _slowly(instants)
    # The change that holds at the first instant, and those up to the last one.
    begin = int(np.searchsorted(changes, first, side="right")) - 1
    end = int(np.searchsorted(changes, last, side="right"))
    local = epoch + offsets[begin:end][np.searchsorted(changes[begin + 1 : end], epoch, side="right")]
    local //= _DAY_US
    return pl.Series(instants.name, local.astype(np.int32)).cast(pl.Date)


def _slowly(instants: pl.Series) -> pl.Series:
    return instants.dt.convert_time_zone(_ZONE).dt.date()


@functools.cache
def _clock() -> tuple[Whole, Whole]:
    """Since which instants New York's clock is how far from UTC, both in microseconds."""
    days = pl.datetime_range(*_KNOWN, "1d", time_unit="us", eager=True)
    changing = days.filter(_offset(days) != _offset(days).shift(-1))
    hours = pl.concat(
        [days.head(1)]
        + [pl.datetime_range(day, day + dt.timedelta(days=1), "1h", time_unit="us", eager=True) for day in changing]
    )
    offsets = _offset(hours)
    is_change = offsets.ne_missing(offsets.shift(1))
    return hours.filter(is_change).dt.epoch("us").to_numpy(), offsets.filter(is_change).to_numpy()


def _offset(instants: pl.Series) -> pl.Series:
    return instants.dt.convert_time_zone(_ZONE).dt.replace_time_zone(None).dt.epoch("us") - instants.dt.epoch("us")
