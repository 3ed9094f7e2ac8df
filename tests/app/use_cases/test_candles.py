"""Candles for a picture: never too many, each as the bars say, and holes where the lake knows of absence."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator

import polars as pl
import pytest

from app.use_cases.candle_intervals import CandleInterval, candle_count, lengthen, parse_interval
from app.use_cases.candles import CANDLES, MOST_CANDLES, candles
from barlake import Lake
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import Adjustment, SessionFilter
from barlake.ranges import TimeRange
from barlake.sessions import Calendar
from barlake.testing import make_bars, temporary_lake

SPLIT_DATE = dt.date(2024, 6, 10)


def sessions_between(start: dt.date, end: dt.date) -> list[dt.date]:
    days: list[dt.date] = Calendar.default().in_range(start, end)["session"].to_list()
    return days


def new_york(session: dt.date, hour: int, minute: int = 0) -> pl.Expr:
    local = dt.datetime.combine(session, dt.time(hour, minute))
    return pl.lit(local).dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC")


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    """SPY whole over a year and a half; HOLE with a lost month, a lost hour and a lost minute; a split of SPY."""
    with temporary_lake() as made:
        days = sessions_between(dt.date(2023, 6, 1), dt.date(2024, 12, 1))
        made.write_bars(make_bars(days, seed=1), feed="synthetic", symbol="SPY")
        kept = [day for day in sessions_between(dt.date(2024, 1, 1), dt.date(2024, 7, 1)) if day.month != 3]
        bars = make_bars(kept, seed=2)
        lost_hour = pl.col("timestamp").is_between(
            new_york(dt.date(2024, 2, 1), 11), new_york(dt.date(2024, 2, 1), 12), closed="left"
        )
        lost_minute = pl.col("timestamp") == new_york(dt.date(2024, 2, 2), 10, 2)
        made.write_bars(bars.filter(~(lost_hour | lost_minute)), feed="synthetic", symbol="HOLE")
        path = made.root / "actions.csv"
        rows = [f"SPY,{SPLIT_DATE},split,2,", "SPY,2024-03-15,dividend,,1.5", "SPY,2022-03-15,dividend,,1.5"]
        path.write_text("symbol,ex_date,kind,ratio,cash_usd\n" + "\n".join(rows) + "\n", encoding="utf-8")
        made.import_actions(path, source="test")
        yield made


EVERY_WAY = list(itertools.product([("2024-06-03T14:00:00Z", "2024-06-12T18:07:00Z")], SessionFilter, Adjustment))
SOME_WAYS = list(
    itertools.product(
        [(None, None), ("2024-01-02", "2024-01-03"), ("2023-11-01", "2024-02-15")],
        [SessionFilter.REGULAR, SessionFilter.ALL],
        [Adjustment.RAW, Adjustment.ALL],
    )
)


@pytest.mark.parametrize(("span", "session", "adjustment"), EVERY_WAY + SOME_WAYS, ids=str)
def test_a_range_of_any_length_is_a_picture_in_every_adjustment_and_session(
    lake: Lake, span: tuple[str | None, str | None], session: SessionFilter, adjustment: Adjustment
) -> None:
    found = candles(lake, "SPY", *span, session=session, adjustment=adjustment)

    assert found.rows.schema == pl.Schema(CANDLES)
    assert found.rows.height <= MOST_CANDLES
    assert found.rows["timestamp"].is_sorted()
    interval = found.interval
    if interval.is_timeframe:
        bars = lake.bars("SPY", *span, timeframe=interval, session=session, adjustment=adjustment)
        columns = ["session", "timestamp", "open", "high", "low", "close"]
        assert found.rows.select(columns).equals(bars.select(columns))
        assert found.rows["volume"].to_list() == bars["volume"].cast(pl.Float64).to_list()
    assert (session in {SessionFilter.PRE, SessionFilter.POST}) == found.rows.is_empty()


@pytest.mark.parametrize("session", [SessionFilter.REGULAR, SessionFilter.ALL])
@pytest.mark.parametrize("most", [10, 40, 505, 2000])
def test_the_interval_is_the_shortest_that_fits(lake: Lake, most: int, session: SessionFilter) -> None:
    found = candles(lake, "SPY", "2024-01-01", "2024-03-01", session=session, most=most)

    assert found.rows.height <= most
    members = list(CandleInterval)
    shorter = members[members.index(found.interval) - 1]
    calendar = lake.calendar.in_range(dt.date(2024, 1, 1), dt.date(2024, 3, 1))
    held = lake.held(symbol="SPY").join(calendar, on="session")
    assert candle_count(held, session, TimeRange(None, None), shorter) > most


@pytest.mark.parametrize("interval", [one for one in CandleInterval if one.is_timeframe])
def test_the_count_of_candles_of_full_sessions_is_exact(lake: Lake, interval: CandleInterval) -> None:
    span = ("2024-06-28T14:07:00Z", "2024-07-05T17:31:00Z")  # an early close on 3 July, a holiday on 4 July
    bars = lake.bars("SPY", *span, timeframe=interval, session="regular")
    asked = TimeRange(dt.datetime.fromisoformat(span[0]), dt.datetime.fromisoformat(span[1]))
    held = lake.held(symbol="SPY", start=dt.date(2024, 6, 28), end=dt.date(2024, 7, 6))

    known = held.join(lake.calendar.frame, on="session", how="left")

    assert candle_count(known, SessionFilter.REGULAR, asked, interval) == bars.height


def test_shorter_candles_than_fit_become_longer_and_it_is_said(lake: Lake) -> None:
    found = candles(lake, "SPY", timeframe="1min")

    assert (found.wanted, found.interval) == (CandleInterval.MINUTE, CandleInterval.DAY)
    assert found.is_longer_than_wanted
    assert not candles(lake, "SPY", timeframe="auto").is_longer_than_wanted
    assert not candles(lake, "SPY", timeframe="1Week").is_longer_than_wanted


@pytest.mark.parametrize(("interval", "every"), [("1Week", "1w"), ("1Month", "1mo"), ("1Quarter", "1q")])
def test_weeks_months_and_quarters_are_their_minutes(lake: Lake, interval: str, every: str) -> None:
    found = candles(lake, "SPY", timeframe=interval, adjustment="split").rows

    minutes = lake.bars("SPY", session="regular", adjustment="split")
    expected = minutes.group_by(pl.col("session").dt.truncate(every), maintain_order=True).agg(
        pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last(), pl.len()
    )
    for name in ("open", "high", "low", "close"):
        assert found[name].to_list() == pytest.approx(expected[name].to_list())
    assert found["minutes"].to_list() == expected["len"].to_list()
    assert found["volume"].sum() == pytest.approx(minutes["volume"].sum())


def test_absent_minutes_are_rows_of_their_own_where_no_candle_is(lake: Lake) -> None:
    found = candles(lake, "HOLE", "2024-02-01", "2024-02-03", timeframe="5Min").rows

    holes = found.filter(pl.col("open").is_null())
    assert holes["missing"].to_list() == [5] * 12
    assert holes["timestamp"].dt.convert_time_zone("America/New_York").dt.hour().unique().to_list() == [11]
    assert set(holes["class"]) == {"unconfirmed"}
    thin = found.filter(pl.col("open").is_not_null(), pl.col("missing") > 0)
    assert thin.select("session", "minutes", "missing").rows() == [(dt.date(2024, 2, 2), 4, 1)]


def test_sessions_absent_in_a_row_are_one_row_whatever_the_interval(lake: Lake) -> None:
    lost = sessions_between(dt.date(2024, 3, 1), dt.date(2024, 4, 1))

    for timeframe in ("15Min", "1Hour", "1Day"):
        found = candles(lake, "HOLE", "2024-02-26", "2024-04-05", timeframe=timeframe)
        (hole,) = found.rows.filter(pl.col("whole_sessions") > 0).to_dicts()

        assert found.interval == timeframe
        assert (hole["session"], hole["last_session"], hole["whole_sessions"]) == (lost[0], lost[-1], len(lost))
        assert (hole["class"], hole["missing"], hole["open"]) == ("gap", 390 * len(lost), None)
        assert found.absent.rows() == [("gap", 390 * len(lost), len(lost))]
    assert candles(lake, "HOLE", timeframe="1Month").rows["whole_sessions"].to_list() == [0, 0, len(lost), 0, 0, 0]


def test_before_and_after_hours_only_whole_sessions_are_missed(lake: Lake) -> None:
    found = candles(lake, "HOLE", "2024-01-02", "2024-04-05", session="pre")

    assert found.rows["whole_sessions"].sum() == len(sessions_between(dt.date(2024, 3, 1), dt.date(2024, 4, 1)))
    assert found.count == 0


def test_nothing_is_missed_beyond_what_is_held(lake: Lake) -> None:
    found = candles(lake, "HOLE", "2020-01-01", "2026-01-01", timeframe="1Week")

    assert found.held == (dt.date(2024, 1, 2), dt.date(2024, 6, 28))
    assert found.rows["session"].min() == dt.date(2024, 1, 2)
    assert candles(lake, "HOLE", "2020-01-01", "2021-01-01").rows.is_empty()


def test_a_split_and_dividends_of_the_range_are_told(lake: Lake) -> None:
    assert candles(lake, "SPY").actions["kind"].to_list() == ["dividend", "split"]
    assert candles(lake, "SPY", "2024-03-16", SPLIT_DATE).actions.is_empty()


def test_an_earlier_state_of_the_lake_has_its_own_candles(lake: Lake) -> None:
    now = lake.now()

    assert candles(lake, "SPY", as_of=now).rows.equals(candles(lake, "SPY").rows)
    with pytest.raises(NotFoundError, match="later instant"):
        candles(lake, "SPY", as_of="2001-01-01T00:00:00Z")


def test_minutes_off_the_calendar_make_coarser_candles_not_too_many() -> None:
    """A future trades on Sundays, when no session is known: as many candles as it has minutes."""
    with temporary_lake() as made:
        stamps = pl.datetime_range(
            dt.datetime(2024, 1, 6, 5, tzinfo=dt.UTC), dt.datetime(2024, 1, 8, 5, tzinfo=dt.UTC), "1m",
            closed="left", eager=True,
        )  # fmt: skip
        frame = pl.DataFrame({"timestamp": stamps.cast(pl.Datetime("us", "UTC"))}).with_columns(
            *(pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close")), volume=pl.lit(1)
        )
        made.write_bars(frame, feed="mine", symbol="ES")

        found = candles(made, "ES", session="all")

        assert (found.interval, found.rows.height) == (CandleInterval.MINUTE_5, 2 * 288)


def test_coins_have_candles_round_the_clock() -> None:
    with temporary_lake() as made:
        stamps = pl.datetime_range(
            dt.datetime(2024, 1, 6, tzinfo=dt.UTC), dt.datetime(2024, 1, 9, tzinfo=dt.UTC), "1m",
            closed="left", eager=True,
        )  # fmt: skip
        frame = pl.DataFrame({"timestamp": stamps.cast(pl.Datetime("us", "UTC"))}).with_columns(
            *(pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close")), volume=pl.lit(0.5)
        )
        made.write_bars(frame.filter(pl.col("timestamp").dt.date() != dt.date(2024, 1, 7)), feed="kraken", symbol="X/Y")

        found = candles(made, "X/Y", timeframe="1Hour")

        assert found.count == 48
        assert found.rows["whole_sessions"].to_list()[24] == 1


def test_lengthened_days_keep_the_first_and_the_last_session() -> None:
    days = sessions_between(dt.date(2023, 12, 28), dt.date(2024, 1, 9))
    daily = pl.DataFrame(
        {"session": days, "timestamp": days, "volume": 1.0, "minutes": 390}
    ).with_columns(*(pl.lit(1.0).alias(name) for name in ("open", "high", "low", "close")))  # fmt: skip

    weeks = lengthen(daily, CandleInterval.WEEK)

    assert weeks.select("session", "last_session").rows() == [
        (dt.date(2023, 12, 28), dt.date(2023, 12, 29)),
        (dt.date(2024, 1, 2), dt.date(2024, 1, 5)),
        (dt.date(2024, 1, 8), dt.date(2024, 1, 8)),
    ]


def test_wrong_words_are_refused_with_the_right_ones(lake: Lake) -> None:
    assert parse_interval("AUTO") is None
    with pytest.raises(InvalidInputError, match=r"timeframe '2Min' is not known: use one of 1Min, .*1Quarter"):
        candles(lake, "SPY", timeframe="2Min")
    with pytest.raises(InvalidInputError, match="give 10 or more"):
        candles(lake, "SPY", most=1)
    with pytest.raises(NotFoundError, match=r"'SPX'.*'SPY'"):
        candles(lake, "SPX")
