"""What is looked at of one feature table: its newest rows, its quality, how its values moved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from barlake.errors import NotFoundError
from barlake.feature_quality import read_quality
from barlake.feature_tables import feature_tables_of
from barlake.keys import FeatureSetKey
from barlake.lake import Lake

__all__ = [
    "FeatureView",
    "QualityView",
    "feature_set_names",
    "feature_spread",
    "list_feature_tables",
    "measure_now",
    "measured_quality",
    "newest_rows",
    "open_features",
]

_NEAR_DAYS = 7
_BINS = 40


@dataclass(frozen=True)
class FeatureView:
    """One symbol's newest table of a feature set, described; no value of it was read.

    Parameters
    ----------
    session, adjustment
        Hours and prices it was computed from.
    first, last
        Sessions.
    described
        Of each feature, in the order of the columns: name, family, unit, description, and whatever else the
        definition says.
    """

    key: FeatureSetKey
    symbol: str
    feed: str
    session: str
    adjustment: str
    rows: int
    first: dt.date
    last: dt.date
    created_at: dt.datetime
    described: tuple[Mapping[str, Any], ...]

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        return [str(one["name"]) for one in self.described]

    def of(self, feature: str) -> Mapping[str, Any]:
        """What the definition says of one feature."""
        return next(one for one in self.described if one["name"] == feature)


@dataclass(frozen=True)
class QualityView:
    """What was measured of a table.

    Parameters
    ----------
    features, drift, nulls
        Columns as in `barlake.feature_quality.QUALITY_TABLES`.
    measured_at
        None for a measurement that nobody keeps.
    """

    features: pl.DataFrame
    drift: pl.DataFrame
    nulls: pl.DataFrame
    measured_at: dt.datetime | None

    @property
    def facts(self) -> dict[str, int]:
        """How many features there are, that drift, that have nulls after their first value, that are near copies."""
        from feature_service.quality.measure import LARGE_SHIFT  # noqa: PLC0415 - scipy, where it is needed

        count = self.features.select(
            pl.len().alias("features"),
            (pl.col("psi") > LARGE_SHIFT).sum().alias("drifting"),
            (pl.col("later_nulls") > 0).sum().alias("with_nulls"),
            (pl.col("cluster_size") > 1).sum().alias("grouped"),
        )
        return {name: int(value) for name, value in count.row(0, named=True).items()}

    def shifts(self) -> pl.DataFrame:
        """Stability index by feature and period: feature, then a column for each period after the first."""
        later = self.drift.filter(pl.col("period") > 0).with_columns(
            pl.format("{} to {}", "first", "last").alias("stretch")
        )
        return later.pivot("stretch", index="feature", values="psi", maintain_order=True)


def feature_set_names() -> list[str]:
    """Names of the sets that come with the house."""
    from feature_service.sets import FEATURE_SETS  # noqa: PLC0415 - numeric libraries, where they are needed

    return list(FEATURE_SETS)


def list_feature_tables(lake: Lake) -> pl.DataFrame:
    """The newest table of each set, feed and symbol, as `FeatureTables.versions` describes it."""
    known = feature_tables_of(lake).versions().sort("created_at")
    newest = known.unique(["name", "feed", "symbol"], keep="last", maintain_order=True)
    return newest.sort("symbol", "name", "feed")


def open_features(lake: Lake, name: str, symbol: str, *, feed: str | None = None) -> FeatureView:
    """The newest table of a set for a symbol.

    Raises
    ------
    NotFoundError
        If there is none; the message says how to build it.
    """
    tables = feature_tables_of(lake)
    key = tables.latest(name, symbol, feed)
    entry, definition = tables.entry(key, symbol), tables.definition(key)
    if entry is None:
        raise NotFoundError(f"features of {symbol!r} were removed just now: `barlake features {symbol}` builds them.")
    first, last, created = (dt.datetime.fromisoformat(entry[side]) for side in ("first", "last", "created_at"))
    facts = {fact: str(definition[fact]) for fact in ("feed", "session", "adjustment")}
    described = tuple(definition["features"])
    return FeatureView(key, symbol, **facts, rows=int(entry["rows"]), first=first.date(), last=last.date(),
                       created_at=created, described=described)  # fmt: skip


def newest_rows(lake: Lake, view: FeatureView, count: int = 200) -> pl.DataFrame:
    """The last rows of a table with all its columns, the newest first."""
    start = view.last - dt.timedelta(days=_NEAR_DAYS)
    return feature_tables_of(lake).read(view.key, view.symbol, start=start).tail(count).reverse()


def measured_quality(lake: Lake, view: FeatureView) -> QualityView | None:
    """What `barlake feature-quality` kept of the table since it was built; None where it was not measured."""
    try:
        kept = read_quality(feature_tables_of(lake), view.key, view.symbol)
    except NotFoundError:
        return None
    features, drift, nulls = (kept[name] for name in ("feature_quality", "feature_drift", "feature_nulls"))
    measured_at = features["measured_at"][0]
    return QualityView(features, drift, nulls, measured_at)


def measure_now(lake: Lake, view: FeatureView) -> QualityView:
    """The quality of a table, measured in memory and kept nowhere.

    Raises
    ------
    InvalidInputError
        If the table has fewer sessions than are compared.
    """
    from feature_service.quality.importance import newest_importance  # noqa: PLC0415 - scipy, where it is needed
    from feature_service.quality.measure import measure_quality  # noqa: PLC0415 - as above

    table = feature_tables_of(lake).read(view.key, view.symbol, columns=view.names)
    importance = newest_importance(lake, view.key, view.symbol)
    found = measure_quality(
        table,
        view.described,
        importance=None if importance is None else importance.frame,
        model=None if importance is None else importance.model,
    )
    return QualityView(found.features, found.drift, found.nulls, None)


def feature_spread(lake: Lake, view: FeatureView, feature: str, periods: int = 4) -> pl.DataFrame:
    """How the values of a feature are spread in the first period of a table and in the last one.

    Parameters
    ----------
    periods
        How many groups of sessions the table is cut into, as for drift; fewer where it has fewer sessions.

    Returns
    -------
    period (0 and the last), first, last (its sessions), value (middle of a bin), share (of the period's values). Forty
    bins of equal width from the 0.5 to the 99.5 % quantile; what lies beyond is in the outermost. Empty without
    a value.
    """
    from feature_service.quality.drift import with_periods  # noqa: PLC0415 - scipy, where it is needed

    table = feature_tables_of(lake).read(view.key, view.symbol, columns=[feature])
    values = table.with_columns(pl.col(feature).cast(pl.Float64).fill_nan(None)).drop_nulls(feature)
    low, high = (values[feature].quantile(share) for share in (0.005, 0.995))
    schema = {"period": pl.Int64, "first": pl.Date, "last": pl.Date, "value": pl.Float64, "share": pl.Float64}
    if low is None or high is None:
        return pl.DataFrame(schema=schema)
    count = min(periods, values["session"].n_unique())
    dated = with_periods(values, count) if count > 1 else values.with_columns(period=pl.lit(0))
    ends = dated.filter(pl.col("period").is_in([0, count - 1]))
    width = (high - low) / _BINS or 1.0
    place = ((pl.col(feature) - low) / width).floor().clip(0, _BINS - 1)
    spans = ends.group_by("period").agg(
        pl.col("session").min().alias("first"), pl.col("session").max().alias("last"), pl.len().alias("total")
    )
    counted = ends.group_by("period", ((place + 0.5) * width + low).alias("value")).agg(pl.len().alias("count"))
    shares = counted.join(spans, on="period").with_columns((pl.col("count") / pl.col("total")).alias("share"))
    return shares.select(pl.col(name).cast(kind) for name, kind in schema.items()).sort("period", "value")
