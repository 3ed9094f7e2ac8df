"""Labels: inside one session, over whole minutes, known when their last bar has closed."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from training_service.labels import Target, TargetSpec, make_labels

ANSWERS = Path(__file__).parents[1] / "answers"


def answer(name: str) -> pl.DataFrame:
    stamp = pl.Datetime("us", "UTC")
    types = {
        "session": pl.Date(),
        "timestamp": pl.String(),
        "close": pl.Float64(),
        "label": pl.Float64(),
        "known_at": pl.String(),
    }
    frame = pl.read_csv(ANSWERS / name, comment_prefix="#", schema_overrides=types)
    return frame.with_columns(
        pl.col("timestamp", "known_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC").cast(stamp)
    )


@pytest.mark.parametrize(
    ("name", "target", "horizon_bars"),
    [
        ("labels_direction_1_bar.csv", Target.DIRECTION, 1),
        ("labels_direction_2_bars.csv", Target.DIRECTION, 2),
        ("labels_return_1_bar.csv", Target.RETURN, 1),
    ],
)
def test_labels_are_those_worked_out_by_hand(name: str, target: Target, horizon_bars: int) -> None:
    expected = answer(name)
    labels = make_labels(expected, TargetSpec.parse(target, horizon_bars))
    assert labels["known_at"].to_list() == expected["known_at"].to_list()
    assert labels["label"].to_list() == pytest.approx(expected["label"].to_list(), abs=1e-15)


def minutes_of(sessions: list[list[int]]) -> pl.DataFrame:
    """Bars at the given minutes after the open, one list per session."""
    rows = [
        (
            dt.date(2024, 1, 2) + dt.timedelta(days=day),
            dt.datetime(2024, 1, 2 + day, 14, 30, tzinfo=dt.UTC) + dt.timedelta(minutes=minute),
        )
        for day, minutes in enumerate(sessions)
        for minute in sorted(minutes)
    ]
    frame = pl.DataFrame(rows, schema={"session": pl.Date(), "timestamp": pl.Datetime("us", "UTC")}, orient="row")
    close = np.random.default_rng(len(rows)).uniform(1, 2, len(rows))
    return frame.with_columns(pl.Series("close", close))


sessions_with_holes = st.lists(
    st.lists(st.integers(0, 20), unique=True, min_size=1, max_size=20), min_size=1, max_size=4
)


@given(sessions_with_holes, st.integers(1, 6))
def test_every_label_agrees_with_a_plain_search_for_its_future_bar(
    sessions: list[list[int]], horizon_bars: int
) -> None:
    bars = minutes_of(sessions)
    labels = make_labels(bars, TargetSpec.parse("return", horizon_bars))
    close = dict(zip(bars["timestamp"], bars["close"], strict=True))
    held = set(close)
    step = dt.timedelta(minutes=1)
    for row in labels.iter_rows(named=True):
        path = [row["timestamp"] + step * ahead for ahead in range(1, horizon_bars + 1)]
        if held.issuperset(path):
            assert row["label"] == pytest.approx(np.log(close[path[-1]] / close[row["timestamp"]]), abs=1e-15)
            assert row["known_at"] == path[-1] + step
        else:
            assert row["label"] is None
            assert row["known_at"] is None


def test_no_label_crosses_a_session_border_even_one_minute_wide() -> None:
    stamps = [dt.datetime(2024, 1, 2, 23, 59, tzinfo=dt.UTC), dt.datetime(2024, 1, 3, 0, 0, tzinfo=dt.UTC)]
    days = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    bars = pl.DataFrame({"session": days, "timestamp": stamps, "close": [1.0, 2.0]})
    assert make_labels(bars, TargetSpec.parse("direction", 1))["label"].to_list() == [None, None]


def test_a_full_session_loses_exactly_the_horizon() -> None:
    labels = make_labels(minutes_of([list(range(390))]), TargetSpec.parse("direction", 5))
    assert labels["label"].null_count() == 5
    assert labels["label"].tail(5).null_count() == 5


@pytest.mark.parametrize("close", [0.0, -1.0, float("nan"), float("inf"), None])
def test_a_close_that_is_no_price_is_refused_with_its_minute(close: float | None) -> None:
    bars = minutes_of([[0, 1]]).with_columns(pl.Series("close", [1.0, close]))
    with pytest.raises(InvalidInputError, match=r"at 2024-01-02 14:31"):
        make_labels(bars, TargetSpec.parse("return", 1))


def test_bars_out_of_order_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="time order"):
        make_labels(minutes_of([[0, 1]]).reverse(), TargetSpec.parse("return", 1))


def test_a_minute_twice_is_refused() -> None:
    bars = minutes_of([[0]])
    with pytest.raises(InvalidInputError, match="twice"):
        make_labels(pl.concat([bars, bars]), TargetSpec.parse("return", 1))


@pytest.mark.parametrize("horizon_bars", [0, -5])
def test_a_horizon_below_one_is_refused(horizon_bars: int) -> None:
    with pytest.raises(InvalidInputError, match=f"horizon {horizon_bars} is below 1"):
        make_labels(minutes_of([[0, 1]]), TargetSpec.parse("direction", horizon_bars))


def test_target_names_are_read_in_any_case() -> None:
    assert Target.parse("DIRECTION") is Target.DIRECTION


def test_an_unknown_target_is_answered_with_those_there_are() -> None:
    with pytest.raises(InvalidInputError, match="use one of direction, return, scaled_return, triple_barrier"):
        Target.parse("up")
