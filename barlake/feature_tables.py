"""Feature sets on disk. (Contract stand-in by the lead so that `import barlake` works; the owner of this file
replaces it whole and keeps `views()`, which barlake/catalogue.py and publish.publish_features call.)"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from barlake.publish import ParquetView


class FeatureTables:
    def __init__(self, root: Path) -> None:
        self.root = root

    def versions(self, name: str | None = None) -> pl.DataFrame:
        stamp = pl.Datetime("us", "UTC")
        return pl.DataFrame(
            schema={
                "name": pl.String(),
                "version": pl.String(),
                "feed": pl.String(),
                "symbol": pl.String(),
                "rows": pl.Int64(),
                "first": stamp,
                "last": stamp,
                "created_at": stamp,
            }
        )

    def views(self) -> list[ParquetView]:
        """One view `features_<set>` over the files that count of the newest version of each set (keys: symbol, dt)."""
        return []
