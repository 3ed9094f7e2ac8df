"""XNYS sessions: dates without a zone, each with its opening and closing instants in UTC.

The facts come from `exchange_calendars` (holidays, early closes, unscheduled closures such as
2025-01-09); extended hours follow Alpaca: from 04:00 New York to 20:00, or 17:00 after an early close.
Importing that library and building the calendar takes seconds, so a lake keeps the table in a file and
nothing else here imports it.
"""

from __future__ import annotations

import datetime as dt
import functools
import importlib.metadata
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from barlake.errors import InvalidInputError
from barlake.new_york import new_york_dates

__all__ = ["FIRST_SESSION_YEAR", "NEW_YORK", "Calendar", "session_bounds", "session_of"]

NEW_YORK = ZoneInfo("America/New_York")
FIRST_SESSION_YEAR = 1990
_PRE_OPEN = dt.time(4, 0)
_POST_CLOSE = dt.time(20, 0)
_POST_CLOSE_EARLY = dt.time(17, 0)
_BUILDER = "exchange_calendars"


def session_of(timestamp: pl.Expr) -> pl.Expr:
    """New York date of each instant: the session its bar belongs to, also before and after hours.

    Extended hours end at 20:00 New York, so no session's bar falls on the next New York date, though in
    winter it falls on the next UTC date.
    """
    return timestamp.map_batches(new_york_dates, return_dtype=pl.Date(), is_elementwise=True)


def session_bounds(start: dt.date, end: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """UTC instants of New York midnight at two session dates: the half-open span of those sessions.

    Examples
    --------
    >>> session_bounds(dt.date(2024, 1, 2), dt.date(2024, 1, 3))[0].isoformat()
    '2024-01-02T05:00:00+00:00'
    """
    first, last = (dt.datetime.combine(day, dt.time(), tzinfo=NEW_YORK).astimezone(dt.UTC) for day in (start, end))
    return first, last


def _build(first_year: int, last_year: int) -> pl.DataFrame:
    import exchange_calendars  # noqa: PLC0415 - a second of import that only the builder pays

    calendar = exchange_calendars.get_calendar("XNYS", start=f"{first_year}-01-01", end=f"{last_year}-12-31")
    days = [day.date() for day in calendar.sessions]
    early = {day.date() for day in calendar.early_closes}
    frame = pl.DataFrame(
        {
            "session": days,
            "open": calendar.opens.dt.tz_convert(None).to_numpy().astype("datetime64[us]"),
            "close": calendar.closes.dt.tz_convert(None).to_numpy().astype("datetime64[us]"),
            "is_early_close": [day in early for day in days],
        }
    )
    post_close = pl.when("is_early_close").then(pl.lit(_POST_CLOSE_EARLY)).otherwise(pl.lit(_POST_CLOSE))
    in_utc = pl.col("open", "close").dt.replace_time_zone("UTC")
    return frame.with_columns(
        in_utc,
        _new_york_instant(pl.lit(_PRE_OPEN)).alias("pre_open"),
        _new_york_instant(post_close).alias("post_close"),
    ).select("session", "open", "close", "pre_open", "post_close", "is_early_close")


def _new_york_instant(wall_time: pl.Expr) -> pl.Expr:
    local = pl.col("session").dt.combine(wall_time, time_unit="us")
    return local.dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC")


@dataclass(frozen=True)
class Calendar:
    """The sessions of XNYS as one table.

    Parameters
    ----------
    frame
        One row per session, oldest first: session (Date), open, close, pre_open, post_close
        (Datetime us, UTC), is_early_close. Regular minute bars open in [open, close).
    """

    frame: pl.DataFrame

    @classmethod
    @functools.cache
    def default(cls) -> Calendar:
        """Sessions from 1990 to the end of next year, built in memory once per process."""
        return cls(_build(FIRST_SESSION_YEAR, dt.datetime.now(tz=dt.UTC).year + 1))

    @classmethod
    def cached(cls, path: Path) -> Calendar:
        """The same table, read from a file that is made again when the calendar library or the year changes."""
        stamp = f"{importlib.metadata.version(_BUILDER)}/{dt.datetime.now(tz=dt.UTC).year}".encode()
        table = _read_table(path)
        if table is not None and (table.schema.metadata or {}).get(b"built_with") == stamp:
            frame = pl.from_arrow(table)
            assert isinstance(frame, pl.DataFrame)  # noqa: S101 - narrows polars' union type
            return cls(frame)
        calendar = cls.default()
        _write_atomically(calendar.frame.to_arrow(), path, stamp)
        return calendar

    def in_range(self, start: dt.date, end: dt.date) -> pl.DataFrame:
        """Sessions with start <= session < end.

        Raises
        ------
        InvalidInputError
            If the range reaches past the calendar's own ends; the message says which.
        """
        first, last = self.first, self.last
        if start < first:
            raise InvalidInputError(
                f"start {start} is earlier than the calendar's first session {first}: ask for less."
            )
        if end > last + dt.timedelta(days=1):
            raise InvalidInputError(f"end {end} is later than the calendar's last session {last}: ask for less.")
        return self.frame.filter(pl.col("session").is_between(start, end, closed="left"))

    @property
    def first(self) -> dt.date:
        """First session of the table."""
        day = self.frame.item(0, "session")
        assert isinstance(day, dt.date)  # noqa: S101 - narrows polars' Any
        return day

    @property
    def last(self) -> dt.date:
        """Last session of the table."""
        day = self.frame.item(-1, "session")
        assert isinstance(day, dt.date)  # noqa: S101 - narrows polars' Any
        return day


def _read_table(path: Path) -> pa.Table | None:
    """The table of a file; None when it is missing, or damaged: it can always be made again."""
    try:
        with pq.ParquetFile(path) as file:  # `read_table` would import pandas
            return file.read()
    except (OSError, pa.ArrowInvalid):
        return None


def _write_atomically(table: pa.Table, path: Path, stamp: bytes) -> None:
    """Write a table beside its place and rename it over: a reader meets the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    os.close(handle)
    try:
        pq.write_table(table.replace_schema_metadata({b"built_with": stamp}), name, compression="zstd")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
