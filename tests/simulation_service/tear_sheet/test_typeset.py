from __future__ import annotations

import pytest

from simulation_service.tear_sheet.typeset import day, duration, eastern, number

MINUS, SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "ratio", "\N{EN DASH}"),
        ("105808.58", "money", "105,808.58"),
        ("1234.0001", "money", "1,234.0001"),
        ("-1234.50", "money", f"{MINUS}1,234.50"),
        ("-0.50", "money", f"{MINUS}0.50"),
        (-0.5, "percent", f"{MINUS}50.00{SPACE}%"),
        (0.5, "share", f"50.00{SPACE}%"),
        (31.8889, "price", "31.8889"),
        (1250.5, "price", "1,250.50"),
        (-1234.5, "dollars", f"{MINUS}1,234.50"),
        (1e6, "shares", "1,000,000"),
        (-0.25, "shares", f"{MINUS}0.25"),
        (6475.4, "whole", "6,475"),
    ],
)
def test_figures_are_set_for_eyes(value: float | str | None, kind: str, text: str) -> None:
    assert number(value, kind) == text


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-9, -1e-9])
def test_what_is_too_small_to_show_has_no_sign(value: float) -> None:
    assert number(value, "percent") == f"0.00{SPACE}%"


def test_instants_are_shown_by_the_clock_of_new_york_in_winter_and_summer() -> None:
    assert eastern("2024-01-02T14:30:00+00:00") == "2024-01-02 09:30"
    assert eastern("2024-07-02T13:30:00+00:00") == "2024-07-02 09:30"
    assert eastern(None) == "\N{EN DASH}"


def test_dates_and_durations_read_as_text() -> None:
    assert day("2024-07-02T13:30:00+00:00") == "2 July 2024"
    assert [duration(minutes).replace(SPACE, " ") for minutes in (5, 390, 43_200, 525_600)] == [
        "5 min",
        "6 h",
        "30 d",
        "1 y",
    ]
