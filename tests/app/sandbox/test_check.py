"""What people ask passes the check, and names are known exactly where DuckDB knows them."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from app.sandbox.check import Denied, Offered, parse, references, tables_used

OFFERED = Offered(frozenset({"bars", "symbols"}), frozenset({"bars_of"}))

ASKED = [
    ("SELECT * FROM bars", {"bars"}),
    ("FROM main.bars SELECT close LIMIT 1", {"bars"}),
    ("SELECT * FROM Bars AS b JOIN SYMBOLS USING (symbol)", {"bars", "symbols"}),
    ("FROM bars_of('SPY')", {"bars_of"}),
    ("DESCRIBE bars", {"bars"}),
    ("SUMMARIZE bars", {"bars"}),
    ("WITH a AS (SELECT 1 AS x), b AS (FROM a) SELECT * FROM b", set()),
    ("WITH A AS (FROM bars) SELECT (SELECT count(*) FROM a), * FROM a", {"bars"}),
    ("WITH bars AS (SELECT 1 AS x) SELECT * FROM bars", set()),
    ("WITH bars AS (SELECT * FROM bars) SELECT * FROM bars", {"bars"}),
    ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r", set()),
    ("SELECT * FROM (WITH z AS (SELECT 1) SELECT * FROM z)", set()),
    ("SELECT * FROM bars AS b, LATERAL (SELECT b.close) AS l", {"bars"}),
    ("SELECT * FROM (PIVOT (FROM bars) ON symbol IN ('SPY') USING count(*))", {"bars"}),
    ("UNPIVOT (SELECT open, close FROM bars) ON open, close INTO NAME n VALUE v", {"bars"}),
    ("SELECT symbol, lag(close) OVER w FROM bars WINDOW w AS (PARTITION BY symbol ORDER BY timestamp)", {"bars"}),
    ("SELECT * FROM bars QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY timestamp DESC) <= 3", {"bars"}),
    ("SELECT time_bucket(INTERVAL 30 MINUTE, timestamp), avg(close) FROM bars GROUP BY ALL ORDER BY ALL", {"bars"}),
    ("SELECT extract(hour FROM timestamp AT TIME ZONE 'America/New_York') FROM bars", {"bars"}),
    ("SELECT * EXCLUDE (feed), COLUMNS('c.*') FROM bars USING SAMPLE 10 ROWS", {"bars"}),
    ("SELECT grouping(symbol), symbol FROM bars GROUP BY ROLLUP (symbol)", {"bars"}),
    ("SELECT list_filter([1, 2], lambda x: x > 1), [i * 2 FOR i IN [1, 2] IF i > 1], {'a': 1}.a, MAP {1: 2}", set()),
    ("SELECT 5 // 2, 2 ** 3, 'a' || 'b', 1 << 2, -1, 'a' LIKE 'b%', 'a' ~ 'b', 1 IN (1, 2), 1 BETWEEN 0 AND 2", set()),
    (
        "SELECT if(true, 1, 2), ifnull(NULL, 1), nullif(1, 1), TRY_CAST('x' AS INTEGER), CASE WHEN true THEN 1 END",
        set(),
    ),
    ("SELECT x FROM unnest([1, 2]) AS t(x), range(3), (VALUES (1)) AS v(y)", set()),
    ("SELECT median(close), quantile_cont(close, [0.1, 0.9]), corr(open, close), mode(symbol) FROM bars", {"bars"}),
]


@pytest.fixture(scope="module")
def parser() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize(("sql", "used"), ASKED)
def test_a_question_passes_and_its_tables_are_known(
    parser: duckdb.DuckDBPyConnection, sql: str, used: set[str]
) -> None:
    assert tables_used(parse(parser, sql), OFFERED) == used


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM pasword", "table pasword is not offered here. There are: bars, symbols"),
        ("SELECT sleep_ms(1)", "function sleep_ms is not offered here: it runs or grows"),
        ("SELECT * FROM other.bars", "table other.bars"),
        ("SHOW TABLES", "DESCRIBE names the columns"),
        ("SELECT * FROM bars AT (VERSION => 1)", "bars_as_of"),
        ("DELETE FROM bars", "not DELETE"),
        ("SELECT 1; SELECT 2", "2 statements"),
        (f"SELECT '{'x' * 100_000}'", "100,009 characters"),
    ],
)
def test_what_is_refused_is_named_with_the_rule(parser: duckdb.DuckDBPyConnection, sql: str, said: str) -> None:
    with pytest.raises(Denied) as caught:
        tables_used(parse(parser, sql), OFFERED)
    assert said in str(caught.value)


def test_a_definition_of_ours_tells_what_it_stands_on_and_which_files_it_reads(
    parser: duckdb.DuckDBPyConnection,
) -> None:
    view = (
        "SELECT * FROM read_parquet(['/a.parquet', '/b.parquet'], hive_partitioning = true) JOIN symbols USING (symbol)"
    )
    assert references(parse(parser, view), OFFERED) == (frozenset({"symbols"}), ["/a.parquet", "/b.parquet"])
