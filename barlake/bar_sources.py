"""Which source delivered a bar: the one whose commit has the bar's `ingested_at` for its moment.

The manifest's commits say it while it lives. So that a lost manifest loses nothing, each file says it of its own
rows: since which moment they came from whom, one line for each change of the source.
"""

from __future__ import annotations

import datetime as dt

import polars as pl
from sqlalchemy import insert, or_, select

from barlake import tables
from barlake.database import reading, writing
from barlake.errors import InvalidInputError
from barlake.keys import PartitionKey
from barlake.layout import BARS
from barlake.manifest import Manifest
from barlake.records import new_commit_id

__all__ = ["Delivered", "line_of", "moments_of", "sources_of", "told_by", "who_delivered", "with_source"]

_STAMP = pl.Datetime("us", "UTC")
_SCHEMA = {"symbol": pl.String(), "moment": _STAMP, "source": pl.String()}
_LEAST, _MOST = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)

Own = tuple[dt.datetime, str]
"""Moment and source of a commit that is being made."""


def sources_of(
    manifest: Manifest, feed: str, symbol: str | None = None, *, first: dt.datetime = _LEAST, last: dt.datetime = _MOST
) -> pl.DataFrame:
    """Symbol (null: of several), moment and source of the commits of a feed, or of one symbol, in [first, last]."""
    table = tables.commits
    query = select(table.c.symbol, table.c.moment, table.c.source).where(
        table.c.feed == feed, table.c.dataset == BARS, table.c.moment >= first, table.c.moment <= last
    )
    if symbol is not None:
        query = query.where(or_(table.c.symbol == symbol, table.c.symbol.is_(None)))
    with reading(manifest.engine) as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def who_delivered(manifest: Manifest, key: PartitionKey, ingested_at: pl.Series, own: Own | None = None) -> str:
    """What a file of these rows says of their sources; see `moments_of`.

    Parameters
    ----------
    ingested_at
        Of the rows.
    own
        The commit that is being made, which the manifest does not know yet.
    """
    moments = ingested_at.unique().sort()
    if own is not None and moments.len() == 1 and moments[0] == own[0]:
        return line_of(*own)
    known = sources_of(manifest, key.feed, key.symbol, first=moments[0], last=moments[-1])
    if own is not None:
        known = pl.concat([known, pl.DataFrame([(key.symbol, *own)], schema=_SCHEMA, orient="row")])
    return told_by(moments, known, key.symbol)


def told_by(moments: pl.Series, known: pl.DataFrame, symbol: str) -> str:
    """The lines of a file, of moments in their order and what `sources_of` gives."""
    found = _attributed(moments.alias("moment").to_frame(), known, symbol)
    changes = found.filter(pl.col("source").ne_missing(pl.col("source").shift(1)) | (pl.int_range(pl.len()) == 0))
    return "\n".join(line_of(moment, source or "") for moment, source in changes.iter_rows())


def line_of(moment: dt.datetime, source: str) -> str:
    """What a file says of rows that all came from one source."""
    return f"{moment.isoformat()} {source}"


def moments_of(ingested_at: pl.Series, text: str) -> pl.DataFrame:
    """Moment and source of the rows of a file, by what it says of them; those it says nothing of are left out."""
    since = [line.split(" ", 1) for line in text.splitlines()]
    runs = pl.DataFrame(
        {"since": [dt.datetime.fromisoformat(stamp) for stamp, _ in since], "source": [source for _, source in since]},
        schema={"since": _STAMP, "source": pl.String()},
    )
    moments = ingested_at.unique().sort().alias("moment").to_frame()
    found = moments.join_asof(runs, left_on="moment", right_on="since", strategy="backward").select("moment", "source")
    return found.filter(pl.col("source").is_not_null() & (pl.col("source") != ""))


def with_source(rows: pl.LazyFrame, manifest: Manifest, *, feed: str, symbol: str) -> pl.LazyFrame:
    """The same bars of one symbol with `source`: who delivered each; null where nobody knows any more.

    Raises
    ------
    InvalidInputError
        If they are longer than the bars that are stored.
    """
    if "ingested_at" not in rows.collect_schema().names():
        raise InvalidInputError("with_source tells who delivered a minute bar: longer bars may be made of several.")
    known = _each_once(sources_of(manifest, feed, symbol), symbol).lazy()
    return rows.join(known, left_on="ingested_at", right_on="moment", how="left", maintain_order="left")


def _attributed(moments: pl.DataFrame, known: pl.DataFrame, symbol: str) -> pl.DataFrame:
    return moments.join(_each_once(known, symbol), on="moment", how="left", maintain_order="left")


def _each_once(known: pl.DataFrame, symbol: str) -> pl.DataFrame:
    """Moment and source: what is said of the symbol goes before what is said of several."""
    concerned = known.filter((pl.col("symbol") == symbol) | pl.col("symbol").is_null())
    ordered = concerned.sort("symbol", nulls_last=True)
    return ordered.unique("moment", keep="first", maintain_order=True).select("moment", "source")


class Delivered:
    """Who delivered what, gathered file by file where the manifest's own commits are lost."""

    def __init__(self) -> None:
        self._by_moment: dict[tuple[str, dt.datetime], dict[str, str]] = {}

    def add(self, feed: str, symbol: str, moments: pl.DataFrame) -> None:
        """Take what `moments_of` gives for a file."""
        for moment, source in moments.iter_rows():
            self._by_moment.setdefault((feed, moment), {})[symbol] = source

    def put(self, manifest: Manifest) -> None:
        """Make commits of it, of nothing but their moments and sources."""
        rows = []
        for (feed, moment), by_symbol in sorted(self._by_moment.items()):
            together = len(by_symbol) > 1 and len(set(by_symbol.values())) == 1
            for symbol, source in [(None, next(iter(by_symbol.values())))] if together else by_symbol.items():
                own = {"commit_id": new_commit_id(moment), "committed_at": moment, "moment": moment, "dataset": BARS}
                rows.append(own | {"feed": feed, "symbol": symbol, "source": source})
        if rows:
            with writing(manifest.engine) as connection:
                connection.execute(insert(tables.commits), rows)
