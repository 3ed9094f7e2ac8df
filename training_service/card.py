"""The card of a model: one HTML page that says what it is, what it scored beside baselines, and what made it.

The page needs nothing but itself, no script and no request, and is read in light and dark. Its headings follow
Mitchell et al. 2019, Model Cards for Model Reporting (https://doi.org/10.1145/3287560.3287596). It holds no
instant of its making, so that the same model made again has the same card, byte for byte.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import polars as pl

from barlake.artifacts import library_versions
from barlake.durable import storage_errors
from barlake.keys import SYNTHETIC_FEED
from training_service.card_view import fold_lines, importance_bars, prediction_bars, score_lines
from training_service.score_rows import score_rows

__all__ = ["CARD", "render", "write_card"]

CARD = "card.html"
_TEMPLATE = "card.html.j2"
_SMALL = 0.001


def write_card(
    folder: Path,
    model_id: str,
    *,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Any],
    code: str,
    seed: int | None,
    results: Mapping[str, Any],
) -> Path:
    """Path of the card, written into the folder of a model that is being made.

    Parameters
    ----------
    folder
        Holds the model's tables already: the page draws what it finds of `predictions.parquet`,
        `folds.parquet` and `importance.parquet`.
    parameters, inputs, code, seed, results
        As the model's manifest will hold them.

    Raises
    ------
    StorageError
        If the disk is full or refuses.
    """
    page = render(folder, model_id, parameters=parameters, inputs=inputs, code=code, seed=seed, results=results)
    path = folder / CARD
    with storage_errors(path):
        path.write_text(page, encoding="utf-8")
    return path


def render(
    folder: Path,
    model_id: str,
    *,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Any],
    code: str,
    seed: int | None,
    results: Mapping[str, Any],
) -> str:
    """HTML text of the card; parameters as in `write_card`."""
    overall, folds = results.get("overall", {}), results.get("folds", [])
    metric, lines = score_lines(overall, folds)
    tables = {name: _table(folder / f"{name}.parquet") for name in ("predictions", "folds", "importance")}
    return _template().render(
        model_id=model_id,
        parameters=parameters,
        inputs=inputs,
        code=code,
        results=results,
        libraries=library_versions(),
        is_synthetic=parameters.get("feed") == SYNTHETIC_FEED,
        scores=score_rows(overall),
        baselines=list(overall.get("baselines", {})),
        metric=metric,
        score_lines=lines,
        fold_lines=fold_lines(tables["folds"]) if tables["folds"] is not None else [],
        predictions=prediction_bars(tables["predictions"]) if tables["predictions"] is not None else [],
        importance=importance_bars(tables["importance"]) if tables["importance"] is not None else [],
        lost=_lost(tables["importance"]),
        options=_options({"seed": seed, **parameters}),
    )


def _table(path: Path) -> pl.DataFrame | None:
    return pl.read_parquet(path) if path.is_file() else None


def _lost(importance: pl.DataFrame | None) -> float | None:
    """The loss that the importance of features is held against, where the table tells it."""
    if importance is None or "loss" not in importance.columns or importance.is_empty():
        return None
    lost: float | None = importance["loss"].item(0)
    return lost


def _options(parameters: Mapping[str, Any], where: str = "") -> list[tuple[str, str]]:
    """Options by their names, those inside of others with a dot; what is not set is left out."""
    found = []
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            found += _options(value, f"{where}{name}.")
        elif value is not None:
            found.append((f"{where}{name}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return found


def _number(value: float | None) -> str:
    """A figure for eyes, with a true minus sign; a dash where it is not defined."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:,.4f}" if value == 0 or abs(value) >= _SMALL else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = _number
    text = (importlib.resources.files(__package__) / _TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text)
