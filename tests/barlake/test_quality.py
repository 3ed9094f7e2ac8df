"""Which rows are bars: the hard rules, duplicates, and a plain model that agrees."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.quality import QUARANTINE_COLUMNS, check_rows

pytestmark = pytest.mark.both_databases

START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
SCHEMA = {
    "timestamp": pl.Datetime("us", "UTC"),
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Int64,
    "trade_count": pl.Int64,
    "vwap": pl.Float64,
}
GOOD = (START, 10.0, 11.0, 9.0, 10.5, 100, 7, 10.2)


def a_row(**changed: Any) -> tuple[Any, ...]:
    return tuple(changed.get(name, value) for name, value in zip(SCHEMA, GOOD, strict=True))


def a_table(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def minute(number: int) -> dt.datetime:
    return START + dt.timedelta(minutes=number)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"timestamp": None}, "timestamp is missing or unreadable"),
        ({"timestamp": START.replace(second=30)}, "timestamp is not on a whole minute"),
        ({"timestamp": START.replace(microsecond=1)}, "timestamp is not on a whole minute"),
        (
            {"timestamp": dt.datetime(1899, 12, 31, 23, 59, tzinfo=dt.UTC)},
            "timestamp is outside the years 1900 to 2199",
        ),
        ({"timestamp": dt.datetime(2200, 1, 1, tzinfo=dt.UTC)}, "timestamp is outside the years 1900 to 2199"),
        ({"open": None}, "open is missing or not a number"),
        ({"close": math.nan}, "close is not a finite number"),
        ({"high": math.inf}, "high is not a finite number"),
        ({"low": -math.inf}, "low is not a finite number"),
        ({"low": -9.0}, "low is not above 0"),
        ({"open": 0.0}, "open is not above 0"),
        ({"high": 8.0}, "high is below low"),
        ({"volume": None}, "volume is missing or not a whole number"),
        ({"volume": -1}, "volume is below 0"),
    ],
)
def test_a_row_that_breaks_a_rule_is_put_aside_with_the_reason(changed: dict[str, Any], reason: str) -> None:
    check = check_rows(
        a_table(a_row(), a_row(timestamp=minute(1), **changed) if "timestamp" not in changed else a_row(**changed))
    )
    assert check.good["timestamp"].to_list() == [START]
    assert check.bad.columns == list(QUARANTINE_COLUMNS)
    assert check.bad.select("row_number", "reason").rows() == [(1, reason)]


@pytest.mark.parametrize(
    "changed",
    [
        {"vwap": 99.0},
        {"vwap": None},
        {"trade_count": None},
        {"trade_count": 0},
        {"volume": 0},
        {"close": 11.5},
        {"open": 8.5},
        {"high": 9.0, "low": 9.0},
    ],
)
def test_what_real_feeds_do_is_kept(changed: dict[str, Any]) -> None:
    check = check_rows(a_table(a_row(**changed)))
    assert check.good.rows() == [a_row(**changed)]
    assert check.bad.is_empty()


def test_the_same_row_twice_is_one_row_and_one_duplicate() -> None:
    check = check_rows(a_table(a_row(), a_row(timestamp=minute(1)), a_row()))
    assert (check.good.height, check.bad.height, check.duplicates) == (2, 0, 1)


def test_of_two_values_for_one_minute_the_first_is_kept_and_the_other_names_it() -> None:
    check = check_rows(a_table(a_row(timestamp=minute(1)), a_row(), a_row(close=9.5), a_row(vwap=None)))
    assert check.good.rows() == [a_row(), a_row(timestamp=minute(1))]
    reason = "duplicate minute with values other than row 1"
    assert check.bad.select("row_number", "reason").rows() == [(2, reason), (3, reason)]


def test_a_bad_row_does_not_stand_in_the_way_of_a_good_one_for_its_minute() -> None:
    check = check_rows(a_table(a_row(volume=-1), a_row()))
    assert check.good.rows() == [a_row()]
    assert check.bad["row_number"].to_list() == [0]


def test_the_row_as_it_was_can_be_read_from_the_quarantine() -> None:
    raw = json.loads(check_rows(a_table(a_row(high=1.0, trade_count=None))).bad.item(0, "raw"))
    assert float(raw["high"]) == 1.0
    assert raw["trade_count"] is None
    assert raw["timestamp"].startswith("2024-01-02 14:30:00")


def test_row_numbers_and_texts_of_the_source_are_kept() -> None:
    table = a_table(a_row(high=1.0)).with_columns(row_number=pl.lit(41), raw=pl.lit("as it stood"))
    check = check_rows(table)
    assert check.bad.rows() == [(41, "high is below low", "as it stood")]
    assert check_rows(a_table(a_row()).with_columns(row_number=pl.lit(3), raw=pl.lit(""))).good.columns == list(SCHEMA)


def test_no_rows_are_no_bars_and_no_faults() -> None:
    check = check_rows(a_table())
    assert (check.good.height, check.bad.height, check.duplicates) == (0, 0, 0)


PRICES = st.sampled_from([9.0, 10.0, 11.0, 0.0, -1.0, math.nan, math.inf, None])
ROWS = st.tuples(
    st.sampled_from([None, minute(0), minute(1), minute(2), minute(0).replace(second=1)]),
    PRICES, PRICES, PRICES, PRICES,
    st.sampled_from([0, 1, -1, None]),
    st.sampled_from([None, 1]),
    st.sampled_from([None, 10.0]),
)  # fmt: skip


def is_bar(row: tuple[Any, ...]) -> bool:
    stamp, *prices, volume, _, _ = row
    return (
        stamp is not None
        and stamp.second == 0
        and all(price is not None and math.isfinite(price) and price > 0 for price in prices)
        and prices[1] >= prices[2]
        and volume is not None
        and volume >= 0
    )


@given(st.lists(ROWS, max_size=30))
def test_a_plain_model_keeps_the_same_rows(rows: list[tuple[Any, ...]]) -> None:
    kept: dict[dt.datetime, tuple[Any, ...]] = {}
    conflicts: set[tuple[Any, ...]] = set()
    bad, duplicates = [], 0
    for number, row in enumerate(rows):
        if not is_bar(row):
            bad.append(number)
        elif row in conflicts or kept.get(row[0]) == row:
            duplicates += 1
        elif row[0] in kept:
            conflicts.add(row)
            bad.append(number)
        else:
            kept[row[0]] = row
    check = check_rows(a_table(*rows))
    assert check.good.rows() == [kept[stamp] for stamp in sorted(kept)]
    assert check.bad["row_number"].to_list() == bad
    assert check.duplicates == duplicates
