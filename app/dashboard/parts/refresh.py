"""Parts of a page that are drawn again by themselves, or alone when something in them is touched.

A part that may come out shorter than before is no such part unless it draws itself again every few seconds: Streamlit
1.67 may then leave what was below on the page (docs/decisions/0043-the-dashboard.md).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import streamlit as st

from app.dashboard.parts.look import errors_told

__all__ = ["refreshed"]

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
