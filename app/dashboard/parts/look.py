"""How pages look: their head, their empty states, the badge of made-up bars, errors in words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath

import streamlit as st

from app.dashboard.navigation import PAGES
from barlake.errors import BarlakeError
from barlake.keys import SYNTHETIC_FEED
from barlake.lake import Lake

__all__ = [
    "apply_style", "empty_state", "errors_told", "page_header", "page_link", "plain", "sidebar_foot", "synthetic_badge",
]  # fmt: skip

_MARKS = re.compile(r"([\\$*_\[\]~<>#:|`!])")
_CODE = re.compile(r"((?<!`)`[^`\n]+`(?!`))")
_STYLE = Path(__file__).parent.parent / "style.css"


def apply_style() -> None:
    """Use the house's own few rules beside the theme."""
    st.html(_STYLE)


def page_header(title: str, about: str, *, feeds: Iterable[str] = ()) -> None:
    """Title, one sentence on what the page is for, and the badge where a feed is made up.

    Parameters
    ----------
    feeds
        Those that the page shows.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(title, anchor=False, width="content")
        synthetic_badge(feeds)
    st.caption(about)


def synthetic_badge(feeds: Iterable[str]) -> None:
    """Say that bars are made up, where one of the feeds is."""
    if SYNTHETIC_FEED in set(feeds):
        st.badge(
            "synthetic: made-up bars", icon=":material/science:", color="orange",
            help="These bars come from a random walk. They show how things work, and nothing about a market.",
        )  # fmt: skip


def empty_state(text: str, first_step: str, *, page: str | None = None, label: str = "") -> None:
    """What a page says where there is nothing yet: why, and what to do first.

    Parameters
    ----------
    first_step
        A sentence, or a command in backticks.
    page
        File of the page on which that is done, without its ending; `label` is what its link says.
    """
    with st.container(border=True):
        st.markdown(f"**{text}**")
        st.markdown(first_step)
        if page is not None:
            page_link(page, label)


def page_link(page: str, label: str, *, asked: Mapping[str, str] | None = None) -> None:
    """A link to a page, by its file without the ending; `asked` is what stands in the address behind it."""
    entry = next(one for one in PAGES if one.file == page)
    st.page_link(entry.path, label=label or entry.title, icon=entry.icon, query_params=dict(asked or {}))


def plain(text: str) -> str:
    r"""Markdown that shows words of others as they are; what stands in backticks is code.

    Examples
    --------
    >>> plain("a $5 fee, 2*3; see `my_file`")
    'a \\$5 fee, 2\\*3; see `my_file`'
    """
    # A backtick without its fellow ends no code: what follows it would be read as markdown.
    parts = _CODE.split(text)
    return "".join(part if number % 2 else _MARKS.sub(r"\\\1", part) for number, part in enumerate(parts))


def sidebar_foot(lake: Lake) -> None:
    """Below the menu: which lake this is, by the end of its name; pointed at, the whole of it."""
    name = lake.store.name
    with st.sidebar:
        st.caption(f":material/folder: {plain(PurePath(name).name)}", help=plain(name))


@contextlib.contextmanager
def errors_told() -> Iterator[None]:
    """Within it, an error that was raised on purpose is a sentence on the page, not a trace."""
    try:
        yield
    except BarlakeError as error:
        st.error(plain(str(error)), icon=":material/error:")
