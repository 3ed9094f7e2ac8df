"""Which rows are bars at all. Pure: frames in, frames out.

A row that breaks a hard rule cannot be stored without inventing something, so it goes to quarantine
with its reason. An open, close or vwap outside [low, high] is kept: consolidated feeds do that, because
some trades count for volume and not for the range.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl

from barlake.schemas import BAR_VALUES

__all__ = ["QUARANTINE_COLUMNS", "RowCheck", "check_rows", "check_symbols"]

QUARANTINE_COLUMNS = ("row_number", "reason", "raw")
_PRICES = ("open", "high", "low", "close")
_MINUTE_US = 60_000_000
_YEARS = (dt.datetime(1900, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC))
"""A stamp outside was read in a wrong unit."""


@dataclass(frozen=True)
class RowCheck:
    """Rows that are bars, rows that are not, and how many rows said the same thing twice.

    Parameters
    ----------
    good
        Sorted by timestamp, timestamps unique, the columns that came in less `row_number`.
    bad
        row_number (0-based in what was given), reason, raw (the row as JSON).
    duplicates
        Rows equal to another in every value; one of each is in `good`.
    """

    good: pl.DataFrame
    bad: pl.DataFrame
    duplicates: int


def _rules() -> list[tuple[pl.Expr, str]]:
    """Where each hard rule is broken, and what that is called."""
    stamp, volume = pl.col("timestamp"), pl.col("volume")
    return [
        (stamp.is_null(), "timestamp is missing or unreadable"),
        (~stamp.is_between(*_YEARS, closed="left"), "timestamp is outside the years 1900 to 2199"),
        (stamp.dt.epoch("us") % _MINUTE_US != 0, "timestamp is not on a whole minute"),
        *(rule for name in _PRICES for rule in _price_rules(name)),
        (pl.col("high") < pl.col("low"), "high is below low"),
        (volume.is_null(), "volume is missing or not a whole number"),
        (volume < 0, "volume is below 0"),
    ]


def _reason() -> pl.Expr:
    """First broken rule of each row, or null."""
    return pl.coalesce([pl.when(broken).then(pl.lit(reason)) for broken, reason in _rules()])


def _is_spotless(frame: pl.DataFrame) -> bool:
    """Whether every row is a bar and each is later than the one before, as most tables are."""
    if frame["timestamp"].null_count() or not (frame["timestamp"].diff().drop_nulls() > dt.timedelta(0)).all():
        return False
    return not frame.select(pl.any_horizontal([broken for broken, _ in _rules()]).any()).item()


def _price_rules(name: str) -> list[tuple[pl.Expr, str]]:
    price = pl.col(name)
    return [
        (price.is_null(), f"{name} is missing or not a number"),
        (~price.is_finite(), f"{name} is not a finite number"),
        (price <= 0, f"{name} is not above 0"),
    ]


def check_rows(frame: pl.DataFrame) -> RowCheck:
    """Split a table of would-be bars by the hard rules.

    Parameters
    ----------
    frame
        The columns of a bar in their types (timestamp UTC), nulls where a value could not be read, in
        the source's order. An optional `row_number` names the source's rows, an optional `raw` their
        text; both are made up from position and values where missing.

    Notes
    -----
    Of rows on one minute with different values the first is kept and the others are bad: nothing says
    which is right, and the reason names the row that was kept.
    """
    if _is_spotless(frame):
        good = frame.drop("row_number", "raw", strict=False)
        return RowCheck(good, _as_quarantine(frame.clear().with_columns(row_number=0, reason=pl.lit(""))), duplicates=0)
    if "row_number" not in frame.columns:
        frame = frame.with_row_index("row_number")
    frame = frame.with_columns(pl.col("row_number").cast(pl.Int64), _reason().alias("reason"))
    passed = frame.filter(pl.col("reason").is_null()).drop("reason")
    values = [name for name in ("timestamp", *BAR_VALUES) if name in frame.columns]
    unique = passed.unique(values, keep="first", maintain_order=True)
    kept = pl.col("row_number").first().over("timestamp")
    unique = unique.with_columns(kept.alias("kept"))
    conflicting = unique.filter(pl.col("kept") != pl.col("row_number")).with_columns(
        pl.format("duplicate minute with values other than row {}", "kept").alias("reason")
    )
    good = unique.filter(pl.col("kept") == pl.col("row_number")).drop("kept", "row_number", "raw", strict=False)
    bad = pl.concat([_as_quarantine(frame.filter(pl.col("reason").is_not_null())), _as_quarantine(conflicting)])
    return RowCheck(good.sort("timestamp"), bad.sort("row_number"), duplicates=passed.height - unique.height)


def check_symbols(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, pl.DataFrame], int]:
    """The bars of many symbols, by symbol what is none (as `RowCheck.bad`), and how many rows came twice.

    Parameters
    ----------
    frame
        As for `check_rows`, with `symbol`, which says whose row it is.
    """
    is_broken = pl.any_horizontal([broken for broken, _ in _rules()]).fill_null(value=False)
    is_twice = pl.struct("symbol", "timestamp").is_duplicated()
    doubtful = frame.filter(is_broken | pl.col("timestamp").is_null() | is_twice)["symbol"].unique().sort().to_list()
    if not doubtful:
        return frame.drop("row_number", "raw", strict=False), {}, 0
    checks = {symbol: check_rows(frame.filter(symbol=symbol)) for symbol in doubtful}
    rest = frame.filter(~pl.col("symbol").is_in(doubtful)).drop("row_number", "raw", strict=False)
    good = pl.concat([rest, *(check.good.select(rest.columns) for check in checks.values())])
    bad = {symbol: check.bad for symbol, check in checks.items() if not check.bad.is_empty()}
    return good, bad, sum(check.duplicates for check in checks.values())


def _as_quarantine(rows: pl.DataFrame) -> pl.DataFrame:
    if "raw" not in rows.columns:
        values = [name for name in ("timestamp", *BAR_VALUES) if name in rows.columns]
        text = [pl.col(name).cast(pl.String).alias(name) for name in values]
        rows = rows.with_columns(pl.struct(text).struct.json_encode().alias("raw"))
    return rows.select(pl.col("row_number").cast(pl.Int64), "reason", pl.col("raw").cast(pl.String))
