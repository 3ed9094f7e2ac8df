"""What needs whoever looks, as a list with links to where it is mended."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.dashboard.parts.look import page_link, plain
from app.use_cases.needs import Gravity, Need, Place

__all__ = ["needs_list"]

_ICONS = {
    Gravity.ERROR: ":red[:material/error:]",
    Gravity.WARNING: ":orange[:material/warning:]",
    Gravity.HINT: ":blue[:material/info:]",
}
_LINKS = {
    Place.JOBS: ("ingest", "Jobs"),
    Place.AGENTS: ("ingest", "Agents"),
    Place.LOGS: ("logs", "Logs and alerts"),
}
_SHOWN = 6


def needs_list(needs: Sequence[Need]) -> None:
    """Draw the list, the gravest first; where there is nothing, say so."""
    with st.container(border=True, gap="small", key="needs"):
        if not needs:
            st.markdown(":green[:material/check_circle:] **Nothing needs you.**")
            return
        st.markdown("**What needs you**")
        for one in needs[:_SHOWN]:
            _line(one)
        if len(needs) > _SHOWN:
            st.caption(f"and {len(needs) - _SHOWN:,} more")


def _line(one: Need) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.markdown(f"{_ICONS[one.gravity]} {plain(one.text)}", width="stretch")
        if one.place in _LINKS:
            page_link(*_LINKS[one.place])
