"""Models as rows and figures for a screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from barlake.artifacts import Artifact
from barlake.keys import parse_symbol
from training_service.score_rows import headline_row, score_rows

__all__ = ["model_rows", "model_scores", "short_facts"]

_STAMP = pl.Datetime("us", "UTC")
_COLUMNS = {
    "model": pl.String(), "created_at": _STAMP, "symbols": pl.String(), "target": pl.String(),
    "horizon": pl.String(), "estimator": pl.String(), "metric": pl.String(), "value": pl.Float64(),
    "low": pl.Float64(), "high": pl.Float64(), "baseline": pl.Float64(), "beats_baseline": pl.Boolean(),
}  # fmt: skip


def model_rows(models: Iterable[Artifact], *, symbol: str | None = None) -> pl.DataFrame:
    """One row per model, in the order given: what it predicts, from what, and its headline score.

    Parameters
    ----------
    symbol
        Only models that predict this one; None takes all.
    """
    wanted = None if symbol is None else parse_symbol(symbol)
    rows = [_row(one) for one in models if wanted in (None, _symbols(one.parameters)[0])]
    return pl.DataFrame(rows, schema=_COLUMNS)


def model_scores(model: Artifact) -> pl.DataFrame:
    """One row per measure: metric, value, low, high, and a column for each baseline."""
    rows = [
        {"metric": row.metric, "value": row.value, "low": row.low, "high": row.high, **row.baselines}
        for row in score_rows(model.results.get("overall", {}))
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def short_facts(model: Artifact) -> dict[str, Any]:
    """What a model is and was made from, one value a name."""
    flat = {name: value for name, value in model.parameters.items() if not isinstance(value, Mapping | list)}
    version = model.parameters.get("feature_set", {})
    return {
        "symbols": ", ".join(_symbols(model.parameters)),
        **flat,
        "feature set": f"{version.get('name', '')} {version.get('version', '')}".strip(),
        "made": model.created_at,
        "test rows": model.results.get("overall", {}).get("rows"),
        "imported from": model.results.get("imported", {}).get("file"),
        "libraries": ", ".join(f"{name} {number}" for name, number in model.inputs.get("libraries", {}).items()),
        "code": model.code,
        "folder": str(model.path),
    }


def _row(model: Artifact) -> dict[str, Any]:
    parameters, row = model.parameters, headline_row(model.results.get("overall", {}))
    return {
        "model": model.id,
        "created_at": model.created_at,
        "symbols": ",".join(_symbols(parameters)),
        "target": parameters.get("target"),
        "horizon": str(parameters.get("horizon")),
        "estimator": parameters.get("estimator"),
        "metric": row and row.metric,
        "value": row and row.value,
        "low": row and row.low,
        "high": row and row.high,
        "baseline": row and next(iter(row.baselines.values()), None),
        "beats_baseline": model.results.get("beats_baseline"),
    }


def _symbols(parameters: Mapping[str, Any]) -> list[str]:
    return list(parameters.get("symbols") or [""])
