"""Labels: inside one session, over whole minutes, known when their last bar has closed."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.sessions import Calendar, session_of
from tests.training_service.plain_labels import PlainBars
from training_service.labels import Target, TargetSpec, Task, make_labels

REAL_BARS = Path(__file__).parents[3] / "shared" / "data" / "bars_1m" / "year_2024" / "SPY.parquet"
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


TWO = {"volatility_window": 2.0}


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("labels_direction_1_bar.csv", TargetSpec.parse("direction", 1)),
        ("labels_direction_2_bars.csv", TargetSpec.parse("direction", 2)),
        ("labels_return_1_bar.csv", TargetSpec.parse("return", 1)),
        ("labels_return_to_close.csv", TargetSpec.parse("return", "close")),
        ("labels_scaled_return_2_bars.csv", TargetSpec.parse("scaled_return", 2, parameters=TWO)),
        ("labels_triple_barrier_2_bars.csv", TargetSpec.parse("triple_barrier", 2, task="regression", parameters=TWO)),
    ],
)
def test_labels_are_those_worked_out_by_hand(name: str, spec: TargetSpec) -> None:
    expected = answer(name)
    labels = make_labels(expected, spec)
    assert labels["known_at"].to_list() == expected["known_at"].to_list()
    assert labels["label"].is_null().equals(expected["label"].is_null())
    assert labels["label"].drop_nulls().to_list() == pytest.approx(expected["label"].drop_nulls(), rel=1e-11, abs=1e-15)


def test_a_class_is_1_where_the_number_is_above_the_threshold() -> None:
    bars = answer("labels_scaled_return_2_bars.csv").drop("label", "known_at")
    for threshold, classes in ((-500.0, [1.0, 1.0]), (0.9, [0.0, 1.0]), (1.0, [0.0, 0.0])):
        parameters = {**TWO, "threshold": threshold}
        spec = TargetSpec.parse("scaled_return", 2, task="classification", parameters=parameters)
        assert make_labels(bars, spec)["label"].drop_nulls().to_list() == classes
    barriers = make_labels(bars, TargetSpec.parse("triple_barrier", 2, parameters=TWO))
    assert barriers["label"].drop_nulls().to_list() == [0.0, 1.0, 1.0]


def test_near_the_close_no_barrier_is_met_first_because_it_is_nearer() -> None:
    bars = minutes_of([list(range(390))] * 2)
    spec = TargetSpec.parse("triple_barrier", 30, parameters={"volatility_window": 60, "upper": 0.1, "lower": 5})
    labels = make_labels(bars, spec).with_columns(minute=pl.int_range(pl.len()).over("session"))
    assert labels.filter(pl.col("minute") >= 360)["label"].null_count() == 2 * 30
    assert labels.filter(pl.col("minute").is_between(100, 359))["label"].null_count() == 0


def test_a_price_that_never_moved_has_no_volatility_to_scale_by() -> None:
    bars = minutes_of([list(range(10))]).with_columns(
        pl.Series("close", [100.0, 101.0, 101.0, 101.0, 101.0, 102.0, 103.0, 101.0, 102.0, 104.0])
    )
    labels = make_labels(bars, TargetSpec.parse("scaled_return", 1, parameters=TWO))["label"]
    # Both returns before 14:33 and before 14:34 are 0; the first two bars have fewer than two.
    assert [row for row, label in enumerate(labels) if label is None] == [0, 1, 3, 4, 9]


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
    generator = np.random.default_rng(len(rows))
    moves = generator.choice([0.0, 1.0], len(rows), p=[0.4, 0.6]) * generator.normal(0, 0.01, len(rows))
    return frame.with_columns(pl.Series("close", 100 * np.exp(np.cumsum(moves))))


sessions_with_holes = st.lists(
    st.lists(st.integers(0, 20), unique=True, min_size=1, max_size=20), min_size=1, max_size=4
)
CLOSES_EARLY = Calendar(
    pl.DataFrame({"session": [dt.date(2024, 1, day) for day in range(2, 6)]})
    .with_columns(
        close=pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=14, minutes=48)
    )
    .with_columns(post_close=pl.col("close") + pl.duration(minutes=2))
)
"""Sessions of eighteen minutes, so that some bars stand after the close, and some beyond extended hours."""

windows = st.fixed_dictionaries({"volatility_window": st.integers(2, 5)})
widths = st.fixed_dictionaries(
    {"volatility_window": st.integers(2, 5), "upper": st.floats(0.2, 3), "lower": st.floats(0.2, 3)}
)
horizons = st.one_of(st.just("close"), st.integers(1, 6))
specs = st.one_of(
    st.builds(TargetSpec.parse, st.sampled_from(["direction", "return"]), horizons),
    st.builds(TargetSpec.parse, st.just("scaled_return"), horizons, parameters=windows),
    st.builds(
        TargetSpec.parse,
        st.just("scaled_return"),
        horizons,
        task=st.just("classification"),
        parameters=st.fixed_dictionaries({"volatility_window": st.integers(2, 5), "threshold": st.floats(-1, 1)}),
    ),
    st.builds(TargetSpec.parse, st.just("triple_barrier"), horizons, task=st.sampled_from(Task), parameters=widths),
)


@given(sessions_with_holes, specs)
def test_every_label_agrees_with_one_worked_out_bar_by_bar(sessions: list[list[int]], spec: TargetSpec) -> None:
    bars = minutes_of(sessions)
    labels = make_labels(bars, spec, calendar=CLOSES_EARLY)
    plain = PlainBars.of(bars, CLOSES_EARLY.frame)
    for row in labels.iter_rows(named=True):
        value, known_at = plain.label(row["timestamp"], spec)
        assert row["known_at"] == known_at
        assert row["label"] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-15))


@given(sessions_with_holes, specs, st.integers(0, 100), st.integers(0, 2**32 - 1))
def test_a_label_depends_on_nothing_that_comes_after_it_is_known(
    sessions: list[list[int]], spec: TargetSpec, cut: int, seed: int
) -> None:
    bars = minutes_of(sessions)
    moment = bars["timestamp"][cut % bars.height]
    is_later = pl.col("timestamp") >= moment
    assume(bars.height > bars.filter(is_later).height)
    noise = pl.Series(np.random.default_rng(seed).uniform(0.5, 2, bars.height))
    changed = bars.with_columns(pl.when(is_later).then(pl.col("close") * noise).otherwise("close").alias("close"))
    before, after, cut_off = (
        make_labels(some, spec, calendar=CLOSES_EARLY).filter(pl.col("known_at") <= moment)
        for some in (bars, changed, bars.filter(~is_later))
    )
    assert before.equals(after)
    assert before.equals(cut_off)


def test_no_label_crosses_a_session_border_even_one_minute_wide() -> None:
    stamps = [dt.datetime(2024, 1, 2, 23, 59, tzinfo=dt.UTC), dt.datetime(2024, 1, 3, 0, 0, tzinfo=dt.UTC)]
    days = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    bars = pl.DataFrame({"session": days, "timestamp": stamps, "close": [1.0, 2.0]})
    assert make_labels(bars, TargetSpec.parse("direction", 1))["label"].to_list() == [None, None]


def test_a_market_that_never_closes_has_its_close_at_midnight() -> None:
    stamps = [dt.datetime(2024, 1, 6, 23, 58 + one, tzinfo=dt.UTC) for one in (0, 1)]
    bars = pl.DataFrame({"session": [dt.date(2024, 1, 6)] * 2, "timestamp": stamps, "close": [1.0, 2.0]})
    labels = make_labels(bars, TargetSpec.parse("direction", "close"), calendar=Calendar.default().of("binance"))
    assert labels["label"].to_list() == [1.0, None]
    assert labels["known_at"][0] == dt.datetime(2024, 1, 7, tzinfo=dt.UTC)


def test_a_date_that_is_no_session_has_no_close() -> None:
    saturday = [dt.datetime(2024, 1, 6, 14, 30 + one, tzinfo=dt.UTC) for one in (0, 1)]
    bars = pl.DataFrame({"session": [dt.date(2024, 1, 6)] * 2, "timestamp": saturday, "close": [1.0, 2.0]})
    assert make_labels(bars, TargetSpec.parse("return", "close"))["label"].to_list() == [None, None]


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


@pytest.mark.skipif(not REAL_BARS.is_file(), reason="the shared pack of real bars is not beside this checkout")
@pytest.mark.parametrize(
    "spec",
    [
        TargetSpec.parse("return", "close"),
        TargetSpec.parse("scaled_return", 30, parameters={"volatility_window": 60}),
        TargetSpec.parse("triple_barrier", 45, task="regression", parameters={"volatility_window": 60, "upper": 2}),
        TargetSpec.parse("triple_barrier", "close", parameters={"volatility_window": 60}),
    ],
    ids=lambda spec: spec.title,
)
def test_labels_of_real_bars_around_a_half_day_agree_with_those_worked_out_bar_by_bar(spec: TargetSpec) -> None:
    # 2024-07-03 closed at 13:00 and has bars after that; the hours before each opening are not in this range.
    bars = pl.read_parquet(REAL_BARS).with_columns(session_of(pl.col("timestamp")).alias("session"))
    sessions = (dt.date(2024, 7, 2), dt.date(2024, 7, 3))
    bars = bars.filter(pl.col("session").is_in(sessions))
    labels = make_labels(bars, spec)
    plain = PlainBars.of(bars, Calendar.default().frame)
    chosen = np.random.default_rng(0).choice(bars.height, 120, replace=False)
    found = labels[np.sort(chosen)].rows(named=True)
    for row in found:
        value, known_at = plain.label(row["timestamp"], spec)
        assert row["known_at"] == known_at
        assert row["label"] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-15))
    assert sum(row["label"] is not None for row in found) > 30
