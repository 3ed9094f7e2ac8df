"""A page of bars read straight from its bytes into a table, for pages without anything odd in them.

Python objects for 10,000 rows cost more than everything else that happens to a page, so Arrow's JSON reader makes the
columns. It is strict about types (text is no number, `100.0` is no count), and whatever it or the checks here do not
like is left to `pages.py` and `normalize.py`, which judge row by row. Pure.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pyarrow.json as pj

from ingest_service.normalize import NAMES
from ingest_service.pages import BarsPage, PageRequest

__all__ = ["read_table"]

_COUNTS = ("v", "n")
_OPTIONAL = {"trade_count", "vwap"}
_BAR = pa.struct(
    [(key, pa.string() if key == "t" else pa.int64() if key in _COUNTS else pa.float64()) for key in NAMES]
)
_STAMP_LENGTH = len("2024-01-02T14:30:00Z")
_STAMP_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def read_table(content: bytes, request: PageRequest) -> BarsPage | None:
    """Page of an answer's bytes, its rows in the lake's types; None where rows must be looked at one by one."""
    schema = pa.schema([("bars", pa.struct([(request.symbol, pa.list_(_BAR))])), ("next_page_token", pa.string())])
    try:
        page = pj.read_json(
            pa.BufferReader(content),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(content) + 1),
            parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
            memory_pool=pa.system_memory_pool(),  # Arrow's own keeps what it was given for long
        )
    except pa.ArrowInvalid:
        return None
    if page.num_rows != 1 or page["bars"].type.num_fields != 1:
        return None  # several objects, or symbols nobody asked for
    token = page["next_page_token"][0].as_py()
    bars = page["bars"].chunk(0).field(0)
    if token == "" or not bars.is_valid().to_pylist()[0]:
        return None
    rows = bars.flatten()
    if rows.null_count or not len(rows):
        return None
    frame = pl.from_arrow(pa.Table.from_arrays([rows.field(key) for key in NAMES], names=list(NAMES.values())))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - narrows polars' union type
    frame = _stamped(frame)
    return BarsPage(frame, token) if _is_plain(frame, request) else None


def _stamped(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with instants; null where the text is not of the plain form."""
    text = pl.col("timestamp")
    instant = text.str.to_datetime(_STAMP_FORMAT, time_unit="us", strict=False).dt.replace_time_zone("UTC")
    return frame.with_columns(pl.when(text.str.len_bytes() == _STAMP_LENGTH).then(instant).alias("timestamp"))


def _is_plain(frame: pl.DataFrame, request: PageRequest) -> bool:
    """Whether every row has all it needs and lies in the window."""
    if any(frame[name].null_count() for name in frame.columns if name not in _OPTIONAL):
        return False
    inside = pl.col("timestamp").is_between(request.start, request.end, closed="left")
    return bool(frame.select(inside.all()).item())
