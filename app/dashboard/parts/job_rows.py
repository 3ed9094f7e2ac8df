"""Jobs as rows: those that run with their progress, and those that were asked for last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import streamlit as st

from app.dashboard.parts.look import plain
from app.jobs.job import JobRecord, JobState
from app.jobs.queue import JobQueue
from app.operations.durations import age

__all__ = ["held_up_rows", "newest_table", "running_rows"]

_INSTANT = "MM-DD HH:mm:ss"
STATES = {
    JobState.QUEUED: "◷ queued",
    JobState.RUNNING: "▶ running",
    JobState.PAUSED: "‖ paused",
    JobState.DONE: "✓ done",
    JobState.FAILED: "✗ failed",
    JobState.CANCELLED: "- cancelled",
}


def running_rows(jobs: Sequence[JobRecord], queue: JobQueue) -> None:
    """Draw one line a job: its bar, what it does next, how long it takes, and a way to end it."""
    for job in jobs:
        with st.container(horizontal=True, vertical_alignment="center", wrap=False):
            st.progress(_share(job), _said(job), width="stretch")
            if st.button("Cancel", key=f"cancel-{job.id}", icon=":material/close:", type="tertiary"):
                queue.cancel(job.id)


def _share(job: JobRecord) -> float:
    said = job.progress
    return 0.0 if said is None or not said.total else min((said.done or 0) / said.total, 1.0)


def _said(job: JobRecord) -> str:
    said, parts = job.progress, [f"**{plain(job.id)}**"]
    if said is not None:
        if said.done is not None:
            of = f" of {said.total:,}" if said.total else ""
            parts.append(f"{said.done:,}{of} {said.unit}".strip())
        if said.rows:
            parts.append(f"{said.rows:,} rows")
        if said.seconds_left is not None and said.seconds_left >= 1:
            parts.append(f"about {age(said.seconds_left)} left")
        if said.next_step:
            parts.append(plain(said.next_step))
    return " · ".join(parts)


def held_up_rows(jobs: Sequence[JobRecord], queue: JobQueue) -> None:
    """Draw one line for each job that failed or is paused: why, and a way to have it go on."""
    for job in jobs:
        is_paused = job.state is JobState.PAUSED
        with st.container(horizontal=True, vertical_alignment="center", wrap=False):
            icon = ":orange[:material/pause_circle:]" if is_paused else ":red[:material/error:]"
            st.markdown(f"{icon} **{plain(job.id)}** · {plain(job.error or str(job.state))}", width="stretch")
            word, act = ("Resume", queue.resume) if is_paused else ("Retry", queue.retry)
            if st.button(word, key=f"again-{job.id}", icon=":material/replay:", type="tertiary"):
                act(job.id)


def newest_table(jobs: Sequence[JobRecord]) -> None:
    """Draw a table of jobs, with what became of each."""
    st.dataframe(
        pl.DataFrame([_row(one) for one in jobs], infer_schema_length=None), hide_index=True, key="newest-jobs",
        row_height=32, height=min(38 + 32 * len(jobs), 360),
        column_config={
            "job": st.column_config.TextColumn("Job", width=210),
            "state": st.column_config.TextColumn("State", width=100),
            "agent": st.column_config.TextColumn("Agent", width=90),
            "asked": st.column_config.DatetimeColumn("Asked for, UTC", format=_INSTANT, timezone="UTC", width=130),
            "outcome": st.column_config.TextColumn("Outcome", width="large"),
        },
    )  # fmt: skip


def _row(one: JobRecord) -> dict[str, Any]:
    return {
        "job": one.id, "state": STATES[one.state], "agent": one.agent, "asked": one.created_at,
        "outcome": _outcome(one),
    }  # fmt: skip


def _outcome(one: JobRecord) -> str:
    """Why it failed or waits, or what it brought."""
    if one.error:
        return one.error
    result = one.result or {}
    known = (("inserted", "bar"), ("requests", "request"))
    facts = [f"{result[name]:,} {word}{'' if result[name] == 1 else 's'}" for name, word in known if name in result]
    return ", ".join(facts) or str(result.get("status", ""))
