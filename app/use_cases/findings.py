"""What the checks have found in the bars held now, as on record: nothing is checked anew, and nothing is written."""

from __future__ import annotations

import hashlib
import re

import polars as pl

from barlake.checks import CheckName, Severity
from barlake.errors import ConflictError, InvalidInputError
from barlake.inspection import current_findings
from barlake.keys import parse_feed, parse_member, parse_symbol
from barlake.lake import Lake
from barlake.ranges import Boundary, time_range

__all__ = ["findings_by_check", "findings_on_record", "findings_page"]

_CURSOR = re.compile(r"([0-9]{1,9})-([0-9a-f]{16})")


def findings_on_record(
    lake: Lake,
    *,
    symbol: str | None = None,
    feed: str | None = None,
    check: str | None = None,
    severity: str | None = None,
    start: Boundary = None,
    end: Boundary = None,
) -> pl.DataFrame:
    """Findings that fit, with the columns of `barlake.checks.FINDINGS`, by feed, symbol, session and timestamp.

    Sessions that came or changed since the last `barlake quality` are not told of before the next one.

    Raises
    ------
    InvalidInputError
        If a value is none of its set, or the range cannot be read.
    """
    found = current_findings(lake.manifest, time_range(start, end))
    wanted = {
        "symbol": None if symbol is None else parse_symbol(symbol),
        "feed": None if feed is None else parse_feed(feed),
        "check_name": None if check is None else str(parse_member(CheckName, "check", check)),
        "severity": None if severity is None else str(parse_member(Severity, "severity", severity)),
    }
    return found.filter(pl.col(name) == value for name, value in wanted.items() if value is not None)


def findings_by_check(findings: pl.DataFrame) -> pl.DataFrame:
    """feed, symbol, check_name, severity, findings, sessions: how many of each, most first."""
    keys = ["feed", "symbol", "check_name", "severity"]
    counted = findings.group_by(keys).agg(
        pl.len().alias("findings").cast(pl.Int64), pl.col("session").n_unique().alias("sessions").cast(pl.Int64)
    )
    return counted.sort("findings", *keys, descending=[True, False, False, False, False])


def findings_page(findings: pl.DataFrame, *, limit: int, cursor: str | None = None) -> tuple[pl.DataFrame, str | None]:
    """Some of the findings, and where their next page begins; None after the last.

    Raises
    ------
    InvalidInputError
        If the cursor is none.
    ConflictError
        If other findings were on record when the page before was made.
    """
    begin = 0
    # `hash_rows` would be another in another release, while a client holds the cursor.
    digest = hashlib.sha256(findings.write_csv().encode()).hexdigest()[:16]
    if cursor is not None:
        shape = _CURSOR.fullmatch(cursor)
        if shape is None:
            raise InvalidInputError(f"cursor {cursor!r} is none: take next_cursor of the page before, or leave it out.")
        if shape[2] != digest:
            raise ConflictError("the findings have changed since the page before: begin again without a cursor.")
        begin = int(shape[1])
    end = begin + limit
    return findings.slice(begin, limit), f"{end}-{digest}" if end < findings.height else None
