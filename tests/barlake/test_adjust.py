from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import polars.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.actions import ActionKind
from barlake.adjust import FACTORS, adjust, adjustment_factors, parse_adjustment, regular_closes
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import Adjustment
from barlake.sessions import Calendar

ANSWERS = Path(__file__).parent.parent / "answers"
SESSIONS = Calendar.default().frame
DAYS = SESSIONS.filter(pl.col("session").is_between(dt.date(2024, 1, 2), dt.date(2024, 1, 19)))["session"].to_list()
JAN = {day.day: day for day in DAYS}

Action = tuple[str, dt.date, ActionKind, float | None, float | None, float | None]
ACTION_COLUMNS = ("symbol", "ex_date", "kind", "ratio", "cash_usd", "close_before")


def split(day: dt.date, ratio: float, symbol: str = "SPY") -> Action:
    return (symbol, day, ActionKind.SPLIT, ratio, None, None)


def dividend(day: dt.date, cash: float, symbol: str = "SPY", close_before: float | None = None) -> Action:
    return (symbol, day, ActionKind.DIVIDEND, None, cash, close_before)


def a_table(actions: Sequence[Action]) -> pl.DataFrame:
    kinds = (pl.String, pl.Date, pl.String, pl.Float64, pl.Float64, pl.Float64)
    return pl.DataFrame(actions, schema=dict(zip(ACTION_COLUMNS, kinds, strict=True)), orient="row")


def bars_of(
    days: Sequence[dt.date], closes: Sequence[float], volumes: Sequence[int] | None = None, symbol: str = "SPY"
) -> pl.DataFrame:
    """One regular bar a session, ten o'clock New York, whose prices are its close and little more."""
    stamps = [dt.datetime.combine(day, dt.time(15), tzinfo=dt.UTC) for day in days]
    close = pl.Series(list(closes), dtype=pl.Float64)
    return pl.DataFrame(
        {
            "symbol": [symbol] * len(days),
            "session": pl.Series(list(days), dtype=pl.Date),
            "timestamp": pl.Series(stamps, dtype=pl.Datetime("us", "UTC")),
            "open": close, "high": close * 1.25, "low": close * 0.5, "close": close,
            "volume": pl.Series(list(volumes or [1000] * len(days)), dtype=pl.Int64),
            "trade_count": pl.Series([7] * len(days), dtype=pl.Int64),
            "vwap": close * 1.125,
        }
    )  # fmt: skip


def factors_for(bars: pl.DataFrame, actions: Sequence[Action]) -> pl.DataFrame:
    session = pl.col("session")
    held = bars.group_by("symbol").agg(session.min().alias("first"), session.max().alias("last"))
    return adjustment_factors(a_table(actions), regular_closes(bars, SESSIONS), held, SESSIONS)


def adjusted(bars: pl.DataFrame, actions: Sequence[Action], adjustment: Adjustment = Adjustment.ALL) -> pl.DataFrame:
    return adjust(bars, factors_for(bars, actions), adjustment)


BY_HAND = [
    split(JAN[4], 2.0),
    dividend(JAN[5], 1.0),
    split(JAN[8], 0.2),
    dividend(JAN[8], 0.5),
    dividend(JAN[8], 0.48),
]


@pytest.mark.parametrize(
    ("adjustment", "close", "volume"),
    [
        (Adjustment.SPLIT, "split_close", "split_volume"),
        (Adjustment.DIVIDEND, "dividend_close", "raw_volume"),
        (Adjustment.ALL, "all_close", "split_volume"),
    ],
)
def test_closes_and_volumes_are_those_worked_out_by_hand(adjustment: Adjustment, close: str, volume: str) -> None:
    answers = pl.read_csv(ANSWERS / "adjust_by_hand.csv", comment_prefix="#", try_parse_dates=True)
    bars = bars_of(answers["session"].to_list(), answers["raw_close"].to_list(), answers["raw_volume"].to_list())
    found = adjusted(bars, BY_HAND, adjustment)
    assert found["close"].to_list() == pytest.approx(answers[close].to_list(), rel=1e-12)
    assert found["volume"].to_list() == pytest.approx(answers[volume].to_list(), rel=1e-12)


