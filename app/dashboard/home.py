"""The frame of every page: who may see it, the menu, the name of the lake. Streamlit runs this file for each look."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.dashboard import navigation
from app.dashboard.parts import gate, look, watch
from app.dashboard.parts.lake import lake

__all__ = ["frame"]

# A file of our own: Streamlit would fetch its icons of the browser's tab from another machine.
_ICON = Path(__file__).parent / "icon.svg"
_LOGO = Path(__file__).parent / "logo.svg"
_MENU_WIDTH = 232


def frame() -> None:
    """Draw the menu and the page that was asked for."""
    st.set_page_config(page_title="Barlake", page_icon=str(_ICON), layout="wide", initial_sidebar_state=_MENU_WIDTH)
    st.logo(str(_LOGO), icon_image=str(_ICON), size="large")
    look.apply_style()
    with look.errors_told():
        # Also for whoever is not let in yet, so that the page that was asked for comes after the key.
        page = navigation.navigation(hidden=not gate.is_admitted())
        gate.require_key()
        look.sidebar_foot(lake())
        watch.watch_visitor()
        page.run()


if __name__ == "__main__":
    frame()
