"""Colours of charts, by day and by night: those of Okabe and Ito, which the colour-blind can tell apart.

Source: https://jfly.uni-koeln.de/color/. Nothing is said by colour alone: a word or a mark always stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

__all__ = ["Palette", "palette"]


@dataclass(frozen=True)
class Palette:
    """Colours of one theme.

    Parameters
    ----------
    rise, fall
        Of a bar that closes above, or below, where it opened.
    neutral
        What is there beside the matter: volume, a baseline, a frame.
    grid, text
        Of axes.
    series
        Lines, in order.
    steps
        From nothing to all, for heat maps.
    """

    rise: str
    fall: str
    neutral: str
    warning: str
    grid: str
    text: str
    background: str
    series: tuple[str, ...]
    steps: tuple[str, ...]


_DAY = Palette(
    rise="#0072b2",
    fall="#d55e00",
    neutral="#9aa8b5",
    warning="#b26a00",
    grid="#e6ebf0",
    text="#3c4a57",
    background="#ffffff",
    series=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"),
    steps=("#eef2f6", "#cfe3f1", "#93c4e3", "#4a9bcd", "#0072b2"),
)
_NIGHT = Palette(
    rise="#56b4e9",
    fall="#e69f00",
    neutral="#66737f",
    warning="#e69f00",
    grid="#27313b",
    text="#b8c4ce",
    background="#11171d",
    series=("#56b4e9", "#e69f00", "#2fc29a", "#e59bc4", "#9ad0f2", "#f0e442"),
    steps=("#1c252e", "#1d3a50", "#22587c", "#3584b5", "#56b4e9"),
)


def palette() -> Palette:
    """The colours of the theme that whoever looks has chosen."""
    return _NIGHT if st.context.theme.type == "dark" else _DAY
