"""Coverage cards: one for each symbol, with its bars, its sessions and the last quarter at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

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
    with st.container(horizontal=True, gap="small", key="cards"):
        for one in holdings:
            _card(one, shares.get(one["symbol"], ()))


def _card(one: Mapping[str, Any], shares: Sequence[float]) -> None:
    behind, absent = one["behind"], one["absent"]
    word = "complete" if not absent else f"{absent:,} of {one['expected']:,} sessions absent"
    if behind:
        word = f"{behind:,} session{'s' if behind > 1 else ''} behind"
    st.metric(
        f"**{one['symbol']}** · {one['feed']}", f"{one['bars']:,} bars", word,
        delta_color="green" if not absent else "orange", delta_arrow="off", border=True, width=224,
        chart_data=list(shares), chart_type="bar",
        help=(
            f"{one['sessions']:,} sessions from {one['first']} to {one['last']}, {one['share']:.1%} of their regular "
            f"minutes. The strip shows the newest {len(shares)} sessions."
        ),
    )  # fmt: skip