def test_every_price_is_scaled_alike_and_the_trade_count_never() -> None:
    bars = bars_of(DAYS[:4], [100.0, 100.0, 50.0, 50.0])
    found = adjusted(bars, [split(DAYS[2], 2.0)])
    for name in ("open", "high", "low", "close", "vwap"):
        assert found[name].to_list() == [bars[name][0] / 2, bars[name][1] / 2, bars[name][2], bars[name][3]]
    assert found["trade_count"].to_list() == [7, 7, 7, 7]


def test_the_session_of_the_ex_date_is_not_changed_and_the_one_before_it_is() -> None:
    bars = bars_of(DAYS[:3], [90.0, 90.0, 30.0])
    assert adjusted(bars, [split(DAYS[2], 3.0)])["close"].to_list() == pytest.approx([30.0, 30.0, 30.0])


def test_a_pre_market_bar_of_the_ex_date_is_not_changed() -> None:
    early = bars_of([DAYS[1]], [100.0]).with_columns(pl.col("timestamp") - pl.duration(hours=6))
    bars = pl.concat([bars_of([DAYS[0]], [200.0]), early])
    assert adjusted(bars, [split(DAYS[1], 2.0)])["close"].to_list() == [100.0, 100.0]


def test_an_ex_date_that_is_no_session_parts_the_sessions_around_it() -> None:
    friday, monday = JAN[5], JAN[8]
    bars = bars_of([friday, monday], [100.0, 50.0])
    assert adjusted(bars, [split(dt.date(2024, 1, 6), 2.0)])["close"].to_list() == [50.0, 50.0]
    assert adjusted(bars, [dividend(dt.date(2024, 1, 7), 10.0)])["close"].to_list() == [90.0, 50.0]


def test_a_stock_dividend_works_as_a_split() -> None:
    bars = bars_of(DAYS[:2], [105.0, 100.0])
    found = adjusted(bars, [("SPY", DAYS[1], ActionKind.STOCK_DIVIDEND, 1.05, None, None)], Adjustment.SPLIT)
    assert found["close"].to_list() == pytest.approx([100.0, 100.0])
    assert found["volume"].to_list() == pytest.approx([1050.0, 1000.0])


def test_what_has_no_factor_changes_nothing() -> None:
    bars = bars_of(DAYS[:2], [105.0, 100.0])
    actions = [("SPY", DAYS[1], kind, None, None, None) for kind in (ActionKind.SPIN_OFF, ActionKind.NAME_CHANGE)]
    assert factors_for(bars, actions).is_empty()


def test_actions_of_one_symbol_leave_another_alone() -> None:
    one, other = bars_of(DAYS[:2], [100.0, 50.0]), bars_of(DAYS[:2], [100.0, 50.0], symbol="QQQ")
    found = adjusted(pl.concat([one, other]), [split(DAYS[1], 2.0)])
    assert found["close"].to_list() == [50.0, 50.0, 100.0, 50.0]


def test_rows_and_columns_keep_their_order() -> None:
    bars = pl.concat([bars_of(DAYS[:3], [1.0, 2.0, 3.0], symbol=name) for name in ("QQQ", "SPY")]).reverse()
    found = adjusted(bars, [split(DAYS[1], 2.0)])
    assert found.columns == bars.columns
    assert found.select("symbol", "timestamp").equals(bars.select("symbol", "timestamp"))


def test_fractions_of_a_share_are_kept() -> None:
    bars = bars_of(DAYS[:2], [1.0, 1000.0], [300, 300])
    assert adjusted(bars, [split(DAYS[1], 0.001)])["volume"].to_list() == pytest.approx([0.3, 300.0])


def test_raw_gives_the_very_same_bars() -> None:
    bars = bars_of(DAYS[:2], [100.0, 50.0])
    assert adjusted(bars, [split(DAYS[1], 2.0)], Adjustment.RAW) is bars


def test_an_action_after_the_last_session_held_does_not_count_yet() -> None:
    bars = bars_of(DAYS[:2], [100.0, 100.0])
    assert factors_for(bars, [split(DAYS[2], 2.0), dividend(DAYS[3], 1.0)]).is_empty()


