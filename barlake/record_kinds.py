"""Daily bars, news and macro values: what a row of each is, and which rows are none. Pure.

What a source gives is a table with the columns said here; everything that may be missing may be left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from barlake import layout
from barlake.errors import InvalidInputError
from barlake.partitions import SCHEMAS
from barlake.schemas import empty_rows
from barlake.versions import CLOCKS

__all__ = ["DAILY_PREFERENCE", "KINDS", "RecordKind", "Rows", "as_rows", "dates", "empty_versions", "preferred"]

DAILY_PREFERENCE = ("alpaca", "massive", "alphavantage", "yahoo")
"""Whose daily bar is meant when no source is named and several have one; after these by name."""

_STAMP = pl.Datetime("us", "UTC")
_YEARS = (dt.datetime(1700, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC))
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class RecordKind:
    """One kind of record.

    Parameters
    ----------
    part
        The column whose values have files of their own; None where the months of `day` have.
    keys
        What a record is known by, with its source.
    """

    dataset: str
    part: str | None
    day: str
    keys: tuple[str, ...]

    @property
    def schema(self) -> pa.Schema:
        """Columns of a file."""
        return SCHEMAS[self.dataset]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a version as it is read."""
        return tuple(dict.fromkeys(("source", *self.keys, *self.schema.names)))


DAILY = RecordKind(layout.DAILY, "symbol", "session", ("symbol", "session"))
NEWS = RecordKind(layout.NEWS, None, "created_at", ("article_id",))
MACRO = RecordKind(layout.MACRO, "series", "date", ("series", "date"))

KINDS = {kind.dataset: kind for kind in (DAILY, NEWS, MACRO)}


@dataclass(frozen=True)
class Rows:
    """Rows that are records, with `published_at`, and rows that are none, as `quality.QUARANTINE_COLUMNS`."""

    good: pl.DataFrame
    bad: pl.DataFrame


def empty_versions(kind: RecordKind) -> pl.DataFrame:
    """No version, with the columns and types of what is read."""
    frame = empty_rows(kind.schema)
    texts = [pl.lit("").alias(name) for name in ("source", *kind.keys) if name not in frame.columns]
    return frame.with_columns(texts).select(kind.columns)


def as_rows(kind: RecordKind, frame: pl.DataFrame, *, published: pl.Expr | None = None) -> Rows:
    """A source's table in the types of its kind, with rows that break a hard rule told apart.

    Parameters
    ----------
    published
        Since when a row that does not say so may be known, from the other columns; None where each must say so.

    Raises
    ------
    InvalidInputError
        If a column is missing that must be there, or instants have no time zone.
    """
    renamed = frame.rename({"known_at": "published_at"}) if "known_at" in frame.columns else frame
    if kind.dataset == layout.NEWS:
        renamed = _with_symbols(_with_updates(renamed))
    typed = _typed(kind, renamed, needs_clock=published is None)
    if published is not None:
        typed = typed.with_columns(pl.coalesce("published_at", published).alias("published_at"))
    reasons = [pl.when(broken).then(pl.lit(reason)) for broken, reason in _rules(kind)]
    marked = typed.with_row_index("row_number").with_columns(pl.coalesce(reasons).alias("reason"))
    bad = marked.filter(pl.col("reason").is_not_null())
    text = [pl.col(name).cast(pl.String) for name in typed.columns]
    raw = pl.struct(text).struct.json_encode().alias("raw")
    return Rows(
        marked.filter(pl.col("reason").is_null()).drop("row_number", "reason"),
        bad.select(pl.col("row_number").cast(pl.Int64), "reason", raw),
    )


