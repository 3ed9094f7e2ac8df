from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.schemas import BARS
from ingest_service.normalize import normalize_bars

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "alpaca_json"
MOMENT = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)


def bar(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "t": "2024-01-02T14:30:00Z",
        "o": 10.5,
        "h": 11.0,
        "l": 10.0,
        "c": 10.75,
        "v": 1200,
        "n": 31,
        "vw": 10.6543,
    }
    return row | changes


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in bar().items() if key not in keys}


@pytest.mark.parametrize("rows", [[], [bar()], [bar(), {"t": "?"}]], ids=["empty", "good", "one bad"])
def test_columns_and_types_are_the_lake_s_whatever_the_page_holds(rows: list[Any]) -> None:
    expected = pl.from_arrow(BARS.empty_table())
    assert isinstance(expected, pl.DataFrame)
    assert normalize_bars(rows).good.schema == expected.drop("ingested_at").schema
    assert normalize_bars(rows).bad.schema == {
        "row_number": pl.Int64,
        "reason": pl.String,
        "raw": pl.String,
    }


def test_a_bar_keeps_every_value() -> None:
    assert normalize_bars([bar()]).good.row(0) == (MOMENT, 10.5, 11.0, 10.0, 10.75, 1200, 31, 10.6543)


def test_integers_are_taken_for_prices() -> None:
    good = normalize_bars([bar(o=174, vw=173), bar(o=174.5)]).good
    assert good["open"].to_list() == [174.0, 174.5]
    assert good["vwap"].to_list() == [173.0, 10.6543]


def test_integral_floats_are_taken_for_counts() -> None:
    good = normalize_bars([bar(v=1200.0, n=3.0), bar()]).good
    assert good["volume"].to_list() == [1200, 1200]
    assert good["trade_count"].to_list() == [3, 31]


@pytest.mark.parametrize("row", [without("n", "vw"), bar(n=None, vw=None)], ids=["absent", "null"])
def test_absent_trade_count_and_vwap_are_null(row: dict[str, Any]) -> None:
    assert normalize_bars([row, bar()]).good.select("trade_count", "vwap").row(0) == (None, None)


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2024-01-02T14:30:00.000000000Z", 0),
        ("2024-01-02T14:30:00.123456789Z", 123456),
        ("2024-01-02T14:30:00.5Z", 500000),
        ("2024-01-02T14:30:00+00:00", 0),
        ("2024-01-02T09:30:00-05:00", 0),
    ],
)
def test_instants_may_have_nanoseconds_or_an_offset(text: str, microsecond: int) -> None:
    page = normalize_bars([bar(t=text), bar()])
    assert page.good["timestamp"].to_list() == [MOMENT.replace(microsecond=microsecond), MOMENT]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (bar(o="ten"), "o is text: 'ten'"),
        (bar(h="11.0"), "h is text: '11.0'"),
        (bar(v="1200"), "v is text: '1200'"),
        (bar(c=True), "c is not a number but bool"),
        (bar(n=True), "n is not a number but bool"),
        (bar(l=[1]), "l is not a number but list"),
        (bar(c=None), "c is missing"),
        (without("v"), "v is missing"),
        (without("t"), "t is missing"),
        (bar(v=1200.5), "v is not a whole number: 1200.5"),
        (bar(v=float("nan")), "v is not a whole number: nan"),
        (bar(v=2**63), "v does not fit in 64 bits: 9223372036854775808"),
        (bar(o=10**400), "o is too large for a 64-bit float"),
        (bar(t="2024-13-02T14:30:00Z"), "t is not on the calendar: '2024-13-02T14:30:00Z'"),
        (bar(t="2024-01-02T14:30:00"), "t is not an RFC 3339 instant with an offset: '2024-01-02T14:30:00'"),
        (bar(t=1704205800), "t is not an RFC 3339 instant with an offset: '1704205800'"),
        (bar(t="0001-01-01T00:00:00+05:00"), "t is not on the calendar: '0001-01-01T00:00:00+05:00'"),
        (None, "a bar is an object, not NoneType"),
        ([1, 2], "a bar is an object, not list"),
    ],
)
def test_an_unreadable_row_is_set_aside_with_its_reason_and_the_rest_is_kept(row: Any, reason: str) -> None:
    page = normalize_bars([bar(), row, bar()])
    assert page.good.height == 2
    assert page.bad.select("row_number", "reason").rows() == [(1, reason)]
    assert page.bad["raw"][0] == json.dumps(row)


def test_values_that_make_no_sense_but_can_be_read_are_left_to_the_quality_rules() -> None:
    page = normalize_bars([bar(h=1.0, l=2.0, v=-5, c=float("nan"), o=float("inf"))])
    assert page.bad.is_empty()
    assert page.good.height == 1


def test_order_and_duplicates_of_the_page_are_kept() -> None:
    late = bar(t="2024-01-02T14:31:00Z")
    opens = normalize_bars([late, bar(), late]).good["timestamp"].dt.minute().to_list()
    assert opens == [31, 30, 31]


rows = st.fixed_dictionaries(
    {
        "t": st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2100, 1, 1)).map(  # noqa: DTZ001 - text follows
            lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        ),
        **{key: st.floats() | st.integers(-(10**9), 10**9) for key in "ohlc"},
        "v": st.integers(-(2**63), 2**63 - 1),
    },
    optional={"n": st.none() | st.integers(0, 10**9), "vw": st.none() | st.floats()},
)


@given(st.lists(rows, max_size=20))
def test_the_fast_path_agrees_with_the_row_by_row_path(page: list[dict[str, Any]]) -> None:
    fast = normalize_bars(page)
    # One row that is not a bar sends the page down the careful path.
    careful = normalize_bars([*page, None])
    assert fast.bad.is_empty()
    assert fast.good.equals(careful.good)
    assert careful.bad["row_number"].to_list() == [len(page)]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3))
fields = st.sampled_from(["t", "o", "h", "l", "c", "v", "n", "vw"])


@given(st.lists(st.dictionaries(fields, anything) | anything))
def test_no_page_of_json_fails_and_no_row_is_lost(page: list[Any]) -> None:
    result = normalize_bars(page)
    assert result.good.height + result.bad.height == len(page)


def test_recorded_answers_are_read_whole() -> None:
    files = sorted(RECORDED.glob("alpaca_py/test_historical_stock_data__test*_bars*.json"))
    files += sorted(RECORDED.glob("openapi/v2_stocks_bars_200_bars.json"))
    if not files:
        pytest.skip("recorded Alpaca answers are not on this machine")
    read = 0
    for file in files:
        for page in (json.loads(file.read_text()).get("bars") or {}).values():
            result = normalize_bars(page)
            assert result.bad.is_empty(), file.name
            assert result.good.height == len(page)
            read += len(page)
    assert read > 0
