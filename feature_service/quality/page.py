"""One HTML page on the features of one symbol that needs nothing but itself: no script, no request, light and dark."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.resources
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
import polars as pl

from barlake.durable import storage_errors
from barlake.keys import SYNTHETIC_FEED
from feature_service.quality.clusters import CLOSE
from feature_service.quality.clusters import MOST_ROWS as ROWS_OF_CORRELATION
from feature_service.quality.drift import BINS, LEAST_SHARE, LEAST_VALUES
from feature_service.quality.measure import LARGE_SHIFT
from feature_service.quality.pictures import band_path, columns_path, heat_map, line_path

if TYPE_CHECKING:
    from feature_service.quality.symbols import MeasuredSymbol

__all__ = ["page_path", "render", "write_page"]

_TEMPLATE = "page.html.j2"
_STRETCHES = 60
_COLUMNS = 24
_SOME_SHIFT = 0.1
_NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class _Preview:
    """Pictures of one feature's values: over time, and how they are spread."""

    band: str
    line: str
    columns: str
    nulls: list[tuple[float, float, float]]
    newest: float | None


def page_path(root: Path, measured: MeasuredSymbol) -> Path:
    """Where a lake keeps the page on one symbol's features of one set."""
    name = f"features-{measured.key.name}-{measured.feed}-{quote(measured.symbol, safe='')}.html"
    return root / "reports" / name


def write_page(path: Path, measured: MeasuredSymbol, *, made_at: dt.datetime) -> None:
    """Put the page in its place, whole, over an earlier one.

    Raises
    ------
    StorageError
        If the disk is full or refuses.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(render(measured, made_at=made_at), encoding="utf-8")
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def render(measured: MeasuredSymbol, *, made_at: dt.datetime) -> str:
    """HTML text of one symbol's features.

    Parameters
    ----------
    made_at
        When the page is made, UTC.
    """
    quality = measured.quality
    features = quality.features.to_dicts()
    previews = _previews(measured)
    importances = [abs(row["importance"]) for row in features if row["importance"] is not None]
    ordered = [features[place]["feature"] for place in quality.order]
    return _template().render(
        measured=measured,
        made_at=made_at,
        is_synthetic=measured.feed == SYNTHETIC_FEED,
        facts=_facts(measured),
        rows=[(row, previews[row["feature"]], _shifts(quality.drift, row["feature"])) for row in features],
        periods=quality.drift.filter(feature=features[0]["feature"]).to_dicts(),
        most_important=max(importances, default=0.0),
        model=next((row["model"] for row in features if row["model"]), None),
        heat_map=heat_map(quality.correlation[quality.order][:, quality.order]),
        ordered=ordered,
        groups=_groups(features),
        rules={
            "bins": BINS, "least_share": LEAST_SHARE, "least_values": LEAST_VALUES, "large": LARGE_SHIFT,
            "close": CLOSE, "rows": ROWS_OF_CORRELATION,
        },
    )  # fmt: skip


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({"count": lambda value: f"{value:,}", "figure": _figure, "shift": _shift_class})
    return environment.from_string((importlib.resources.files(__package__) / _TEMPLATE).read_text(encoding="utf-8"))


def _figure(value: float | None, digits: int = 4) -> str:
    """A number for eyes: so many digits that say something, a true minus sign, a dash where there is none."""
    if value is None or math.isnan(value):
        return _NOTHING
    return f"{value:,.{digits}g}".replace("-", "\N{MINUS SIGN}")


def _shift_class(psi: float | None) -> str:
    """Name in the style sheet for how far a distribution moved."""
    if psi is None:
        return "unknown"
    return "large" if psi > LARGE_SHIFT else "some" if psi > _SOME_SHIFT else "small"


def _facts(measured: MeasuredSymbol) -> dict[str, Any]:
    features, table = measured.quality.features, measured.table
    valued = int((features["rows"] - features["leading_nulls"]).sum())
    grouped = features.filter(pl.col("cluster_size") > 1)
    return {
        "features": features.height,
        "families": features["family"].n_unique(),
        "rows": table.height,
        "sessions": table["session"].n_unique(),
        "first": table["session"].min(),
        "last": table["session"].max(),
        "later_nulls": int(features["later_nulls"].sum()),
        "later_share": int(features["later_nulls"].sum()) / valued if valued else 0.0,
        "shifted": features.filter(pl.col("psi") > LARGE_SHIFT).height,
        "grouped": grouped.height,
        "groups": grouped["cluster"].n_unique(),
    }


def _shifts(drift: pl.DataFrame, name: str) -> list[dict[str, Any]]:
    return drift.filter(feature=name).slice(1).to_dicts()


def _groups(features: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Clusters of several features: number, the one closest to the others, and all members."""
    members: dict[int, list[Mapping[str, Any]]] = {}
    for row in features:
        members.setdefault(row["cluster"], []).append(row)
    return [
        {"number": number, "representative": rows[0]["representative"], "members": [row["feature"] for row in rows]}
        for number, rows in members.items()
        if len(rows) > 1
    ]


def _previews(measured: MeasuredSymbol) -> dict[str, _Preview]:
    table, quality = measured.table, measured.quality
    names = quality.features["feature"].to_list()
    sessions = table.select(pl.col("session").unique().sort()).with_row_index("place")
    stretches = min(_STRETCHES, sessions.height)
    stretch = (pl.col("place").cast(pl.Int64) * stretches // sessions.height).alias("stretch")
    by_time = (
        table.join(sessions.select("session", stretch), on="session", how="left", maintain_order="left")
        .group_by("stretch", maintain_order=True)
        .agg(
            *(pl.col(names).quantile(share).name.suffix(f":{share}") for share in (0.1, 0.5, 0.9)),
        )
    )
    places = dict(zip(sessions["session"], sessions["place"], strict=True))
    nulls: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    width = 100 / sessions.height
    for row in quality.nulls.iter_rows(named=True):
        nulls[row["feature"]].append(
            (round(places[row["session"]] * width, 2), round(max(width, 0.6), 2), row["nulls"] / row["rows"])
        )
    return {row["feature"]: _preview(table, row, by_time, nulls[row["feature"]]) for row in quality.features.to_dicts()}


def _preview(
    table: pl.DataFrame, row: Mapping[str, Any], by_time: pl.DataFrame, nulls: list[tuple[float, float, float]]
) -> _Preview:
    name, low, high = row["feature"], row["p01"], row["p99"]
    if low is None:
        return _Preview("", "", "", nulls, None)
    lower, middle, upper = (by_time[f"{name}:{share}"].to_list() for share in (0.1, 0.5, 0.9))
    return _Preview(
        band=band_path(lower, upper, low=low, high=high),
        line=line_path(middle, low=low, high=high),
        columns=columns_path(_spread(table[name], low, high)),
        nulls=nulls,
        newest=table[name][-1],
    )


def _spread(values: pl.Series, low: float, high: float) -> list[float]:
    """How many values lie in each of equal parts of a range; a range without width is one part."""
    inside = values.cast(pl.Float64).drop_nulls()
    inside = inside.filter(inside.is_between(low, high))
    if low == high:
        return [float(inside.len())]
    edges = [low + (high - low) * place / _COLUMNS for place in range(1, _COLUMNS)]
    return [float(count) for count in inside.hist(bins=[low, *edges, high], include_breakpoint=False)["count"]]
