"""What a page shows, chosen there or named in its address, so that a look can be sent to somebody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

__all__ = ["choose_shown", "show_next", "take_over"]

_NEXT = "shown_next"


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


def show_next(**wanted: Any) -> None:
    """Draw the whole page again with widgets, by their keys, on values that were chosen elsewhere on it.

    A widget that was drawn already takes no value from a part that is drawn alone: the next drawing hands them out.
    """
    st.session_state[_NEXT] = wanted
    st.rerun()


def take_over() -> None:
    """Hand out what `show_next` was given; called before the first widget of a page."""
    for key, value in st.session_state.pop(_NEXT, {}).items():
        st.session_state[key] = value
