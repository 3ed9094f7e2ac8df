"""Real bars and real answers, where the shared data pack lies beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data pack is not beside the checkout")


def read_all(client: Any, **parameters: object) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = client.get("/stocks/bars", {"timeframe": "1Min", "limit": 10_000, **parameters, **token})
        rows += [row for found in page["bars"].values() for row in found]
        if page["next_page_token"] is None:
            return pl.DataFrame(rows, infer_schema_length=None)
        token = {"page_token": page["next_page_token"]}


def test_every_row_of_a_year_comes_through_the_real_client(emulate: Any) -> None:
    visitor = emulate(bars=SHARED / "bars_1m" / "year_2024")
    found = read_all(visitor.alpaca_client(), symbols="SPY", start="2024-01-01", end="2025-06-01")
    source = pl.read_parquet(SHARED / "bars_1m" / "year_2024" / "SPY.parquet")
    assert found.height == source.height == 102_236
    assert found["t"].str.to_datetime(time_zone="UTC", time_unit="us").equals(source["timestamp"], check_names=False)
    for short, name in (("o", "open"), ("h", "high"), ("l", "low"), ("c", "close"), ("v", "volume")):
        assert found[short].cast(source[name].dtype).equals(source[name], check_names=False)


def test_vwap_and_trade_count_come_through_bit_by_bit(emulate: Any) -> None:
    visitor = emulate(bars=SHARED / "bars_1m" / "sip_vwap_2024")
    found = read_all(visitor.alpaca_client(), symbols="SPY", start="2024-01-01", end="2025-06-01")
    source = pl.read_parquet(SHARED / "bars_1m" / "sip_vwap_2024" / "SPY.parquet")
    assert found["vw"].equals(source["vwap"], check_names=False)
    assert found["n"].equals(source["trade_count"], check_names=False)


@pytest.mark.parametrize(
    ("recorded", "path"),
    [
        ("openapi/v2_stocks_bars_200_bars.json", "/v2/stocks/bars"),
        ("openapi/v2_stocks_symbol_bars_200_bars.json", "/v2/stocks/SPY/bars"),
        ("openapi/v2_clock_200_schema_example.json", "/v2/clock"),
    ],
)
def test_an_answer_has_the_fields_and_types_of_a_recorded_one(emulate: Any, recorded: str, path: str) -> None:
    real = json.loads((SHARED / "alpaca_json" / recorded).read_text(encoding="utf-8"))
    visitor = emulate(bars=SHARED / "bars_1m" / "sip_vwap_2024")
    ours = visitor.get(path, symbols="SPY", timeframe="1Min", start="2024-01-01", limit=1).json()
    assert shape(ours) == shape(real)


def shape(value: object) -> object:
    """Names and types of an answer; symbols are names without meaning, 174 and 174.5 one type."""
    if isinstance(value, dict):
        names = {name if name.islower() else "SYMBOL": inner for name, inner in value.items()}
        return {name: shape(inner) for name, inner in sorted(names.items())}
    if isinstance(value, list):
        return [shape(value[0])]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
