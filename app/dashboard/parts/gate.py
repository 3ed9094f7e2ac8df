"""Who may see the dashboard: everybody on this machine; from elsewhere, who has an operator's key."""

from __future__ import annotations

import streamlit as st

from app.dashboard.address import is_loopback

__all__ = ["require_key"]


def require_key() -> None:
    """Go on where only this machine can look; else stop the page until an operator's key was given."""
    if is_loopback(st.get_option("server.address")):
        return
    st.error("This dashboard listens beyond this machine, and no key can be checked. Bind it to 127.0.0.1.")
    st.stop()
