from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from barlake.sessions import Calendar
from ingest_service.emulator.synthetic import SyntheticBars
from ingest_service.emulator.traits import traits_of

SYMBOLS = ("SYNA", "SYNB", "SYNC")
EVERYTHING = 10**9


def us(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp() * 1e6)


def made(calendar: Calendar, symbol: str, start: str, end: str, *, seed: int = 0) -> pl.DataFrame:
    return SyntheticBars(SYMBOLS, seed=seed, calendar=calendar).rows(symbol, us(start), us(end), limit=EVERYTHING)


@pytest.fixture(scope="module")
def year(calendar: Calendar) -> dict[str, pl.DataFrame]:
    """The regular minutes of 2024, by symbol, with New York's session and wall time."""
    new_york = pl.col("timestamp").dt.convert_time_zone("America/New_York")
    hours = calendar.frame.select("session", opening="open", closing="close")
    return {
        symbol: made(calendar, symbol, "2024-01-01", "2025-01-01")
        .with_columns(session=new_york.dt.date(), wall=new_york.dt.time())
        .join(hours, on="session")
        .filter(pl.col("timestamp").is_between("opening", "closing", closed="left"))
        .sort("timestamp")
        for symbol in SYMBOLS
    }


def log_returns(prices: pl.Series) -> npt.NDArray[np.float64]:
    return np.diff(np.log(prices.to_numpy()))


def autocorrelation(values: npt.NDArray[np.float64]) -> float:
    return float(np.corrcoef(values[1:], values[:-1])[0, 1])


def test_the_same_seed_makes_the_same_bars(calendar: Calendar) -> None:
    one = made(calendar, "SYNB", "2024-03-01", "2024-04-01")
    assert one.equals(made(calendar, "SYNB", "2024-03-01", "2024-04-01"))
    assert not one.equals(made(calendar, "SYNB", "2024-03-01", "2024-04-01", seed=1))


def test_bars_do_not_depend_on_what_else_is_asked(calendar: Calendar) -> None:
    month = made(calendar, "SYNB", "2024-03-01", "2024-04-01")
    alone = SyntheticBars(["SYNB"], seed=0, calendar=calendar)
    later = alone.rows("SYNB", us("2024-03-20"), us("2024-04-01"), limit=EVERYTHING)
    earlier = alone.rows("SYNB", us("2024-03-01"), us("2024-03-20") - 1, limit=EVERYTHING)
    assert pl.concat([earlier, later]).equals(month)


def test_bars_do_not_depend_on_where_the_calendar_ends(calendar: Calendar) -> None:
    short = Calendar(calendar.frame.filter(pl.col("session") < dt.date(2024, 6, 1)))
    assert made(short, "SYNA", "2024-03-01", "2024-04-01").equals(made(calendar, "SYNA", "2024-03-01", "2024-04-01"))


def test_descending_is_ascending_reversed_and_limits_cut_the_far_end(calendar: Calendar) -> None:
    source = SyntheticBars(SYMBOLS, seed=0, calendar=calendar)
    whole = made(calendar, "SYNC", "2024-03-01", "2024-03-10")
    span = (us("2024-03-01"), us("2024-03-10"))
    assert source.rows("SYNC", *span, limit=700).equals(whole.head(700))
    assert source.rows("SYNC", *span, limit=700, descending=True).equals(whole.reverse().head(700))


def test_only_listed_symbols_exist_and_any_name_can_be_listed(emulate: Any) -> None:
    page = emulate(symbols=("MINE",)).bars("MINE,SYNA").json()
    assert set(page["bars"]) == {"MINE"}


def test_traits_of_a_new_name_are_drawn_from_the_seed() -> None:
    assert traits_of("MINE", seed=1) == traits_of("MINE", seed=1)
    assert traits_of("MINE", seed=1) != traits_of("MINE", seed=2)


def test_history_begins_in_2016(calendar: Calendar) -> None:
    first = made(calendar, "SYNA", "2010-01-01", "2016-01-08")["timestamp"][0]
    assert first.date() == dt.date(2016, 1, 4)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_row_is_a_possible_bar(year: dict[str, pl.DataFrame], symbol: str) -> None:
    bars = year[symbol]
    low, high = pl.col("low"), pl.col("high")
    assert bars.select(
        pl.all_horizontal(
            low <= pl.min_horizontal("open", "close"),
            high >= pl.max_horizontal("open", "close"),
            pl.col("vwap").is_between(low, high),
            low > 0,
            pl.col("volume") >= pl.col("trade_count"),
            pl.col("trade_count") >= 1,
        ).all()
    ).item()
    assert bars["timestamp"].is_sorted()
    assert bars["timestamp"].n_unique() == bars.height
    assert bars.select((pl.col("timestamp").dt.epoch("us") % 60_000_000 == 0).all()).item()


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_prices_are_whole_cents_and_vwap_is_finer(year: dict[str, pl.DataFrame], column: str) -> None:
    for bars in year.values():
        assert bars.select((pl.col(column) == pl.col(column).round(2)).all()).item()
        assert bars.select((pl.col("vwap") == pl.col("vwap").round(6)).all()).item()
        assert bars.select((pl.col("vwap") != pl.col("vwap").round(2)).mean()).item() > 0.3


def test_one_trade_has_one_price(year: dict[str, pl.DataFrame]) -> None:
    single = year["SYNC"].filter(pl.col("trade_count") == 1)
    assert single.height > 1000
    for column in ("high", "low", "close", "vwap"):
        assert single["open"].equals(single[column], check_names=False)


