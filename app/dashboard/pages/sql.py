"""SQL: a question of one's own over every view of the lake, as a table, a picture or a file."""

from __future__ import annotations

import streamlit as st

from app.dashboard.parts import look
from app.dashboard.parts.lake import lake
from app.dashboard.parts.sql_answer import show_answer
from app.dashboard.parts.sql_editor import editor, history, schema

__all__ = ["page"]


def page() -> None:
    """Draw the page."""
    feeds = lake().manifest.feeds()
    look.page_header(
        "SQL", "Ask anything of the lake in SQL. A query reads; nothing it says can change the lake.", feeds=feeds
    )
    if not feeds:
        look.empty_state(
            "There are no bars yet, so there is little to ask.",
            "Queue a ticker on the page Ingest, or try it on made-up bars: `barlake demo`.",
            page="ingest", label="Ingest a ticker",
        )  # fmt: skip
    beside, below = st.columns([5, 3], gap="large")
    with below:
        schema(lake())
    with beside:
        editor(lake())
    show_answer()
    history()


if __name__ == "__main__":
    page()
