"""How fresh a lake is, as a line of badges."""

from __future__ import annotations

import datetime as dt

import streamlit as st

from app.operations.durations import span_text
from app.operations.observer import FeedStanding
from app.use_cases.overview import Overview
from barlake.sessions import NEW_YORK

__all__ = ["freshness"]

_NEXT = {"closed": "opens early in", "pre": "opens in", "open": "closes in", "post": "late hours end in"}
_NAMES = {"closed": "closed", "pre": "before hours", "open": "open", "post": "after hours"}
_RECENT = dt.timedelta(minutes=5)
_LONG = dt.timedelta(days=2)


def freshness(seen: Overview) -> None:
    """Draw the market's hours, how far each feed reaches, and when something was stored last."""
    with st.container(horizontal=True, gap="small"):
        is_open = seen.market.phase == "open"
        st.badge(_market(seen), icon=":material/schedule:", color="green" if is_open else "gray")
        for feed in seen.feeds:
            _feed(feed)
        if seen.last_commit is not None:
            st.badge(
                f"stored {span_text(seen.market_now - seen.last_commit)} ago", icon=":material/save:", color="gray"
            )


def _market(seen: Overview) -> str:
    market, local = seen.market, seen.market_now.astimezone(NEW_YORK)
    text = f"market {_NAMES[market.phase]}"
    if market.until is not None:
        text += f", {_NEXT[market.phase]} {span_text(market.until - seen.market_now)}"
    return f"{text} ({local:%a %H:%M} New York)"


def _feed(one: FeedStanding) -> None:
    if one.lag <= _RECENT:
        st.badge(f"{one.feed}: up to date", icon=":material/check:", color="green")
        return
    behind = f"ends {one.newest:%Y-%m-%d}" if one.lag > _LONG else f"{span_text(one.lag)} behind"
    st.badge(
        f"{one.feed}: {behind}", icon=":material/history:", color="orange",
        help=f"The newest bar of {one.feed} opened at {one.newest:%Y-%m-%d %H:%M} UTC.",
    )  # fmt: skip
