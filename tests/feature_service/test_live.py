"""Batch equals live: what is computed at each minute, from what was held at it, is what the table holds in the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
import polars.testing
import pytest

from barlake.errors import InvalidInputError
from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars, temporary_lake
from feature_service.build import build_features
from feature_service.compute import feature_table, on_sessions
from feature_service.declare import Feature
from feature_service.inputs import MINUTE, FeatureInputs
from feature_service.live import last_rows, latest_features
from feature_service.sets import CORE, find_feature_set

PACK = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars_1m"
FULL = find_feature_set("full")
on_real_bars = pytest.mark.skipif(not PACK.is_dir(), reason="the pack of real bars is not beside this checkout")


def replay(inputs: FeatureInputs, features: tuple[Feature, ...], minutes: Iterable[dt.datetime]) -> pl.DataFrame:
    """A row for each minute, computed when nothing later was known."""
    return pl.concat(last_rows(inputs.known_by(minute + MINUTE), features) for minute in minutes)


def assert_same_bits(live: pl.DataFrame, batch: pl.DataFrame) -> None:
    wanted = batch.join(live.select("timestamp"), on="timestamp", how="semi")
    assert live.height > 0
    polars.testing.assert_frame_equal(live, wanted, check_exact=True)
    for name in live.columns:  # also the sign of zero
        assert live[name].to_physical().fill_null(0).to_numpy().tobytes() == (
            wanted[name].to_physical().fill_null(0).to_numpy().tobytes()
        )


def real(symbol: str, first: dt.date, last: dt.date, hours: SessionFilter, calendar: Calendar) -> pl.DataFrame:
    bars = pl.read_parquet(PACK / f"year_2024/{symbol}.parquet").with_columns(
        pl.col("timestamp").dt.cast_time_unit("us")
    )
    return on_sessions(bars, calendar, hours).filter(pl.col("session").is_between(first, last))


def records(bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Releases with revisions and articles, at random instants of the bars' span."""
    random = np.random.default_rng(4)
    begin, end = (int(bars["timestamp"][place].timestamp()) for place in (0, -1))
    instants = [dt.datetime.fromtimestamp(int(one), dt.UTC) for one in sorted(random.integers(begin, end, 60))]
    rows = [
        {"series": series, "reference_date": instant.date() - dt.timedelta(days=int(random.integers(1, 4))),
         "value": float(random.normal()), "known_at": instant}
        for instant in instants for series in FULL.macro_series
    ]  # fmt: skip
    utc = pl.Datetime("us", "UTC")
    return pl.DataFrame(rows).with_columns(pl.col("known_at").cast(utc)), pl.DataFrame(
        {"known_at": instants}, schema={"known_at": utc}
    )


@on_real_bars
def test_each_minute_of_a_real_half_day_has_the_bits_of_the_table(calendar: Calendar) -> None:
    half_day = dt.date(2024, 7, 3)
    bars = real("QQQ", dt.date(2024, 6, 28), dt.date(2024, 7, 8), SessionFilter.REGULAR, calendar)
    inputs = FeatureInputs(bars)
    batch = feature_table(inputs, CORE.features)
    minutes = bars.filter(session=half_day)["timestamp"].to_list()
    assert len(minutes) == 210
    assert_same_bits(replay(inputs, CORE.features, minutes), batch)


@on_real_bars
@pytest.mark.parametrize("hours", [SessionFilter.REGULAR, SessionFilter.ALL])
def test_all_features_have_the_bits_of_the_table_at_minutes_of_real_days(
    hours: SessionFilter, calendar: Calendar
) -> None:
    span = (dt.date(2024, 11, 18), dt.date(2024, 12, 2))
    bars = real("QQQ", *span, hours, calendar)
    macro, news = records(bars)
    inputs = FeatureInputs(bars, real("SPY", *span, hours, calendar), macro, news)
    batch = feature_table(inputs, FULL.features)
    days = bars.filter(pl.col("session").is_in([dt.date(2024, 11, 27), dt.date(2024, 11, 29)]))
    border = [*days["timestamp"].head(3), *days["timestamp"].tail(3)]
    drawn = days["timestamp"].sample(25, seed=1)
    assert_same_bits(replay(inputs, FULL.features, sorted({*border, *drawn})), batch)


