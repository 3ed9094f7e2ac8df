"""Versions of records: what a source said of one day, article or observation, and since when that may be known. Pure.

Three instants belong to a version. `published_at` is since when its source says that it may be known, and orders
the versions of one record. `known_at` is the first instant it may be used: the same, except where a source
changed what it had said for that very instant; such a version may be used only since the lake held it.
`ingested_at` is when the lake first held it. No version is ever changed or taken away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from barlake.errors import InvalidInputError, LookAheadError

__all__ = ["CLOCKS", "Merged", "join_known", "merge_versions", "newest"]

CLOCKS = ("published_at", "known_at", "ingested_at")
_STAMP = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Merged:
    """Versions that are new, and how many rows were of records not held before, held so already, or changed."""

    new: pl.DataFrame
    inserted: int
    unchanged: int
    changed: int


def merge_versions(held: pl.DataFrame, incoming: pl.DataFrame, *, keys: Sequence[str], moment: dt.datetime) -> Merged:
    """What of some rows is not held yet, as versions.

    Parameters
    ----------
    held
        Every version held of these records: keys, values, `CLOCKS`.
    incoming
        Keys, values, published_at. Of two rows for one record and `published_at` the last one counts.
    moment
        Becomes `ingested_at`.
    """
    stated = [*keys, "published_at"]
    values = [name for name in incoming.columns if name not in stated]
    rows = incoming.unique(stated, keep="last", maintain_order=True)
    standing = held.sort("ingested_at").unique(stated, keep="last").select(*stated, *values, "ingested_at")
    pairs = rows.join(standing, on=stated, how="left", suffix="_held", maintain_order="left")
    is_held = pl.col("ingested_at").is_not_null()
    is_same = is_held & pl.all_horizontal([pl.col(name).eq_missing(pl.col(f"{name}_held")) for name in values])
    now = pl.lit(moment, dtype=_STAMP)
    known = pl.when(is_held).then(pl.max_horizontal("published_at", now)).otherwise("published_at")
    new = pairs.filter(~is_same).with_columns(known.alias("known_at"), now.alias("ingested_at"))
    first = new.join(held, on=list(keys), how="anti").height
    return Merged(new.select(held.columns), first, rows.height - new.height, new.height - first)


def newest(versions: pl.DataFrame, *, keys: Sequence[str], known_by: dt.datetime | None = None) -> pl.DataFrame:
    """The version of each record that stands, by key: the one published last, and of those the one stored last.

    Parameters
    ----------
    known_by
        An instant of market time: as if nothing were known that became known later. None leaves nothing out.
    """
    if known_by is not None:
        versions = versions.filter(pl.col("known_at") <= known_by)
    ordered = versions.sort("published_at", "ingested_at")
    return ordered.unique(list(keys), keep="last", maintain_order=True).sort(keys)


def join_known(frame: pl.DataFrame, versions: pl.DataFrame, *, name: str) -> pl.DataFrame:
    """The same rows with a column more: the value of the newest observation that was known by each row's `known_at`.

    Parameters
    ----------
    frame
        Rows with `known_at` (aware): the first instant each of them may be used.
    versions
        Every version of one series of one source: `date`, `value`, `CLOCKS`. Those without a value are passed over.
    name
        Of the new column.

    Raises
    ------
    InvalidInputError
        If the frame lacks `known_at`, or has that column already.
    LookAheadError
        If a row has no `known_at`: nothing may be known by then.
    """
    if "known_at" not in frame.columns or name in frame.columns:
        fault = f"has a column {name!r} already" if name in frame.columns else "lacks the column known_at"
        raise InvalidInputError(
            f"the frame {fault}: give rows with the instant each of them may first be used, and no column of that name."
        )
    kind = frame.schema["known_at"]
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        raise InvalidInputError(f"column known_at is {kind}, without a time zone: give aware instants, such as UTC.")
    if frame["known_at"].null_count():
        raise LookAheadError("a row has no known_at: what was known by then cannot be said. Leave such rows out.")
    known = _steps(versions).rename({"value": name})
    at = pl.col("known_at").dt.cast_time_unit("us").dt.convert_time_zone("UTC")
    rows = frame.with_row_index("__row").with_columns(at.alias("__known")).sort("__known")
    found = rows.join_asof(known, left_on="__known", right_on="known_at", strategy="backward", coalesce=True)
    return found.sort("__row").select(*frame.columns, name)


def _steps(versions: pl.DataFrame) -> pl.DataFrame:
    """Since when which value was the newest one known: known_at, value; by known_at, which is unique.

    A revision of an observation that is no longer the newest changes nothing.
    """
    stated = versions.filter(pl.col("value").is_not_null())
    order = pl.struct("date", "published_at", "ingested_at").rank("ordinal")
    steps = stated.with_columns(order.alias("order")).sort("known_at", "order")
    steps = steps.filter(pl.col("order") == pl.col("order").cum_max())
    return steps.unique("known_at", keep="last", maintain_order=True).select("known_at", "value")
