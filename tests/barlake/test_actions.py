from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.actions import ACTIONS, ActionKind, conflicts, counting, empty_actions, nearest_ratio
from barlake.errors import InvalidInputError

EARLY, LATE = dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
MARCH = dt.date(2024, 3, 15)


def told(
    source: str,
    ex_date: dt.date = MARCH,
    *,
    kind: ActionKind = ActionKind.DIVIDEND,
    cash_usd: float | None = None,
    ratio: float | None = None,
    implied: bool = False,
    known_at: dt.datetime = EARLY,
    superseded_at: dt.datetime | None = None,
    action_id: str | None = None,
    symbol: str = "SPY",
) -> pl.DataFrame:
    row = {
        "source": source, "action_id": action_id or f"{symbol}/{ex_date}/{kind}", "symbol": symbol, "ex_date": ex_date,
        "kind": kind.value, "ratio": ratio, "cash_usd": cash_usd, "close_before": None, "implied": implied,
        "details": "", "known_at": known_at, "superseded_at": superseded_at,
    }  # fmt: skip
    return pl.DataFrame([row], schema=ACTIONS)


def believed(*statements: pl.DataFrame) -> list[tuple[str, float | None]]:
    return counting(pl.concat(statements)).select("source", "cash_usd").rows()


def test_sources_that_agree_count_once() -> None:
    assert believed(told("a", cash_usd=1.0), told("b", cash_usd=1.0)) == [("a", 1.0)]


def test_a_stated_figure_goes_before_an_implied_one_however_new() -> None:
    statements = (told("a", cash_usd=0.84, implied=True, known_at=LATE), told("b", cash_usd=0.83912))
    assert believed(*statements) == [("b", 0.83912)]


def test_among_equals_the_newest_statement_counts() -> None:
    assert believed(told("a", cash_usd=1.0), told("b", cash_usd=2.0, known_at=LATE)) == [("b", 2.0)]


def test_a_superseded_statement_never_counts() -> None:
    statements = (told("a", cash_usd=1.0), told("b", cash_usd=2.0, known_at=LATE, superseded_at=LATE))
    assert believed(*statements) == [("a", 1.0)]


def test_two_dividends_of_one_source_on_one_date_are_both_paid() -> None:
    both = (told("a", cash_usd=1.0, action_id="regular"), told("a", cash_usd=3.0, action_id="special"))
    assert sorted(believed(*both, told("b", cash_usd=4.0, implied=True))) == [("a", 1.0), ("a", 3.0)]


def test_sources_that_differ_by_up_to_three_days_speak_of_one_action() -> None:
    moved = told("b", MARCH + dt.timedelta(days=3), cash_usd=1.0, implied=True)
    assert believed(told("a", cash_usd=1.0), moved) == [("a", 1.0)]
    further = told("b", MARCH + dt.timedelta(days=4), cash_usd=1.0, implied=True)
    assert believed(told("a", cash_usd=1.0), further) == [("a", 1.0), ("b", 1.0)]


def test_two_dates_of_one_source_are_two_actions_however_near() -> None:
    next_day = MARCH + dt.timedelta(days=1)
    statements = [
        told("a", cash_usd=1.0), told("b", cash_usd=1.1, implied=True),
        told("a", next_day, cash_usd=2.0), told("b", next_day, cash_usd=2.2, implied=True),
    ]  # fmt: skip
    assert believed(*statements) == [("a", 1.0), ("a", 2.0)]


def test_a_split_and_a_dividend_of_one_date_are_two_actions() -> None:
    statements = (told("a", cash_usd=1.0), told("b", kind=ActionKind.SPLIT, ratio=2.0))
    assert counting(pl.concat(statements)).height == 2


def test_nothing_counts_where_nothing_is_told() -> None:
    assert counting(empty_actions()).is_empty()
    assert conflicts(empty_actions()).is_empty()


