"""A table as an Excel workbook, for those who open it there."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping
from typing import Any

import polars as pl

from barlake.errors import InvalidInputError

__all__ = ["MOST_ROWS", "workbook"]

MOST_ROWS = 1_048_575
"""Rows of a sheet but for its head: https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3."""


def workbook(rows: pl.DataFrame, *, sheet: str = "rows", about: Mapping[str, str] | None = None) -> bytes:
    """Bytes of an `.xlsx` file with the rows in one sheet, and what they are in another.

    Instants lose their zone, which Excel does not know, and say UTC in the head of their column. Text stays text:
    nothing in it is taken for a formula or a link.

    Parameters
    ----------
    about
        Names and texts of the second sheet; without any there is none.

    Raises
    ------
    InvalidInputError
        If there are more rows than a sheet holds, or the library is not installed.
    """
    if rows.height > MOST_ROWS:
        raise InvalidInputError(
            f"{rows.height:,} rows are more than the {MOST_ROWS:,} of an Excel sheet: take CSV or Parquet, longer bars "
            "or a shorter range."
        )
    if importlib.util.find_spec("xlsxwriter") is None:
        raise InvalidInputError('an Excel file needs xlsxwriter: pip install "barlake[dashboard]", then try again.')
    import xlsxwriter  # noqa: PLC0415 - no part of the core

    stream = io.BytesIO()
    literal = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(stream, {**literal, "nan_inf_to_errors": True}) as book:
        _without_zones(rows).write_excel(book, sheet, autofit=rows.height < _FITTED, dtype_formats=dict(_FORMATS))
        if about:
            facts = pl.DataFrame({"what": list(about), "value": list(about.values())})
            facts.write_excel(book, "about", autofit=True)
    return stream.getvalue()


_FITTED = 10_000
"""With more rows, measuring the width of each cell takes longer than writing them."""
_FORMATS: Mapping[Any, str] = {
    pl.Datetime("us"): "yyyy-mm-dd hh:mm:ss",
    pl.Date(): "yyyy-mm-dd",
    pl.Float64(): "#,##0.00####",
    pl.Int64(): "#,##0",
}


def _without_zones(rows: pl.DataFrame) -> pl.DataFrame:
    stamps = [name for name, kind in rows.schema.items() if isinstance(kind, pl.Datetime)]
    zoned = [name for name in stamps if rows.schema[name].time_zone is not None]  # type: ignore[attr-defined]
    naive = [pl.col(name).dt.convert_time_zone("UTC").dt.replace_time_zone(None) for name in zoned]
    whole = [pl.col(name).cast(pl.Datetime("us")) for name in stamps if name not in zoned]
    return rows.with_columns(*naive, *whole).rename({name: f"{name} (UTC)" for name in zoned})
