"""Halts of all trading: the known ones with their sources, and how an unknown one shows itself.

A halt of one symbol alone (limit up, limit down, news) leaves no trace that minute bars could tell from
a minute without a trade; it is not claimed here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import polars as pl

__all__ = [
    "LEAST_SILENT_MINUTES",
    "LEAST_TRADED_SHARE",
    "MARKET_HALTS",
    "Halt",
    "halted_minutes",
    "silent_together",
]

LEAST_SILENT_MINUTES = 5
"""Minutes in a row that both symbols must be silent; a market-wide pause lasts 15."""

LEAST_TRADED_SHARE = 0.95
"""Share of a session's other minutes both must have traded in: silence of a thin symbol says nothing."""

_NEW_YORK = ZoneInfo("America/New_York")
_MINUTE = dt.timedelta(minutes=1)

_MWCB_REPORT = (
    "https://www.nyse.com/publicdocs/nyse/markets/nyse/Report_of_the_Market-Wide_Circuit_Breaker_Working_Group.pdf"
)
"""Report of the Market-Wide Circuit Breaker Working Group, 31 March 2021, section 1, where the times are to be found.

Compared so far: the time of 18 March with a quotation of the report, the minutes of 9 and 12 March with real bars.
The seconds of those two and the time of 16 March were not compared with the document.
"""


@dataclass(frozen=True)
class Halt:
    """Half-open span in which no US equity traded on any exchange.

    Parameters
    ----------
    start, end
        Aware instants, as the source states them.
    reason
        What stopped the market, in a few words.
    source
        Address of the document that states the times.
    """

    start: dt.datetime
    end: dt.datetime
    reason: str
    source: str

    @property
    def evidence(self) -> str:
        """One line for people: what, when (New York), and where it is written."""
        first, last = (moment.astimezone(_NEW_YORK) for moment in (self.start, self.end))
        return f"{self.reason}, {first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} New York: {self.source}"


def _level_1(day: dt.date, trigger: dt.time) -> Halt:
    """A fall of 7 % stops trading for 15 minutes."""
    start = dt.datetime.combine(day, trigger, tzinfo=_NEW_YORK).astimezone(dt.UTC)
    return Halt(start, start + dt.timedelta(minutes=15), "market-wide circuit breaker, level 1", _MWCB_REPORT)


MARKET_HALTS = (
    _level_1(dt.date(2020, 3, 9), dt.time(9, 34, 13)),
    _level_1(dt.date(2020, 3, 12), dt.time(9, 35, 44)),
    _level_1(dt.date(2020, 3, 16), dt.time(9, 30, 1)),
    _level_1(dt.date(2020, 3, 18), dt.time(12, 56, 17)),
)
"""Market-wide trading halts whose times are documented; days without a session are the calendar's business."""


def halted_minutes(halts: Sequence[Halt] = MARKET_HALTS) -> pl.DataFrame:
    """Minutes that lie wholly inside a halt: those in which no bar can open or close.

    Returns
    -------
    timestamp (opening instant, UTC), evidence; oldest first.

    Examples
    --------
    >>> halted_minutes()["timestamp"][0].isoformat()
    '2020-03-09T13:35:00+00:00'
    """
    rows = []
    for halt in halts:
        minute = halt.start.astimezone(dt.UTC).replace(second=0, microsecond=0)
        if minute < halt.start:
            minute += _MINUTE
        while minute + _MINUTE <= halt.end:
            rows.append((minute, halt.evidence))
            minute += _MINUTE
    schema = {"timestamp": pl.Datetime("us", "UTC"), "evidence": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("timestamp")


def silent_together(
    expected: pl.DataFrame,
    present: pl.DataFrame,
    reference: pl.DataFrame,
    *,
    least_silent_minutes: int = LEAST_SILENT_MINUTES,
    least_traded_share: float = LEAST_TRADED_SHARE,
) -> pl.DataFrame:
    """Minutes in which a symbol and its reference both fell silent, amid a session both trade steadily.

    Parameters
    ----------
    expected
        session and timestamp of every minute that could have a bar.
    present, reference
        timestamp of the symbol's bars and of the reference's.

    Returns
    -------
    session, timestamp, minutes (of the whole silence), traded_share (the lower of the two, over the
    session's other minutes). A silence at a session's beginning or end does not count: bars of both must
    lie before and after it.
    """
    marks = expected.sort("session", "timestamp")
    for name, bars in (("traded", present), ("reference_traded", reference)):
        stamps = bars.select("timestamp", pl.lit(value=True).alias(name)).unique("timestamp")
        marks = marks.join(stamps, on="timestamp", how="left", maintain_order="left")
        marks = marks.with_columns(pl.col(name).fill_null(value=False))
    silent = ~pl.col("traded") & ~pl.col("reference_traded")
    marks = marks.with_columns(silent.alias("silent"))
    marks = marks.with_columns(pl.col("silent").rle_id().over("session").alias("run"))
    both = [pl.col("traded"), pl.col("reference_traded")]
    marks = marks.with_columns(
        pl.len().over("session", "run").alias("minutes"),
        pl.len().over("session").alias("of_session"),
        pl.min_horizontal(*(one.sum().over("session") for one in both)).alias("bars"),
        *(
            one.cum_sum().over("session").alias(f"{name}_before")
            for one, name in zip(both, ("own", "its"), strict=True)
        ),
        *(one.sum().over("session").alias(f"{name}_all") for one, name in zip(both, ("own", "its"), strict=True)),
    )
    share = pl.col("bars") / (pl.col("of_session") - pl.col("minutes"))
    amid = pl.all_horizontal(
        pl.col("own_before") > 0,
        pl.col("its_before") > 0,
        pl.col("own_before") < pl.col("own_all"),
        pl.col("its_before") < pl.col("its_all"),
    )
    found = marks.filter(pl.col("silent"), pl.col("minutes") >= least_silent_minutes, amid)
    return (
        found.with_columns(share.alias("traded_share"))
        .filter(pl.col("traded_share") >= least_traded_share)
        .select("session", "timestamp", pl.col("minutes").cast(pl.Int64), "traded_share")
    )
