"""Where a query is written, what it may name, and what was asked before."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import streamlit as st

from app.dashboard.parts.look import plain
from app.sandbox.limits import Limits
from app.sandbox.offer import OfferedView, schema_of
from app.use_cases.sql import SqlAnswer, ask_sql
from barlake.errors import BarlakeError
from barlake.lake import Lake

__all__ = ["ANSWER", "Asked", "editor", "history", "schema"]

ANSWER = "sql.answer"
"""Key of what the last query gave."""

_TEXT, _HISTORY = "sql.text", "sql.history"
_KEPT = 20
_ROWS = (1_000, 10_000, 100_000)
_EXAMPLES = {
    "What is held": "SELECT feed, symbol, sessions, bars, first, last\nFROM symbols\nORDER BY feed, symbol",
    "Closes by session": (
        "SELECT session, symbol, close, volume\nFROM bars_1d\nWHERE session >= current_date - INTERVAL 5 YEAR\n"
        "ORDER BY session, symbol"
    ),
    "Volume by time of day": (
        "SELECT strftime(\"timestamp\" AT TIME ZONE 'America/New_York', '%H:%M') AS new_york, symbol,\n"
        "       avg(volume) AS volume\nFROM bars\nGROUP BY ALL\nORDER BY ALL"
    ),
}


@dataclass(frozen=True)
class Asked:
    """One query of this visit: what came of it, an answer or a message."""

    sql: str
    at: dt.datetime
    answer: SqlAnswer | None
    message: str = ""


def editor(lake: Lake) -> None:
    """Draw the editor; a query that is run leaves its answer under `ANSWER` and itself in the history."""
    st.session_state.setdefault(_TEXT, _EXAMPLES["What is held"])
    with st.container(horizontal=True, gap="small"):
        for name, text in _EXAMPLES.items():
            st.button(name, key=f"sql.example.{name}", on_click=_write, args=(text,), type="tertiary")
    with st.form("sql.form", border=False):
        sql = st.text_area(
            "Query", key=_TEXT, height=220, label_visibility="collapsed",
            help="One SELECT in DuckDB's dialect. Ctrl+Enter runs it.",
        )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            wanted = st.form_submit_button("Run", type="primary", icon=":material/play_arrow:")
            most = st.selectbox("Rows at most", _ROWS, format_func="{:,}".format, key="sql.rows", width=140)
    if wanted:
        _run(lake, sql or "", most or _ROWS[0])


def _write(text: str) -> None:
    st.session_state[_TEXT] = text


def _run(lake: Lake, sql: str, max_rows: int) -> None:
    asked: list[Asked] = st.session_state.setdefault(_HISTORY, [])
    answer, message = None, ""
    with st.spinner("Asking", show_time=True):
        try:
            answer = ask_sql(lake, sql, Limits(max_rows=max_rows))
        except BarlakeError as error:
            message = str(error)
    st.session_state[ANSWER] = Asked(sql, dt.datetime.now(dt.UTC), answer, message)
    # The rows of the last query alone are kept: those of all would fill the memory of the server.
    asked.insert(0, Asked(sql, dt.datetime.now(dt.UTC), None, message or _told(answer)))
    del asked[_KEPT:]


def _told(answer: SqlAnswer | None) -> str:
    return "" if answer is None else f"{answer.rows.height:,} rows in {answer.seconds:.2f} s"


def history() -> None:
    """Draw what was asked in this visit, the newest first; any of it can be brought back into the editor."""
    asked: list[Asked] = st.session_state.get(_HISTORY, [])
    if not asked:
        return
    with st.expander(f"Asked before: {len(asked)}", icon=":material/history:"):
        for place, one in enumerate(asked):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.button("Bring back", key=f"sql.again.{place}", on_click=_write, args=(one.sql,))
                st.caption(f"{one.at:%H:%M:%S} UTC, {plain(one.message.splitlines()[0])}")
            st.code(one.sql, language="sql", wrap_lines=True)


def schema(lake: Lake) -> None:
    """Draw what a query may name: a view, what it shows, and its columns."""
    views = {one.name: one for one in schema_of(lake)}
    name = st.selectbox(
        "What may be asked", list(views), index=list(views).index("bars") if "bars" in views else 0, key="sql.view",
        help="Every view, table and macro of the lake that a query may name.",
    )  # fmt: skip
    view = views[name or next(iter(views))]
    st.caption(view.note)
    if view.columns:
        rows = [{"column": name, "type": kind.replace("WITH TIME ZONE", "TZ")} for name, kind in view.columns]
        st.dataframe(
            rows, hide_index=True, height=200,
            column_config={"column": st.column_config.TextColumn(width="small"), "type": st.column_config.TextColumn()},
        )  # fmt: skip
    st.button("Write it into the query", key="sql.use", on_click=_write, args=(_first_query(view),))


def _first_query(view: OfferedView) -> str:
    """A query that shows a view's first rows; a macro with its parameters to be filled in."""
    if view.kind != "macro":
        return f"SELECT *\nFROM {view.name}\nLIMIT 100"
    values = {"wanted": "'SPY'", "since": "'2024-01-02'", "until": "'2024-02-01'", "instant": "now()"}
    return f"SELECT *\nFROM {view.name}({', '.join(values.get(one, 'NULL') for one in view.parameters)})\nLIMIT 100"
