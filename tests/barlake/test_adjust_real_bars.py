"""Adjustment on real splits, dividends and falls: hourly bars since 1998, minute bars around Apple's 7-for-1."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from barlake.action_files import read_actions
from barlake.actions import ACTIONS, conflicts, counting
from barlake.adjust import adjust, adjustment_factors, regular_closes
from barlake.keys import Adjustment
from barlake.sessions import Calendar, session_of

DATA = Path(__file__).parents[3] / "shared" / "data"
ANSWERS = Path(__file__).parent.parent / "answers"
KNOWN_AT = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not on this machine")


def statements(path: Path) -> pl.DataFrame:
    parsed = read_actions(path)
    assert parsed.bad == []
    stamps = {"known_at": KNOWN_AT, "superseded_at": None}
    return parsed.statements.with_columns(
        pl.lit(value, dtype=pl.Datetime("us", "UTC")).alias(name) for name, value in stamps.items()
    ).select(*ACTIONS)


@pytest.fixture(scope="module")
def actions() -> pl.DataFrame:
    """Everything the two sources of the folder state."""
    return statements(DATA / "corporate_actions.csv")


@pytest.fixture(scope="module")
def announced(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The splits as their issuers announced them."""
    lines = (ANSWERS / "adjust_splits.csv").read_text(encoding="utf-8").splitlines()
    path = tmp_path_factory.mktemp("announced") / "issuers.csv"
    path.write_text("\n".join(line for line in lines if not line.startswith("#")), encoding="utf-8")
    return statements(path)


def bars_of(symbol: str, folder: str = "bars_1h") -> pl.DataFrame:
    stamp = pl.col("timestamp").dt.cast_time_unit("us").dt.convert_time_zone("UTC")
    bars = pl.read_parquet(DATA / folder / "lean" / f"{symbol}.parquet").with_columns(stamp)
    return bars.with_columns(session_of(pl.col("timestamp")).alias("session"), pl.col("volume").cast(pl.Int64))


