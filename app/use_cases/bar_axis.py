"""Labels below a chart whose bars stand at equal distances, where neither night nor weekend takes room."""

from __future__ import annotations

import polars as pl

from barlake.sessions import NEW_YORK
from simulation_service.tear_sheet.charts import date_labels

__all__ = ["Ticks", "bar_ticks", "clock_ticks", "new_york_text"]

Ticks = list[tuple[int, str]]
"""Number of a bar, and what stands below it."""

_FEW_SESSIONS = 2
_EVERY_HOURS = 2


def bar_ticks(sessions: pl.DataFrame, bars: int) -> Ticks:
    """At most ten places where sessions, months or years begin.

    Parameters
    ----------
    sessions
        session and bar: the first bar of each session, oldest first.
    bars
        How many bars there are.
    """
    if sessions.is_empty():
        return []
    labels = date_labels(sessions["session"].to_list(), sessions["bar"].to_numpy(), bars)
    return [(round(label.position / 100 * max(bars - 1, 1)), label.text) for label in labels]


def clock_ticks(rows: pl.DataFrame) -> Ticks:
    """As `bar_ticks`, and every second hour by New York's clock where there are no more than two sessions.

    Parameters
    ----------
    rows
        bar, session and timestamp (UTC), oldest first.
    """
    starts = rows.group_by("session", maintain_order=True).agg(pl.col("bar").first())
    if starts.height > _FEW_SESSIONS:
        return bar_ticks(starts, rows.height)
    clock = pl.col("timestamp").dt.convert_time_zone(str(NEW_YORK))
    hours = rows.group_by(pl.col("session"), clock.dt.hour().alias("hour"), maintain_order=True).agg(
        pl.col("bar").first(), clock.first().alias("clock")
    )
    chosen = hours.filter((pl.col("hour") % _EVERY_HOURS == 0) | (pl.col("session").is_first_distinct()))
    return [
        (bar, f"{clock:%H:%M}<br>{clock.day} {clock:%b}") for bar, clock in chosen.select("bar", "clock").iter_rows()
    ]


def new_york_text(timestamps: pl.Series) -> list[str]:
    """Instants by New York's clock, for eyes: `2024-01-02 09:30`."""
    return timestamps.dt.convert_time_zone(str(NEW_YORK)).dt.strftime("%Y-%m-%d %H:%M").to_list()
