"""Pictures of a run: the ladder, account value beside buy and hold, trades on the bars, several runs at once."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from app.dashboard.parts.colours import Palette
from app.dashboard.parts.plots import bar_axis, figure
from app.use_cases.bar_axis import new_york_text
from app.use_cases.runs import Curves
from app.use_cases.trade_picture import TradePicture

__all__ = ["equity_chart", "growth_chart", "ladder_chart", "trades_chart"]

_TEXT_ROOM = 0.42
"""Room for the figure beside the longest bar, as a share of the bars' own span: enough on a phone."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def ladder_chart(ladder: pl.DataFrame, colours: Palette) -> go.Figure:
    """Total return on each rung, the most optimistic one hatched."""
    found = figure(height=60 + 40 * ladder.height, legend=False)
    returns = ladder["total_return"].to_list()
    names = [
        f"{rung} (optimistic)" if optimistic else rung
        for rung, optimistic in ladder.select("rung", "optimistic").rows()
    ]
    found.add_bar(
        x=returns, y=names, orientation="h",
        marker={
            "color": [colours.rise if (one or 0) >= 0 else colours.fall for one in returns],
            "pattern": {"shape": ["/" if optimistic else "" for optimistic in ladder["optimistic"]], "size": 6},
        },
        text=["no figure" if one is None else f"{one:+.2%}" for one in returns], textposition="outside",
        hovertemplate="%{y}: %{x:+.2%}<extra></extra>",
    )  # fmt: skip
    found.add_vline(x=0, line={"color": colours.text, "width": 1})
    found.update_yaxes(autorange="reversed", showgrid=False)
    ends = [0.0, *(one for one in returns if one is not None)]
    room = (max(ends) - min(ends)) * _TEXT_ROOM
    found.update_xaxes(
        tickformat="+.1%", range=[min(ends) - room * (min(ends) < 0), max(ends) + room * (max(ends) > 0)]
    )
    return found


def equity_chart(curves: Curves, colours: Palette, *, legend: str) -> go.Figure:
    """Account value over drawdown, both beside buy and hold.

    Parameters
    ----------
    legend
        What the account's own line is called.
    """
    found = figure(height=470, hovermode="x unified")
    points = curves.points
    lines = (
        ("buy_and_hold_usd", "buy and hold", {"color": colours.neutral, "width": 1.6, "dash": "dash"}, "y"),
        ("same_close_usd", "same close (optimistic)", {"color": colours.series[1], "width": 1.2, "dash": "dot"}, "y"),
        ("equity_usd", legend, {"color": colours.series[0], "width": 2}, "y"),
        ("buy_and_hold_drawdown", "drawdown, held", {"color": colours.neutral, "width": 1, "dash": "dash"}, "y2"),
        ("drawdown", "drawdown", {"color": colours.series[0], "width": 1}, "y2"),
    )
    times = new_york_text(points["timestamp"])
    for name, label, style, axis in (one for one in lines if points[one[0]].null_count() < points.height):
        value = "%{y:,.2f} $" if axis == "y" else "%{y:.2%}"
        found.add_scatter(
            x=points["bar"].to_list(), y=points[name].to_list(), mode="lines", name=label, line=style, yaxis=axis,
            showlegend=axis == "y", fill="tozeroy" if name == "drawdown" else None, customdata=times,
            hovertemplate=f"{value}<extra>{label}</extra>" if name != "equity_usd"
            else f"{value} at %{{customdata}}<extra>{label}</extra>",
        )  # fmt: skip
    found.add_hline(y=curves.cash_usd, line={"color": colours.grid, "width": 1.5})
    found.update_layout(
        xaxis={
            **bar_axis(curves.ticks, curves.bars),
            "anchor": "y2",
            "showgrid": False,
            "unifiedhovertitle": {"text": " "},
        },
        yaxis={"domain": [0.32, 1], "tickformat": ",.0f", "title": "account, $"},
        yaxis2={
            "domain": [0, 0.25],
            "tickformat": ".0%",
            "title": "drawdown",
            "automargin": True,
        },
    )
    return found


