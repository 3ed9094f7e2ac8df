"""Bars as line protocol: held against lines written by hand, and against a reader of the format's own rules."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from barlake.line_protocol import lines

OPENING = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
NAMES = {"feed": "sip", "symbol": "SPY", "session": OPENING.date(), "timestamp": OPENING, "ingested_at": OPENING}
VALUES = {"close": pl.Float64, "volume": pl.Int64, "trade_count": pl.Int64, "vwap": pl.Float64, "derived": pl.Boolean}


def bars(*rows: dict[str, Any]) -> pl.DataFrame:
    empty = dict.fromkeys(VALUES)
    return pl.DataFrame([NAMES | empty | row for row in rows], schema_overrides=VALUES)  # type: ignore[arg-type]


def rendered(*rows: dict[str, Any], measurement: str = "bars") -> list[str]:
    return lines(bars(*rows), measurement=measurement).to_list()


def test_a_bar_is_a_line_with_two_tags_its_values_and_nanoseconds() -> None:
    bar = {"close": 472.65, "volume": 51775, "trade_count": 517, "derived": True}
    assert rendered(bar) == [
        "bars,feed=sip,symbol=SPY close=472.65,volume=51775i,trade_count=517i,derived=true 1704205800000000000"
    ]


def test_what_is_missing_or_no_number_is_left_out() -> None:
    assert rendered(
        {"close": 1.0, "vwap": None}, {"close": math.nan, "volume": 0}, {"close": math.inf, "vwap": 2.0}
    ) == [
        "bars,feed=sip,symbol=SPY close=1.0 1704205800000000000",
        "bars,feed=sip,symbol=SPY volume=0i 1704205800000000000",
        "bars,feed=sip,symbol=SPY vwap=2.0 1704205800000000000",
    ]


def test_a_bar_without_any_value_has_no_line() -> None:
    assert rendered({}, {"close": math.nan}) == []


def test_marks_that_mean_something_are_escaped_in_names() -> None:
    (line,) = rendered({"symbol": "A=B,C D", "close": 1.0}, measurement="my bars,all")
    assert line == r"my\ bars\,all,feed=sip,symbol=A\=B\,C\ D close=1.0 1704205800000000000"


def test_a_float_keeps_its_point_and_an_integer_its_mark() -> None:
    (line,) = rendered({"close": 100.0, "volume": 100, "vwap": 1e-7})
    assert line.split(" ")[1] == "close=100.0,volume=100i,vwap=1e-7"


def test_an_instant_before_the_epoch_is_negative() -> None:
    (line,) = rendered({"timestamp": dt.datetime(1969, 12, 31, 23, 59, tzinfo=dt.UTC), "close": 1.0})
    assert line.endswith(" -60000000000")


# --- what is written can be read --------------------------------------------------------------------


def split_at(text: str, mark: str) -> list[str]:
    """Parts between unescaped marks."""
    return re.split(rf"(?<!\\){mark}", text)


def plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def read_value(text: str) -> object:
    if text in {"true", "false"}:
        return text == "true"
    return int(text[:-1]) if text.endswith("i") else float(text)


def read_line(line: str) -> dict[str, Any]:
    """A line by the rules of the format, written without looking at what writes it."""
    series, fields, stamp = split_at(line, " ")
    measurement, *tags = split_at(series, ",")
    found: dict[str, Any] = {"measurement": plain(measurement), "timestamp": int(stamp)}
    found |= {key: plain(value) for key, value in (split_at(tag, "=") for tag in tags)}
    return found | {key: read_value(value) for key, value in (field.split("=") for field in fields.split(","))}


words = st.text(alphabet="AZ09.^/=_-, ", min_size=1, max_size=12)
numbers = st.none() | st.floats()
counts = st.none() | st.integers(min_value=-(2**63), max_value=2**63 - 1)
stamps = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"feed": words, "symbol": words, "timestamp": stamps, "close": numbers, "volume": counts, "vwap": numbers}
        ),
        max_size=5,
    ),
    measurement=words.filter(lambda name: "=" not in name),
)
def test_every_line_reads_back_into_the_bar_it_came_from(rows: list[dict[str, Any]], measurement: str) -> None:
    read = [read_line(line) for line in rendered(*rows, measurement=measurement)] if rows else []
    wanted = []
    for row in rows:
        names = {"measurement": measurement, "feed": row["feed"], "symbol": row["symbol"]}
        since = row["timestamp"] - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        values = {
            name: row[name]
            for name in ("close", "volume", "vwap")
            if row[name] is not None and (name == "volume" or math.isfinite(row[name]))
        }
        if values:
            wanted.append(names | {"timestamp": since // dt.timedelta(microseconds=1) * 1000} | values)
    assert read == wanted