@on_real_bars
@pytest.mark.slow
def test_all_features_have_the_bits_of_the_table_at_each_minute_of_two_real_days(calendar: Calendar) -> None:
    span = (dt.date(2024, 11, 18), dt.date(2024, 12, 2))
    bars = real("QQQ", *span, SessionFilter.REGULAR, calendar)
    macro, news = records(bars)
    inputs = FeatureInputs(bars, real("SPY", *span, SessionFilter.REGULAR, calendar), macro, news)
    batch = feature_table(inputs, FULL.features)
    days = bars.filter(pl.col("session").is_in([dt.date(2024, 11, 27), dt.date(2024, 11, 29)]))
    assert days.height == 390 + 210
    assert_same_bits(replay(inputs, FULL.features, days["timestamp"].to_list()), batch)


def test_bars_that_come_into_the_lake_one_by_one_give_the_rows_of_the_table_built_at_night() -> None:
    days = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    both = {symbol: make_bars(days, seed=seed) for seed, symbol in enumerate(("SPY", "QQQ"))}
    with temporary_lake() as lake:
        for symbol, bars in both.items():
            lake.write_bars(bars.head(400), feed="sip", symbol=symbol)
        live = []
        for row in range(400, 406):
            for symbol, bars in both.items():
                lake.write_bars(bars.slice(row, 1), feed="sip", symbol=symbol)
            live.append(latest_features(lake, ["SPY", "QQQ"]))
        for symbol, bars in both.items():
            lake.write_bars(bars, feed="sip", symbol=symbol)
        build_features(lake)
        for symbol in both:
            table = lake.feature_tables.read(lake.feature_tables.latest("core", symbol), symbol)
            assert_same_bits(pl.concat(live).filter(symbol=symbol).drop("symbol"), table)


def test_a_tail_of_the_history_is_close_when_long_and_never_sure_of_the_bits(history: pl.DataFrame) -> None:
    def computed(tail_sessions: int | None) -> pl.DataFrame:
        rows = last_rows(FeatureInputs(history), CORE.features, rows=700, tail_sessions=tail_sessions)
        return rows.select(one.name for one in CORE.features)

    batch, long, short = computed(None), computed(15), computed(2)
    polars.testing.assert_frame_equal(long, batch, rel_tol=1e-6, abs_tol=1e-6)
    assert short["sma_200"].null_count() > 0
    assert not short["ema_26"].equals(batch["ema_26"])


def test_the_newest_minute_can_be_asked_for_as_of_an_instant() -> None:
    days = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    with temporary_lake() as lake:
        lake.write_bars(make_bars(days), feed="sip", symbol="SPY")
        noon = dt.datetime(2024, 1, 3, 17, tzinfo=dt.UTC)
        found = latest_features(lake, ["SPY"], rows=2, known_by=noon)
        assert found["timestamp"].to_list() == [noon - 2 * MINUTE, noon - MINUTE]
        assert found["symbol"].to_list() == ["SPY", "SPY"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "rows 0 leaves nothing"),
        ({"tail_sessions": 0}, "tail_sessions 0 leaves nothing"),
        ({"known_by": dt.datetime(2024, 1, 3)}, "has no time zone"),  # noqa: DTZ001 - that is the fault
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with temporary_lake() as lake:
        lake.write_bars(make_bars([dt.date(2024, 1, 2)]), feed="sip", symbol="SPY")
        with pytest.raises(InvalidInputError, match=message):
            latest_features(lake, ["SPY"], **options)  # type: ignore[arg-type] # each option has its type
