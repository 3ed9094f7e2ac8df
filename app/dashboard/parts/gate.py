"""Who may see the dashboard: everybody on this machine; from elsewhere, who has an operator's key."""

from __future__ import annotations

import streamlit as st

from app.dashboard.parts.lake import operations
from app.loopback import is_loopback
from app.operations.api_keys import Role

__all__ = ["is_admitted", "require_key"]

_GIVEN = "gate-key"


def is_admitted() -> bool:
    """Whether this visitor may see pages now: a key that is revoked meanwhile opens nothing any more."""
    address = st.get_option("server.address")
    if address is not None and is_loopback(address):
        return True
    given = st.session_state.get(_GIVEN)
    key = None if given is None else operations().api_keys.find(given)
    return key is not None and key.role is Role.OPERATOR


def require_key() -> None:
    """Go on for whoever is admitted; for others ask for a key, and end the page there.

    Whoever sees the pages can give orders, so a reader's key does not do.
    """
    if is_admitted():
        return
    with st.container(width=460, key="gate"):
        st.title("Barlake", anchor=False)
        st.markdown("This dashboard is reached from other machines, so it asks for an operator's key.")
        with st.form("gate-form", border=True):
            text = st.text_input("Key", type="password", autocomplete="current-password")
            is_given = st.form_submit_button("Open", type="primary")
        if is_given:
            st.session_state[_GIVEN] = text.strip()
            if is_admitted():
                st.rerun()
            st.error("This key is unknown, expired, revoked or a reader's.", icon=":material/error:")
        st.caption("`barlake keys create NAME --role operator` makes one on the machine of the lake.")
    st.stop()