@given(st.permutations(range(6)))
def test_what_counts_does_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    next_day = MARCH + dt.timedelta(days=1)
    statements = [
        told("a", cash_usd=1.0), told("b", next_day, cash_usd=1.0), told("c", cash_usd=1.0, implied=True),
        told("a", symbol="QQQ", cash_usd=5.0), told("b", symbol="QQQ", cash_usd=6.0),
        told("a", next_day, kind=ActionKind.SPLIT, ratio=4.0),
    ]  # fmt: skip
    assert counting(pl.concat([statements[place] for place in order])).equals(counting(pl.concat(statements)))


def test_values_that_differ_are_a_conflict_that_names_who_is_believed() -> None:
    found = conflicts(pl.concat([told("a", cash_usd=0.84, implied=True), told("b", cash_usd=0.83912)]))
    assert found.select("source", "cash_usd", "counts", "reason").rows() == [
        ("a", 0.84, False, "value differs"),
        ("b", 0.83912, True, "value differs"),
    ]
    assert found["difference"].to_list() == pytest.approx([0.00088 / 0.84] * 2)


def test_dates_that_differ_are_a_conflict() -> None:
    found = conflicts(pl.concat([told("a", cash_usd=1.0), told("b", MARCH + dt.timedelta(days=1), cash_usd=1.0)]))
    assert found.select("difference", "reason").rows() == [(0.0, "date differs")] * 2


def test_an_action_that_another_source_passes_over_is_a_conflict() -> None:
    around = [told("b", MARCH + dt.timedelta(days=days), cash_usd=1.0) for days in (-90, 90)]
    found = conflicts(pl.concat([told("a", cash_usd=1.0), *around]))
    assert found.select("source", "ex_date", "counts", "reason").rows() == [("a", MARCH, True, "not stated by b")]
    assert found["difference"].to_list() == [None]


def test_an_action_before_or_after_what_another_source_covers_is_none() -> None:
    later = [told("b", MARCH + dt.timedelta(days=days), cash_usd=1.0) for days in (90, 180)]
    assert conflicts(pl.concat([told("a", cash_usd=1.0), *later])).is_empty()


def test_one_source_with_a_regular_and_a_special_dividend_agrees_with_another_that_adds_them_up() -> None:
    parts = [told("a", cash_usd=1.0, action_id="regular"), told("a", cash_usd=3.0, action_id="special")]
    assert conflicts(pl.concat([*parts, told("b", cash_usd=4.0)])).is_empty()


@pytest.mark.parametrize(
    ("given_ratio", "ratio"),
    [
        (6.999997, 7.0), (2.000006, 2.0), (1.500005, 1.5), (1.249993, 1.25), (0.05, 0.05), (0.25641, 10 / 39),
        (0.2496, 0.25), (0.1, 0.1), (100.0, 100.0), (1 / 3, 1 / 3),
    ],
)  # fmt: skip
def test_a_ratio_within_rounding_is_the_ratio_of_small_numbers(given_ratio: float, ratio: float) -> None:
    assert nearest_ratio(given_ratio) == ratio


@pytest.mark.parametrize("ratio", [1.0027, 1.001, 0.9995, 1.0, 2.01, 3.1415926, 1.05123, 0.0, -2.0, float("nan")])
def test_any_other_ratio_is_left_as_it_is(ratio: float) -> None:
    assert nearest_ratio(ratio) == pytest.approx(ratio, abs=0, rel=0, nan_ok=True)


@given(st.floats(0.001, 1000.0))
def test_rounding_moves_a_ratio_by_little_and_only_once(value: float) -> None:
    ratio = nearest_ratio(value)
    assert ratio == pytest.approx(value, rel=2.01e-3)
    assert nearest_ratio(ratio) == ratio


def test_a_kind_is_known_by_its_name_and_by_the_longer_one_of_dividends() -> None:
    assert ActionKind.parse(" Cash_Dividend ") is ActionKind.DIVIDEND
    with pytest.raises(InvalidInputError, match=r"kind 'splitt' is not a corporate action.*Did you mean 'split'"):
        ActionKind.parse("splitt")
