"""What a query gave: its rows as a table, as a picture, and as files."""

from __future__ import annotations

import functools

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from app.dashboard.parts.colours import Palette, palette
from app.dashboard.parts.look import errors_told, plain
from app.dashboard.parts.plots import draw, figure, literal
from app.dashboard.parts.sql_editor import ANSWER, Asked
from app.use_cases.bar_downloads import FileKind
from app.use_cases.sql import Axes, SqlAnswer, answer_file, axes_of, points

__all__ = ["show_answer"]

_KINDS = ("Line", "Bars", "Points")
_FILES = {FileKind.CSV: "CSV", FileKind.EXCEL: "Excel", FileKind.PARQUET: "Parquet"}


@errors_told()
def show_answer() -> None:
    """Draw what the last query gave, if one was run."""
    asked: Asked | None = st.session_state.get(ANSWER)
    if asked is None:
        return
    if asked.answer is None:
        head, _, rest = asked.message.partition("\n")
        st.error(plain(head), icon=":material/error:")
        if rest.strip():
            st.code(rest.strip("\n"), language=None)
        return
    _show(asked.answer)


def _show(answer: SqlAnswer) -> None:
    rows = answer.rows
    st.caption(f"{rows.height:,} rows, {rows.width} columns, {answer.seconds:.2f} s{_closed_by(answer)}")
    if answer.truncated:
        st.info(f"There are more rows than the {rows.height:,} shown: take more at most, or ask for less.")
    table, picture = st.tabs(["Table", "Picture"], key="sql.tab")
    with table:
        dates = [name for name, column in rows.schema.items() if column == pl.Date()]
        shown = st.column_config.DateColumn(format="YYYY-MM-DD")
        st.dataframe(rows, hide_index=True, column_config=dict.fromkeys(dates, shown))
    with picture:
        _picture(rows)
    with st.container(horizontal=True, gap="small"):
        for kind, name in _FILES.items():
            st.download_button(
                name, functools.partial(answer_file, answer, kind), f"query.{kind}", kind.media_type,
                on_click="ignore", icon=":material/download:", key=f"sql.file.{kind}",
            )  # fmt: skip


def _closed_by(answer: SqlAnswer) -> str:
    if answer.mode == "landlock":
        return ""
    return ". This system has no Landlock: DuckDB alone keeps the query from files"


def _picture(rows: pl.DataFrame) -> None:
    axes = axes_of(rows)
    if not axes.values or rows.height < 2:  # noqa: PLR2004 - one point is no picture
        st.caption("A picture needs two rows and a column of numbers.")
        return
    with st.container(horizontal=True, gap="small"):
        kind = st.selectbox("Drawn as", _KINDS, key="sql.kind", width=120) or _KINDS[0]
        along = st.selectbox("Along", axes.along, key="sql.along", width=180) or axes.along[0]
        free = [name for name in axes.values if name != along] or list(axes.values)
        first = [name for name in ("close", "volume") if name in free][:1] or free[:1]
        values = st.multiselect("Values", free, default=first, key="sql.values", width=260)
        group = st.selectbox("One for each", _groups(axes, along), key="sql.group", width=160)
    if values:
        found, told = _drawn(rows, kind, along, values, None if group in {None, _NONE} else str(group), palette())
        draw(found, key="sql.chart", alt=f"{', '.join(values)} along {along}")
        if told:
            st.caption(told)


_NONE = "nothing"


def _groups(axes: Axes, along: str) -> list[str]:
    """Columns to part the lines by; the first one where a line of all rows would jump to and fro."""
    return [*(name for name in axes.groups if name != along), _NONE]


def _drawn(
    rows: pl.DataFrame, kind: str, along: str, values: list[str], group: str | None, colours: Palette
) -> tuple[go.Figure, str]:
    """The picture, and what has to be said of it."""
    shown, step = points(rows, [*values, *([group] if group else [])], along=along)
    parts = shown.partition_by(group, as_dict=True, maintain_order=True) if group else {("",): shown}
    found = figure(height=420, hovermode="x unified")
    number = 0
    for (part,), own in parts.items():
        for value in values:
            name = " ".join(filter(None, (str(part) if group else "", value if len(values) > 1 or not group else "")))
            _add(
                found,
                kind,
                [literal(one) for one in own[along].to_list()],
                own[value].to_list(),
                literal(name),
                colours.series[number % len(colours.series)],
            )
            number += 1
    found.update_xaxes(title=literal(along))
    found.update_yaxes(title=literal(values[0]) if len(values) == 1 else None)
    return found, "" if step == 1 else f"One row in {step} is drawn: the picture holds 2,000 points. The table has all."


def _add(found: go.Figure, kind: str, x: list[object], y: list[object], name: str, colour: str) -> None:
    if kind == "Bars":
        found.add_bar(x=x, y=y, name=name, marker_color=colour)
        return
    mode = "lines" if kind == "Line" else "markers"
    found.add_scatter(
        x=x, y=y, name=name, mode=mode, line={"color": colour, "width": 1.6}, marker={"color": colour, "size": 5}
    )
