"""One Arrow schema per table: column, type, unit, may it be null.

`feed`, `symbol` and the period are in the path of a file, never inside it (Hive's rule).
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

__all__ = ["BARS", "BAR_VALUES", "DAILY", "MACRO", "NEWS", "REVISIONS", "TIMESTAMP", "empty_rows"]

TIMESTAMP = pa.timestamp("us", tz="UTC")
"""Opening instant of a bar: microseconds, UTC. The one unit that DuckDB, polars and Arrow share without casts."""

BARS = pa.schema(
    [
        pa.field("timestamp", TIMESTAMP, nullable=False),
        pa.field("open", pa.float64(), nullable=False),  # dollars, raw
        pa.field("high", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("close", pa.float64(), nullable=False),
        pa.field("volume", pa.int64(), nullable=False),  # shares
        pa.field("trade_count", pa.int64(), nullable=True),
        pa.field("vwap", pa.float64(), nullable=True),  # dollars; may lie outside [low, high]
        pa.field("ingested_at", TIMESTAMP, nullable=False),  # when the lake first held this row
    ]
)
"""A bar as a file holds it; sorted by timestamp, timestamps unique."""

BAR_VALUES = ("open", "high", "low", "close", "volume", "trade_count", "vwap")
"""The columns a source states; two bars are equal when these are."""

REVISIONS = BARS.append(pa.field("superseded_at", TIMESTAMP, nullable=False))
"""A bar that a later answer replaced, with the values it had until `superseded_at`."""


_KNOWN = [
    pa.field("published_at", TIMESTAMP, nullable=False),  # since when its source says a row may be known
    pa.field("known_at", TIMESTAMP, nullable=False),  # first instant a row may be used
    pa.field("ingested_at", TIMESTAMP, nullable=False),  # when the lake first held this row
]
"""The clocks of a version of a record; what they mean is said in `versions`."""

DAILY = pa.schema(
    [
        pa.field("session", pa.date32(), nullable=False),
        pa.field("open", pa.float64(), nullable=False),  # dollars, as the source states them
        pa.field("high", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("close", pa.float64(), nullable=False),
        pa.field("volume", pa.float64(), nullable=True),  # shares or coins; an index has none
        pa.field("trade_count", pa.int64(), nullable=True),
        pa.field("vwap", pa.float64(), nullable=True),
        *_KNOWN,
    ]
)
"""One version of a daily bar of one source and symbol."""

NEWS = pa.schema(
    [
        pa.field("article_id", pa.string(), nullable=False),  # the source's own name of it
        pa.field("created_at", TIMESTAMP, nullable=False),
        pa.field("updated_at", TIMESTAMP, nullable=False),
        pa.field("headline", pa.string(), nullable=False),
        pa.field("summary", pa.string(), nullable=True),
        pa.field("content", pa.string(), nullable=True),
        pa.field("author", pa.string(), nullable=True),
        pa.field("url", pa.string(), nullable=True),
        pa.field("symbols", pa.string(), nullable=False),  # with one space between two; may be empty
        *_KNOWN,
    ]
)
"""One version of an article of one source."""

MACRO = pa.schema(
    [
        pa.field("date", pa.date32(), nullable=False),  # of the observation: the first of its month, quarter, year
        pa.field("value", pa.float64(), nullable=True),  # in the unit of the series; null: the source has none
        *_KNOWN,
    ]
)
"""One version of one observation of a series of one source."""


def empty_rows(schema: pa.Schema) -> pl.DataFrame:
    """No rows, with the columns and types of a schema."""
    frame = pl.from_arrow(pa.Table.from_batches([], schema))  # `empty_table` would import pandas
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - narrows polars' union type
    return frame
