"""Which pages there are, in which order, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import StreamlitPage

__all__ = ["PAGES", "PageEntry", "navigation"]


@dataclass(frozen=True)
class PageEntry:
    """A page: its file below `pages`, its title, its icon, and its part of the menu."""

    file: str
    title: str
    icon: str
    section: str = ""

    @property
    def path(self) -> str:
        """Its file, as `st.switch_page` and `st.page_link` take it."""
        return f"pages/{self.file}.py"


PAGES = (
    PageEntry("overview", "Home", ":material/home:"),
    PageEntry("ingest", "Ingest", ":material/download:"),
    PageEntry("bars", "Bars", ":material/candlestick_chart:", "Data"),
    PageEntry("features", "Features", ":material/stacked_line_chart:", "Data"),
    PageEntry("sql", "SQL", ":material/database:", "Data"),
    PageEntry("models", "Models", ":material/model_training:", "Research"),
    PageEntry("simulations", "Simulations", ":material/finance:", "Research"),
    PageEntry("logs", "Logs and alerts", ":material/notifications:", "Operations"),
)
"""All pages, in the order of the menu; the first is what the address alone shows."""


def navigation(*, hidden: bool = False) -> StreamlitPage:
    """The page that was asked for, with the menu drawn beside it unless it is to be hidden."""
    sections: dict[str, list[StreamlitPage]] = {}
    for number, entry in enumerate(PAGES):
        page = st.Page(entry.path, title=entry.title, icon=entry.icon, url_path=entry.file, default=number == 0)
        sections.setdefault(entry.section, []).append(page)
    return st.navigation(sections, position="hidden" if hidden else "sidebar", expanded=True)
