"""SQL page: a query is run, refused in words, drawn, taken away and brought back."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import barlake
from tests.browser import open_page, settle, shot


def texts(page: Any) -> str:
    parts = (page.markdown, page.caption, page.info, page.error, page.code)
    return "\n".join(str(one.value) for kind in parts for one in kind)


def asked(page: Any, sql: str) -> Any:
    page.text_area(key="sql.text").set_value(sql)
    next(button for button in page.button if button.label == "Run").click()
    return page.run()


def test_a_query_shows_its_rows_and_is_kept_in_the_history(run_page: Callable[..., Any], small_lake: Any) -> None:
    page = asked(
        run_page(small_lake.root, "sql"), "SELECT symbol, count(*) AS bars FROM bars GROUP BY ALL ORDER BY ALL"
    )
    assert not page.exception
    assert "2 rows, 2 columns" in texts(page)
    assert page.dataframe[-1].value["symbol"].to_list() == sorted(small_lake.symbols)

    page = asked(page, "SELECT * FROM read_text('/etc/passwd')")
    assert "table function read\\_text is not offered here" in texts(page)
    assert "Asked before: 2" in [one.label for one in page.expander]

    page.button(key="sql.again.1").click().run()
    assert page.text_area(key="sql.text").value.startswith("SELECT symbol, count(*)")


def test_the_schema_writes_a_first_query_for_each_view(run_page: Callable[..., Any], small_lake: Any) -> None:
    page = run_page(small_lake.root, "sql")
    page.selectbox(key="sql.view").set_value("bars_between").run()
    page.button(key="sql.use").click().run()
    assert "FROM bars_between('SPY', '2024-01-02', '2024-02-01')" in page.text_area(key="sql.text").value
    assert not page.exception


def test_an_empty_lake_says_what_to_do_first(run_page: Callable[..., Any], empty_root: Path) -> None:
    page = run_page(empty_root, "sql")
    assert not page.exception
    assert "There are no bars yet" in texts(page)


def test_a_query_is_drawn_and_taken_away(
    small_lake: Any, dashboard_server: Callable[[Path], str], browser_page: Any
) -> None:
    pytest.importorskip("openpyxl")
    page = browser_page
    open_page(page, dashboard_server(small_lake.root), "sql")
    page.get_by_role("button", name="Closes by session").click()
    page.wait_for_function("() => document.querySelector('textarea')?.value.includes('FROM bars_1d')")
    settle(page)
    page.get_by_role("button", name="Run").click()
    with barlake.open(small_lake.root) as lake:
        expected = lake.bars(list(small_lake.symbols), timeframe="1Day").height
    page.get_by_text(f"{expected:,} rows, 4 columns").wait_for()
    settle(page)
    shot(page, "sql-table")
    for kind, read in {"CSV": pl.read_csv, "Excel": pl.read_excel, "Parquet": pl.read_parquet}.items():
        with page.expect_download() as waiting:
            page.get_by_role("button", name=kind, exact=True).click()
        content = Path(waiting.value.path()).read_bytes()
        frame = read(io.BytesIO(content)) if kind != "Excel" else pl.read_excel(content, engine="openpyxl")
        assert frame.height == expected
    page.get_by_role("tab", name="Picture").click()
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length === 2")
    settle(page)
    shot(page, "sql-picture")
