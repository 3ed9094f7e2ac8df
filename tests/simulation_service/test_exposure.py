"""Limits shrink weights together, never turn them round, and hold for anything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from simulation_service.exposure import MILLION, Limits, correlated, whole_millionths

UNKNOWN = np.full((1, 3), np.nan)
FIRST = np.zeros(1, dtype=np.int64)


def limited(limits: Limits, *weights: float) -> list[float]:
    asked = whole_millionths(np.array([weights]))
    return [float(one) / MILLION for one in limits.applied(asked, FIRST, UNKNOWN)[0]]


def test_weights_above_the_gross_limit_shrink_together() -> None:
    assert limited(Limits(gross=1.0), 1.0, 0.5, -0.5) == [0.5, 0.25, -0.25]
    assert limited(Limits(gross=2.0), 1.0, 0.5, -0.5) == [1.0, 0.5, -0.5]


def test_a_third_each_stays_as_it_is() -> None:
    assert limited(Limits(), 1 / 3, 1 / 3, 1 / 3) == [0.333333] * 3


def test_one_symbol_is_cut_to_its_limit() -> None:
    assert limited(Limits(per_symbol=0.25), 0.6, -0.3, 0.1) == [0.25, -0.25, 0.1]


def test_only_the_heavier_side_gives_way_to_the_net_limit() -> None:
    # Long 0.8, short 0.2: the longs shrink to 0.5 so that the net is 0.3.
    assert limited(Limits(net=0.3), 0.4, 0.4, -0.2) == [0.25, 0.25, -0.2]
    assert limited(Limits(net=0.3), 0.2, -0.4, -0.4) == [0.2, -0.25, -0.25]


def test_symbols_that_move_together_share_the_weight_of_one() -> None:
    pattern = np.array([0.01, -0.01, 0.02, 0.0])
    returns = np.column_stack([pattern, 2 * pattern, [0.01, 0.01, -0.01, 0.0]])
    returns = np.vstack([returns, np.zeros((1, 3))])
    limits = Limits(correlation=0.9, correlation_sessions=4)
    weights = np.array([[300_000, 300_000, 300_000], [300_000, -300_000, 300_000]])
    found = limits.applied(weights, np.array([4, 4]), returns)
    assert found.tolist() == [[150_000, 150_000, 300_000], [300_000, -300_000, 300_000]]
    assert (limits.applied(weights, np.array([3, 3]), returns) == weights).all()


def test_correlation_agrees_with_numpy_and_knows_only_earlier_sessions() -> None:
    returns = np.random.default_rng(3).normal(size=(30, 4)) + np.random.default_rng(4).normal(size=(30, 1))
    found = correlated(returns, limit=0.5, sessions=10)
    for row in range(10, 30):
        assert (found[row] == (np.corrcoef(returns[row - 10 : row], rowvar=False) > 0.5)).all()
    assert (found[:10] == np.eye(4, dtype=bool)).all()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-3 * MILLION, 3 * MILLION), min_size=3, max_size=3),
    st.floats(0.01, 3),
    st.none() | st.floats(0.01, 2),
    st.none() | st.floats(0.01, 2),
)
def test_whatever_is_asked_the_limits_hold(
    weights: list[int], gross: float, net: float | None, per_symbol: float | None
) -> None:
    asked = np.array([weights])
    found = Limits(gross=gross, net=net, per_symbol=per_symbol).applied(asked, FIRST, UNKNOWN)
    assert np.abs(found).sum() <= round(gross * MILLION)
    assert net is None or abs(found.sum()) <= round(net * MILLION)
    assert per_symbol is None or np.abs(found).max() <= round(per_symbol * MILLION)
    assert (found * asked >= 0).all()
    assert (np.abs(found) <= np.abs(asked)).all()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"gross": 0.0}, "gross 0.0 is not a limit"),
        ({"net": float("nan")}, "net nan is not a limit"),
        ({"correlation": 1.0}, "correlation 1.0 is not a limit"),
        ({"correlation_sessions": 2}, "correlation_sessions 2 says nothing"),
    ],
)
def test_a_limit_that_limits_nothing_is_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Limits(**limits)  # type: ignore[arg-type]  # the integer one is an integer
