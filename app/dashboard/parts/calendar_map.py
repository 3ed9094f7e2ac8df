"""The calendar heat map: how much of each session is held."""

from __future__ import annotations

import calendar
from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from app.dashboard.parts.colours import Palette, palette
from app.dashboard.parts.steps import STEPS, step_of
from app.use_cases.calendar_grid import CalendarYear

__all__ = ["calendar_map"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CELL, _HEAD = 19, 34


def calendar_map(years: Sequence[CalendarYear]) -> None:
    """Draw some years below each other, with what the colours mean."""
    colours = palette()
    figure = make_subplots(rows=len(years), cols=1, vertical_spacing=min(0.16, 0.5 / max(len(years), 1)))
    for row, year in enumerate(years, start=1):
        figure.add_trace(_trace(year, colours), row=row, col=1)
        _axes(figure, row, year, colours)
    height = sum(_HEAD + _CELL * len(year.shares) for year in years) + 12
    figure.update_layout(
        height=height, margin={"l": 78, "r": 4, "t": 6, "b": 22}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", font={"color": colours.text, "size": 12}, showlegend=False, dragmode=False,
        hoverlabel={"bgcolor": colours.background, "font": {"color": colours.text}, "bordercolor": colours.neutral},
    )  # fmt: skip
    st.plotly_chart(figure, theme=None, config={"displayModeBar": False, "scrollZoom": False}, key="calendar-map")
    _legend(colours)


def _trace(year: CalendarYear, colours: Palette) -> go.Heatmap:
    """One year's cells; what is held by step, so that a missing tenth is seen."""
    steps = [[None if share is None else step_of(share) for share in line] for line in year.shares]
    count = len(colours.steps)
    scale = [(at / count, colour) for number, colour in enumerate(colours.steps) for at in (number, number + 1)]
    return go.Heatmap(
        z=steps, x=list(range(len(year.weeks))), y=list(_DAYS[: len(year.shares)]), text=year.texts,
        hovertemplate="%{text}<extra></extra>", hoverongaps=False, colorscale=scale, zmin=-0.5, zmax=count - 0.5,
        showscale=False, xgap=2, ygap=2,
    )  # fmt: skip


def _axes(figure: go.Figure, row: int, year: CalendarYear, colours: Palette) -> None:
    quarters = year.months[::3]  # as many names as a phone has room for
    ticks = [column for column, _ in quarters]
    names = [calendar.month_abbr[month] for _, month in quarters]
    figure.update_xaxes(
        row=row, col=1, tickvals=ticks, ticktext=names, showgrid=False, zeroline=False, ticks="",
        tickfont={"color": colours.text}, fixedrange=True, ticklabelstandoff=2, tickangle=0,
    )  # fmt: skip
    figure.update_yaxes(
        row=row, col=1, autorange="reversed", showgrid=False, zeroline=False, fixedrange=True, ticks="",
        tickvals=["Mon", "Wed", "Fri"], title={"text": f"<b>{year.year}</b>", "standoff": 8},
    )  # fmt: skip


def _legend(colours: Palette) -> None:
    cells = "".join(
        f'<span class="calendar-key"><i style="background:{colour}"></i>{name}</span>'
        for colour, name in zip(colours.steps, STEPS, strict=True)
    )
    st.html(f'<div class="calendar-legend">Regular minutes held: {cells}</div>')
