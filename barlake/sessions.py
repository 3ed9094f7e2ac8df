"""Sessions: dates without a zone, each with its opening and closing instants in UTC.

A feed's sessions are those of XNYS, or the UTC dates where its market never closes; its name says which.

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
from barlake.keys import is_always_open
from barlake.new_york import new_york_dates

__all__ = [
    "FIRST_SESSION_YEAR",
    "NEW_YORK",
    "XNYS_FEED",
    "Calendar",
    "session_bounds",
    "session_dates",
    "session_of",
    "zone_of",
]

NEW_YORK = ZoneInfo("America/New_York")
XNYS_FEED = "sip"
"""Any feed of an exchange that closes: what is meant where none is named."""

FIRST_COIN_YEAR = 2009
FIRST_SESSION_YEAR = 1990
_PRE_OPEN = dt.time(4, 0)
_POST_CLOSE = dt.time(20, 0)
_POST_CLOSE_EARLY = dt.time(17, 0)
_BUILDER = "exchange_calendars"


def zone_of(feed: str) -> dt.tzinfo:
    """The zone in which a date is a session of a feed: New York, or UTC where the market never closes."""
    return dt.UTC if is_always_open(feed) else NEW_YORK


def session_dates(timestamps: pl.Series, feed: str = XNYS_FEED) -> pl.Series:
    """The session of each instant: its New York date, also before and after hours, or its UTC date; null for null.

    Extended hours end at 20:00 New York, so no session's bar falls on the next New York date, though in
    winter it falls on the next UTC date.
    """
    return timestamps.dt.date() if is_always_open(feed) else new_york_dates(timestamps)


def session_of(timestamp: pl.Expr, feed: str = XNYS_FEED) -> pl.Expr:
    """The session of each instant, as `session_dates` gives it."""
    if is_always_open(feed):
        return timestamp.dt.date()
    return timestamp.map_batches(new_york_dates, return_dtype=pl.Date(), is_elementwise=True)


def session_bounds(start: dt.date, end: dt.date, feed: str = XNYS_FEED) -> tuple[dt.datetime, dt.datetime]:
    """UTC instants of midnight, in the zone of a feed, at two session dates: the half-open span of those sessions.

    Examples
    --------
    >>> session_bounds(dt.date(2024, 1, 2), dt.date(2024, 1, 3))[0].isoformat()
    '2024-01-02T05:00:00+00:00'
    """
    zone = zone_of(feed)
    first, last = (dt.datetime.combine(day, dt.time(), tzinfo=zone).astimezone(dt.UTC) for day in (start, end))
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


@functools.cache
def _round_the_clock(first_year: int, last_year: int) -> pl.DataFrame:
    """One session a UTC date, open from midnight to midnight."""
    days = pl.date_range(dt.date(first_year, 1, 1), dt.date(last_year, 12, 31), "1d", eager=True)
    midnight = pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    next_midnight = midnight + dt.timedelta(days=1)
    return pl.DataFrame({"session": days}).select(
        "session", open=midnight, close=next_midnight, pre_open=midnight, post_close=next_midnight,
        is_early_close=pl.lit(value=False),
    )  # fmt: skip


@dataclass(frozen=True)
class Calendar:
    """The sessions of XNYS, or of a market that never closes, as one table.

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

    def of(self, feed: str) -> Calendar:
        """The sessions of a feed: these, or where its market never closes every UTC date since 2009 up to their end."""
        if not is_always_open(feed):
            return self
        return Calendar(_round_the_clock(FIRST_COIN_YEAR, self.last.year))

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
