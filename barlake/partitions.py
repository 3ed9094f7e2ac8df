"""One partition: merge rows into it, make a file of it, read it back, hash its values."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from barlake import layout
from barlake.errors import FormatError
from barlake.keys import is_always_open
from barlake.schemas import BAR_VALUES, BARS, DAILY, MACRO, NEWS, REVISIONS, empty_rows
from barlake.sessions import XNYS_FEED, session_dates
from barlake.stores import Store

__all__ = [
    "SCHEMAS",
    "Merge",
    "as_arrow",
    "as_table",
    "collect",
    "content_hashes",
    "digests",
    "merge",
    "read_files",
    "reading_errors",
    "schema_of",
    "to_parquet",
]

SCHEMAS = {
    layout.BARS: BARS,
    layout.REVISIONS: REVISIONS,
    layout.DAILY: DAILY,
    layout.NEWS: NEWS,
    layout.MACRO: MACRO,
}
"""Columns of the files of each dataset; volumes of coins are fractions, see `schema_of`."""

ROW_GROUP_ROWS = 16_384
"""About one month of one symbol: a year file can skip to a few sessions."""

STEPPED_COLUMNS = ("timestamp", "volume", "trade_count")
"""Integers that are stored as differences, prices as a dictionary: a third fewer bytes, and quicker to write
and to read (docs/decisions/0007-encodings-of-bar-files.md)."""

_COINS = {
    dataset: schema.set(schema.get_field_index("volume"), pa.field("volume", pa.float64(), nullable=False))
    for dataset, schema in SCHEMAS.items()
    if dataset in layout.BAR_DATASETS
}

_HASH_DOMAIN = b"barlake session v1"


def schema_of(dataset: str, feed: str) -> pa.Schema:
    """Columns of the files of a dataset and feed: volume is whole shares, or coins where the market never closes."""
    return _COINS[dataset] if dataset in _COINS and is_always_open(feed) else SCHEMAS[dataset]


@dataclass(frozen=True)
class Merge:
    """What came of merging rows into a partition.

    Parameters
    ----------
    rows
        Everything the partition now holds, `BARS` columns, sorted by timestamp.
    superseded
        The old values of rows that changed, `BARS` columns.
    outranked
        Incoming rows that differ from a protected one and were not taken, `BARS` columns.
    settled
        Timestamps of incoming rows that the partition now holds with the values that came.
    inserted, unchanged
        Incoming rows that were new, and that were already held with the same values.
    """

    rows: pl.DataFrame
    superseded: pl.DataFrame
    outranked: pl.DataFrame
    settled: pl.Series
    inserted: int
    unchanged: int

    @property
    def changed(self) -> int:
        """Incoming rows whose minute was held with other values, which they replaced."""
        return self.superseded.height

    @property
    def is_noop(self) -> bool:
        """Whether the partition already held all of it."""
        return self.inserted == 0 and self.changed == 0


def merge(
    held: pl.DataFrame, incoming: pl.DataFrame, *, ingested_at: dt.datetime, protected: pl.Series | None = None
) -> Merge:
    """Rows held and rows incoming as one partition, keyed by timestamp.

    A row whose values are already held keeps its `ingested_at`, so merging the same rows again changes
    nothing. A row with other values wins over the held one, which is handed back in `superseded`.

    Parameters
    ----------
    held
        `BARS` columns, timestamps unique.
    incoming
        timestamp and `BAR_VALUES`, timestamps unique.
    protected
        Timestamps of held rows that these may not replace; such a row is handed back in `outranked`.
    """
    stamped = _as_bars(incoming.with_columns(ingested_at=pl.lit(ingested_at, dtype=pl.Datetime("us", "UTC"))))
    if held.is_empty():
        return Merge(
            stamped.sort("timestamp"), stamped.clear(), stamped.clear(), stamped["timestamp"], stamped.height, 0
        )
    kinds = _kinds(stamped, held, protected)

    def of(*names: str) -> pl.DataFrame:
        return kinds.filter(pl.col("kind").is_in(names)).select("timestamp")

    changed = of("changed")
    rows = pl.concat(
        [held.join(changed, on="timestamp", how="anti"), stamped.join(of("new", "changed"), on="timestamp", how="semi")]
    )
    return Merge(
        rows=rows.sort("timestamp"),
        superseded=held.join(changed, on="timestamp", how="semi").sort("timestamp"),
        outranked=stamped.join(of("outranked"), on="timestamp", how="semi").sort("timestamp"),
        settled=of("new", "changed", "same")["timestamp"],
        inserted=of("new").height,
        unchanged=of("same").height,
    )


def _kinds(stamped: pl.DataFrame, held: pl.DataFrame, protected: pl.Series | None) -> pl.DataFrame:
    """What each incoming row is beside the held ones: timestamp, kind."""
    pairs = stamped.join(held, on="timestamp", how="left", suffix="_held", maintain_order="left")
    is_held = pl.col("ingested_at_held").is_not_null()
    is_equal = pl.all_horizontal([pl.col(name).eq_missing(pl.col(f"{name}_held")) for name in BAR_VALUES])
    is_protected = pl.lit(value=False) if protected is None else pl.col("timestamp").is_in(protected.implode())
    kind = (
        pl.when(~is_held)
        .then(pl.lit("new"))
        .when(is_equal)
        .then(pl.lit("same"))
        .when(is_protected)
        .then(pl.lit("outranked"))
        .otherwise(pl.lit("changed"))
    )
    return pairs.select("timestamp", kind.alias("kind"))


def _as_bars(frame: pl.DataFrame) -> pl.DataFrame:
    types = {
        "timestamp": pl.Datetime("us", "UTC"),
        **dict.fromkeys(("open", "high", "low", "close", "vwap"), pl.Float64()),
        "volume": pl.Float64() if frame.schema["volume"].is_float() else pl.Int64(),
        "trade_count": pl.Int64(),
        "ingested_at": pl.Datetime("us", "UTC"),
    }
    return frame.select([pl.col(name).cast(types[name]) for name in BARS.names])


def content_hashes(rows: pl.DataFrame, feed: str = XNYS_FEED) -> pl.DataFrame:
    """One row per session of the feed: session, rows, first, last, content_hash.

    The hash covers the values a source states, in timestamp order, as little-endian integers and exact
    float bytes with the nulls marked. It does not cover `ingested_at` or the file layout: two lakes that
    hold the same bars have the same hashes.
    """
    if not rows["timestamp"].is_sorted():
        rows = rows.sort("timestamp")
    stamps = rows["timestamp"]
    sessions = session_dates(stamps, feed)
    begins = (
        np.flatnonzero(np.diff(sessions.to_physical().to_numpy(), prepend=-1)) if rows.height else np.array([], int)
    )
    ends = np.append(begins[1:], rows.height)[: begins.size]
    hashes = digests(rows, list(zip(begins.tolist(), ends.tolist(), strict=True)))
    return pl.DataFrame(
        {
            "session": sessions.gather(begins),
            "rows": pl.Series(ends - begins, dtype=pl.Int64()),
            "first": stamps.gather(begins),
            "last": stamps.gather(ends - 1),
            "content_hash": pl.Series(hashes, dtype=pl.String()),
        }
    )


def digests(rows: pl.DataFrame, ranges: Sequence[tuple[int, int]]) -> list[str]:
    """Hash of each half-open range of rows, as `content_hashes` says; the rows of one are of one session."""
    columns = _hashed_columns(rows)
    hashes = []
    for begin, end in ranges:
        digest = hashlib.sha256(_HASH_DOMAIN)
        for width, column in columns:
            digest.update(column[begin * width : end * width])
        hashes.append(digest.hexdigest())
    return hashes


def _hashed_columns(rows: pl.DataFrame) -> list[tuple[int, memoryview]]:
    """What a hash covers, in its order: timestamps, then for each value which are null, and the values.

    Each as the bytes that one row takes, and the bytes of all rows.
    """
    columns: list[npt.NDArray[Any]] = [rows["timestamp"].dt.epoch("us").to_numpy().astype("<i8", copy=False)]
    for name in BAR_VALUES:
        column = rows[name]
        if column.null_count():
            columns.append(column.is_null().to_numpy().astype(np.uint8))
            column = column.fill_null(0)
        else:
            columns.append(np.zeros(rows.height, dtype=np.uint8))
        values = column.to_numpy()
        # Adding 0 turns a negative zero into zero: equal values have equal bytes.
        columns.append(
            (values + 0.0).astype("<f8", copy=False) if column.dtype.is_float() else values.astype("<i8", copy=False)
        )
    return [(column.itemsize, np.ascontiguousarray(column).data.cast("B")) for column in columns]


def as_table(rows: pl.DataFrame, dataset: str, feed: str = XNYS_FEED) -> pa.Table:
    """Rows of a dataset and feed with the columns and types that its files have."""
    schema = schema_of(dataset, feed)
    return rows.select(schema.names).to_arrow().cast(schema)


def to_parquet(rows: pl.DataFrame | pa.Table, *, metadata: dict[str, str], dataset: str = layout.BARS) -> pa.Buffer:
    """Rows, or what `as_table` gives for them, as the bytes of one Parquet file, with words of ours in its footer."""
    table = rows if isinstance(rows, pa.Table) else as_table(rows, dataset)
    table = table.replace_schema_metadata({key.encode(): text.encode() for key, text in metadata.items()})
    whole = [one.name for one in table.schema if one.name in STEPPED_COLUMNS and not pa.types.is_floating(one.type)]
    stepped = dict.fromkeys(whole, "DELTA_BINARY_PACKED")
    repeated = [name for name in table.column_names if name not in stepped]
    stream = pa.BufferOutputStream()
    pq.write_table(
        table,
        stream,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        column_encoding=stepped,
        use_dictionary=repeated,
        write_page_checksum=True,
    )
    return stream.getvalue()


def read_files(
    store: Store,
    paths: Sequence[str],
    *,
    dataset: str = layout.BARS,
    feed: str = XNYS_FEED,
    labelled: bool = False,
) -> pl.LazyFrame:
    """Lazy rows of the named files, in the order of the paths; no files give no rows.

    Parameters
    ----------
    dataset, feed
        Of the columns, where there are no files.
    labelled
        With feed and symbol, read from the folders' names, so that a filter on them opens no file in vain.

    Raises
    ------
    FormatError
        If a file that counts is not there.
    """
    if paths:
        rows = store.scan(paths, keys=("feed", "symbol", "dt") if labelled else ())
        return rows.drop("dt") if labelled else rows
    empty = empty_rows(schema_of(dataset, feed)).lazy()
    return empty.with_columns(feed=pl.lit(""), symbol=pl.lit("")) if labelled else empty


def collect(rows: pl.LazyFrame) -> pl.DataFrame:
    """Lazy rows of counting files in memory.

    Raises
    ------
    FormatError
        If a file is not the Parquet file that was written.
    """
    with reading_errors():
        return rows.collect()


@contextlib.contextmanager
def reading_errors() -> Iterator[None]:
    """Turn what polars and Arrow say about a file they cannot read into a `FormatError` with the next step."""
    try:
        yield
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        raise FormatError(
            f"a file that the manifest counts cannot be read: {str(error).splitlines()[0]}. `barlake verify` names it, "
            "`barlake repair` keeps what is good of it and fetches the rest again."
        ) from error


def as_arrow(frame: pl.DataFrame) -> pa.Table:
    """The same rows as an Arrow table with plain (not view) string types."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
