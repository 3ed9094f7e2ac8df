"""Every absent minute has a class and the evidence for it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.coverage import gaps, session_classes
from barlake.halts import MARKET_HALTS, halted_minutes
from barlake.keys import SessionFilter
from barlake.missing_minutes import EVER, Reference, missing_minutes
from barlake.ranges import TimeRange
from barlake.resample import filter_session
from barlake.sessions import NEW_YORK, Calendar, session_of
from barlake.testing import make_bars

HALTS_2020 = Path(__file__).resolve().parents[3] / "shared/data/bars_1m/halts_2020"
NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
MONDAY = dt.date(2024, 3, 11)
SESSIONS = Calendar.default().frame
EMPTY = pl.DataFrame(schema={"timestamp": pl.Datetime("us", "UTC")})


def at(day: dt.date, wall_time: str) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.fromisoformat(wall_time), tzinfo=NEW_YORK).astimezone(dt.UTC)


def records(bars: pl.DataFrame, status: str | None) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Pairs, held sessions and answers as the manifest would give them for these regular bars."""
    own = bars.select(
        pl.lit("sip").alias("feed"), pl.lit("SPY").alias("symbol"), session_of(pl.col("timestamp")).alias("session")
    )
    held = own.group_by("feed", "symbol", "session").agg(pl.len().cast(pl.Int64).alias("regular_rows"))
    answers = held.select(
        "feed",
        "symbol",
        "session",
        pl.lit(status, dtype=pl.String()).alias("status"),
        pl.lit(1, dtype=pl.Int64()).alias("attempts"),
        pl.lit(NOW).dt.cast_time_unit("us").alias("answered_at"),
    )
    pairs = pl.DataFrame({"feed": ["sip"], "symbol": ["SPY"]})
    return pairs, held, answers if status else answers.clear()


def runs(
    bars: pl.DataFrame,
    start: dt.date,
    end: dt.date,
    *,
    status: str | None = "complete",
    now: dt.datetime = NOW,
    reference: Reference | None = None,
    known: bool = True,
    within: TimeRange = EVER,
) -> list[tuple[str, str, int, str]]:
    """First and last absent minute in New York, how many, and the class."""
    found = frame(bars, start, end, status=status, now=now, reference=reference, known=known, within=within)
    local = pl.col("first", "last").dt.convert_time_zone("America/New_York")
    return found.with_columns(local.dt.strftime("%m-%d %H:%M")).select("first", "last", "minutes", "class").rows()


def frame(
    bars: pl.DataFrame,
    start: dt.date,
    end: dt.date,
    *,
    status: str | None = "complete",
    now: dt.datetime = NOW,
    reference: Reference | None = None,
    known: bool = True,
    within: TimeRange = EVER,
) -> pl.DataFrame:
    expected = Calendar.default().in_range(start, end)
    classes = session_classes(*records(bars, status), expected, now=now)
    halts = MARKET_HALTS if known else ()
    return missing_minutes(bars, classes, SESSIONS, start, end, reference=reference, halts=halts, within=within)


def without(bars: pl.DataFrame, first: dt.datetime, end: dt.datetime) -> pl.DataFrame:
    return bars.filter(~pl.col("timestamp").is_between(first, end, closed="left"))


def test_a_full_session_has_no_absent_minute() -> None:
    assert runs(make_bars([MONDAY]), MONDAY, dt.date(2024, 3, 12)) == []


def test_absent_minutes_in_a_row_are_one_run_with_its_first_and_last() -> None:
    bars = without(make_bars([MONDAY]), at(MONDAY, "10:00"), at(MONDAY, "10:03"))
    bars = without(bars, at(MONDAY, "15:59"), at(MONDAY, "16:00"))
    assert runs(bars, MONDAY, dt.date(2024, 3, 12)) == [
        ("03-11 10:00", "03-11 10:02", 3, "unconfirmed"),
        ("03-11 15:59", "03-11 15:59", 1, "unconfirmed"),
    ]


def test_a_run_ends_with_its_session() -> None:
    tuesday = dt.date(2024, 3, 12)
    bars = without(make_bars([MONDAY, tuesday]), at(MONDAY, "15:50"), at(tuesday, "09:40"))
    assert runs(bars, MONDAY, dt.date(2024, 3, 13)) == [
        ("03-11 15:50", "03-11 15:59", 10, "unconfirmed"),
        ("03-12 09:30", "03-12 09:39", 10, "unconfirmed"),
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("sparse", "no_trade"), ("complete", "unconfirmed"), ("imported", "unconfirmed"), (None, "unconfirmed")],
)
def test_what_a_source_answered_decides_the_class_of_a_minute(status: str | None, expected: str) -> None:
    bars = without(make_bars([MONDAY]), at(MONDAY, "10:00"), at(MONDAY, "10:01"))
    assert runs(bars, MONDAY, dt.date(2024, 3, 12), status=status) == [("03-11 10:00", "03-11 10:00", 1, expected)]


