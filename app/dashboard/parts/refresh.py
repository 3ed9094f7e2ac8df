"""Parts of a page that are drawn again by themselves, or alone when something in them is touched."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import streamlit as st
from streamlit.errors import StreamlitAPIException

from app.dashboard.parts.look import errors_told

__all__ = ["draw_again", "refreshed"]

P = ParamSpec("P")


def refreshed(*, every_s: float | None = None) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """A decorator: the function draws a part of the page that is drawn again without the rest.

    Errors of the house are told in its place.

    Parameters
    ----------
    every_s
        Seconds between two drawings; None draws it again only when something in it is touched.
    """

    def decorate(draw: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(draw)
        def told(*arguments: P.args, **words: P.kwargs) -> None:
            with errors_told():
                draw(*arguments, **words)

        return st.fragment(run_every=every_s)(told)

    return decorate


def draw_again() -> NoReturn:
    """Begin anew with the part of the page that was touched; with all of it where all of it is being drawn."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()
