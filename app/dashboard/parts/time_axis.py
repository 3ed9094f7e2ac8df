"""Where the rows of a picture stand on its axis, and what the axis says. Pure.

Rows stand side by side, so that nights, weekends and holidays take no room; the axis counts rows and its ticks are
dates and times.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from app.use_cases.candle_intervals import CandleInterval

__all__ = ["Positions", "Ticks", "labels", "place", "ticks"]

_HOLE_SHARE = 0.012
"""Of the width of a picture for sessions that are absent in a row, however many they are."""

_MOST_TICKS = 20
"""With more, longer stretches of time begin at a tick."""
_FEW_TICKS = 3
_LEAST_APART = 0.09
"""Of the width of a picture between two ticks."""


@dataclass(frozen=True)
class Positions:
    """Middle and width of each row on the axis, and how long the axis is."""

    middle: pl.Series
    width: pl.Series
    length: float

    def rows_between(self, low: float, high: float) -> tuple[int, int]:
        """The first and the last row whose middle lies between two places; the first is larger where there is none."""
        inside = self.middle.is_between(min(low, high), max(low, high)).arg_true()
        return (int(inside[0]), int(inside[-1])) if inside.len() else (1, 0)


@dataclass(frozen=True)
class Ticks:
    """Places on the axis and what is written there."""

    places: list[float]
    texts: list[str]


def place(rows: pl.DataFrame) -> Positions:
    """A row's place: one for a candle or where one is absent, some more for sessions that are absent in a row."""
    hole = max(1.0, round(rows.height * _HOLE_SHARE))
    is_hole = pl.col("open").is_null() & (pl.col("whole_sessions") > 0)
    found = rows.select(pl.when(is_hole).then(hole).otherwise(1.0).alias("width"))
    found = found.with_columns((pl.col("width").cum_sum() - pl.col("width") / 2).alias("middle"))
    return Positions(found["middle"], found["width"], float(found["width"].sum()))


def ticks(rows: pl.DataFrame, positions: Positions, interval: CandleInterval, zone: str) -> Ticks:
    """Ticks where hours, sessions, weeks, months, quarters or years begin.

    Parameters
    ----------
    rows
        session and timestamp (null where a whole session is absent), oldest first.
    zone
        In which hours are told.
    """
    local = rows.select("session", pl.col("timestamp").dt.convert_time_zone(zone).alias("local"))
    for begin, words in (*_CLOCK, *_CALENDAR) if interval.is_intraday else _CALENDAR:
        begins = local.select(begin.ne_missing(begin.shift(1))).to_series()
        if begins.sum() <= _MOST_TICKS:
            # The first row seldom begins anything: it has a tick where it alone would tell which time is meant.
            at = begins.arg_true().to_list()
            return _apart(at[1:] if len(at) > _FEW_TICKS else at, local.select(words).to_series(), positions)
    texts = local.select(_text("session", "%Y")).to_series()
    return _apart(list(range(0, rows.height, max(1, rows.height // _MOST_TICKS))), texts, positions)


def _text(column: str, words: str) -> pl.Expr:
    return pl.col(column).dt.strftime(words)


_SESSION = pl.col("session")
_Level = tuple[pl.Expr, pl.Expr]
"""What begins anew at a tick, and how it is written."""

_CLOCK: tuple[_Level, ...] = (
    (pl.col("local").dt.truncate("30m"), _text("local", "%H:%M")),
    (pl.col("local").dt.truncate("1h"), _text("local", "%H:%M")),
)
_CALENDAR: tuple[_Level, ...] = (
    (_SESSION, _text("session", "%-d %b")),
    (_SESSION.dt.truncate("1w"), _text("session", "%-d %b")),
    (_SESSION.dt.truncate("1mo"), _text("session", "%b %Y")),
    (_SESSION.dt.truncate("1q"), _text("session", "%b %Y")),
    (_SESSION.dt.year(), _text("session", "%Y")),
    (_SESSION.dt.year() // 5, _text("session", "%Y")),
    (_SESSION.dt.year() // 20, _text("session", "%Y")),
)


def _apart(begins: list[int], texts: pl.Series, positions: Positions) -> Ticks:
    """Ticks at the rows named, without those that would run into the one before."""
    found = Ticks([], [])
    for row in begins:
        at = positions.middle[row] - positions.width[row] / 2
        if texts[row] is not None and (not found.places or at - found.places[-1] >= _LEAST_APART * positions.length):
            found.places.append(at)
            found.texts.append(texts[row])
    return found


def labels(rows: pl.DataFrame, interval: CandleInterval, zone: str) -> pl.Series:
    """What each row is called: the minute it opens, its session, or its first and last session."""
    one = pl.col("session") == pl.col("last_session")
    days = pl.when(one).then(_text("session", "%a %-d %b %Y")).otherwise(_days())
    if not interval.is_intraday:
        return rows.select(days).to_series()
    local = pl.col("timestamp").dt.convert_time_zone(zone).dt.strftime("%a %-d %b %Y, %H:%M")
    return rows.select(pl.coalesce(local, days)).to_series()


def _days() -> pl.Expr:
    return pl.format("{} to {}", _text("session", "%-d %b %Y"), _text("last_session", "%-d %b %Y"))
