"""What a model and a run have in common on their pages: the head, what they were made from, the page they came with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from app.dashboard.parts import look
from barlake.artifacts import Artifact

__all__ = ["show_head", "show_origin", "show_own_page"]


def show_head(made: Artifact, title: str, *, kind: str, feed: str) -> None:
    """Draw its title with the badge of made-up bars, its id and when it was made."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(title, anchor=False, width="content")
        look.synthetic_badge([feed])
    st.caption(f"{kind} {made.id}, made {made.created_at:%Y-%m-%d %H:%M} UTC")


def show_origin(facts: Mapping[str, Any]) -> None:
    """Draw what it was made from, folded; names without a value are left out."""
    rows = [(name, str(value)) for name, value in facts.items() if value is not None and value != ""]
    with st.expander("What it was made from", icon=":material/fingerprint:"):
        st.dataframe(pl.DataFrame(rows, schema=["what", "value"], orient="row"), hide_index=True)


def show_own_page(page: Path, name: str, *, file_name: str, height: int) -> None:
    """Draw the way to the HTML page that came with it: as a file, or here, `height` pixels high."""
    with st.container(horizontal=True):
        st.download_button(
            f"{name.capitalize()} as HTML", page.read_bytes(), file_name, "text/html", icon=":material/download:",
            on_click="ignore",
        )  # fmt: skip
        is_open = st.toggle(f"Show the {name} here", key=f"show_{file_name}")
    if is_open:
        st.iframe(page, height=height)