def trades_chart(picture: TradePicture, colours: Palette) -> go.Figure:
    """Candles with every entry and exit; a line joins the two ends of a trade."""
    found = figure(height=470, hovermode="closest", xaxis_rangeslider_visible=False)
    bars = picture.bars
    found.add_candlestick(
        x=bars["bar"].to_list(), **{side: bars[side].to_list() for side in ("open", "high", "low", "close")},
        name=f"{picture.interval} candles", showlegend=False, text=new_york_text(bars["timestamp"]),
        increasing={"line": {"color": colours.neutral, "width": 1}, "fillcolor": colours.background},
        decreasing={"line": {"color": colours.neutral, "width": 1}, "fillcolor": colours.neutral},
    )  # fmt: skip
    whole = picture.trades.filter(pl.col("entry_bar").is_not_null(), pl.col("exit_bar").is_not_null())
    for won, colour in ((True, colours.rise), (False, colours.fall)):
        found.add_scatter(**_joins(whole.filter((pl.col("profit_usd") > 0) == won)), mode="lines", showlegend=False,
                          hoverinfo="skip", line={"color": colour, "width": 1.6, "dash": "dot"})  # fmt: skip
    _add_marks(found, picture.trades, colours)
    found.update_xaxes(**bar_axis(picture.ticks, bars.height), showgrid=False)
    found.update_yaxes(tickformat=",.2f", title="price, $")
    return found


def _joins(trades: pl.DataFrame) -> dict[str, list[float | None]]:
    """Entry and exit of each trade, with a gap between two of them."""
    across: list[float | None] = []
    up: list[float | None] = []
    for row in trades.iter_rows(named=True):
        across += [row["entry_bar"], row["exit_bar"], None]
        up += [row["entry_price_usd"], row["exit_price_usd"], None]
    return {"x": across, "y": up}


def _add_marks(found: go.Figure, trades: pl.DataFrame, colours: Palette) -> None:
    is_long, is_won = pl.col("shares") > 0, pl.col("profit_usd") > 0
    marks = (
        ("entry, long", "entry", is_long, "triangle-up", colours.text),
        ("entry, short", "entry", ~is_long, "triangle-down", colours.text),
        ("exit, won", "exit", is_won, "circle", colours.rise),
        ("exit, lost or even", "exit", ~is_won, "x", colours.fall),
    )
    for label, side, which, symbol, colour in marks:
        chosen = trades.filter(which, pl.col(f"{side}_bar").is_not_null())
        if chosen.is_empty():
            continue
        facts = chosen.select("shares", "profit_usd", "simple_return", "exit_reason")
        told = new_york_text(chosen[f"{side}_timestamp"])
        found.add_scatter(
            x=chosen[f"{side}_bar"].to_list(), y=chosen[f"{side}_price_usd"].to_list(), mode="markers", name=label,
            marker={"symbol": symbol, "size": 10, "color": colour, "line": {"color": colours.background, "width": 1}},
            customdata=[(when, *row) for when, row in zip(told, facts.rows(), strict=True)],
            hovertemplate=f"{label}<br>%{{customdata[0]}} at %{{y:,.2f}} $, %{{customdata[1]:,}} shares<br>"
            "profit %{customdata[2]:+,.2f} $ (%{customdata[3]:+.2%}), left by %{customdata[4]}<extra></extra>",
        )  # fmt: skip


def growth_chart(growth: pl.DataFrame, names: dict[str, str], colours: Palette) -> go.Figure:
    """Return of several runs since each began, by session.

    Parameters
    ----------
    growth
        session, run, growth.
    names
        What each run is called.
    """
    found = figure(height=380, hovermode="x unified")
    for place, (run, name) in enumerate(names.items()):
        own = growth.filter(run=run)
        style = {
            "color": colours.series[place % len(colours.series)],
            "dash": _DASHES[place % len(_DASHES)],
            "width": 2,
        }
        found.add_scatter(
            x=own["session"].to_list(), y=own["growth"].to_list(), mode="lines", name=name, line=style,
            hovertemplate="%{y:+.2%}<extra>" + name + "</extra>",
        )  # fmt: skip
    found.add_hline(y=0, line={"color": colours.grid, "width": 1.5})
    found.update_yaxes(tickformat="+.0%", title="return")
    return found
