"""Coverage cards: one for each symbol, with its bars, its sessions and the last quarter at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from app.dashboard.parts.colours import palette
from app.dashboard.parts.steps import step_of

__all__ = ["coverage_cards"]


def coverage_cards(holdings: Sequence[Mapping[str, Any]], shares: Mapping[str, Sequence[float]]) -> None:
    """Draw the cards of some symbols, side by side as far as there is room.

    Parameters
    ----------
    holdings
        Rows of `app.use_cases.coverage.holdings`, of one feed.
    shares
        Of each symbol: what is held of the newest sessions, 0 to 1.
    """
    cards = "".join(_card(one, shares.get(one["symbol"], ())) for one in holdings)
    st.html(f'<div class="coverage-cards">{cards}</div>')


def _card(one: Mapping[str, Any], shares: Sequence[float]) -> str:
    """One card as HTML; pointed at, it says the rest."""
    rest = (
        f"{one['sessions']:,} sessions from {one['first']} to {one['last']}, {one['share']:.1%} of their regular "
        f"minutes. The strip shows the newest {len(shares)} sessions."
    )
    return (
        f'<div class="coverage-card" title="{escape(rest)}"><b>{escape(one["symbol"])}</b>'
        f'<small>{escape(one["feed"])}</small><div class="coverage-bars">{one["bars"]:,} bars</div>'
        f"<small>{_word(one)}</small>{_strip(shares)}</div>"
    )


def _word(one: Mapping[str, Any]) -> str:
    behind, absent = one["behind"], one["absent"]
    if behind:
        return f"\N{BLACK UP-POINTING TRIANGLE} {behind:,} session{'s' if behind > 1 else ''} behind"
    if absent:
        return f"\N{BLACK UP-POINTING TRIANGLE} {absent:,} of {one['expected']:,} sessions absent"
    return f"\N{CHECK MARK} all {one['expected']:,} sessions"


def _strip(shares: Sequence[float]) -> str:
    colours = palette().steps
    cells = "".join(f'<i style="background:{colours[step_of(share)]}"></i>' for share in shares)
    return f'<div class="coverage-strip">{cells}</div>'