def test_an_action_up_to_the_first_session_held_has_no_factor() -> None:
    bars = bars_of(DAYS[1:3], [100.0, 100.0])
    assert factors_for(bars, [split(DAYS[0], 2.0), dividend(DAYS[1], 1.0)]).is_empty()


def test_a_dividend_is_measured_by_the_last_regular_close_and_not_by_a_later_bar() -> None:
    after_hours = bars_of([DAYS[0]], [400.0]).with_columns(pl.col("timestamp") + pl.duration(hours=7))
    bars = pl.concat([bars_of([DAYS[0]], [200.0]), after_hours, bars_of([DAYS[1]], [198.0])])
    assert factors_for(bars, [dividend(DAYS[1], 2.0)])["dividend_factor"].to_list() == [0.99]


def test_a_dividend_whose_session_before_is_not_held_is_measured_by_the_close_its_source_states() -> None:
    bars = bars_of([DAYS[0], DAYS[2]], [80.0, 100.0])
    row = factors_for(bars, [dividend(DAYS[2], 1.0, close_before=100.0)]).row(0, named=True)
    assert (row["close_from"], row["close_before"], row["dividend_factor"]) == ("source", 100.0, 0.99)


def test_else_by_the_last_close_of_the_five_sessions_before() -> None:
    bars = bars_of([DAYS[0], DAYS[5]], [80.0, 100.0])
    row = factors_for(bars, [dividend(DAYS[5], 0.8)]).row(0, named=True)
    assert (row["close_from"], row["close_before"], row["dividend_factor"]) == ("earlier", 80.0, 0.99)


def test_else_the_factor_is_missing_from_there_back_and_adjusting_is_refused() -> None:
    bars = bars_of([DAYS[0], DAYS[6], DAYS[7], DAYS[8]], [80.0, 100.0, 100.0, 100.0])
    actions = [dividend(DAYS[6], 0.8), dividend(DAYS[8], 1.0)]
    factors = factors_for(bars, actions)
    assert factors["close_from"].to_list() == ["missing", "session"]
    assert factors["dividend_factor"].to_list() == [None, 0.99]
    with pytest.raises(NotFoundError, match=f"ex-date {DAYS[6]} cannot be applied"):
        adjust(bars, factors, Adjustment.ALL)
    assert adjust(bars, factors, Adjustment.SPLIT)["close"].to_list() == bars["close"].to_list()
    assert adjust(bars[1:], factors, Adjustment.ALL)["close"].to_list() == [99.0, 99.0, 100.0]


def test_a_close_of_another_symbol_measures_nothing() -> None:
    sparse = bars_of([DAYS[0], DAYS[8]], [100.0, 100.0], symbol="QQQ")
    bars = pl.concat([bars_of(DAYS[:9], [80.0] * 9), sparse])
    row = factors_for(bars, [dividend(DAYS[8], 1.0, "QQQ")]).row(0, named=True)
    assert (row["close_from"], row["dividend_factor"]) == ("missing", None)


def test_a_dividend_as_large_as_the_close_has_no_factor_and_adjusting_is_refused() -> None:
    bars = bars_of(DAYS[:3], [10.0, 10.0, 9.0])
    factors = factors_for(bars, [dividend(DAYS[1], 10.0), dividend(DAYS[2], 1.0)])
    assert factors.select("dividend_factor", "close_from").rows() == [(None, "too_low"), (0.9, "session")]
    with pytest.raises(NotFoundError, match=f"ex-date {DAYS[1]} cannot be applied: it is not below the close"):
        adjust(bars, factors, Adjustment.DIVIDEND)


@pytest.mark.parametrize("ratio", [0.0, -1.0])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(InvalidInputError, match="must be above 0"):
        factors_for(bars_of(DAYS[:2], [10.0, 10.0]), [split(DAYS[1], ratio)])


def test_no_action_gives_no_factor() -> None:
    found = factors_for(bars_of(DAYS[:2], [10.0, 10.0]), [])
    assert found.is_empty()
    assert dict(found.schema) == FACTORS


def test_an_adjustment_is_known_by_its_name() -> None:
    assert parse_adjustment("Split") is Adjustment.SPLIT
    with pytest.raises(InvalidInputError, match="'total' is not known: use one of raw, split, dividend, all"):
        parse_adjustment("total")