def test_a_session_nobody_answered_for_is_a_gap_and_one_that_has_not_ended_is_not_yet() -> None:
    end = dt.date(2024, 3, 14)
    noon = at(dt.date(2024, 3, 13), "12:00")
    assert runs(make_bars([MONDAY]), MONDAY, end, now=noon) == [
        ("03-12 09:30", "03-12 15:59", 390, "gap"),
        ("03-13 09:30", "03-13 15:59", 390, "not_yet"),
    ]


def test_a_holiday_is_closed_and_so_is_the_afternoon_of_a_half_day() -> None:
    thanksgiving, half = dt.date(2024, 11, 28), dt.date(2024, 11, 29)
    found = frame(make_bars([half]), thanksgiving, dt.date(2024, 12, 2))
    assert found.select("session", "minutes", "class", "evidence").rows() == [
        (thanksgiving, 390, "closed", "no session of XNYS on this date"),
        (half, 180, "closed", "early close of XNYS at 13:00 New York"),
    ]


def test_the_day_of_mourning_of_january_2025_is_closed_and_no_gap() -> None:
    around = [dt.date(2025, 1, 8), dt.date(2025, 1, 10)]
    bars, end = make_bars(around), dt.date(2025, 1, 11)
    assert runs(bars, around[0], end) == [("01-09 09:30", "01-09 15:59", 390, "closed")]
    assert gaps(*records(bars, "complete"), Calendar.default().in_range(around[0], end), now=NOW).is_empty()


def test_weekends_are_no_absence() -> None:
    assert runs(EMPTY, dt.date(2024, 3, 9), MONDAY) == []


def test_only_minutes_of_the_range_are_told() -> None:
    bars = without(make_bars([MONDAY]), at(MONDAY, "10:00"), at(MONDAY, "11:00"))
    within = TimeRange(at(MONDAY, "10:30"), at(MONDAY, "10:40"))
    assert runs(bars, MONDAY, dt.date(2024, 3, 12), within=within) == [
        ("03-11 10:30", "03-11 10:39", 10, "unconfirmed")
    ]


@pytest.mark.parametrize("halt", MARKET_HALTS, ids=lambda halt: str(halt.start.date()))
def test_a_known_halt_lasts_15_minutes_of_which_14_are_whole_and_names_its_source(halt: object) -> None:
    [one] = [known for known in MARKET_HALTS if known is halt]
    assert one.end - one.start == dt.timedelta(minutes=15)
    whole = halted_minutes([one])
    assert whole.height == 14
    assert "https://www.nyse.com/" in whole["evidence"][0]
    assert Calendar.default().frame.filter(pl.col("open") <= one.start, pl.col("close") >= one.end).height == 1


def test_minutes_of_a_known_halt_are_halt_and_the_others_of_that_session_are_not() -> None:
    day = dt.date(2020, 3, 18)
    bars = without(make_bars([day]), at(day, "12:57"), at(day, "13:15"))
    assert runs(bars, day, dt.date(2020, 3, 19)) == [
        ("03-18 12:57", "03-18 13:10", 14, "halt"),
        ("03-18 13:11", "03-18 13:14", 4, "unconfirmed"),
    ]


def test_a_session_that_lacks_no_more_than_its_halt_is_classed_halt_and_one_that_lacks_more_is_not() -> None:
    day = dt.date(2020, 3, 18)
    expected = Calendar.default().in_range(day, dt.date(2020, 3, 19))
    only_halt = without(make_bars([day]), at(day, "12:57"), at(day, "13:11"))
    [row] = gaps(*records(only_halt, "sparse"), expected, now=NOW).iter_rows(named=True)
    assert (row["class"], row["missing_bars"]) == ("halt", 14)
    assert "circuit breaker" in row["evidence"]
    more = without(only_halt, at(day, "10:00"), at(day, "10:01"))
    assert gaps(*records(more, "sparse"), expected, now=NOW)["class"].to_list() == ["no_trade"]
    assert gaps(*records(EMPTY, None), expected, now=NOW)["class"].to_list() == ["gap"]


