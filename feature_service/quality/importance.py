"""What the newest model that learned from a feature table says of its columns."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from barlake import Lake
from barlake.errors import FormatError
from barlake.keys import ArtifactKind, FeatureSetKey

__all__ = ["IMPORTANCE", "Importance", "newest_importance"]

IMPORTANCE = "importance.parquet"
"""Of a model: feature, importance, importance_deviation."""

_COLUMNS = ("feature", "importance", "importance_deviation")


@dataclass(frozen=True)
class Importance:
    """How much a model's score falls without each of its columns."""

    model: str
    frame: pl.DataFrame


def newest_importance(lake: Lake, key: FeatureSetKey, symbol: str) -> Importance | None:
    """Of the newest model that predicts a symbol from this version of a feature set; None without one.

    Raises
    ------
    FormatError
        If the file is not the one that was written, or lacks a column.
    """
    made_from = {"name": key.name, "version": key.version}
    for one in reversed(lake.artifacts.list(ArtifactKind.MODEL)):
        parameters = one.parameters
        is_of_table = parameters.get("feature_set") == made_from and parameters.get("symbols", [None])[0] == symbol
        if is_of_table and IMPORTANCE in one.files:
            frame = pl.read_parquet(lake.artifacts.verified_file(one, IMPORTANCE))
            if not set(_COLUMNS) <= set(frame.columns):
                raise FormatError(
                    f"{one.path / IMPORTANCE} has the columns {', '.join(frame.columns)} and not "
                    f"{', '.join(_COLUMNS)}: train the model again."
                )
            return Importance(one.id, frame.select(_COLUMNS))
    return None
