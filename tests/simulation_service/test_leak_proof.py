"""What an account did does not change with later bars; a fill at the open knows nothing of its own bar's end."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from barlake.errors import LookAheadError
from barlake.leak_proof import Effort, Future
from barlake.sessions import Calendar, session_of
from barlake.testing import make_bars
from simulation_service.leak_proof import PLAYS, prove_simulation, replayed_account
from simulation_service.market import Market

MANY = Effort(whole=0, pieces=30, per_piece=8, piece_rows=150, sweeps=0, futures=(Future.CUT, Future.NUDGE))
SOME = replace(MANY, pieces=20, per_piece=6)
FEW = replace(MANY, pieces=4, per_piece=5)
SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4)]
NEXT_FILL = pl.col("what") == "next_open fill"

Account = Callable[[pl.DataFrame], pl.DataFrame]
HOURS = Calendar(
    pl.DataFrame(
        {
            "session": SESSIONS,
            "open": [dt.datetime.combine(day, dt.time(14, 30), tzinfo=dt.UTC) for day in SESSIONS],
            "close": [dt.datetime.combine(day, dt.time(16, 30), tzinfo=dt.UTC) for day in SESSIONS],
        }
    ).with_columns(pre_open="open", post_close="close")
)
market_of = functools.partial(Market.of, calendar=HOURS, hours="regular")
everything = functools.partial(replayed_account, cash_ticks=1_000_000_000, market_of=market_of)
honest = functools.partial(everything, plays=PLAYS[:1])


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    made = make_bars(SESSIONS, seed=5, minutes=120, keep=0.95)
    return made.select(
        session_of(pl.col("timestamp")).alias("session"), "timestamp", "open", "high", "low", "close", "volume"
    )


@pytest.fixture(scope="module")
def signals(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.select("timestamp", signal=((pl.int_range(pl.len()) // 7) % 2).cast(pl.Float64))


@pytest.mark.parametrize("effort", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)])
def test_no_fill_and_no_equity_changes_with_later_bars(
    effort: Effort, bars: pl.DataFrame, signals: pl.DataFrame
) -> None:
    report = prove_simulation(everything, bars, signals, effort=effort)
    report.require_clean()
    assert "price_usd" in report.columns
    assert "equity_usd" in report.columns


def test_the_plays_of_a_proof_leave_for_every_reason(bars: pl.DataFrame, signals: pl.DataFrame) -> None:
    found = everything(bars.join(signals, on="timestamp", how="left"))
    reasons = set(found["reason"].drop_nulls())
    assert reasons >= {"signal", "stop", "target", "trailing", "holding", "close", "drawdown", "daily_loss"}
    assert found.filter(pl.col("what") == "stops_at_the_open fill", pl.col("filled_shares") < 0).height > 5


def filled_at(price: pl.Expr) -> Account:
    """Fills of the next open at another price of the bar they are filled in."""

    def account(placed: pl.DataFrame) -> pl.DataFrame:
        found = honest(placed)
        prices = placed.select("timestamp", price.alias("better"))
        joined = found.join(prices, on="timestamp", how="left", maintain_order="left")
        return joined.with_columns(pl.when(NEXT_FILL).then("better").otherwise("price_usd").alias("price_usd")).drop(
            "better"
        )

    return account


def with_signal(signal: pl.Expr) -> Account:
    return lambda placed: honest(placed.with_columns(signal.fill_null(0.0).alias("signal")))


def sized_by_volume(placed: pl.DataFrame) -> pl.DataFrame:
    found = honest(placed)
    volumes = found.join(placed.select("timestamp", "volume"), on="timestamp", how="left", maintain_order="left")
    cap = pl.min_horizontal("filled_shares", pl.col("volume") // 10)
    return volumes.with_columns(pl.when(NEXT_FILL).then(cap).otherwise("filled_shares").alias("filled_shares")).drop(
        "volume"
    )


def ends_found_in_the_bars(placed: pl.DataFrame) -> Market:
    """The last bar that a session happens to have, taken for its last minute."""
    last = placed["session"].to_numpy()[1:] != placed["session"].to_numpy()[:-1]
    return replace(market_of(placed), session_end=np.append(last, True))


def in_a_market(market_maker: Callable[[pl.DataFrame], Market], play: str) -> Account:
    plays = [one for one in PLAYS if one.name == play]
    return functools.partial(everything, market_of=market_maker, plays=plays)


def with_later(**columns: pl.Expr) -> Account:
    """An account whose rules see columns of a later bar, while prices of signals are what they were."""
    return in_a_market(lambda placed: market_of(placed.with_columns(**columns)), "stops_at_the_open")


def later(name: str) -> pl.Expr:
    return pl.col(name).shift(-1).fill_null(pl.col(name))


FILL_LEAKS: dict[str, Account] = {
    "at the low of the bar": filled_at(pl.col("low")),
    "at its close": filled_at(pl.col("close")),
    "at the better of open and close": filled_at(pl.min_horizontal("open", "close")),
    "at the session's mean": filled_at(pl.col("close").mean().over("session")),
    "at the next bar's open": filled_at(pl.col("open").shift(-1)),
    "as large as its own bar's volume allows": sized_by_volume,
    "on the next bar's signal": with_signal(pl.col("signal").shift(-1)),
    "only where it will pay": with_signal(
        pl.when(pl.col("close").shift(-5) > pl.col("close")).then(pl.col("signal")).otherwise(0.0)
    ),
}


@pytest.mark.parametrize("name", list(FILL_LEAKS))
def test_a_fill_that_knows_the_future_is_found(name: str, bars: pl.DataFrame, signals: pl.DataFrame) -> None:
    report = prove_simulation(FILL_LEAKS[name], bars, signals, effort=FEW)
    with pytest.raises(LookAheadError, match="account column"):
        report.require_clean()


def test_a_signal_that_knows_the_future_at_one_bar_in_hundreds_is_found(
    bars: pl.DataFrame, signals: pl.DataFrame
) -> None:
    worst = pl.col("close") == pl.col("close").min()
    account = with_signal(pl.when(worst).then(0.0).otherwise(pl.col("signal")))
    report = prove_simulation(account, bars, signals, effort=SOME)
    with pytest.raises(LookAheadError, match="account column"):
        report.require_clean()


RULE_LEAKS: dict[str, Account] = {
    "at a close found in the bars": in_a_market(ends_found_in_the_bars, "clock_at_the_open"),
    "as large as the volume of the bar it opens allows": with_later(volume=later("volume")),
    "stopped by the next bar": with_later(
        low=pl.min_horizontal("low", later("low")), high=pl.max_horizontal("high", later("high"))
    ),
}


@pytest.mark.parametrize("name", list(RULE_LEAKS))
def test_a_rule_that_knows_the_future_is_found(name: str, bars: pl.DataFrame, signals: pl.DataFrame) -> None:
    report = prove_simulation(RULE_LEAKS[name], bars, signals, effort=FEW)
    with pytest.raises(LookAheadError, match="account column"):
        report.require_clean()