def test_thin_symbols_have_minutes_without_trades_and_liquid_ones_hardly_any(
    year: dict[str, pl.DataFrame], calendar: Calendar
) -> None:
    span = calendar.in_range(dt.date(2024, 1, 1), dt.date(2025, 1, 1))
    expected = span.select((pl.col("close") - pl.col("open")).dt.total_minutes().sum()).item()
    present = {symbol: bars.height / expected for symbol, bars in year.items()}
    assert present["SYNA"] > 0.9999
    assert 0.98 < present["SYNB"] < 1
    assert 0.6 < present["SYNC"] < 0.95


def test_a_half_day_ends_at_one(calendar: Calendar) -> None:
    half = made(calendar, "SYNA", "2024-07-03T04:00", "2024-07-04T04:00")
    open_us, close_us = us("2024-07-03T13:30"), us("2024-07-03T17:00")
    stamps = half["timestamp"].to_physical()
    assert stamps.is_between(open_us, close_us - 1).sum() == 210
    assert 0 < (stamps >= close_us).sum() < 60
    assert (stamps < us("2024-07-03T21:00")).all()


def test_regular_bars_move_with_the_clocks_of_new_york(calendar: Calendar) -> None:
    for day, opening in (("2024-11-01", "13:30"), ("2024-11-04", "14:30")):
        bars = made(calendar, "SYNA", f"{day}T{opening}", f"{day}T23:00")
        assert bars.head(390)["timestamp"][-1] - bars["timestamp"][0] == dt.timedelta(minutes=389)


def test_outside_the_regular_session_there_are_a_few_bars(calendar: Calendar) -> None:
    bars = made(calendar, "SYNA", "2024-03-04T05:00", "2024-03-05T05:00")
    stamps = bars["timestamp"].to_physical()
    before, after = (stamps < us("2024-03-04T14:30")).sum(), (stamps >= us("2024-03-04T21:00")).sum()
    assert 5 < before < 100
    assert 2 < after < 100


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_volume_and_range_are_u_shaped_over_the_session(year: dict[str, pl.DataFrame], symbol: str) -> None:
    full = year[symbol].with_columns(spread=(pl.col("high") - pl.col("low")) / pl.col("close"))

    def mean(column: str, start: dt.time, end: dt.time) -> float:
        value = full.filter(pl.col("wall").is_between(start, end, closed="left"))[column].mean()
        assert isinstance(value, float)
        return value

    noon = (dt.time(12), dt.time(14))
    for column, factor in (("volume", 1.4), ("spread", 1.1)):
        assert mean(column, dt.time(9, 30), dt.time(10)) > factor * mean(column, *noon)
        assert mean(column, dt.time(15, 45), dt.time(16)) > factor * mean(column, *noon)


def test_a_session_opens_with_a_gap(year: dict[str, pl.DataFrame]) -> None:
    daily = year["SYNA"].group_by("session", maintain_order=True).agg(pl.col("open").first(), pl.col("close").last())
    gaps = np.log(daily["open"].to_numpy()[1:] / daily["close"].to_numpy()[:-1])
    assert gaps.std() > 4 * log_returns(year["SYNA"]["close"]).std()


def test_calm_and_wild_sessions_come_in_spells(calendar: Calendar) -> None:
    bars = made(calendar, "SYNB", "2022-01-01", "2025-01-01")
    returns = pl.col("close").log().diff()
    session = pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.date().alias("session")
    by_session = bars.group_by(session, maintain_order=True).agg(returns.pow(2).sum().log().alias("wild"))
    assert by_session.height > 700
    assert autocorrelation(by_session["wild"].to_numpy()) > 0.5


def test_symbols_share_a_market(year: dict[str, pl.DataFrame]) -> None:
    both = year["SYNA"].join(year["SYNB"], on="timestamp").sort("timestamp")
    correlation = np.corrcoef(log_returns(both["close"]), log_returns(both["close_right"]))[0, 1]
    assert 0.4 < correlation < 0.95


def test_closes_bounce_between_bid_and_ask(year: dict[str, pl.DataFrame]) -> None:
    assert autocorrelation(log_returns(year["SYNC"]["close"])) < -0.1


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("memory_bars", [1, 5, 30])
@pytest.mark.parametrize("holding_bars", [1, 10])
def test_no_simple_rule_earns_anything_even_without_costs(
    year: dict[str, pl.DataFrame], symbol: str, memory_bars: int, holding_bars: int
) -> None:
    close, opening = (np.log(year[symbol][column].to_numpy()) for column in ("close", "open"))
    places = np.arange(memory_bars, len(close) - holding_bars - 1, holding_bars)
    past = close[places] - close[places - memory_bars]
    future = opening[places + 1 + holding_bars] - opening[places + 1]
    earned = np.sign(past) * future
    t_statistic = earned.mean() / earned.std() * np.sqrt(len(earned))
    assert abs(t_statistic) < 3.3


def test_prices_have_no_drift(calendar: Calendar) -> None:
    two_years = Calendar(calendar.frame.filter(pl.col("session") < dt.date(2018, 1, 1)))
    ratios = []
    for seed in range(80):
        bars = made(two_years, "SYNB", "2017-12-29T15:00", "2017-12-29T15:05", seed=seed)
        ratios.append(bars["close"][0] / traits_of("SYNB", seed=seed).first_price)
    error = np.std(ratios) / np.sqrt(len(ratios))
    assert abs(np.mean(ratios) - 1) < 3 * error
