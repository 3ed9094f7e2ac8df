"""Intervals that know that the minutes of a session are not independent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from training_service.bootstrap import FEWEST_SESSIONS, SessionBlocks, auc, figure, rank_correlation

FloatArray = npt.NDArray[np.float64]


def sessions(count: int, minutes: int) -> npt.NDArray[np.datetime64]:
    return np.repeat(np.datetime64("2024-01-02") + np.arange(count), minutes)


def accuracy(blocks: SessionBlocks, is_right: FloatArray) -> FloatArray:
    return blocks.totals(is_right) / blocks.totals(np.ones(is_right.size))


def test_every_draw_has_as_many_sessions_as_the_sample_and_the_first_is_the_sample() -> None:
    blocks = SessionBlocks(sessions(7, 3), replicates=50)
    assert blocks.draws.shape == (51, 7)
    assert blocks.draws[0].tolist() == [1] * 7
    assert blocks.draws.sum(axis=1).tolist() == [7] * 51


def test_a_draw_counts_whole_sessions() -> None:
    blocks = SessionBlocks(np.array(["b", "a", "b", "c"]), replicates=20)
    values = np.array([1.0, 10.0, 2.0, 100.0])
    a, b, c = blocks.draws.T
    assert blocks.totals(values).tolist() == (10 * a + 3 * b + 100 * c).tolist()


def test_equal_seeds_draw_alike() -> None:
    one, other = (SessionBlocks(sessions(9, 2), seed=3).draws for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_the_interval_of_independent_sessions_is_that_of_the_central_limit() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(5, 2, 400)
    found = figure(accuracy(SessionBlocks(sessions(400, 1)), values), sessions=400)
    error = 1.96 * values.std() / 20
    assert found["value"] == pytest.approx(values.mean())
    assert found["low"] == pytest.approx(values.mean() - error, abs=0.15 * error)
    assert found["high"] == pytest.approx(values.mean() + error, abs=0.15 * error)


def is_in(found: dict[str, float | None], truth: float) -> bool:
    assert found["low"] is not None
    assert found["high"] is not None
    return found["low"] <= truth <= found["high"]


def test_nineteen_of_twenty_intervals_hold_the_truth_and_rows_drawn_one_by_one_would_not() -> None:
    # Runs of half an hour are right or wrong together, as labels that overlap make them.
    generator = np.random.default_rng(7)
    days, minutes, run, draws = 60, 120, 30, 300
    by_session = by_row = 0
    for seed in range(draws):
        is_right = np.repeat((generator.random(days * minutes // run) < 0.5).astype(float), run)
        rows = np.arange(is_right.size)
        blocks = SessionBlocks(sessions(days, minutes), replicates=300, seed=seed)
        by_session += is_in(figure(accuracy(blocks, is_right), sessions=days), 0.5)
        if seed < 60:
            alone = SessionBlocks(rows // run * run + rows % run, replicates=60, seed=seed)
            by_row += is_in(figure(accuracy(alone, is_right), sessions=rows.size), 0.5)
    assert by_session / draws == pytest.approx(0.95, abs=0.035)
    assert by_row / 60 < 0.5


def test_too_few_sessions_have_no_interval() -> None:
    scores = np.linspace(0, 1, 101)
    assert figure(scores, sessions=FEWEST_SESSIONS - 1) == {"value": 0.0, "low": None, "high": None}
    assert figure(scores, sessions=FEWEST_SESSIONS)["low"] is not None


def test_draws_without_a_score_are_left_out_of_the_interval() -> None:
    found = figure(np.array([0.5, np.nan, 0.4, 0.6]), sessions=20)
    assert found == {"value": 0.5, "low": pytest.approx(0.405), "high": pytest.approx(0.595)}
    assert figure(np.array([np.nan, 0.4, 0.6]), sessions=20) == {"value": None, "low": None, "high": None}


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 40), values=st.integers(1, 12))
def test_area_and_rank_correlation_of_the_sample_are_those_of_other_libraries(
    seed: int, rows: int, values: int
) -> None:
    generator = np.random.default_rng(seed)
    left, right = (generator.integers(0, values, rows).astype(float) for _ in range(2))
    label = (generator.random(rows) < 0.5).astype(float)
    blocks = SessionBlocks(np.arange(rows), replicates=3)
    correlation = rank_correlation(blocks, left, right)[0]
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        assert np.isnan(correlation)
    else:
        assert correlation == pytest.approx(spearmanr(left, right).statistic, abs=1e-12)
    area = auc(blocks, label, left)[0]
    if np.ptp(label) == 0:
        assert np.isnan(area)
    else:
        assert area == pytest.approx(roc_auc_score(label, left), abs=1e-12)


def drawn_rows(blocks: SessionBlocks, draw: int) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(blocks.number.size), blocks.draws[draw].astype(int)[blocks.number])


@pytest.mark.parametrize("strength", [0.0, 0.8])
def test_area_and_rank_correlation_of_a_draw_are_close_to_those_of_its_rows(strength: float) -> None:
    generator = np.random.default_rng(2)
    blocks = SessionBlocks(sessions(60, 30), replicates=200)
    right = generator.normal(size=1800)
    left = np.round(strength * right + (1 - strength) * generator.normal(size=1800), 1)
    label = (right > 0.2).astype(float)
    correlation, area = rank_correlation(blocks, left, right), auc(blocks, label, left)
    rows = [drawn_rows(blocks, draw) for draw in range(1, 201)]
    exact = np.array([spearmanr(left[one], right[one]).statistic for one in rows])
    assert np.abs(correlation[1:] - exact).max() < 0.12 * np.ptp(exact)
    exact = np.array([roc_auc_score(label[one], left[one]) for one in rows])
    assert np.abs(area[1:] - exact).max() < 0.12 * np.ptp(exact)