def test_a_symbol_and_its_reference_silent_together_are_a_halt_when_a_source_answered() -> None:
    bars = without(make_bars([MONDAY]), at(MONDAY, "11:00"), at(MONDAY, "11:15"))
    silent = Reference("QQQ", without(make_bars([MONDAY], seed=1), at(MONDAY, "11:02"), at(MONDAY, "11:20")))
    trading = Reference("QQQ", make_bars([MONDAY], seed=1))
    tuesday = dt.date(2024, 3, 12)
    assert runs(bars, MONDAY, tuesday, reference=silent) == [
        ("03-11 11:00", "03-11 11:01", 2, "unconfirmed"),
        ("03-11 11:02", "03-11 11:14", 13, "halt"),
    ]
    assert runs(bars, MONDAY, tuesday, reference=trading) == [("03-11 11:00", "03-11 11:14", 15, "unconfirmed")]
    imported = frame(bars, MONDAY, tuesday, reference=silent, status="imported")
    assert imported["class"].to_list() == ["unconfirmed", "unconfirmed"]
    assert "QQQ is silent in the same 13 minutes" in imported["evidence"][1]


@pytest.mark.parametrize(
    ("first", "end", "keep"),
    [("11:00", "11:04", 1.0), ("09:30", "09:45", 1.0), ("15:45", "16:00", 1.0), ("11:00", "11:15", 0.6)],
)
def test_a_short_silence_one_at_an_end_or_one_amid_thin_trading_is_no_halt(first: str, end: str, keep: float) -> None:
    bars = without(make_bars([MONDAY]), at(MONDAY, first), at(MONDAY, end))
    other = without(make_bars([MONDAY], seed=1, keep=keep), at(MONDAY, first), at(MONDAY, end))
    found = frame(bars, MONDAY, dt.date(2024, 3, 12), reference=Reference("QQQ", other))
    assert found["class"].unique().to_list() == ["unconfirmed"]


@given(keep=st.floats(0.0, 1.0), seed=st.integers(0, 1000))
def test_runs_and_bars_together_are_the_session(keep: float, seed: int) -> None:
    bars = make_bars([MONDAY], seed=seed, keep=keep)
    found = frame(bars, MONDAY, dt.date(2024, 3, 12))
    absent = (
        found.select(pl.datetime_ranges("first", "last", "1m").alias("timestamp")).explode("timestamp").drop_nulls()
    )
    assert found["minutes"].sum() == absent.height
    every = pl.concat([bars.select("timestamp"), absent]).sort("timestamp")
    assert every["timestamp"].equals(make_bars([MONDAY])["timestamp"])


@pytest.mark.skipif(not HALTS_2020.exists(), reason="the shared real bars are not here")
def test_the_halts_of_march_2020_are_recognised_in_real_bars() -> None:
    bars = pl.read_parquet(HALTS_2020 / "QQQ.parquet")
    start, end = dt.date(2020, 2, 19), dt.date(2020, 3, 14)
    halted = [("03-09 09:35", "03-09 09:48", 14, "halt"), ("03-12 09:36", "03-12 09:49", 14, "halt")]
    bars = bars.with_columns(session_of(pl.col("timestamp")).alias("session"))
    regular = filter_session(bars, SESSIONS, SessionFilter.REGULAR)
    assert runs(regular, start, end, status="imported") == halted
    found = gaps(*records(regular, "imported"), Calendar.default().in_range(start, end), now=NOW)
    assert found.select("session", "class").rows() == [(dt.date(2020, 3, 9), "halt"), (dt.date(2020, 3, 12), "halt")]


@pytest.mark.skipif(not HALTS_2020.exists(), reason="the shared real bars are not here")
def test_without_the_table_the_silence_of_the_future_beside_it_shows_the_same_halts() -> None:
    bars, future = (pl.read_parquet(HALTS_2020 / f"{name}.parquet") for name in ("QQQ", "XYZ"))
    start, end = dt.date(2020, 2, 19), dt.date(2020, 3, 14)
    assert runs(bars, start, end, reference=Reference("XYZ", future), known=False) == [
        ("03-09 09:35", "03-09 09:35", 1, "unconfirmed"),
        ("03-09 09:36", "03-09 09:48", 13, "halt"),
        ("03-12 09:36", "03-12 09:36", 1, "unconfirmed"),
        ("03-12 09:37", "03-12 09:49", 13, "halt"),
    ]
