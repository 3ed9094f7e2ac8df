"""Bars to take away: a range of them as the bytes of one file."""

from __future__ import annotations

import io
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

import polars as pl

from app.use_cases.workbook import MOST_ROWS, workbook
from barlake.errors import InvalidInputError
from barlake.export_files import writer_of
from barlake.exporting import BarExport, BarSelection, tell_nobody
from barlake.keys import Timeframe
from barlake.lake import Lake

__all__ = ["FileKind", "bar_file", "file_name"]


class FileKind(StrEnum):
    """What a file is; the value is how its name ends."""

    CSV = "csv"
    EXCEL = "xlsx"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """Its registered name: https://www.iana.org/assignments/media-types."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    FileKind.CSV: "text/csv",
    FileKind.EXCEL: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileKind.PARQUET: "application/vnd.apache.parquet",
}


def file_name(selection: BarSelection, kind: FileKind) -> str:
    """A name for the file of some bars.

    Examples
    --------
    >>> file_name(BarSelection(["BTC/USD"], timeframe="1Hour"), FileKind.CSV)
    'BTC-USD-1hour.csv'
    """
    symbols = "-".join(quote(name.replace("/", "-"), safe="") for name in selection.symbols or ["all"])
    terms = "" if selection.adjustment == "raw" else f"-{selection.adjustment}"
    return f"{symbols}-{Timeframe.parse(selection.timeframe).lower()}{terms}.{kind}"


def bar_file(lake: Lake, selection: BarSelection, kind: FileKind) -> bytes:
    """Bytes of a file with the bars of a selection, as `barlake export file` writes them; or an Excel workbook.

    Raises
    ------
    NotFoundError
        If a symbol is not held.
    InvalidInputError
        If an option is not known, or the bars are more than a sheet of Excel holds.
    """
    export = BarExport(lake, selection)
    if kind is FileKind.EXCEL:
        return workbook(_within_a_sheet(export), sheet=export.name, about=export.description())
    stream = io.BytesIO()
    writer_of(Path(f"bars.{kind}"))(export, stream, tell_nobody)
    return stream.getvalue()


def _within_a_sheet(export: BarExport) -> pl.DataFrame:
    """All bars of a selection; reading ends where no sheet would hold them."""
    found: list[pl.DataFrame] = [export.schema.to_frame()]
    for piece in export.pieces():
        found.append(piece.rows)
        if sum(one.height for one in found) > MOST_ROWS:
            raise InvalidInputError(
                f"these bars are more than the {MOST_ROWS:,} rows of an Excel sheet: take CSV or Parquet, longer bars "
                "or a shorter range."
            )
    return pl.concat(found)
