from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation_service.tear_sheet.months import month_returns, month_table
from simulation_service.tear_sheet.shades import shade


@given(
    st.lists(
        st.tuples(st.integers(0, 900), st.floats(-0.2, 0.2)), min_size=1, max_size=60, unique_by=lambda pair: pair[0]
    )
)
def test_months_and_years_compound_to_the_whole(rows: list[tuple[int, float]]) -> None:
    ordered = sorted(rows)
    sessions = [dt.date(2023, 11, 1) + dt.timedelta(days=offset) for offset, _ in ordered]
    returns = np.array([value for _, value in ordered])
    whole = float(np.prod(1.0 + returns))
    months = month_returns(returns, sessions)
    assert set(months) == {(date.year, date.month) for date in sessions}
    assert np.prod([1.0 + value for value in months.values()]) == pytest.approx(whole)
    assert np.prod([1.0 + year.total for year in month_table(returns, None, sessions)]) == pytest.approx(whole)


def test_a_month_without_a_session_is_empty_and_the_benchmark_stands_beside_the_year() -> None:
    sessions = [dt.date(2024, 1, 31), dt.date(2024, 3, 1), dt.date(2025, 1, 2)]
    table = month_table(np.array([0.1, -0.2, 0.05]), np.array([0.01, 0.02, 0.03]), sessions)
    assert [year.year for year in table] == [2024, 2025]
    january, february, march = table[0].months[:3]
    assert february is None
    assert january is not None
    assert (january.value, january.shade) == (pytest.approx(0.1), "g3")
    assert march is not None
    assert march.shade == "l5"
    assert table[0].total == pytest.approx(1.1 * 0.8 - 1)
    assert table[0].held == pytest.approx(1.01 * 1.02 - 1)
    assert table[1].held == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("value", "name"),
    [(0.0, ""), (0.01, "g1"), (-0.0004, ""), (0.2, "g1"), (0.21, "g2"), (1.0, "g5"), (-0.5, "l3"), (-1.0, "l5")],
)
def test_shades_go_in_five_steps_to_the_largest(value: float, name: str) -> None:
    assert shade(value, 1.0, visible=0.0005) == name
