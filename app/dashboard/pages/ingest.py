"""Ingest: type a ticker, watch it come, and keep a hand on the agents that fetch it."""

from __future__ import annotations

import datetime as dt

import streamlit as st

from app.dashboard.parts import look
from app.dashboard.parts.agent_cards import agent_cards
from app.dashboard.parts.job_rows import held_up_rows, newest_table, running_rows
from app.dashboard.parts.lake import lake, operations, queue
from app.dashboard.parts.refresh import refreshed
from app.jobs.job import Agent
from app.operations.durations import age
from app.use_cases.agents import is_served, start_agent
from app.use_cases.ingest import DEFAULT_DAYS, ask_for_bars
from app.use_cases.needs import lacks_key
from app.use_cases.progress import asked_work, cancel_all, held_up_jobs, newest_jobs, running_jobs
from barlake.errors import InvalidInputError
from barlake.keys import SYNTHETIC_FEED
from barlake.records import utc_now

__all__ = ["page"]

_EVERY_S = 1.5
_SPANS = {f"{DEFAULT_DAYS} days": DEFAULT_DAYS, "1 year": 365, "5 years": 1826}
_OWN = "Dates"
_ASKED = "ingest-asked"


def page() -> None:
    """Draw the page."""
    feeds = lake().symbols()["feed"]
    look.page_header("Ingest", "Fetch bars, and see who fetches them.", feeds=feeds)
    ask()
    under_way()
    st.subheader("Agents", anchor=False)
    agents()
    if SYNTHETIC_FEED in set(feeds):
        st.caption("Feed synthetic comes from a local emulator: `barlake emulate`.")


@look.errors_told()
def ask() -> None:
    """Draw the form, and put what it asks for into the queue."""
    with st.container(border=True), st.container(horizontal=True, vertical_alignment="bottom"):
        tickers = st.text_input("Tickers", placeholder="SPY, QQQ", width=240, help="Several with commas between.")
        span = st.segmented_control("How far back", [*_SPANS, _OWN], default=next(iter(_SPANS)), required=True)
        start, end = _range(str(span))
        is_asked = st.button("Queue", type="primary", icon=":material/download:")
    if is_asked:
        _queue(tickers.replace(",", " ").split(), start, end)


def _range(span: str) -> tuple[dt.date | None, dt.date | None]:
    """First session and the first left out, as chosen; None is up to now."""
    today = utc_now().date()
    if span != _OWN:
        return today - dt.timedelta(days=_SPANS[span]), None
    given = st.date_input("First and last session", (today - dt.timedelta(days=DEFAULT_DAYS), today), width=260)
    if not isinstance(given, tuple) or len(given) < 2:  # noqa: PLR2004 - both ends
        raise InvalidInputError("Choose the last session, too.")
    return given[0], given[1] + dt.timedelta(days=1)


def _queue(symbols: list[str], start: dt.date | None, end: dt.date | None) -> None:
    if not symbols:
        raise InvalidInputError("Type a ticker first, such as SPY.")
    ids = ask_for_bars(lake(), queue(), symbols, start, end)
    st.session_state[_ASKED] = ids
    if not ids:
        st.success("Nothing is missing: no job is needed.", icon=":material/check_circle:")
        return
    st.toast(f"{len(ids):,} job{'s' if len(ids) > 1 else ''} queued", icon=":material/download:")


@refreshed(every_s=_EVERY_S)
def under_way() -> None:
    """Draw what is being done, and what was asked for last."""
    st.subheader("Jobs", anchor=False)
    _asked()
    running_rows(running_jobs(queue()), queue())
    held_up_rows(held_up_jobs(queue()), queue())
    newest = newest_jobs(queue())
    if not newest:
        st.caption("No job was asked for yet. Type a ticker above: each month that lacks bars becomes a job.")
        return
    newest_table(newest)


def _asked() -> None:
    """How far what this visitor asked for is, taken together."""
    ids = st.session_state.get(_ASKED)
    if not ids:
        return
    work = asked_work(queue(), ids, now=utc_now())
    left = "" if work.seconds_left is None else f" · about {age(work.seconds_left)} left"
    held = "".join(
        f" · {count:,} {word}" for word, count in (("failed", work.failed), ("paused", work.paused)) if count
    )
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        said = f"You asked for {work.total:,} job(s): {work.done:,} done{held}{left}"
        st.progress(work.done / work.total, said, width="stretch")
        if not work.is_over and st.button("Cancel all", icon=":material/close:", type="tertiary"):
            cancel_all(queue(), ids)
    if work.is_over or is_served(operations(), Agent.BACKFILL):
        return
    if lacks_key(operations().settings):
        st.warning(
            "No key of Alpaca is set: a worker that is begun here could not do them. `barlake init` asks for one "
            "and checks it; then start the dashboard again.",
            icon=":material/key:",
        )  # fmt: skip
    else:
        _offer_worker()


def _offer_worker() -> None:
    begins = operations().settings.starts_workers
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        how = "" if begins else " Start `barlake worker` where workers are to run."
        st.markdown(f":orange[:material/warning:] No worker does them yet.{how}", width="stretch")
        if begins and st.button("Start one here", icon=":material/play_arrow:"):
            start_agent(operations(), queue(), Agent.BACKFILL)
            st.rerun(scope="fragment")


@refreshed(every_s=_EVERY_S)
def agents() -> None:
    """Draw the agents."""
    agent_cards(operations(), queue())


if __name__ == "__main__":
    page()
