"""Agents: what each does, how its heart beats, what it said last, and a hand on it."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from app.dashboard.parts.look import plain
from app.jobs.queue import JobQueue
from app.operations import Operations
from app.operations.desired import Desired
from app.operations.durations import age
from app.use_cases.agents import (
    ABSENT,
    STALLED,
    AgentStanding,
    WorkerStanding,
    agent_standings,
    pause_agent,
    start_agent,
    stop_agent,
)

__all__ = ["agent_cards"]

ABOUT = {
    "live": "new bars while the market is open",
    "backfill": "history, month by month",
    "features": "features of new bars",
    "research": "trainings and simulations",
}
_GREEN = {"working", "streaming", "polling", "idle", "waiting", "running"}
_LINES = 6


def agent_cards(operations: Operations, queue: JobQueue) -> None:
    """Draw one card an agent, two beside each other where there is room."""
    standings = agent_standings(operations, queue)
    with st.container(horizontal=True, gap="small", key="agents"):
        for one in standings:
            with st.container(border=True, width=440, key=f"agent-{one.name}"):
                _card(one, operations, queue)


def _card(one: AgentStanding, operations: Operations, queue: JobQueue) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{one.name}**", width="content")
        icon, colour = _mark(one)
        st.badge(_word(one), icon=icon, color=colour)
    st.caption(f"{ABOUT.get(one.name, '')} · {one.queued:,} waiting, {one.running:,} running")
    for worker in one.workers:
        _worker(worker)
    _buttons(one, operations, queue)
    _said(one, operations)


def _mark(one: AgentStanding) -> tuple[str, Literal["red", "orange", "gray", "green", "blue"]]:
    """Icon and colour of a state."""
    if one.state == STALLED:
        return ":material/error:", "red"
    if one.state == ABSENT:
        return ":material/power_settings_new:", "orange" if one.queued else "gray"
    if one.desired is not Desired.RUNNING:
        return ":material/pause:", "orange"
    return (":material/favorite:", "green") if one.state in _GREEN else (":material/hourglass:", "blue")


def _word(one: AgentStanding) -> str:
    if one.state != ABSENT:
        return one.state
    return "no worker" if one.desired is Desired.RUNNING else f"no worker, {one.desired}"


def _worker(one: WorkerStanding) -> None:
    """One worker: its name, its beat, its job and what it does next."""
    place = f" on {plain(one.host)}, process {one.pid}" if one.host and one.pid else ""
    beat = "now" if one.beat_age_s < 1 else f"{age(one.beat_age_s)} ago"
    st.markdown(f"`{one.worker}`{place} · heartbeat {beat}")
    what = " · ".join(plain(part) for part in (one.job or one.symbol, one.next_step) if part)
    if one.total:
        st.progress(min((one.done or 0) / one.total, 1.0), what or None)
    elif what:
        st.caption(what)


def _buttons(one: AgentStanding, operations: Operations, queue: JobQueue) -> None:
    """What can be done in this state; each is an order that all workers obey."""
    wanted = one.desired
    with st.container(horizontal=True, gap="small"):
        if st.button(
            "Start", key=f"start-{one.name}", icon=":material/play_arrow:",
            disabled=wanted is Desired.RUNNING and one.is_served,
        ):  # fmt: skip
            start_agent(operations, queue, one.name)
            st.rerun(scope="fragment")
        if st.button(
            "Pause", key=f"pause-{one.name}", icon=":material/pause:", disabled=wanted is not Desired.RUNNING,
            help="Its workers stay; what they do goes back into the queue.",
        ):  # fmt: skip
            pause_agent(operations, queue, one.name)
            st.rerun(scope="fragment")
        if st.button(
            "Stop", key=f"stop-{one.name}", icon=":material/stop:", disabled=wanted is Desired.STOPPED,
            help="As pause, and workers that serve no other agent end.",
        ):  # fmt: skip
            stop_agent(operations, queue, one.name)
            st.rerun(scope="fragment")


def _said(one: AgentStanding, operations: Operations) -> None:
    """The newest lines of its log."""
    lines = operations.logs.tail(agent=one.name, limit=_LINES)
    if not lines:
        return
    with st.expander("Log", key=f"log-{one.name}"):
        for line in reversed(lines):
            st.caption(f"{line.logged_at:%H:%M:%S} {line.level.lower()} · {plain(line.message)}")
