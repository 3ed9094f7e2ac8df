"""When events were: from a file of one's own, from macro releases of the lake, from corporate actions.

Events are a table of name, date (New York) and instant (Datetime us, UTC; null where only the date is known),
oldest first.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from barlake.actions import ActionKind
from barlake.errors import InvalidInputError, NotFoundError, did_you_mean
from barlake.lake import Lake
from barlake.record_kinds import MACRO
from barlake.sessions import NEW_YORK

__all__ = ["action_events", "at_time", "events_from_csv", "macro_events"]

_STAMP = pl.Datetime("us", "UTC")
_KNOWN = ("date", "time", "timestamp", "name", "symbol")
_FORM = "a column date (2024-05-01) with or without time (16:05, New York), or a column timestamp with its time zone"


def events_from_csv(path: Path, *, symbol: str) -> pl.DataFrame:
    """Events of a CSV file.

    It has a column date, and time where it is known, or a column timestamp; name and symbol may be there too,
    and where symbol is, the rows of other symbols are left out.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, lacks its columns, has one that is not known, has a cell that is no date or
        time (the first such row is named), or no event of the symbol.
    """
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).strip().splitlines()[0]
        raise InvalidInputError(f"file of events {path} cannot be read ({said}): it is a CSV with {_FORM}.") from error
    for name in frame.columns:
        if name not in _KNOWN:
            raise InvalidInputError(
                f"file of events {path}: column {name!r} is not known: it has {_FORM}, and may have name and symbol."
                f"{did_you_mean(name, _KNOWN)}"
            )
    if ("date" in frame.columns) == ("timestamp" in frame.columns):
        raise InvalidInputError(f"file of events {path} has the columns {frame.columns}: it needs {_FORM}.")
    own = frame.filter(pl.col("symbol").str.strip_chars() == symbol) if "symbol" in frame.columns else frame
    if own.is_empty():
        raise InvalidInputError(f"file of events {path} has no event of {symbol!r}: give rows of it, or another file.")
    return _read_rows(own, path)


def macro_events(lake: Lake, series: str, *, source: str | None = None) -> pl.DataFrame:
    """First releases of a macro series' values: each value's own, not those of its revisions.

    A release known from a New York midnight on is one of which the source gives only the date, the day before.

    Raises
    ------
    NotFoundError
        If nothing is held of the series.
    """
    lake.macro(series, source=source)  # says what is held instead, when this series is not
    versions = lake.records.read(MACRO, parts=[series], source=source)
    first = versions.group_by("date").agg(pl.col("published_at").min().alias("instant"))
    local = pl.col("instant").dt.convert_time_zone(NEW_YORK.key)
    is_midnight = local.dt.time() == dt.time()
    return _events(
        first.select(
            pl.format("{} of {}", pl.lit(series), "date").alias("name"),
            (local - pl.duration(microseconds=1)).dt.date().alias("date"),
            pl.when(~is_midnight).then("instant").cast(_STAMP).alias("instant"),
        )
    )


def action_events(lake: Lake, symbol: str, kind: str) -> pl.DataFrame:
    """Ex-dates of a symbol's corporate actions of one kind, as far as they are believed.

    Raises
    ------
    InvalidInputError
        If there is no such kind.
    NotFoundError
        If the lake holds none of the symbol.
    """
    wanted = ActionKind.parse(kind)
    held = lake.corporate_actions(symbol).filter(pl.col("counts"), pl.col("kind") == wanted.value)
    if held.is_empty():
        raise NotFoundError(f"no {wanted.value} of {symbol} is held: `barlake actions` imports and fetches them.")
    return _events(
        held.select(
            pl.lit(wanted.value).alias("name"),
            pl.col("ex_date").alias("date"),
            pl.lit(None, _STAMP).alias("instant"),
        )
    )


def at_time(events: pl.DataFrame, time: str) -> pl.DataFrame:
    """The same events; those of which only the date is known are taken to have been at a New York time.

    Raises
    ------
    InvalidInputError
        If the time cannot be read.
    """
    try:
        clock = dt.time.fromisoformat(time)
    except ValueError as error:
        raise InvalidInputError(f"time {time!r} is no time of day in New York: write it as 08:30.") from error
    return _events(events.with_columns(pl.coalesce("instant", _instant(pl.lit(clock))).alias("instant")))


def _read_rows(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    name = pl.col("name") if "name" in frame.columns else pl.lit("event")
    if "timestamp" in frame.columns:
        text = pl.col("timestamp").str.strip_chars()
        stamp = text.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
        zoned = text.str.contains(r"\d{2}:\d{2}.*?(Z|[+-]\d{2}(:?\d{2})?)$")
        read = frame.with_columns(pl.when(zoned).then(stamp).alias("instant"))
        _require_read(frame, read["instant"], "timestamp", path)
        day = pl.col("instant").dt.convert_time_zone(NEW_YORK.key).dt.date()
        return _events(read.select(name.alias("name"), day.alias("date"), "instant"))
    day = pl.col("date").str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
    read = frame.with_columns(day.alias("date"))
    _require_read(frame, read["date"], "date", path)
    instant = pl.lit(None, _STAMP)
    if "time" in frame.columns:
        clock = pl.coalesce(pl.col("time").str.to_time(form, strict=False) for form in ("%H:%M", "%H:%M:%S"))
        timed = frame.select(clock.alias("time"))["time"]
        given = frame["time"].fill_null("").str.strip_chars() != ""
        _require_read(frame, timed.fill_null(dt.time()).set(timed.is_null() & given, None), "time", path)
        read, instant = read.with_columns(timed), _instant(pl.col("time"))
    return _events(read.select(name.alias("name"), "date", instant.alias("instant")))


def _require_read(frame: pl.DataFrame, read: pl.Series, column: str, path: Path) -> None:
    if read.null_count():
        row = int(read.is_null().arg_true()[0])
        raise InvalidInputError(
            f"file of events {path}: {column} {frame[column][row]!r} in row {row + 1} cannot be read: it has {_FORM}."
        )


def _instant(clock: pl.Expr) -> pl.Expr:
    local = pl.col("date").dt.combine(clock, time_unit="us")
    return local.dt.replace_time_zone(NEW_YORK.key).dt.convert_time_zone("UTC")


def _events(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("name", "date", pl.col("instant").cast(_STAMP)).sort("date", "instant", "name")
