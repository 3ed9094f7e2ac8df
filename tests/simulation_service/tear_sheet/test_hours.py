from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from simulation_service.tear_sheet.curves import Paths
from simulation_service.tear_sheet.hours import heat_map, minutes_of_day
from tests.simulation_service.tear_sheet.small_run import NEW_YORK, bar_times, equity_table


def local_minutes(timestamp: pl.Series) -> list[int]:
    return [stamp.hour * 60 + stamp.minute for stamp in timestamp.dt.convert_time_zone(NEW_YORK).to_list()]


def test_minutes_of_day_follow_the_clock_of_new_york_into_summer() -> None:
    times = bar_times(dt.date(2024, 3, 8), dt.date(2024, 3, 11), dt.date(2024, 11, 4))
    paths = Paths(equity_table([1000.0] * 15, times=times), 1000.0)
    assert minutes_of_day(times["timestamp"], paths.starts, paths.ends).tolist() == [570, 571, 572, 573, 574] * 3


def test_minutes_of_day_are_right_within_a_session_in_which_the_clock_changes() -> None:
    stamps = pl.datetime_range(
        dt.datetime(2024, 3, 10, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 10, 23, 59, tzinfo=dt.UTC),
        "1m",
        time_unit="us",
        eager=True,
    )
    minutes = minutes_of_day(stamps, np.array([0]), np.array([1439]))
    assert minutes.tolist() == local_minutes(stamps)


def test_each_bar_counts_in_its_half_hour_and_the_first_of_a_session_as_night() -> None:
    # Tuesday and Wednesday; 1,000 dollars all along but for three bars.
    values = [1010.0, 1010.0, 1020.1, 1020.1, 1020.1, 1009.899, 1009.899, 1009.899, 1009.899, 1009.899]
    heat = heat_map(Paths(equity_table(values), 1000.0))
    assert heat.columns == ["night", "09:30"]
    found = {
        name: [cell and (round(cell.value, 6) + 0.0, cell.shade) for cell in cells] for name, _, cells in heat.rows
    }
    assert found == {
        "Tue": [(100.0, "g5"), (100.0, "g5")],
        "Wed": [(-100.0, "l5"), (0.0, "")],
        "All": [(0.0, ""), (50.0, "g5")],
    }


def test_cells_add_up_to_the_sum_of_all_bar_returns() -> None:
    rng = np.random.default_rng(5)
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(30)]
    times = bar_times(*days, minutes=390)
    values = 1000.0 * np.cumprod(1.0 + rng.normal(scale=1e-4, size=times.height))
    heat = heat_map(Paths(equity_table(values.tolist(), times=times), 1000.0))
    changes = np.diff(values, prepend=1000.0) / np.concatenate([[1000.0], values[:-1]])
    in_cells = sum(cell.value * sessions for _, sessions, cells in heat.rows[:-1] for cell in cells if cell)
    _, sessions, cells = heat.rows[-1]
    assert in_cells == pytest.approx(changes.sum() * 1e4)
    assert sum(cell.value for cell in cells if cell) * sessions == pytest.approx(changes.sum() * 1e4)
    assert [name for name, _, _ in heat.rows] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "All"]


def test_long_sessions_have_wider_columns_so_that_they_can_be_read() -> None:
    times = bar_times(dt.date(2024, 1, 2), minutes=960, opening="04:00")
    heat = heat_map(Paths(equity_table([1000.0] * 960, times=times), 1000.0))
    assert heat.minutes == 60
    assert heat.columns[:2] == ["night", "04:00"]
    assert heat.columns[-1] == "19:00"


def test_an_account_that_lost_everything_has_no_returns_after_it() -> None:
    heat = heat_map(Paths(equity_table([0.0] * 10), 1000.0))
    assert next([cell and cell.value for cell in cells] for _, _, cells in heat.rows) == [-10_000.0, 0.0]
