"""Pictures of features: on the price, how their values are spread, how far they moved, where they are absent. Pure."""

from __future__ import annotations

import datetime as dt

import plotly.graph_objects as go
import polars as pl

from app.dashboard.parts.candle_chart import CandleChart
from app.dashboard.parts.colours import Palette
from app.dashboard.parts.plots import figure
from app.use_cases.feature_overlay import Overlay

__all__ = ["add_overlay", "null_chart", "shift_map", "spread_chart"]

_LARGE_SHIFT = 0.25
_ROW_HEIGHT = 19


def add_overlay(chart: CandleChart, overlay: Overlay, palette: Palette) -> None:
    """A feature as a line: among the candles where it is a price, else below them where volume would be."""
    axis = "y" if overlay.is_price else "y2"
    chart.figure.add_trace(
        go.Scatter(
            x=chart.positions.middle.to_list(), y=overlay.values.to_list(), yaxis=axis, mode="lines",
            name=f"{overlay.feature}, {overlay.unit}", line={"color": palette.series[2], "width": 1.5},
            hovertemplate=f"{overlay.feature} %{{y:,.5~g}}<extra></extra>",
        )
    )  # fmt: skip
    if not overlay.is_price:
        chart.figure.update_layout(yaxis2={"rangemode": "normal", "tickformat": ".4~g", "nticks": 5})
        chart.figure.update_layout(yaxis={"domain": [0.42, 1.0]}, yaxis2_domain=[0.07, 0.38])


def spread_chart(spread: pl.DataFrame, unit: str, palette: Palette) -> go.Figure:
    """Shares of values in the first period and in the last one, laid over each other.

    Parameters
    ----------
    spread
        As `app.use_cases.feature_views.feature_spread` gives it.
    """
    found = figure(height=300, bargap=0, barmode="overlay")
    for number, ((_,), rows) in enumerate(spread.group_by("period", maintain_order=True)):
        first, last = rows["first"][0], rows["last"][0]
        found.add_trace(
            go.Scatter(
                x=rows["value"].to_list(), y=rows["share"].to_list(), name=f"{first:%-d %b %Y} to {last:%-d %b %Y}",
                mode="lines", line={"color": palette.series[number], "width": 2, "shape": "hvh",
                                    "dash": ("solid", "dot")[number]},
                fill="tozeroy" if not number else None, opacity=0.9,
                hovertemplate="%{x:,.4~g}: %{y:.1%} of the values<extra></extra>",
            )
        )  # fmt: skip
    found.update_xaxes(title=unit, tickformat=",.4~g", fixedrange=True)
    found.update_yaxes(title="share of values", tickformat=".0%", rangemode="tozero", fixedrange=True)
    return found


def shift_map(shifts: pl.DataFrame, palette: Palette) -> go.Figure:
    """How far each feature's values lie from the first period's: a row a feature, a column a period.

    Parameters
    ----------
    shifts
        As `QualityView.shifts` gives them.
    """
    names, periods = shifts["feature"].to_list(), shifts.columns[1:]
    values = shifts.select(periods).rows()
    found = figure(height=90 + _ROW_HEIGHT * len(names), legend=False)
    scale = [[place / (len(palette.steps) - 1), colour] for place, colour in enumerate(palette.steps)]
    found.add_trace(
        go.Heatmap(
            z=values, x=periods, y=names, colorscale=scale, zmin=0, zmax=2 * _LARGE_SHIFT, xgap=2, ygap=2,
            text=[["" if one is None else f"{one:.2f}" for one in row] for row in values], texttemplate="%{text}",
            hovertemplate="%{y}, %{x}<br>stability index %{z:.3f}<extra></extra>",
            showscale=False,
        )
    )  # fmt: skip
    found.update_yaxes(autorange="reversed", fixedrange=True, showgrid=False)
    found.update_xaxes(side="top", fixedrange=True, showgrid=False)
    return found


def null_chart(nulls: pl.DataFrame, sessions: tuple[dt.date, dt.date], palette: Palette) -> go.Figure:
    """Share of rows without a value in each session that has any.

    Parameters
    ----------
    nulls
        session, nulls, rows of one feature.
    sessions
        The first and the last one of the table.
    """
    found = figure(height=200, legend=False)
    share = nulls.select(pl.col("nulls") / pl.col("rows")).to_series()
    found.add_trace(
        go.Bar(
            x=nulls["session"].to_list(), y=share.to_list(), marker={"color": palette.warning},
            hovertemplate="%{x|%a %-d %b %Y}: %{y:.1%} of the rows<extra></extra>",
        )
    )  # fmt: skip
    found.update_yaxes(tickformat=".0%", rangemode="tozero", fixedrange=True)
    found.update_xaxes(range=[day.isoformat() for day in sessions], fixedrange=True)
    return found
