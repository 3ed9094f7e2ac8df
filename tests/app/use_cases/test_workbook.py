"""Excel files: what Excel would misread stays what it is."""

from __future__ import annotations

import datetime as dt
import io

import polars as pl
import pytest

from app.use_cases import workbook as module
from app.use_cases.workbook import workbook
from barlake.errors import InvalidInputError

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("xlsxwriter")


def test_instants_lose_their_zone_and_say_so_and_text_stays_text() -> None:
    stamp = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    rows = pl.DataFrame(
        {"session": [stamp.date()], "timestamp": [stamp], "note": ['=HYPERLINK("http://x")'], "close": [float("nan")]}
    ).with_columns(pl.col("timestamp").dt.convert_time_zone("America/New_York"))

    book = openpyxl.load_workbook(io.BytesIO(workbook(rows, sheet="bars", about={"root": "=1+1"})))

    head, values = (list(row) for row in book["bars"].iter_rows())
    assert [cell.value for cell in head] == ["session", "timestamp (UTC)", "note", "close"]
    assert str(values[1].value) == "2024-01-02 14:30:00"
    assert (values[2].value, values[2].data_type) == ('=HYPERLINK("http://x")', "s")
    assert values[2].hyperlink is None
    assert [cell.data_type for cell in list(book["about"].iter_rows())[1]] == ["s", "s"]


def test_more_rows_than_a_sheet_holds_are_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 3)

    assert workbook(pl.DataFrame({"a": [1, 2, 3]}))
    with pytest.raises(InvalidInputError, match="4 rows are more than the 3 of an Excel sheet: take CSV or Parquet"):
        workbook(pl.DataFrame({"a": [1, 2, 3, 4]}))
