"""What a page shows, chosen there or named in its address, so that a look can be sent to somebody."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

__all__ = ["choose_shown"]


def choose_shown(names: Mapping[str, str], *, key: str, what: str) -> list[str]:
    """Ids to show, in the order chosen; at first those in the address (`?models=1f2e...,77ab...`), else the first.

    Parameters
    ----------
    names
        What each id is called; not empty.
    key
        Of the widget, and its name in the address.
    """
    asked = [one for one in st.query_params.get(key, "").split(",") if one in names]
    if key not in st.session_state:
        st.session_state[key] = asked or [next(iter(names))]
    # What was deleted meanwhile is not offered any more.
    st.session_state[key] = [one for one in st.session_state[key] if one in names]
    chosen = st.multiselect(
        "Shown: one to read it, several to compare them", list(names), format_func=names.__getitem__, key=key,
        placeholder=f"Choose a {what}",
    )  # fmt: skip
    if chosen != asked:
        st.query_params[key] = ",".join(chosen)
    return chosen
