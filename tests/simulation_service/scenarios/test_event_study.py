"""Event studies find what was put into made-up returns, and agree with a table worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from barlake.errors import InvalidInputError
from simulation_service.scenarios.event_study import EventStudy, Window, minute_study, session_study


def test_a_table_worked_out_by_hand() -> None:
    abnormal = np.array([[0.01, 0.02], [0.03, -0.02]])
    study = EventStudy(np.array([0, 1]), np.array([0, 1]), abnormal, np.array([0.01, 0.02]))
    first, second = study.table().to_dicts()
    # Cumulative: 0.01, 0.03 and 0.03, 0.01; standard deviation 0.01414, by the root of two 0.01.
    assert first == pytest.approx(
        {
            "offset": 0, "events": 2, "mean_abnormal": 0.02, "share_positive": 1.0, "mean_cumulative": 0.02,
            "standard_error": 0.01, "t": 2.0, "move_ratio": np.sqrt((1**2 + 1.5**2) / 2),
        }
    )  # fmt: skip
    assert second["mean_cumulative"] == pytest.approx(0.02)
    assert second["share_positive"] == 0.5
    assert second["t"] == pytest.approx(2.0)


def test_the_mean_of_the_sessions_before_is_taken_off() -> None:
    returns = np.array([np.nan, *np.linspace(-0.01, 0.03, 20), 0.05, -0.02, 0.0])
    study = session_study(returns, np.array([22]), Window(before=1, after=1, expected_from=20))
    assert study.abnormal[0] == pytest.approx([0.04, -0.03, -0.01])
    assert study.usual_move[0] == pytest.approx(np.linspace(-0.01, 0.03, 20).std(ddof=1))
    assert study.table()["t"].null_count() == 3


def test_a_benchmark_is_fitted_as_by_ordinary_least_squares() -> None:
    generator = np.random.default_rng(1)
    market = generator.normal(0, 0.01, 200)
    own = 0.0002 + 1.4 * market + generator.normal(0, 0.003, 200)
    window = Window(before=2, after=3, expected_from=60)
    study = session_study(own, np.array([100, 150]), window, market=market)
    for row, position in enumerate((100, 150)):
        fit = slice(position - 62, position - 2)
        line = stats.linregress(market[fit], own[fit])
        here = slice(position - 2, position + 4)
        assert study.abnormal[row] == pytest.approx(own[here] - line.intercept - line.slope * market[here])
        residual = own[fit] - line.intercept - line.slope * market[fit]
        assert study.usual_move[row] == pytest.approx(np.sqrt(residual @ residual / 58))


def test_an_effect_is_found_where_it_is_and_nowhere_else() -> None:
    generator = np.random.default_rng(5)
    returns = generator.normal(0, 0.01, 40_000)
    positions = np.arange(100, 39_900, 80)
    returns[positions] += 0.02
    table = session_study(returns, positions, Window()).table()
    # 498 events: three standard errors of one session are 0.0014, of six of them 0.0033.
    effect = np.array([0, 0, 0, 0, 0, 0.02, 0, 0, 0, 0, 0])
    assert table["mean_abnormal"].to_numpy() == pytest.approx(effect, abs=0.0014)
    assert table["mean_cumulative"][5] == pytest.approx(0.02, abs=0.0033)
    assert table["t"][5] > 10
    assert table["t"][:5].abs().max() < 3
    assert table["move_ratio"].to_numpy() == pytest.approx(np.sqrt(1 + (effect / 0.01) ** 2), abs=0.15)


def test_chance_gives_a_t_beyond_two_about_one_time_in_twenty() -> None:
    generator = np.random.default_rng(8)
    beyond = 0
    for _ in range(200):
        returns = generator.normal(0, 0.01, 1000)
        table = session_study(returns, generator.integers(80, 990, 30), Window(after=0, before=0)).table()
        beyond += abs(table["t"][0]) > stats.t.ppf(0.975, 29)
    assert 2 <= beyond <= 20


def test_minutes_are_measured_from_the_last_price_before_the_event() -> None:
    closes = 100 * np.exp(np.array([0, 0.01, 0, 0.01, 0, 0.01, 0, 0.05, 0.04, 0.04]))
    session, minute = np.repeat([0, 1], 5), np.tile(np.arange(5), 2)
    study = minute_study(closes, minute, session, np.array([7]), Window(before=1, after=1))
    assert study.abnormal[0] == pytest.approx([-0.01, 0.05, -0.01])
    assert study.cumulative[0] == pytest.approx([-0.01, 0.04, 0.03])
    # The same minutes of the session before moved by 0.01, down, up and down.
    assert study.usual_move[0] == pytest.approx(0.01)


def test_events_without_a_whole_window_are_left_out() -> None:
    returns = np.random.default_rng(0).normal(0, 0.01, 100)
    study = session_study(returns, np.array([2, 65, 66, 94, 95, 300]), Window())
    assert study.used.tolist() == [2, 3]
    with pytest.raises(InvalidInputError, match="none of 1 events has a whole window: each needs 65 sessions before"):
        session_study(returns, np.array([3]), Window())
    with pytest.raises(InvalidInputError, match="needs a session before it"):
        minute_study(np.ones(5), np.arange(5), np.zeros(5, dtype=np.int64), np.array([2]), Window(1, 1))


@pytest.mark.parametrize("wrong", [{"before": -1}, {"after": -1}, {"expected_from": 19}])
def test_a_window_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError, match="takes at least"):
        Window(**wrong)
