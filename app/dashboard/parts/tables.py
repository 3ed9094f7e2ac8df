"""Tables on pages: dates without an hour, instants with their zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

__all__ = ["show_table"]

_INSTANT = "YYYY-MM-DD HH:mm:ss [UTC]"


def show_table(rows: pl.DataFrame, *, columns: Mapping[str, Any] | None = None, **options: Any) -> None:
    """Put rows on the page.

    Parameters
    ----------
    columns
        How single columns look, as `st.dataframe` takes it; dates and instants are seen to.
    options
        As `st.dataframe` has them.
    """
    looks = {name: _look(kind) for name, kind in rows.schema.items() if isinstance(kind, pl.Date | pl.Datetime)}
    st.dataframe(rows, hide_index=True, column_config={**looks, **(columns or {})}, **options)


def _look(kind: pl.DataType) -> Any:
    if isinstance(kind, pl.Date):
        return st.column_config.DateColumn(format="YYYY-MM-DD")
    return st.column_config.DatetimeColumn(format=_INSTANT, timezone="UTC")
