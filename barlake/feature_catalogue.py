"""What a catalogue shows of feature tables: versions, the values, and what was measured of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from barlake.catalogue_parts import Catalogue, ParquetView
from barlake.feature_files import is_whole
from barlake.feature_quality import QUALITY_KEYS, QUALITY_TABLES
from barlake.feature_tables import FeatureTables
from barlake.publish import publish

__all__ = ["feature_contents", "publish_features"]


def feature_contents(tables: FeatureTables) -> tuple[dict[str, pl.DataFrame], list[ParquetView]]:
    """Small tables and views: `feature_versions`, a view for each set, and `feature_quality` with its companions.

    What was never measured is an empty table, so that a query on it answers.
    """
    views = _quality_views(tables)
    shown = {view.name for view in views}
    empty = {
        name: pl.DataFrame(schema={**QUALITY_KEYS, **columns, "symbol": pl.String()})
        for name, columns in QUALITY_TABLES.items()
        if name not in shown
    }
    return {"feature_versions": tables.versions(), **empty}, [*tables.views(), *views]


def _quality_views(tables: FeatureTables) -> list[ParquetView]:
    """A view for each of `QUALITY_TABLES` over what counts of every version; those without a file are left out."""
    paths: dict[str, list[Path]] = {name: [] for name in QUALITY_TABLES}
    for key, manifest in tables.manifests():
        folder = tables.folder(key)
        for entry in manifest["symbols"].values():
            files = entry.get("quality", {})
            if files and all(is_whole(folder, file) for file in files.values()):
                for name, found in paths.items():
                    found.append(folder / files[name]["path"])
    return [ParquetView(name, found, keys=("symbol", "v"), hidden=("v",)) for name, found in paths.items() if found]


def publish_features(path: Path, tables: FeatureTables) -> None:
    """Publish a catalogue that shows feature sets alone."""

    def contents() -> Catalogue:
        small, views = feature_contents(tables)
        return Catalogue(root=str(tables.root), tables=small, views=views, with_bars=False)

    publish(path, contents)
