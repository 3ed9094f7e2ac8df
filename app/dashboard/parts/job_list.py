"""The newest jobs of a task: how far each is, what came of it, and the way to its result."""

from __future__ import annotations

import streamlit as st

from app.dashboard.parts.chosen import show_next
from app.dashboard.parts.lake import operations, queue
from app.dashboard.parts.look import plain
from app.dashboard.parts.refresh import refreshed
from app.jobs.job import Agent, JobRecord, JobState
from app.use_cases.agents import is_served, start_agent
from app.use_cases.research_jobs import newest_jobs

__all__ = ["watch_jobs"]

_EVERY_S = 2.0
_ICONS = {
    JobState.QUEUED: ":material/schedule:",
    JobState.RUNNING: ":material/sync:",
    JobState.PAUSED: ":material/pause:",
    JobState.DONE: ":material/check:",
    JobState.FAILED: ":material/error:",
    JobState.CANCELLED: ":material/block:",
}


@refreshed(every_s=_EVERY_S)
def watch_jobs(task: str, *, shown: str, first_tab: str, result: str) -> None:
    """Draw the newest jobs of a task, again every two seconds.

    Parameters
    ----------
    shown
        Key of the widget that chooses what the page shows; with `_tab` behind it, that of the page's tabs.
    first_tab
        The tab that shows it.
    result
        Name under which a job's result has what it made.
    """
    found = newest_jobs(queue(), task)
    if not found:
        return
    st.markdown("**Asked for last**")
    if any(not job.state.is_over for job in found):
        _require_agent()
    for job in found:
        with st.container(border=True, key=f"job_{job.id}"):
            _draw(job, shown=shown, first_tab=first_tab, result=result)


def _require_agent() -> None:
    """Say so where nobody does the work, with the way out."""
    if is_served(operations(), Agent.RESEARCH):
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown("No worker does research now: these jobs wait.", width="stretch")
        if st.button("Start one here", icon=":material/play_arrow:", key="start_research"):
            start_agent(operations(), queue(), Agent.RESEARCH)


def _draw(job: JobRecord, *, shown: str, first_tab: str, result: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{_ICONS[job.state]} **{job.state}** &ensp;{_in_words(job)}", width="stretch")
        made = (job.result or {}).get(result)
        if made is not None:
            if st.button("Show", key=f"show_{job.id}", type="tertiary"):
                show_next(**{shown: [made], f"{shown}_tab": first_tab})
        elif not job.state.is_over:
            st.button("Cancel", key=f"cancel_{job.id}", on_click=queue().cancel, args=(job.id,), type="tertiary")
    if job.progress is not None and job.progress.total:
        st.progress(min((job.progress.done or 0) / job.progress.total, 1.0), _how_far(job))
    if job.error:
        st.caption(f":material/error: {plain(job.error)}")
    elif verdict := (job.result or {}).get("verdict"):
        st.caption(verdict)


def _in_words(job: JobRecord) -> str:
    options = job.arguments["options"]
    about = [str(options[name]) for name in ("target", "estimator", "strategy", "model") if options.get(name)]
    return f"{', '.join(job.arguments['symbols'])}: {', '.join(about) or 'as by default'}"


def _how_far(job: JobRecord) -> str:
    assert job.progress is not None  # noqa: S101 - whoever calls has looked
    left = job.progress.seconds_left
    waiting = "" if left is None else f", about {left:,.0f} s left"
    return f"{job.progress.next_step or job.progress.unit}{waiting}"
