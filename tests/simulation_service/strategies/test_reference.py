"""docs/strategies.md is what the docstrings say now, and each parameter has a meaning."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from simulation_service.strategies.base import Strategy
from simulation_service.strategies.catalogue import HOUSE
from simulation_service.strategies.description import Description, ParameterDescription
from simulation_service.strategies.reference import main, strategies_page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "strategies.md"


def test_the_page_of_strategies_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    assert PAGE.read_text(encoding="utf-8") == capsys.readouterr().out, "run `make docs`"


@pytest.mark.parametrize("name", HOUSE)
def test_each_strategy_says_what_it_does_and_what_its_parameters_mean(name: str) -> None:
    told = Description.of(HOUSE[name])
    assert told.summary.endswith(".")
    assert [one.name for one in told.parameters if not one.meaning] == []
    assert f"## {name}\n" in strategies_page()


def test_a_docstring_is_read_in_its_sections() -> None:
    class Two(Strategy):
        """One line.

        Another
        paragraph.

        Parameters
        ----------
        first, second
            Of both,
            in two lines.
        third : int
            Alone.

        Notes
        -----
        A note.
        """

        def __init__(self, first: int, second: int = 2, third: str = "x") -> None:
            self.first, self.second, self.third = first, second, third

        def signals(self, bars: pl.DataFrame) -> pl.Series:
            return bars["close"]

    both = "Of both, in two lines."
    parameters = (
        ParameterDescription("first", None, both),
        ParameterDescription("second", "2", both),
        ParameterDescription("third", "'x'", "Alone."),
    )
    assert Description.of(Two) == Description("One line.", parameters, ("Another paragraph.", "A note."))


def test_a_class_that_says_nothing_is_shown_without_words() -> None:
    class Silent(Strategy):
        def signals(self, bars: pl.DataFrame) -> pl.Series:
            return bars["close"]

    assert Description.of(Silent) == Description("", (), ())
