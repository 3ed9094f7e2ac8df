"""The quality of a whole table: what is found is said, and nothing is said of a good feature."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from barlake.feature_quality import QUALITY_TABLES
from feature_service.quality.measure import FeatureQuality, measure_quality

ROWS, SESSIONS = 4000, 8
WALK = np.random.default_rng(3).normal(size=ROWS)
TABLE = pl.DataFrame(
    {
        "session": [dt.date(2024, 1, 1 + row * SESSIONS // ROWS) for row in range(ROWS)],
        "good": WALK,
        "twin": np.exp(WALK),
        "level": np.arange(ROWS) + WALK,
        "flat": np.full(ROWS, 2.0),
        "empty": pl.Series([None] * ROWS, dtype=pl.Float32),
        "warm": pl.Series([None] * 500 + np.random.default_rng(4).normal(size=ROWS - 500).tolist()),
        "holes": pl.Series([None if row % 20 == 19 else float(row % 7) for row in range(ROWS)]),
    }
)
DESCRIBED = [{"name": name, "family": "made_up", "unit": "fraction"} for name in TABLE.columns[1:]]


@pytest.fixture(scope="module")
def quality() -> FeatureQuality:
    importance = pl.DataFrame({"feature": ["good", "gone"], "importance": [0.2, 9.0], "importance_deviation": [0.1, 1]})
    return measure_quality(TABLE, DESCRIBED, importance=importance, model="0123")


def column(quality: FeatureQuality, name: str) -> dict[str, object]:
    return dict(zip(quality.features["feature"], quality.features[name], strict=True))


def test_what_is_wrong_with_a_feature_is_said_in_words(quality: FeatureQuality) -> None:
    assert column(quality, "findings") == {
        "good": "a copy of twin",
        "twin": "a copy of good",
        "level": "drifts",
        "flat": "never changes",
        "empty": "never has a value",
        "warm": "",
        "holes": "5.0% null after its first value",
    }


def test_the_tables_have_the_columns_that_the_lake_keeps(quality: FeatureQuality) -> None:
    tables = quality.tables()
    assert {name: dict(frame.schema) for name, frame in tables.items()} == QUALITY_TABLES


def test_the_importance_of_a_model_stands_beside_the_features_it_saw(quality: FeatureQuality) -> None:
    assert column(quality, "importance") == dict.fromkeys(TABLE.columns[1:]) | {"good": 0.2}
    assert column(quality, "model") == dict.fromkeys(TABLE.columns[1:]) | {"good": "0123"}


def test_the_largest_shift_of_a_feature_is_that_of_its_worst_period(quality: FeatureQuality) -> None:
    drift = quality.drift.filter(feature="level")
    assert drift.height == 4
    assert column(quality, "psi")["level"] == drift["psi"].max()
    assert column(quality, "ks_previous")["level"] == drift["ks_previous"].max() == 1


def test_without_a_model_importance_is_null() -> None:
    assert measure_quality(TABLE, DESCRIBED).features["importance"].is_null().all()
