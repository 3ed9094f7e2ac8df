"""Candles, volume, what is absent, splits and dividends as one picture. Pure: rows in, a figure out."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl

from app.dashboard.parts.colours import Palette
from app.dashboard.parts.time_axis import Positions, labels, place, ticks
from app.use_cases.candles import Candles
from barlake.actions import ActionKind
from barlake.coverage import GapClass
from barlake.quality_report import CLASS_MEANINGS

__all__ = ["CandleChart", "action_text", "candle_chart", "class_colour", "zone_name"]

HEIGHT = 560
_PRICE, _VOLUME, _STRIP = [0.28, 1.0], [0.07, 0.25], [0.0, 0.045]
_MOST_LETTERS = 24
"""With more splits and dividends than so many, their letters would run into each other."""

_PATTERNS = {GapClass.GAP: "/", GapClass.UNCONFIRMED: ".", GapClass.HALT: "x", GapClass.NO_TRADE: ""}
CLASS_NAMES = {
    GapClass.GAP: "not fetched",
    GapClass.UNCONFIRMED: "unconfirmed",
    GapClass.HALT: "halt",
    GapClass.NO_TRADE: "no trade",
}


@dataclass(frozen=True)
class CandleChart:
    """A figure, and where its rows stand in it."""

    figure: go.Figure
    positions: Positions


def zone_name(found: Candles) -> str:
    """The zone in which hours are told: New York's, or UTC where the market never closes."""
    return "UTC" if found.span.zone is dt.UTC else str(found.span.zone)


def class_colour(kind: str, palette: Palette) -> str:
    """The colour of a class of absent minutes."""
    colours = {GapClass.HALT: palette.series[3], GapClass.NO_TRADE: palette.neutral}
    return colours.get(GapClass(kind), palette.warning)


def candle_chart(found: Candles, palette: Palette, *, volume: bool = True) -> CandleChart:
    """The picture of some candles.

    Parameters
    ----------
    found
        With at least one row.
    volume
        Whether volume is drawn; without it its room stays empty for something else.
    """
    zone = zone_name(found)
    positions = place(found.rows)
    names = labels(found.rows, found.interval, zone)
    rows = found.rows.with_columns(positions.middle.alias("x"), positions.width.alias("width"), names.alias("label"))
    figure = go.Figure()
    candles = rows.filter(pl.col("open").is_not_null())
    _add_holes(figure, rows.filter(pl.col("open").is_null()), palette)
    figure.add_trace(_candlesticks(candles, palette))
    if volume:
        figure.add_trace(_volume(candles, palette))
    _add_strip(figure, candles.filter(pl.col("missing") > 0), palette)
    _add_actions(figure, rows, found.actions, palette)
    _lay_out(figure, positions)
    marks = ticks(found.rows, positions, found.interval, zone)
    figure.update_xaxes(tickmode="array", tickvals=marks.places, ticktext=marks.texts)
    return CandleChart(figure, positions)


def _price_format(candles: pl.DataFrame) -> str:
    """Cents, or finer below a dollar."""
    low = candles["low"].min()
    return ",.2f" if isinstance(low, float) and low >= 1 else ",.5~f"


def _candlesticks(candles: pl.DataFrame, palette: Palette) -> go.Candlestick:
    form = _price_format(candles)
    text = (
        f"<b>%{{customdata[0]}}</b><br>open %{{open:{form}}}<br>high %{{high:{form}}}<br>low %{{low:{form}}}<br>"
        f"close %{{close:{form}}}<br>volume %{{customdata[1]:,.4~f}}<br>minute bars %{{customdata[2]:,}}<extra></extra>"
    )
    return go.Candlestick(
        x=candles["x"].to_list(),
        **{name: candles[name].to_numpy() for name in ("open", "high", "low", "close")},
        customdata=candles.select("label", "volume", "minutes").rows(),
        hovertemplate=text,
        increasing={"line": {"color": palette.rise, "width": 1}, "fillcolor": "rgba(0,0,0,0)"},
        decreasing={"line": {"color": palette.fall, "width": 1}, "fillcolor": palette.fall},
        name="price",
        showlegend=False,
        whiskerwidth=0,
    )


