"""Rank correlations against scipy, and groups in which every pair is close."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from feature_service.quality import clusters
from feature_service.quality.clusters import CLOSE, cluster_features, rank_correlation


def a_table(columns: int = 6, rows: int = 500, seed: int = 0) -> pl.DataFrame:
    """Columns that share more or less of one walk, with ties."""
    noise = np.random.default_rng(seed).normal(size=(rows, columns))
    shared = np.arange(columns) / columns * noise[:, [0]]
    return pl.DataFrame(np.round(noise + 3 * shared, 1), schema=[f"f{place}" for place in range(columns)])


def correlations() -> st.SearchStrategy[np.ndarray]:
    """Symmetric matrices of many sizes with entries from -1 to 1 and ones on the diagonal."""

    def build(data: tuple[int, list[float]]) -> np.ndarray:
        size, values = data
        found = np.eye(size)
        upper = np.triu_indices(size, 1)
        found[upper] = values[: len(upper[0])]
        return found + np.triu(found, 1).T

    entries = st.sampled_from([-1.0, -0.95, 0.0, 0.5, 0.9, 0.95, 1.0, float("nan")])
    return st.tuples(st.integers(1, 8), st.lists(entries, min_size=28, max_size=28)).map(build)


def test_the_correlation_is_scipys_where_nothing_is_absent() -> None:
    table = a_table()
    expected = spearmanr(table.to_numpy()).statistic
    np.testing.assert_allclose(rank_correlation(table, table.columns), expected, atol=1e-12)


def test_a_pair_counts_the_rows_where_both_have_a_value() -> None:
    table = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, None], "b": [None, 3.0, 2.0, 1.0, 9.0]})
    assert rank_correlation(table, ["a", "b"])[0, 1] == pytest.approx(np.corrcoef([2, 3, 4], [3, 2, 1])[0, 1])


def test_a_column_that_never_changes_or_is_empty_has_no_correlation() -> None:
    table = a_table(2).with_columns(pl.lit(7.0).alias("flat"), pl.lit(None, pl.Float64).alias("empty"))
    found = rank_correlation(table, table.columns)
    assert np.isnan(found[2:]).all()
    assert np.isnan(found[:, 2:]).all()
    assert np.isfinite(found[:2, :2]).all()


def test_a_long_table_is_drawn_from_and_gives_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    table = a_table(rows=4000)
    exact = rank_correlation(table, table.columns)
    monkeypatch.setattr(clusters, "MOST_ROWS", 2000)
    drawn = rank_correlation(table, table.columns)
    assert not np.array_equal(drawn, exact)
    np.testing.assert_allclose(drawn, exact, atol=0.1)
    np.testing.assert_array_equal(drawn, rank_correlation(table, table.columns))


def test_what_is_monotone_in_another_is_in_its_group_whatever_the_sign() -> None:
    walk = np.random.default_rng(1).normal(size=300)
    table = pl.DataFrame(
        {"walk": walk, "other": np.random.default_rng(2).normal(size=300), "cube": walk**3, "minus": -walk}
    )
    found = cluster_features(rank_correlation(table, table.columns), table.columns).frame
    assert found["cluster"].to_list() == [1, 2, 1, 1]
    assert found["cluster_size"].to_list() == [3, 1, 3, 3]
    assert found["representative"].to_list() == ["walk", "other", "walk", "walk"]
    assert found["nearest"].to_list()[2] == "walk"
    assert found["nearest_correlation"].to_list()[3] == pytest.approx(-1)


@given(correlations())
def test_within_a_group_every_pair_is_close_and_each_feature_is_in_one_group(correlation: np.ndarray) -> None:
    names = [f"f{place}" for place in range(len(correlation))]
    found = cluster_features(correlation, names)
    label = found.frame["cluster"].to_list()
    assert found.frame["feature"].to_list() == names
    assert sorted(found.order) == list(range(len(names)))
    assert list(dict.fromkeys(label)) == list(range(1, max(label) + 1))
    for one, other in itertools.combinations(range(len(names)), 2):
        if label[one] == label[other]:
            assert abs(correlation[one, other]) >= CLOSE - 1e-9
    sizes = {number: label.count(number) for number in label}
    assert found.frame["cluster_size"].to_list() == [sizes[number] for number in label]
    members = dict(zip(names, label, strict=True))
    assert [members[name] for name in found.frame["representative"]] == label


def test_the_nearest_is_another_feature_or_none() -> None:
    correlation = np.array([[1.0, 0.2, np.nan], [0.2, 1.0, np.nan], [np.nan, np.nan, np.nan]])
    found = cluster_features(correlation, ["a", "b", "c"]).frame
    assert found.select("nearest", "nearest_correlation").rows() == [("b", 0.2), ("a", 0.2), (None, None)]


def test_one_feature_alone_is_one_group() -> None:
    found = cluster_features(np.ones((1, 1)), ["a"])
    assert found.frame.row(0) == ("a", 1, 1, "a", None, None)
    assert found.order == [0]
