"""Bars to take away are the bars of the range, whatever the file."""

from __future__ import annotations

import io
from collections.abc import Iterator

import polars as pl
import pytest

from app.use_cases import bar_downloads
from app.use_cases.bar_downloads import FileKind, bar_file, file_name
from barlake import Lake
from barlake.errors import InvalidInputError
from barlake.exporting import BarSelection
from barlake.sessions import Calendar
from barlake.testing import make_bars, temporary_lake


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    with temporary_lake() as made:
        made.write_bars(
            make_bars(Calendar.default().frame["session"][8_700:8_703].to_list()), feed="mine", symbol="SPY"
        )
        yield made


@pytest.mark.parametrize("timeframe", ["1Min", "1Hour"])
def test_every_kind_of_file_has_the_same_bars(lake: Lake, timeframe: str) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    selection = BarSelection(["SPY"], timeframe=timeframe, session="regular")
    bars = lake.bars("SPY", timeframe=timeframe, session="regular")

    csv, excel, parquet = (bar_file(lake, selection, kind) for kind in FileKind)

    assert pl.read_parquet(io.BytesIO(parquet)).equals(bars)
    assert pl.read_csv(io.BytesIO(csv))["close"].to_list() == bars["close"].to_list()
    sheet, about = openpyxl.load_workbook(io.BytesIO(excel))
    head, *rows = sheet.iter_rows(values_only=True)
    assert [row[head.index("close")] for row in rows] == bars["close"].to_list()
    assert ("root", lake.snapshot("SPY").root_hash) in list(about.iter_rows(values_only=True))


def test_a_file_is_named_after_what_is_in_it() -> None:
    selection = BarSelection(["BRK.B", "BTC/USD"], timeframe="1Day", adjustment="split")
    assert file_name(selection, FileKind.EXCEL) == "BRK.B-BTC-USD-1day-split.xlsx"


def test_no_more_is_read_than_a_sheet_holds(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar_downloads, "MOST_ROWS", 1_000)
    with pytest.raises(InvalidInputError, match="more than the 1,000 rows of an Excel sheet"):
        bar_file(lake, BarSelection(["SPY"]), FileKind.EXCEL)
