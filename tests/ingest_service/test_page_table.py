"""A page read from its bytes says the same as one that is looked at row by row, or it is left to that."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.normalize import normalize_bars
from ingest_service.page_table import read_table
from ingest_service.pages import PageRequest, read_page

START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
REQUEST = PageRequest("SPY", START, START + dt.timedelta(days=1), "sip", None)
BAR = {"t": "2024-01-02T14:30:00Z", "o": 10, "h": 11.5, "l": 9.5, "c": 10.75, "v": 1200, "n": 31, "vw": 10.6543}

TOKEN = "U1BZ"  # noqa: S105 - of a page


def body(*rows: object, **page: object) -> bytes:
    return json.dumps({"bars": {"SPY": list(rows)}, "next_page_token": None} | page).encode()


def test_a_plain_page_is_a_table_in_the_types_of_the_lake() -> None:
    page = read_table(body(BAR, BAR | {"t": "2024-01-02T14:31:00Z", "vw": None}, next_page_token=TOKEN), REQUEST)
    assert page is not None
    assert page.next_page_token == TOKEN
    assert isinstance(page.rows, pl.DataFrame)
    careful = normalize_bars([BAR, BAR | {"t": "2024-01-02T14:31:00Z", "vw": None}]).good
    assert page.rows.schema == careful.schema
    assert page.rows.equals(careful)
    assert normalize_bars(page.rows).good is page.rows


def test_fields_may_come_in_any_order_and_more_of_them() -> None:
    odd = dict(reversed(BAR.items())) | {"x": "new"}
    page = read_table(body(odd, odd, currency="USD"), REQUEST)
    assert page is not None
    assert len(page.rows) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"bars": {"SPY": [',
        body(),
        body(bars=None),
        body(bars={}),
        body(bars={"SPY": None}),
        body(bars={"SPY": [BAR], "QQQ": [BAR]}),
        body(bars={"QQQ": [BAR]}),
        body(BAR, next_page_token=""),
        body(BAR, next_page_token=7),
        body(BAR, None),
        body(BAR, 7),
        body(BAR, BAR | {"c": None}),
        body(BAR, {key: value for key, value in BAR.items() if key != "c"}),
        body(BAR, BAR | {"c": "ten"}),
        body(BAR, BAR | {"c": True}),
        body(BAR, BAR | {"v": 100.0}),
        body(BAR, BAR | {"v": 2**63}),
        body(BAR, BAR | {"t": "2024-01-02T14:30:00.5Z"}),
        body(BAR, BAR | {"t": "2024-01-02T09:30:00-05:00"}),
        body(BAR, BAR | {"t": "2024-02-30T14:30:00Z"}),
        body(BAR, BAR | {"t": "2024-01-03T14:30:00Z"}),
        body(BAR, BAR | {"t": "2023-12-26T14:30:00Z"}),
        body(BAR) + body(BAR),
    ],
)
def test_whatever_is_odd_is_left_to_the_careful_path(content: bytes) -> None:
    assert read_table(content, REQUEST) is None


prices = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9)
anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
rows = st.fixed_dictionaries(
    {
        "t": st.integers(-5, 2000).map(lambda n: (START + dt.timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ")),
        **dict.fromkeys("ohlc", prices),
        "v": st.integers(-(2**63), 2**63 - 1),
    },
    optional={"n": st.none() | st.integers(0, 10**9), "vw": st.none() | prices, "x": anything},
)


@given(st.lists(rows, max_size=6), st.integers(0, 5), st.sampled_from(["c", "v", "n", "t"]), anything)
def test_a_table_agrees_with_the_careful_path(
    page: list[dict[str, Any]], place: int, field: str, value: object
) -> None:
    content = body(*(row | ({field: value} if number == place else {}) for number, row in enumerate(page)))
    fast = read_table(content, REQUEST)
    if fast is None:
        return
    careful = read_page(json.loads(content), REQUEST)
    assert careful.strays == []
    normalized = normalize_bars(careful.rows)
    assert normalized.bad.is_empty()
    assert normalized.good.equals(normalize_bars(fast.rows).good)


@given(st.lists(rows, min_size=1, max_size=6))
def test_a_page_of_plain_rows_of_the_window_is_always_a_table(page: list[dict[str, Any]]) -> None:
    inside = [row | {"t": BAR["t"], "x": 1.0} for row in page]
    assert read_table(body(*inside), REQUEST) is not None
