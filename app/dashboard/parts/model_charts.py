"""Pictures of a model: scores beside the baseline, folds over time, what it said, and what it looked at."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from app.dashboard.parts.colours import Palette
from app.dashboard.parts.plots import figure

__all__ = ["fold_timeline", "importance_chart", "predictions_chart", "scores_chart"]

_ROW_PX, _EDGE_PX, _TIMELINE_PX = 42, 76, 112
_MOST_FEATURES = 15


def scores_chart(scores: pl.DataFrame, colours: Palette, *, metric: str) -> go.Figure:
    """The model's score with its 95 % interval beside the baseline's, over all test rows and in each fold.

    Parameters
    ----------
    scores
        test, value, low, high, baseline, of one metric.
    """
    found = figure(height=_EDGE_PX + _ROW_PX * scores.height)
    names = [name.replace(", from ", "<br>from ") for name in scores["test"]]
    above, below = scores["high"] - scores["value"], scores["value"] - scores["low"]
    found.add_scatter(
        x=scores["baseline"].to_list(), y=names, mode="markers", name="baseline",
        marker={"symbol": "line-ns-open", "size": 17, "color": colours.neutral, "line": {"width": 3}},
        hovertemplate="baseline %{x:.4f}<extra></extra>",
    )  # fmt: skip
    found.add_scatter(
        x=scores["value"].to_list(), y=names, mode="markers", name="model, 95 % interval",
        marker={"size": 10, "color": colours.series[0]},
        error_x={"type": "data", "array": above.to_list(), "arrayminus": below.to_list(), "thickness": 2, "width": 5},
        customdata=scores.select("low", "high").rows(),
        hovertemplate="model %{x:.4f}, %{customdata[0]:.4f} to %{customdata[1]:.4f}<extra></extra>",
    )  # fmt: skip
    found.update_yaxes(autorange="reversed", showgrid=False)
    found.update_xaxes(title=metric)
    return found


def fold_timeline(spans: pl.DataFrame, colours: Palette) -> go.Figure:
    """When each fold trains and when it is tested: the test always lies behind the training."""
    found = figure(height=_TIMELINE_PX + 26 * spans["fold"].n_unique(), hovermode="closest")
    styles = {"train": colours.neutral, "test": colours.series[0]}
    for row in spans.iter_rows(named=True):
        ends = [row["first_timestamp"], row["last_timestamp"]]
        told = f"{row['part']}: {row['rows']:,} rows, {ends[0]:%Y-%m-%d} to {ends[1]:%Y-%m-%d}"
        found.add_scatter(
            x=ends, y=[f"fold {row['fold']}"] * 2, mode="lines", name=row["part"],
            showlegend=False, line={"width": 13, "color": styles[row["part"]]},
            hovertemplate=f"{told}<extra></extra>",
        )  # fmt: skip
    for part, colour in styles.items():
        found.add_scatter(x=[None], y=[None], mode="lines", name=part, line={"width": 13, "color": colour})
    found.update_yaxes(autorange="reversed", showgrid=False)
    return found


def predictions_chart(predictions: pl.DataFrame, colours: Palette, *, middle: float, label: str) -> go.Figure:
    """How often the model said what, with the line that divides up from down."""
    found = figure(height=230, legend=False)
    found.add_scatter(
        x=predictions["left"].to_list(), y=predictions["bars"].to_list(), mode="lines", fill="tozeroy",
        line={"shape": "hv", "color": colours.series[0], "width": 1.5}, hovertemplate="%{y:,} bars<extra></extra>",
    )  # fmt: skip
    found.add_vline(x=middle, line={"color": colours.text, "width": 1, "dash": "dot"})
    found.update_xaxes(title=label, showgrid=False)
    found.update_yaxes(title="test bars")
    return found


def importance_chart(importance: pl.DataFrame, colours: Palette) -> go.Figure:
    """What the model loses without each of the features that matter most, with its deviation over the folds."""
    first = importance.head(_MOST_FEATURES)
    spread = first["importance_deviation"].to_list()
    found = figure(height=60 + 24 * first.height, legend=False)
    found.add_bar(
        x=first["importance"].to_list(), y=first["feature"].to_list(), orientation="h", marker_color=colours.series[0],
        error_x={"type": "data", "array": spread, "color": colours.neutral, "width": 0},
        hovertemplate="%{y}: %{x:.3g}<extra></extra>",
    )  # fmt: skip
    found.update_yaxes(autorange="reversed", showgrid=False)
    found.update_xaxes(title="loss without it")
    return found
