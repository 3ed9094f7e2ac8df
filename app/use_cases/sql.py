"""A query of whoever looks: its rows, what of them can be drawn, and the rows as a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from app.sandbox.limits import Limits
from app.sandbox.run import ask
from app.use_cases.bar_downloads import FileKind
from app.use_cases.workbook import workbook
from barlake.lake import Lake

__all__ = ["MOST_POINTS", "Axes", "SqlAnswer", "answer_file", "ask_sql", "axes_of", "points"]

MOST_POINTS = 2_000
"""Points of one picture."""

_USUAL = Limits()
_MOST_LINES = 12
"""Values of a column that each get a line of their own; more could not be told apart."""


@dataclass(frozen=True)
class SqlAnswer:
    """Rows of a query, and how they were made.

    Parameters
    ----------
    truncated
        Whether there were more rows than were wanted.
    mode
        What kept the query from files: `landlock`, or `weaker`.
    """

    sql: str
    rows: pl.DataFrame
    truncated: bool
    seconds: float
    mode: Literal["landlock", "weaker"]


@dataclass(frozen=True)
class Axes:
    """Columns of an answer by what they can be in a picture, the most likely first.

    Parameters
    ----------
    along
        For the axis along the bottom: instants and dates, then text, then numbers.
    values
        Numbers.
    groups
        Text of few different values: one line for each.
    """

    along: tuple[str, ...]
    values: tuple[str, ...]
    groups: tuple[str, ...]


def ask_sql(lake: Lake, sql: str, limits: Limits = _USUAL) -> SqlAnswer:
    """Rows of one SELECT, asked in the sandbox.

    Raises
    ------
    BarlakeError
        As `app.sandbox.run.run_sql` raises them.
    """
    found = ask(lake, sql, limits)
    rows = pl.from_arrow(found.table)
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 - narrows polars' union type
    return SqlAnswer(sql, rows, found.truncated, found.seconds, found.mode)


def answer_file(answer: SqlAnswer, kind: FileKind) -> bytes:
    """Bytes of a file with the rows; an Excel workbook has the query on a second sheet."""
    rows = answer.rows
    if kind is FileKind.EXCEL:
        return workbook(
            _flat(rows), sheet="rows", about={"query": answer.sql, "truncated": str(answer.truncated).lower()}
        )
    stream = io.BytesIO()
    if kind is FileKind.CSV:
        _flat(rows).write_csv(stream)
    else:
        rows.write_parquet(stream)
    return stream.getvalue()


def axes_of(rows: pl.DataFrame) -> Axes:
    """What each column can be in a picture."""
    kinds = rows.schema
    times = [name for name, kind in kinds.items() if kind.is_temporal()]
    texts = [name for name, kind in kinds.items() if kind == pl.String()]
    numbers = [name for name, kind in kinds.items() if kind.is_numeric()]
    groups = [name for name in texts if 1 < rows[name].n_unique() <= _MOST_LINES]
    return Axes((*times, *texts, *numbers), tuple(numbers), tuple(groups))


def points(rows: pl.DataFrame, columns: Sequence[str], *, along: str) -> tuple[pl.DataFrame, int]:
    """These columns ordered along an axis, at most `MOST_POINTS` rows, and of how many rows each stands for one.

    Rows in between are left out, so a peak of one row may be too; numbers that are none are null.
    """
    chosen = rows.select(list(dict.fromkeys((along, *columns)))).sort(along, maintain_order=True)
    step = max(1, -(-chosen.height // MOST_POINTS))
    floats = pl.selectors.float()
    return chosen.gather_every(step).with_columns(pl.when(floats.is_finite()).then(floats).name.keep()), step


def _flat(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows with lists as text: a cell holds one value."""
    lists = [name for name, kind in rows.schema.items() if kind.is_nested()]
    texts = [
        pl.Series(name, [None if value is None else str(value.to_list()) for value in rows[name]], dtype=pl.String)
        for name in lists
    ]
    return rows.with_columns(texts)
