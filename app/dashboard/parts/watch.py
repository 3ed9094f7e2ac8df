"""What a visitor's browser changes without asking for a page: the theme; and whether the visitor is still let in."""

from __future__ import annotations

import streamlit as st

from app.dashboard.parts.gate import is_admitted

__all__ = ["watch_visitor"]

_EVERY_S = 1.5


def watch_visitor() -> None:
    """Draw the page again once the visitor's theme is another, or the key was revoked.

    Texts and frames follow the theme by themselves; charts are drawn in the colours of one.
    """
    drawn = str(st.context.theme.type)
    with st.sidebar:
        st.html(f'<i class="drawn-theme" data-theme="{drawn}"></i>')
        _watch(drawn)


@st.fragment(run_every=_EVERY_S)
def _watch(drawn: str) -> None:
    if str(st.context.theme.type) != drawn or not is_admitted():
        st.rerun()