def _typed(kind: RecordKind, frame: pl.DataFrame, *, needs_clock: bool) -> pl.DataFrame:
    left_out = {"source", *CLOCKS[1:]}
    wanted = {name: type_ for name, type_ in empty_versions(kind).schema.items() if name not in left_out}
    optional = {field.name for field in kind.schema if field.nullable}
    if not needs_clock:
        optional.add("published_at")
    missing = [name for name in wanted if name not in frame.columns and name not in optional]
    if missing:
        said = ["known_at" if name == "published_at" else name for name in missing]
        raise InvalidInputError(
            f"rows of {kind.dataset} lack {', '.join(said)}: {', '.join(_needed(kind, needs_clock=needs_clock))} are "
            "needed, the rest may be left out."
        )
    for name, type_ in wanted.items():
        given = frame.schema.get(name)
        zoned = isinstance(given, pl.Datetime) and given.time_zone is not None
        if isinstance(type_, pl.Datetime) and given not in {None, pl.Null()} and not zoned:
            raise InvalidInputError(
                f"column {name.replace('published_at', 'known_at')} is {given}, without a time zone: give instants "
                "with a zone, such as 2024-01-02T21:00:00Z."
            )
    columns = [_value(name, frame.schema[name], type_) if name in frame.columns else pl.lit(None, type_).alias(name)
               for name, type_ in wanted.items()]  # fmt: skip
    return frame.select(columns)


def _needed(kind: RecordKind, *, needs_clock: bool) -> list[str]:
    required = [field.name for field in kind.schema if not field.nullable and field.name not in CLOCKS]
    part = [kind.part] if kind.part else []
    return [*part, *required, *(["known_at"] if needs_clock else [])]


def _value(name: str, given: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(wanted, pl.Datetime):
        return column.dt.convert_time_zone("UTC").cast(wanted) if given != pl.Null() else column.cast(wanted)
    if wanted == pl.Date():
        return dates(name, given)
    typed = column.cast(wanted, strict=False)
    return typed.fill_nan(None) if wanted.is_float() else typed


def dates(name: str, given: pl.DataType) -> pl.Expr:
    """A column as dates, also where it has text such as 2024-01-02; null where it has none."""
    column = pl.col(name)
    return column.str.to_date("%Y-%m-%d", strict=False) if given == pl.String() else column.cast(pl.Date, strict=False)


def _with_updates(frame: pl.DataFrame) -> pl.DataFrame:
    return frame if "updated_at" in frame.columns else frame.with_columns(pl.col("created_at").alias("updated_at"))


def _with_symbols(frame: pl.DataFrame) -> pl.DataFrame:
    """Symbols as one text, sorted: the order in which a source names them is no news."""
    if "symbols" not in frame.columns:
        return frame.with_columns(symbols=pl.lit(""))
    given = pl.col("symbols")
    if isinstance(frame.schema["symbols"], pl.List):
        return frame.with_columns(given.cast(pl.List(pl.String)).list.sort().list.join(" ").fill_null(""))
    return frame.with_columns(given.cast(pl.String).fill_null(""))


def _rules(kind: RecordKind) -> list[tuple[pl.Expr, str]]:
    """Where each hard rule is broken, and what that is called."""
    names = [*kind.keys, *(field.name for field in kind.schema if not field.nullable and field.name not in CLOCKS)]
    rules = [(pl.col(name).is_null(), f"{name} is missing or unreadable") for name in dict.fromkeys(names)]
    rules += [
        (pl.col("published_at").is_null(), "known_at is missing"),
        (~pl.col("published_at").is_between(*_YEARS, closed="left"), "known_at is outside the years 1700 to 2199"),
    ]
    if kind.dataset == layout.DAILY:
        rules += [(~pl.col(name).is_finite(), f"{name} is not a finite number") for name in _PRICES]
        rules += [(pl.col("high") < pl.col("low"), "high is below low"), (pl.col("volume") < 0, "volume is below 0")]
    if kind.dataset == layout.MACRO:
        rules.append((~pl.col("value").is_finite(), "value is not a finite number"))
    return rules


def preferred(daily: pl.DataFrame, preference: Sequence[str] = DAILY_PREFERENCE) -> pl.DataFrame:
    """Of daily bars of several sources one for each symbol and session, by symbol and session."""
    places = {name: place for place, name in enumerate(preference)}
    rank = pl.col("source").replace_strict(places, default=len(places), return_dtype=pl.Int64())
    ordered = daily.with_columns(rank.alias("rank")).sort("rank", "source")
    best = ordered.unique(["symbol", "session"], keep="first", maintain_order=True)
    return best.drop("rank").sort("symbol", "session")