def factors_for(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    sessions = Calendar.default().frame
    session = pl.col("session")
    held = bars.group_by("symbol").agg(session.min().alias("first"), session.max().alias("last"))
    return adjustment_factors(counting(actions), regular_closes(bars, sessions), held, sessions)


def daily(bars: pl.DataFrame) -> pl.DataFrame:
    """session, first open, last close and volume, and the overnight return from the close before."""
    days = bars.group_by("session", maintain_order=True).agg(
        pl.col("open").first(), pl.col("close").last(), pl.col("volume").sum()
    )
    return days.with_columns((pl.col("open") / pl.col("close").shift() - 1).alias("overnight"))


def announced_splits() -> list[tuple[str, dt.date, float]]:
    with (ANSWERS / "adjust_splits.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    pairs = [(row, row["ratio"].split(":")) for row in rows]
    return [(row["symbol"], dt.date.fromisoformat(row["ex_date"]), int(new) / int(old)) for row, (new, old) in pairs]


@pytest.mark.parametrize(("symbol", "ex_date", "ratio"), announced_splits())
def test_the_fall_of_a_split_is_gone_and_nothing_else_is(
    announced: pl.DataFrame, symbol: str, ex_date: dt.date, ratio: float
) -> None:
    bars = bars_of(symbol)
    found = adjust(bars, factors_for(bars, announced), Adjustment.SPLIT)
    raw, adjusted = (daily(frame).filter(session=ex_date)["overnight"][0] for frame in (bars, found))
    assert (1 + raw) * ratio == pytest.approx(1 + adjusted, rel=1e-12)
    assert abs(adjusted) < 0.05
    assert abs(raw) > 0.4


@pytest.mark.parametrize(("symbol", "ex_date", "ratio"), announced_splits())
def test_volumes_on_both_sides_of_a_split_are_of_one_size(
    announced: pl.DataFrame, symbol: str, ex_date: dt.date, ratio: float
) -> None:
    del ratio
    bars = bars_of(symbol)
    days = daily(adjust(bars, factors_for(bars, announced), Adjustment.SPLIT))
    before = days.filter(pl.col("session") < ex_date)["volume"].tail(5).mean()
    after = days.filter(pl.col("session") >= ex_date)["volume"].head(5).mean()
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert 1 / 3 < after / before < 3


def test_a_fall_that_is_no_split_stays_a_fall(actions: pl.DataFrame) -> None:
    bars = bars_of("AAPL")
    found = daily(adjust(bars, factors_for(bars, actions), Adjustment.ALL)).filter(session=dt.date(2000, 9, 29))
    raw = daily(bars).filter(session=dt.date(2000, 9, 29))
    assert found["overnight"][0] == pytest.approx(raw["overnight"][0], rel=1e-12)
    assert found["overnight"][0] < -0.4


@pytest.mark.parametrize(("symbol", "largest"), [("AAPL", 0.52), ("SPY", 0.12), ("VXX", 0.40), ("BAC", 0.38)])
def test_no_daily_move_of_two_decades_is_larger_than_the_largest_true_one(
    actions: pl.DataFrame, announced: pl.DataFrame, symbol: str, largest: float
) -> None:
    bars = bars_of(symbol)
    both = pl.concat([actions, announced])
    close = daily(adjust(bars, factors_for(bars, both), Adjustment.ALL))["close"]
    assert (close / close.shift() - 1).abs().max() == pytest.approx(largest, abs=0.035)


def test_a_rounded_factor_file_gives_the_announced_ratios_save_the_one_that_rounding_spoiled(
    actions: pl.DataFrame,
) -> None:
    ratios = {(row[0], row[1]): row[2] for row in actions.select("symbol", "ex_date", "ratio").iter_rows()}
    differing = [
        (symbol, ex_date, ratios[symbol, ex_date])
        for symbol, ex_date, ratio in announced_splits()
        if ratios[symbol, ex_date] != ratio
    ]
    # The file holds 1/1024 as 0.001, so its first ratio comes out as 1:3.9.
    assert differing == [("VXX", dt.date(2010, 11, 9), 10 / 39)]


def test_what_an_issuer_announced_goes_before_a_factor_file_and_the_difference_is_shown(
    actions: pl.DataFrame, announced: pl.DataFrame
) -> None:
    both = pl.concat([actions, announced])
    spoiled = counting(both).filter(symbol="VXX", ex_date=dt.date(2010, 11, 9))
    assert spoiled.select("source", "ratio").rows() == [("issuers.csv", 0.25)]
    shown = conflicts(both).filter(symbol="VXX")
    assert shown.select("ratio", "counts").sort("ratio").rows() == [(0.25, True), (10 / 39, False)]
    first = factors_for(bars_of("VXX"), both).row(0, named=True)
    assert (first["split_factor"], first["volume_factor"]) == (1024.0, 1 / 1024)


def test_a_bar_that_holds_old_and_new_price_on_the_ex_date_is_left_as_it_is(actions: pl.DataFrame) -> None:
    bars = bars_of("AAPL", "bars_1m")
    found = adjust(bars, factors_for(bars, actions), Adjustment.SPLIT)
    split_day = dt.date(2014, 6, 9)
    same = found.filter(session=split_day).with_columns(pl.col("volume").cast(pl.Int64))
    assert same.equals(bars.filter(session=split_day))
    assert same.row(0, named=True)["open"] == 645.57
    assert same.row(0, named=True)["low"] == 92.23
    before = found.filter(pl.col("session") < split_day)
    assert before["close"].to_list() == pytest.approx(
        (bars.filter(pl.col("session") < split_day)["close"] / 7).to_list(), rel=1e-12
    )


def test_minutes_around_a_split_are_continuous(actions: pl.DataFrame) -> None:
    bars = bars_of("AAPL", "bars_1m")
    regular = pl.col("timestamp").dt.hour().is_between(14, 19)
    close = adjust(bars, factors_for(bars, actions), Adjustment.SPLIT).filter(regular)["close"]
    assert (close / close.shift() - 1).abs().max() < 0.02


def test_total_return_is_price_return_with_every_dividend_reinvested(actions: pl.DataFrame) -> None:
    bars = bars_of("SPY")
    found = daily(adjust(bars, factors_for(bars, actions), Adjustment.ALL))
    by_factors = found["close"][-1] / found["close"][0]
    paid = dict(counting(actions).filter(symbol="SPY").select("ex_date", "cash_usd").iter_rows())
    shares, before = 1.0, None
    raw = daily(bars)
    for session, close in raw.select("session", "close").iter_rows():
        cash = paid.get(session)
        if cash is not None and before is not None:
            # Bought at the price the share has without its dividend: the close before, less the cash.
            shares += shares * cash / (before - cash)
        before = close
    assert by_factors == pytest.approx(shares * raw["close"][-1] / raw["close"][0], rel=1e-9)
    assert 1.45 < shares < 1.55


def test_every_dividend_of_spy_since_1998_is_measured_by_a_close_that_is_held(actions: pl.DataFrame) -> None:
    factors = factors_for(bars_of("SPY"), actions)
    assert factors["close_from"].unique().to_list() == ["session"]
    stated = actions.filter(symbol="SPY").select("ex_date", pl.col("close_before").alias("stated"))
    both = factors.join(stated.drop_nulls(), on="ex_date")
    assert both.height == 94
    assert (both["close_before"] / both["stated"] - 1).abs().max() < 0.005


@pytest.mark.parametrize(("symbol", "differing"), [("SPY", 52), ("QQQ", 36)])
def test_two_sources_of_dividends_that_disagree_are_shown_and_the_stated_amounts_count(
    actions: pl.DataFrame, symbol: str, differing: int
) -> None:
    found = conflicts(actions).filter(symbol=symbol)
    believed, passed_over = found.filter(pl.col("counts")), found.filter(~pl.col("counts"))
    assert believed.height == differing
    assert all(not source.startswith("LEAN") for source in believed["source"])
    assert all(source.startswith("LEAN") for source in passed_over["source"])
    dates = counting(actions).filter(symbol=symbol, kind="dividend")["ex_date"]
    assert dates.n_unique() == dates.len()