def _volume(candles: pl.DataFrame, palette: Palette) -> go.Bar:
    colours = candles.select(
        pl.when(pl.col("close") >= pl.col("open")).then(pl.lit(palette.rise)).otherwise(pl.lit(palette.fall))
    )
    return go.Bar(
        x=candles["x"].to_list(), y=candles["volume"].to_numpy(), width=0.8, yaxis="y2", name="volume",
        marker={"color": colours.to_series().to_list(), "opacity": 0.55, "line": {"width": 0}},
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip


def _add_holes(figure: go.Figure, holes: pl.DataFrame, palette: Palette) -> None:
    """Bands as high as the prices where candles are absent, one kind of band for each class."""
    for (kind,), rows in holes.group_by("class", maintain_order=True):
        what = GapClass(str(kind))
        colour = class_colour(what, palette)
        figure.add_trace(
            go.Bar(
                x=rows["x"].to_list(), y=[1.0] * rows.height, width=rows["width"].to_list(), yaxis="y3",
                name=f"absent: {CLASS_NAMES[what]}", legendgroup=what,
                marker={
                    "color": colour, "opacity": 0.22, "line": {"width": 0},
                    "pattern": {"shape": _PATTERNS[what], "size": 5, "solidity": 0.35, "fgcolor": colour},
                },
                customdata=_absence_words(rows), hovertemplate="%{customdata}<extra></extra>",
            )
        )  # fmt: skip


def _add_strip(figure: go.Figure, thin: pl.DataFrame, palette: Palette) -> None:
    """Marks at the foot of candles that lack minutes, as high as the share that is absent."""
    shown = {trace.legendgroup for trace in figure.data}
    for (kind,), rows in thin.group_by("class", maintain_order=True):
        what = GapClass(str(kind))
        share = rows.select(pl.col("missing") / (pl.col("missing") + pl.col("minutes"))).to_series()
        figure.add_trace(
            go.Bar(
                x=rows["x"].to_list(), y=share.to_list(), width=1.0, yaxis="y4",
                name=f"absent: {CLASS_NAMES[what]}", legendgroup=what, showlegend=what.value not in shown,
                marker={"color": class_colour(what, palette), "line": {"width": 0}},
                customdata=_absence_words(rows), hovertemplate="%{customdata}<extra></extra>",
            )
        )  # fmt: skip


def _absence_words(rows: pl.DataFrame) -> list[str]:
    """What is said of a place with absent minutes: where, how many, why, and how that is known."""
    found = []
    for row in rows.iter_rows(named=True):
        whole = f"{row['whole_sessions']:,} whole session{'s' * (row['whole_sessions'] != 1)}, "
        found.append(
            f"<b>{row['label']}</b><br>{whole if row['whole_sessions'] else ''}{row['missing']:,} regular "
            f"minute{'s' * (row['missing'] != 1)} absent<br>{CLASS_MEANINGS[GapClass(row['class'])]}<br>"
            f"<i>{row['evidence'] or ''}</i>"
        )
    return found


def action_text(row: dict[str, Any]) -> str:
    """A split or a dividend in words.

    Examples
    --------
    >>> action_text({"kind": "split", "ex_date": "2014-06-09", "ratio": 7.0, "cash_usd": None})
    'split, ex-date 2014-06-09: 7 new shares for 1 old'
    """
    when = f"{row['kind'].replace('_', ' ')}, ex-date {row['ex_date']}"
    if row["kind"] == ActionKind.DIVIDEND:
        return f"{when}: ${row['cash_usd']:.4g} a share"
    new, old = (row["ratio"], 1.0) if row["ratio"] >= 1 else (1.0, 1 / row["ratio"])
    return f"{when}: {new:g} new share{'s' * (new != 1)} for {old:g} old"


def _add_actions(figure: go.Figure, rows: pl.DataFrame, actions: pl.DataFrame, palette: Palette) -> None:
    """A mark at the top of the first candle of each ex-date."""
    starts = rows.select(pl.col("last_session").alias("ex_date"), "x").sort("ex_date")
    # The first row that ends on the ex-date or later is where it counts for the first time.
    dated = actions.sort("ex_date").join_asof(starts.unique("ex_date", keep="first"), on="ex_date", strategy="forward")
    is_dividend = pl.col("kind") == ActionKind.DIVIDEND.value
    for name, letter, own, symbol, colour in (
        ("dividend", "D", dated.filter(is_dividend), "circle", palette.series[2]),
        ("split", "S", dated.filter(~is_dividend), "diamond", palette.series[3]),
    ):
        if own.is_empty():
            continue
        lettered = own.height <= _MOST_LETTERS
        figure.add_trace(
            go.Scatter(
                x=own["x"].to_list(), y=[0.965] * own.height, yaxis="y3", name=name,
                mode="markers+text" if lettered else "markers", text=letter, textposition="middle center",
                textfont={"size": 9, "color": "#ffffff"},
                marker={"symbol": symbol, "size": 16 if lettered else 8, "color": colour, "line": {"width": 0}},
                customdata=[action_text(row) for row in own.to_dicts()],
                hovertemplate="%{customdata}<extra></extra>", cliponaxis=False,
            )
        )  # fmt: skip


def _lay_out(figure: go.Figure, positions: Positions) -> None:
    """Axes and margins; what is text or grid gets its colours from the theme, in the browser."""
    axis = {"zeroline": False, "side": "right", "fixedrange": True}
    hidden = {"visible": False, "range": [0, 1], "fixedrange": True}
    legend = {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False}
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 48, "t": 36, "b": 28},
        hoverlabel={"align": "left"},
        hovermode="closest",
        dragmode="select",
        selectdirection="h",
        bargap=0,
        barmode="overlay",
        legend=legend,
        xaxis={
            "range": [0, positions.length], "anchor": "free", "position": 0, "rangeslider": {"visible": False},
            "showgrid": True, "zeroline": False, "fixedrange": True,
        },
        yaxis={**axis, "domain": _PRICE, "tickformat": ",.6~g"},
        yaxis2={**axis, "domain": _VOLUME, "nticks": 3, "tickformat": "~s", "rangemode": "tozero"},
        yaxis3={**hidden, "overlaying": "y"},
        yaxis4={**hidden, "domain": _STRIP},
    )  # fmt: skip
