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

from barlake.artifacts import library_versions
from barlake.durable import storage_errors
from barlake.keys import SYNTHETIC_FEED

__all__ = ["CARD", "render", "write_card"]

CARD = "card.html"
_TEMPLATE = "card.html.j2"


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
    return _template().render(
        model_id=model_id,
        parameters=parameters,
        inputs=inputs,
        code=code,
        seed=seed,
        results=results,
        tables=sorted(path.name for path in folder.glob("*.parquet")),
        libraries=library_versions(),
        is_synthetic=parameters.get("feed") == SYNTHETIC_FEED,
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = (importlib.resources.files(__package__) / _TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text)
