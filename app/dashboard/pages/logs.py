"""Logs and alerts: what somebody should know now, what was told before, and every line that agents wrote."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import streamlit as st

from app.dashboard.parts import look
from app.dashboard.parts.lake import operations
from app.dashboard.parts.refresh import refreshed
from app.jobs.job import Agent
from app.operations.alerts import Alert
from app.operations.durations import span_text
from app.operations.log_records import LogRecord
from barlake.records import utc_now

__all__ = ["page"]

_EVERY_S = 2.0
_LEVELS = ["debug", "info", "warning", "error"]
_SPANS = {"15 min": 15, "1 h": 60, "1 day": 1440, "Ever": None}
_LINES = 200
_HISTORY = 50
_TABLE, _SHOWN, _PICKED = "log-table", "log-shown", "log-picked"
_ICONS = {"warning": ":material/warning:", "error": ":material/error:", "critical": ":material/emergency_home:"}
_MARKS = {"DEBUG": "· debug", "INFO": "i info", "WARNING": "△ warning", "ERROR": "✗ error", "CRITICAL": "‼ critical"}


def page() -> None:
    """Draw the page."""
    look.page_header("Logs and alerts", "What somebody should know, and every line that agents wrote.")
    alerts()
    st.subheader("Log", anchor=False)
    log()


@refreshed(every_s=_EVERY_S)
def alerts() -> None:
    """Draw the alerts that last, and those before."""
    active = operations().alerts.active()
    told = ", ".join(("the log", *operations().alerts.channels))
    if not active:
        st.success(f"No alert is active. A new one is told to {told}.", icon=":material/check_circle:")
    for one in active:
        _active(one)
    before = [one for one in operations().alerts.history(limit=_HISTORY) if one.cleared_at is not None]
    if before:
        with st.expander(f"Alerts that are over ({len(before)})", key="alerts-over"):
            st.dataframe(pl.DataFrame([_over(one) for one in before]), hide_index=True, key="alerts-history")


def _active(one: Alert) -> None:
    since = span_text(utc_now() - one.fired_at)
    draw = st.warning if one.level == "warning" else st.error
    draw(f"**{one.level}** for {since}: {look.plain(one.message)}", icon=_ICONS.get(one.level))


def _over(one: Alert) -> dict[str, Any]:
    lasted = span_text((one.cleared_at or one.fired_at) - one.fired_at)
    return {"began": one.fired_at, "lasted": lasted, "level": one.level, "what": one.key, "message": one.message}


@refreshed(every_s=_EVERY_S)
def log() -> None:
    """Draw the lines that fit what is chosen, newest first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        level = st.segmented_control("Level and above", _LEVELS, default="info", required=True, key="log-level")
        span = st.segmented_control("Since", list(_SPANS), default="1 day", required=True, key="log-since")
        agent = st.selectbox("Agent", ["All", *map(str, Agent)], width=112, key="log-agent")
        symbol = st.text_input("Symbol", width=90, key="log-symbol").strip().upper()
        job = st.text_input("Job", width=150, key="log-job", help="Its id, or where ids begin.").strip()
    minutes = _SPANS[str(span)]
    found = operations().logs.tail(
        agent=None if agent == "All" else agent,
        symbol=symbol or None,
        level=str(level),
        job=job or None,
        since=None if minutes is None else utc_now() - dt.timedelta(minutes=minutes),
        limit=_LINES,
    )
    if not found:
        look.empty_state("No line fits.", "Choose a lower level or a longer span. Agents write when they work.")
        return
    _table(found)


def _table(found: list[LogRecord]) -> None:
    """The lines; one that is selected is shown whole, also when newer ones have moved it down since."""
    newest = found[::-1]
    st.session_state[_SHOWN] = newest
    st.dataframe(
        pl.DataFrame([_row(one) for one in newest], infer_schema_length=None), hide_index=True,
        height=min(520, 40 + 30 * len(newest)), row_height=30, key=_TABLE, on_select=_pick, selection_mode="single-row",
        column_config={
            "time": st.column_config.DatetimeColumn("Time, UTC", format="MM-DD HH:mm:ss", timezone="UTC", width=115),
            "level": st.column_config.TextColumn("Level", width=80),
            "agent": st.column_config.TextColumn("Agent", width=80),
            "symbol": st.column_config.TextColumn("Symbol", width=70),
            "message": st.column_config.TextColumn("Message", width="large"),
        },
    )  # fmt: skip
    st.caption(f"{len(found):,} line{'s' if len(found) > 1 else ''}, newest first. Select one to see all of it.")
    picked = st.session_state.get(_PICKED)
    if picked is not None:
        _whole(picked)


def _pick() -> None:
    """Remember the line that was selected, out of those that were on the screen then."""
    shown, rows = st.session_state[_SHOWN], st.session_state[_TABLE]["selection"]["rows"]
    st.session_state[_PICKED] = shown[rows[0]] if rows and rows[0] < len(shown) else None


def _row(one: LogRecord) -> dict[str, Any]:
    return {
        "time": one.logged_at, "level": _MARKS.get(one.level, one.level.lower()), "agent": one.agent or "",
        "symbol": one.symbol or "", "message": one.message,
    }  # fmt: skip


def _whole(one: LogRecord) -> None:
    """Everything about one line."""
    with st.container(border=True):
        st.markdown(f"**{look.plain(one.message)}**")
        st.caption(f"{one.logged_at:%Y-%m-%d %H:%M:%S} UTC · {one.level.lower()} · {one.stage or ''} · {one.job or ''}")
        fields = {name: held for name, held in one.fields.items() if name != "exception"}
        if fields:
            st.json(fields, expanded=2)
        if trace := one.fields.get("exception"):
            st.code(str(trace), language=None)


if __name__ == "__main__":
    page()
