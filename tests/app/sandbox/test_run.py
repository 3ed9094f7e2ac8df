"""What a query in the sandbox gives: the rows that the lake itself gives, within limits, from a process of its own."""

from __future__ import annotations

import pytest

from app.sandbox.run import run_sql
from barlake.lake import Lake

QUERIES = [
    "SELECT * FROM bars WHERE symbol = 'SPY' ORDER BY timestamp LIMIT 50",
    "SELECT symbol, session, minutes, volume FROM bars_1d ORDER BY ALL",
    "SELECT count(*) AS bars FROM bars_as_of(now())",
    "SELECT * FROM bars_between('BTC/USD', '2024-01-02', '2024-01-03') ORDER BY timestamp",
    "SELECT * FROM coverage ORDER BY ALL",
]


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_gives_the_rows_that_the_lake_gives(small_lake: Lake, sql: str) -> None:
    result = run_sql(small_lake, sql)
    assert not result.truncated
    assert result.table.to_pylist() == small_lake.sql(sql).to_arrow().cast(result.table.schema).to_pylist()
