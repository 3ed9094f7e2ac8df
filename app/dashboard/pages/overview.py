"""Home: what is here, how fresh it is, what needs whoever looks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import streamlit as st

from app.dashboard.parts import look
from app.dashboard.parts.calendar_map import calendar_map
from app.dashboard.parts.cards import coverage_cards
from app.dashboard.parts.freshness import freshness
from app.dashboard.parts.lake import lake, observer
from app.dashboard.parts.needs import needs_list
from app.dashboard.parts.refresh import refreshed
from app.use_cases import coverage
from app.use_cases.calendar_grid import CalendarYear, calendar_years
from app.use_cases.overview import overview

__all__ = ["page"]

_EVERY_S = 2.0
_CARDS = 12
_YEARS = 3
_ALL = "All symbols"


def page() -> None:
    """Draw the page."""
    seen = overview(observer())
    look.page_header(
        "Home", "What is here, how fresh it is, and what needs you.", feeds=[one.feed for one in seen.feeds]
    )
    standing()
    if seen.is_empty:
        look.empty_state(
            "This lake is empty.",
            "Queue a first ticker, or try everything on made-up bars, without a key: `barlake demo`.",
            page="ingest", label="Queue a ticker",
        )  # fmt: skip
        return
    held()


@refreshed(every_s=_EVERY_S)
def standing() -> None:
    """Draw counts, freshness and needs; again every other second."""
    seen = overview(observer())
    freshness(seen)
    with st.container(horizontal=True, gap="small", key="tiles"):
        facts = {
            "Bars": seen.bars, "Symbols": seen.symbols, "Models": seen.models, "Simulations": seen.runs,
            "Open jobs": seen.busy, "Workers": len(seen.workers),
        }  # fmt: skip
        for name, count in facts.items():
            st.metric(name, f"{count:,}", border=True, width=130)
    needs_list(seen.needs)


@refreshed(every_s=_EVERY_S)
def held() -> None:
    """Draw calendar and cards; the figures are computed anew after a commit only."""
    mark = lake().manifest.last_commit_at()
    known = _holdings(lake().store.name, mark)
    feeds = known["feed"].unique(maintain_order=True).to_list()
    st.subheader("Coverage", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        feed = st.selectbox("Feed", feeds, width=180) if len(feeds) > 1 else feeds[0]
        own = known.filter(pl.col("feed") == feed)
        symbol = st.selectbox("Symbol", [_ALL, *own["symbol"].sort()], width=220)
    chosen = None if symbol == _ALL else symbol
    years = _years(lake().store.name, mark, feed, chosen)
    calendar_map(years[:_YEARS])
    if len(years) > _YEARS:
        st.caption(f"The newest {_YEARS} of {len(years)} years.")
    rows = own.filter(pl.col("symbol") == chosen) if chosen else own
    shown = rows.slice(_page_of(rows.height) * _CARDS, _CARDS)
    shares = _shares(lake().store.name, mark, feed, tuple(shown["symbol"]))
    coverage_cards(shown.to_dicts(), shares)


def _page_of(count: int) -> int:
    """Number of the page of cards, from 0; chosen below the calendar where there are several."""
    pages = -(-count // _CARDS)
    if pages <= 1:
        return 0
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"{count:,} symbols, those that are furthest behind first")
        return int(st.pagination(pages)) - 1


@st.cache_data(show_spinner=False, max_entries=16)
def _holdings(name: str, mark: dt.datetime | None) -> pl.DataFrame:
    del name, mark  # what tells one state of a lake from another
    return coverage.holdings(lake())


@st.cache_data(show_spinner=False, max_entries=64)
def _years(name: str, mark: dt.datetime | None, feed: str, symbol: str | None) -> list[CalendarYear]:
    del name, mark
    return calendar_years(coverage.session_shares(lake(), feed, symbol))


@st.cache_data(show_spinner=False, max_entries=64)
def _shares(name: str, mark: dt.datetime | None, feed: str, symbols: tuple[str, ...]) -> dict[str, Any]:
    del name, mark
    return dict(coverage.recent_shares(lake(), feed, symbols))


if __name__ == "__main__":
    page()
