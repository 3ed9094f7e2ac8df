"""Pages of rows that have a key: by their key, so that what is written between two pages repeats and hides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from barlake.errors import InvalidInputError

__all__ = ["page_after"]


def page_after(
    rows: pl.DataFrame, keys: Sequence[str], limit: int, after: Mapping[str, str | None] | None = None
) -> tuple[pl.DataFrame, dict[str, str | None] | None]:
    """The first `limit` rows behind a key, by key, and the key of the last of them if more follow.

    Parameters
    ----------
    keys
        Columns that together are unique, and never null.
    after
        What this gave for the page before, as text; None begins with the first row.

    Raises
    ------
    InvalidInputError
        If `after` names other columns, or something that is no value of theirs.
    """
    ordered = rows.sort(keys)
    if after is not None:
        ordered = ordered.filter(_is_behind(rows.schema, keys, after))
    page = ordered.head(limit)
    if ordered.height <= limit:
        return page, None
    last = page.select(pl.col(name).cast(pl.String) for name in keys).row(-1, named=True)
    return page, dict(last)


def _is_behind(schema: pl.Schema, keys: Sequence[str], after: Mapping[str, str | None]) -> pl.Expr:
    if set(after) != set(keys):
        raise InvalidInputError("cursor names no row of this list: hand back `next_cursor` as it came.")
    try:
        values = pl.DataFrame({name: [after[name]] for name in keys}, schema=dict.fromkeys(keys, pl.String())).select(
            pl.col(name).str.to_date() if schema[name] == pl.Date else pl.col(name).cast(schema[name]) for name in keys
        )
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError("cursor holds no key of this list: hand back `next_cursor` as it came.") from error
    behind, equal = pl.lit(value=False), pl.lit(value=True)
    for name in keys:
        value = pl.lit(values[name][0], dtype=schema[name])
        behind = behind | (equal & (pl.col(name) > value))
        equal = equal & (pl.col(name) == value)
    return behind
