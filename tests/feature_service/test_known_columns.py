"""Context, macro and news reach a row only once they are known: each case worked out by hand, minute by minute."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import compute_features, on_sessions
from feature_service.cross import context_return
from feature_service.declare import feature
from feature_service.inputs import FeatureInputs
from feature_service.records import macro_change, macro_level, minutes_since_news, news_count
from feature_service.sets import FULL
from tests.feature_service.independent import assert_equal, before, correlation, deviation, mean

UTC = dt.UTC
INSTANT = pl.Datetime("us", "UTC")


def utc(day: int, hour: int, minute: int = 0, second: int = 0) -> dt.datetime:
    return dt.datetime(2024, 6, day, hour, minute, second, tzinfo=UTC)


@pytest.fixture(scope="module")
def minutes(calendar: Calendar) -> pl.DataFrame:
    """2024-06-17 and 18, all minutes: 13:30 to 20:00 UTC."""
    return on_sessions(make_bars([dt.date(2024, 6, 17), dt.date(2024, 6, 18)]), calendar, SessionFilter.REGULAR)


def read(inputs: FeatureInputs, *names: str) -> pl.DataFrame:
    """Timestamps and the named columns as features see them; instants as microseconds."""
    is_instant = {name: name.endswith(("_at", "timestamp")) for name in names}
    columns = {name: pl.col(name).dt.epoch("us") if is_instant[name] else pl.col(name) for name in names}
    features = [feature(unit="any")(lambda one=one: one).named(name) for name, one in columns.items()]
    return inputs.bars.select("timestamp").hstack(compute_features(inputs, features))


def at(found: pl.DataFrame, name: str, *stamps: dt.datetime) -> list[float | None]:
    return [found.filter(pl.col("timestamp") == stamp)[name].item() for stamp in stamps]


# Context ---------------------------------------------------------------------------------------------


def test_a_context_bar_of_the_same_minute_is_known_with_the_bar(minutes: pl.DataFrame) -> None:
    number = pl.int_range(1, minutes.height + 1, eager=True).cast(pl.Float64).alias("close")
    gone = [utc(17, 13, 30), utc(17, 14, 0), utc(17, 14, 1)]
    context = minutes.with_columns(number).filter(~pl.col("timestamp").is_in(gone))
    found = read(FeatureInputs(minutes, context=context), "context_close", "context_timestamp")
    stamps = [utc(17, 13, 30), utc(17, 13, 31), utc(17, 13, 59), utc(17, 14, 0), utc(17, 14, 1), utc(17, 14, 2)]
    # Minute 13:30 has number 1; 14:00 and 14:01 have no bar and keep that of 13:59.
    assert at(found, "context_close", *stamps) == [None, 2, 30, 30, 30, 33]
    kept = utc(17, 13, 59).timestamp() * 1e6
    assert at(found, "context_timestamp", *stamps[2:5]) == [kept, kept, kept]


def test_a_return_of_the_context_runs_between_the_same_two_rows(minutes: pl.DataFrame) -> None:
    number = pl.int_range(1, minutes.height + 1, eager=True).cast(pl.Float64).alias("close")
    context = minutes.with_columns(number).filter(pl.col("timestamp") != utc(17, 14, 0))
    found = compute_features(FeatureInputs(minutes, context=context), [context_return.named("r", span_bars=1)])
    seen = minutes.select("timestamp").hstack(found)
    # Nothing new at 14:00; at 14:01 the move of two minutes.
    stamps = [utc(17, 13, 59), utc(17, 14, 0), utc(17, 14, 1)]
    assert at(seen, "r", *stamps) == pytest.approx([np.log(30 / 29), 0, np.log(32 / 30)])


def test_a_context_bar_older_than_a_week_is_none(calendar: Calendar) -> None:
    sessions = calendar.in_range(dt.date(2024, 6, 3), dt.date(2024, 6, 22))["session"].to_list()
    minutes = on_sessions(make_bars(sessions), calendar, SessionFilter.REGULAR)
    context = minutes.filter(pl.col("session") <= dt.date(2024, 6, 7))
    found = minutes.select("session").hstack(read(FeatureInputs(minutes, context=context), "context_close"))
    empty = found.filter(pl.col("context_close").is_null())["session"].unique().sort().to_list()
    assert empty == [day for day in sessions if day > dt.date(2024, 6, 14)]


def test_features_beside_a_context_symbol_by_numpy(
    history: pl.DataFrame, context: pl.DataFrame, full: pl.DataFrame
) -> None:
    stamps = context["timestamp"].to_numpy()
    place = np.searchsorted(stamps, history["timestamp"].to_numpy(), side="right") - 1
    market = np.where(place >= 0, context["close"].to_numpy()[place], np.nan)
    close = history["close"].to_numpy()
    ours, other = np.log(close), np.log(market)
    mine, its = ours - before(ours, 1), other - before(other, 1)
    assert_equal(full["context_return_1"], its)
    assert_equal(full["context_return_1_lag_1"], before(its, 1))
    assert_equal(full["context_return_30"], other - before(other, 30))
    assert_equal(full["context_volatility_30"], deviation(its, 30))
    for span in (30, 390):
        assert_equal(full[f"relative_strength_{span}"], ours - before(ours, span) - (other - before(other, span)))
    assert_equal(full["context_correlation_60"], correlation(mine, its, 60), tolerance=1e-7)
    both = [np.lib.stride_tricks.sliding_window_view(side, 390) for side in (mine, its)]
    centred = [side - side.mean(axis=1, keepdims=True) for side in both]
    slope = (centred[0] * centred[1]).sum(axis=1) / (centred[1] ** 2).sum(axis=1)
    beta = np.concatenate([np.full(389, np.nan), slope])
    assert_equal(full["beta_390"], beta, tolerance=1e-7)
    explained = beta * (other - before(other, 30))
    assert_equal(full["residual_return_30"], ours - before(ours, 30) - explained, tolerance=1e-7)
    spread = ours - other
    assert_equal(full["pair_z_390"], (spread - mean(spread, 390)) / deviation(spread, 390), tolerance=1e-7)


# Macro -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def releases() -> pl.DataFrame:
    """April is released on the 17th at 14:00, May at 15:00; April is revised at 16:00, May on the 18th at 14:00."""
    april, may = dt.date(2024, 4, 1), dt.date(2024, 5, 1)
    rows = [
        ("X", may, 7.5, utc(18, 14)),
        ("X", april, 3.0, utc(17, 14)),
        ("X", april, 3.5, utc(17, 16)),
        ("X", may, 7.0, utc(17, 15)),
        ("Y", may, 100.0, utc(17, 13)),
    ]
    schema = {"series": pl.String, "reference_date": pl.Date, "value": pl.Float64, "known_at": INSTANT}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_a_release_counts_from_its_instant_never_from_its_date(minutes: pl.DataFrame, releases: pl.DataFrame) -> None:
    found = read(FeatureInputs(minutes, macro=releases), "macro_X", "macro_Y")
    # The bar that opens at 13:59 is complete at 14:00, the instant of the release.
    stamps = [utc(17, 13, 58), utc(17, 13, 59), utc(17, 14, 58), utc(17, 14, 59), utc(18, 13, 58), utc(18, 13, 59)]
    assert at(found, "macro_X", *stamps) == [None, 3, 3, 7, 7, 7.5]
    assert at(found, "macro_Y", *stamps) == [100] * 6


def test_the_observation_before_is_the_one_that_stands_then(minutes: pl.DataFrame, releases: pl.DataFrame) -> None:
    inputs = FeatureInputs(minutes, macro=releases)
    level, change = macro_level.named("level", series="X"), macro_change.named("change", series="X")
    found = minutes.select("timestamp").hstack(compute_features(inputs, [level, change]))
    stamps = [utc(17, 14, 30), utc(17, 15, 30), utc(17, 16, 30), utc(18, 14, 30)]
    # A revision of April after May's release changes the difference, not the newest value.
    assert at(found, "level", *stamps) == [3, 7, 7, 7.5]
    assert at(found, "change", *stamps) == [None, 4, 3.5, 4]


def test_a_revision_leaves_the_first_release_of_an_observation_where_it_was(
    minutes: pl.DataFrame, releases: pl.DataFrame
) -> None:
    found = read(FeatureInputs(minutes, macro=releases), "macro_X_known_at")
    released = utc(17, 15).timestamp() * 1e6
    assert at(found, "macro_X_known_at", utc(17, 15, 30), utc(18, 14, 30)) == [released, released]


def test_a_release_without_a_value_is_a_release(minutes: pl.DataFrame, releases: pl.DataFrame) -> None:
    june = releases.head(1).with_columns(
        pl.lit(dt.date(2024, 6, 1)).alias("reference_date"),
        pl.lit(None, pl.Float64).alias("value"),
        pl.lit(utc(18, 15)).cast(INSTANT).alias("known_at"),
    )
    found = read(FeatureInputs(minutes, macro=pl.concat([releases, june])), "macro_X", "macro_X_before")
    assert at(found, "macro_X", utc(18, 14, 58), utc(18, 15, 0)) == [7.5, None]
    assert at(found, "macro_X_before", utc(18, 15, 0)) == [7.5]


def test_a_series_that_is_not_held_is_null(minutes: pl.DataFrame, releases: pl.DataFrame) -> None:
    for macro in (None, releases, releases.clear()):
        found = read(FeatureInputs(minutes, macro=macro), "macro_Z", "macro_Z_before", "macro_Z_known_at")
        assert found.drop("timestamp").null_count().row(0) == (minutes.height,) * 3


# News ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def news() -> pl.DataFrame:
    known = [utc(17, 14, 0, 30), utc(17, 14, 20), utc(17, 14, 20), utc(18, 12)]
    return pl.DataFrame({"known_at": known}, schema={"known_at": INSTANT})


def test_articles_count_from_the_instant_they_are_known(minutes: pl.DataFrame, news: pl.DataFrame) -> None:
    found = read(FeatureInputs(minutes, news=news), "news_articles", "news_articles_30")
    # The first is known half a minute into the bar of 14:00, so with that bar, which is complete at 14:01.
    stamps = [utc(17, 13, 59), utc(17, 14, 0), utc(17, 14, 18), utc(17, 14, 19), utc(17, 14, 30), utc(17, 14, 49)]
    assert at(found, "news_articles", *stamps) == [None, 1, 1, 3, 3, 3]
    # A window of 30 minutes leaves its beginning out: at 14:50 the two of 14:20 are exactly half an hour old.
    assert at(found, "news_articles_30", *stamps) == [None, 1, 1, 3, 2, 0]
    assert at(found, "news_articles", utc(18, 13, 30)) == [4]


def test_the_last_article_and_how_many_minutes_ago(minutes: pl.DataFrame, news: pl.DataFrame) -> None:
    made = [minutes_since_news.named("ago"), news_count.named("day", window_minutes=1440)]
    found = minutes.select("timestamp").hstack(compute_features(FeatureInputs(minutes, news=news), made))
    assert at(found, "ago", utc(17, 13, 59), utc(17, 14, 0), utc(17, 14, 19), utc(18, 13, 30)) == [None, 0, 0, 91]
    assert at(found, "day", utc(18, 13, 59), utc(18, 14, 0), utc(18, 14, 19)) == [4, 3, 1]


def test_without_news_there_is_no_count(minutes: pl.DataFrame, news: pl.DataFrame) -> None:
    for held in (None, news.clear()):
        found = read(FeatureInputs(minutes, news=held), "news_articles", "news_articles_60", "news_known_at")
        assert found.drop("timestamp").null_count().row(0) == (minutes.height,) * 3


# All of it -------------------------------------------------------------------------------------------


def test_what_could_be_known_at_an_instant_is_all_that_its_row_is_made_of(
    history: pl.DataFrame, context: pl.DataFrame
) -> None:
    draw = np.random.default_rng(11)
    first, last = history["timestamp"][0], history["timestamp"][-1]
    known = [first + (last - first) * float(part) for part in draw.random(300)]
    macro = pl.DataFrame(
        {
            "series": draw.choice(["VIXCLS", "DGS10", "T10Y2Y"], 300),
            "reference_date": [
                dt.date(2024, 5, 1) + dt.timedelta(days=int(days)) for days in draw.integers(0, 60, 300)
            ],
            "value": draw.random(300),
            "known_at": known,
        }
    ).with_columns(pl.col("known_at").cast(INSTANT))
    inputs = FeatureInputs(history, context=context, macro=macro, news=macro.select("known_at"))
    whole = compute_features(inputs, FULL.features)
    assert not [name for name in whole.columns if whole[name].null_count() == whole.height]
    for row in [0, 30, 352, *draw.integers(0, history.height, 12).tolist()]:
        part = compute_features(inputs.known_by(history["timestamp"][row] + dt.timedelta(minutes=1)), FULL.features)
        assert part.height == row + 1
        changed = [name for name in whole.columns if part[name].ne_missing(whole[name].head(row + 1)).any()]
        assert not changed, row


def test_a_row_has_the_same_bits_in_a_history_of_one_of_few_and_of_many(
    history: pl.DataFrame, context: pl.DataFrame
) -> None:
    later = history.filter(pl.col("session") > dt.date(2024, 6, 20))
    inputs = FeatureInputs(later, context=context)
    whole = compute_features(inputs, FULL.features)
    first_of_second = int((later["session"] == later["session"][0]).sum()) + 1
    for rows in [*range(1, 12), 64, 65, first_of_second]:
        part = compute_features(FeatureInputs(later.head(rows), context=context), FULL.features)
        assert not [name for name in whole.columns if part[name].ne_missing(whole[name].head(rows)).any()], rows