# Properties ----------------------------------------------------------------------------------------

PRICES = st.floats(1.0, 10_000.0)
RATIOS = st.sampled_from([2.0, 3.0, 7.0, 20.0, 1.5, 0.25, 0.1, 10 / 39, 1.05])
SERIES = st.lists(PRICES, min_size=len(DAYS), max_size=len(DAYS))


@st.composite
def some_actions(draw: st.DrawFn) -> list[Action]:
    days = st.sampled_from(DAYS[1:])
    splits = draw(st.lists(st.builds(split, days, RATIOS), max_size=4))
    dividends = draw(st.lists(st.builds(dividend, days, st.floats(0.001, 0.1)), max_size=4))
    return [*splits, *dividends]


def assert_equal(one: pl.DataFrame, other: pl.DataFrame) -> None:
    polars.testing.assert_frame_equal(one, other, check_exact=False, rel_tol=1e-12, abs_tol=0.0)


@given(SERIES)
def test_without_an_action_every_value_is_the_same(closes: list[float]) -> None:
    bars = bars_of(DAYS, closes)
    for adjustment in Adjustment:
        found = adjusted(bars, [], adjustment)
        polars.testing.assert_frame_equal(found, bars, check_exact=True, check_dtypes=False)


@given(SERIES, st.sampled_from(DAYS[1:]), RATIOS)
def test_a_split_and_its_reverse_on_one_date_change_nothing(closes: list[float], day: dt.date, ratio: float) -> None:
    bars = bars_of(DAYS, closes)
    found = adjusted(bars, [split(day, ratio), split(day, 1 / ratio)])
    assert_equal(found, bars.with_columns(pl.col("volume").cast(pl.Float64)))


@given(SERIES, RATIOS)
def test_a_split_and_its_later_reverse_change_only_the_sessions_between(closes: list[float], ratio: float) -> None:
    bars = bars_of(DAYS, closes)
    found = adjusted(bars, [split(DAYS[3], ratio), split(DAYS[6], 1 / ratio)])
    between = bars["session"].is_between(DAYS[3], DAYS[6], closed="left")
    assert_equal(found.filter(~between), bars.filter(~between).with_columns(pl.col("volume").cast(pl.Float64)))
    assert found.filter(between)["close"].to_list() == pytest.approx((bars.filter(between)["close"] * ratio).to_list())


@given(SERIES, some_actions(), st.randoms(use_true_random=False))
def test_the_order_of_actions_does_not_matter(closes: list[float], actions: list[Action], random: Any) -> None:
    bars = bars_of(DAYS, closes)
    shuffled = random.sample(actions, len(actions))
    assert adjusted(bars, shuffled).equals(adjusted(bars, actions))


@given(SERIES, some_actions())
def test_all_is_splits_and_dividends_together(closes: list[float], actions: list[Action]) -> None:
    bars = bars_of(DAYS, closes)
    splits, dividends = (adjusted(bars, actions, one)["close"] for one in (Adjustment.SPLIT, Adjustment.DIVIDEND))
    expected = splits * dividends / bars["close"]
    assert adjusted(bars, actions)["close"].to_list() == pytest.approx(expected.to_list(), rel=1e-12)


@given(SERIES, some_actions())
def test_dollars_traded_are_untouched_by_splits(closes: list[float], actions: list[Action]) -> None:
    bars = bars_of(DAYS, closes)
    found = adjusted(bars, actions, Adjustment.SPLIT)
    dollars = (bars["close"] * bars["volume"]).to_list()
    assert (found["close"] * found["volume"]).to_list() == pytest.approx(dollars, rel=1e-12)


@given(SERIES, some_actions())
def test_a_part_of_the_bars_is_adjusted_as_the_whole_is(closes: list[float], actions: list[Action]) -> None:
    bars = bars_of(DAYS, closes)
    factors = factors_for(bars, actions)
    whole = adjust(bars, factors, Adjustment.ALL)
    for start, end in itertools.pairwise(range(0, len(DAYS) + 1, 3)):
        assert adjust(bars[start:end], factors, Adjustment.ALL).equals(whole[start:end])
