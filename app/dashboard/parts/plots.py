"""What all pictures of research have in common: margins, legends, and axes with a tick for each labelled bar."""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.use_cases.bar_axis import Ticks

__all__ = ["bar_axis", "draw", "figure", "literal"]

_LEGEND = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0, "title": None}
_MARGIN = {"l": 8, "r": 12, "t": 36, "b": 8}


def figure(*, height: int, legend: bool = True, **layout: Any) -> go.Figure:
    """An empty picture `height` pixels high, its legend above it; text and grid are coloured in the browser."""
    found = go.Figure()
    found.update_layout(
        height=height, margin={**_MARGIN, "t": _MARGIN["t"] if legend else 12}, legend=_LEGEND, showlegend=legend,
        hoverlabel={"align": "left"}, dragmode=False, **layout,
    )  # fmt: skip
    found.update_xaxes(automargin=True, zeroline=False)
    found.update_yaxes(automargin=True, zeroline=False)
    return found


def bar_axis(ticks: Ticks, bars: int) -> dict[str, Any]:
    """An axis of bars at equal distances, from the first to the last one."""
    return {
        "tickmode": "array",
        "tickvals": [bar for bar, _ in ticks],
        "ticktext": [text for _, text in ticks],
        "range": [-0.5, bars - 0.5],
        "tickangle": 0,
    }


def literal(value: Any) -> Any:
    """Text as a picture shows it as it is: plotly reads some HTML in names, links among it. Others are left alone.

    Examples
    --------
    >>> literal("<a href='http://example.com'>AT&T</a>"), literal(1.5)
    ("&lt;a href='http://example.com'&gt;AT&amp;T&lt;/a&gt;", 1.5)
    """
    return html.escape(value, quote=False) if isinstance(value, str) else value


def draw(found: go.Figure, *, key: str, alt: str) -> None:
    """Put a picture on the page.

    Parameters
    ----------
    alt
        What it shows, in words, for those who do not see it.
    """
    st.plotly_chart(found, key=key, config={"displayModeBar": False, "scrollZoom": False}, alt=alt)
