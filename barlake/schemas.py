"""One Arrow schema per table: column, type, unit, may it be null.

`feed`, `symbol` and the period are in the path of a file, never inside it (Hive's rule).
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

__all__ = ["BARS", "BAR_VALUES", "REVISIONS", "TIMESTAMP", "empty_bars"]

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


def empty_bars() -> pl.DataFrame:
    """No rows, with the columns and types of `BARS`."""
    frame = pl.from_arrow(BARS.empty_table())
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - narrows polars' union type
    return frame
