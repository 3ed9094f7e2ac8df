"""Bars in the terms of the first of them: by hand, as the other way round, and blind to later actions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.adjust import adjust, adjustment_factors, factors_by_date
from barlake.adjust_forward import adjust_forward, forward_steps
from barlake.errors import NotFoundError
from barlake.factors import forward_steps_of
from barlake.keys import Adjustment
from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.testing import make_bars, temporary_lake

SESSIONS = Calendar.default().frame
DAYS = [dt.date(2024, 3, day) for day in (11, 12, 13, 14, 15)]
ACTIONS = {"symbol": pl.String, "ex_date": pl.Date, "kind": pl.String, "ratio": pl.Float64, "cash_usd": pl.Float64,
           "close_before": pl.Float64}  # fmt: skip
Row = tuple[str, dt.date, str, float | None, float | None, float | None]


def actions(*rows: tuple[int, str, float]) -> pl.DataFrame:
    """Rows of a day's number, kind, and ratio or cash."""
    full: list[Row] = [
        ("SPY", DAYS[day], kind, amount if kind == "split" else None, amount if kind == "dividend" else None, None)
        for day, kind, amount in rows
    ]
    return pl.DataFrame(full, schema=ACTIONS, orient="row")


def bars_of(closes: list[float]) -> pl.DataFrame:
    close = pl.Series("close", closes)
    return pl.DataFrame({"symbol": "SPY", "session": DAYS[: len(closes)], "volume": 600}).with_columns(
        close, open=close, high=close, low=close
    )


def measured(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    closes = frame.select("symbol", "session", "close")
    return closes, pl.DataFrame({"symbol": ["SPY"], "first": [frame["session"][0]], "last": [frame["session"][-1]]})


def steps_of(frame: pl.DataFrame, stated: pl.DataFrame) -> pl.DataFrame:
    return forward_steps(factors_by_date(stated, *measured(frame), SESSIONS))


def test_a_price_after_an_action_is_in_the_terms_of_the_first_session() -> None:
    # 2:1 on the second date: two shares are one of before. On the fourth a dollar goes to the holder of a share of 50.
    bars = bars_of([100.0, 50.0, 50.0, 49.0, 49.0])
    steps = steps_of(bars, actions((1, "split", 2.0), (3, "dividend", 1.0)))
    found = {name: adjust_forward(bars, steps, Adjustment(name)) for name in ("split", "dividend", "all")}
    assert found["split"]["close"].to_list() == [100, 100, 100, 98, 98]
    assert found["split"]["volume"].to_list() == [600, 300, 300, 300, 300]
    assert found["dividend"]["close"].to_list() == [100, 50, 50, pytest.approx(50), pytest.approx(50)]
    assert found["dividend"]["volume"].to_list() == [600] * 5
    assert found["all"]["close"].to_list() == [100, 100, 100, pytest.approx(100), pytest.approx(100)]
    assert adjust_forward(bars, steps, Adjustment.RAW) is bars


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 4), st.just("split"), st.sampled_from([0.1, 0.5, 1.5, 2.0, 3.0, 7.0])),
        st.tuples(st.integers(1, 4), st.just("dividend"), st.floats(0.01, 5.0)),
    ),
    max_size=5,
    unique_by=lambda event: event[:2],
)
CLOSES = st.lists(st.floats(10.0, 500.0), min_size=5, max_size=5)


@given(EVENTS, CLOSES, st.sampled_from([Adjustment.SPLIT, Adjustment.DIVIDEND, Adjustment.ALL]))
def test_ratios_of_prices_are_those_of_prices_in_the_terms_of_today(
    events: list[tuple[int, str, float]], closes: list[float], adjustment: Adjustment
) -> None:
    bars, stated = bars_of(closes), actions(*events)
    forward = adjust_forward(bars, steps_of(bars, stated), adjustment)
    backward = adjust(bars, adjustment_factors(stated, *measured(bars), SESSIONS), adjustment)
    ratio = forward["close"] / backward["close"]
    assert (ratio / ratio[0]).to_list() == pytest.approx([1.0] * 5)
    assert forward["close"][0] == bars["close"][0]


@given(EVENTS, CLOSES, st.integers(1, 5))
def test_no_bit_depends_on_what_comes_later(
    events: list[tuple[int, str, float]], closes: list[float], held: int
) -> None:
    bars, stated = bars_of(closes), actions(*events)
    part = bars.head(held)
    whole = adjust_forward(bars, steps_of(bars, stated), Adjustment.ALL)
    assert adjust_forward(part, steps_of(part, stated), Adjustment.ALL).equals(whole.head(held))


def told(lake: Lake, folder: Path, *rows: str) -> None:
    path = folder / "told.csv"
    path.write_text("\n".join(["symbol,ex_date,kind,ratio,cash_usd,close_before,source", *rows]))
    lake.import_actions(path)


def test_steps_come_out_of_the_lake(tmp_path: Path) -> None:
    with temporary_lake() as lake:
        lake.write_bars(make_bars(DAYS, minutes=5), feed="sip", symbol="SPY")
        told(lake, tmp_path, f"SPY,{DAYS[1]},split,2,,,issuer", f"SPY,{DAYS[3]},dividend,,1,,issuer")
        steps = forward_steps_of(lake.store, lake.manifest, lake.calendar.frame, feed="sip", symbol="SPY")
        bars = lake.bars("SPY")
        close = bars.filter(session=DAYS[2])["close"][-1]
        assert steps["ex_date"].to_list() == [DAYS[1], DAYS[3]]
        assert steps["split_factor"].to_list() == [2, 2]
        assert steps["dividend_factor"].to_list() == [1, pytest.approx(1 / (1 - 1 / close))]
        nothing = forward_steps_of(lake.store, lake.manifest, lake.calendar.frame, feed="sip", symbol="QQQ")
        assert nothing.is_empty()


def test_a_dividend_that_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    with temporary_lake() as lake:
        lake.write_bars(make_bars(DAYS, minutes=5), feed="sip", symbol="SPY")
        told(lake, tmp_path, f"SPY,{DAYS[3]},dividend,,1000,,issuer")
        steps = forward_steps_of(lake.store, lake.manifest, lake.calendar.frame, feed="sip", symbol="SPY")
        with pytest.raises(NotFoundError, match="is not below the close before it"):
            adjust_forward(lake.bars("SPY"), steps, Adjustment.ALL)
        assert adjust_forward(lake.bars("SPY"), steps, Adjustment.SPLIT).height == 25
