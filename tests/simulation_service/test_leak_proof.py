"""What an account did does not change with later bars; a fill at the open knows nothing of its own bar's end."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable

import polars as pl
import pytest

from barlake.errors import LookAheadError
from barlake.leak_proof import Effort, Future
from barlake.sessions import session_of
from barlake.testing import make_bars
from simulation_service.leak_proof import prove_simulation, replayed_account

SOME = Effort(whole=0, pieces=30, per_piece=8, piece_rows=150, sweeps=0, futures=(Future.CUT, Future.NUDGE))
SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4)]
NEXT_FILL = pl.col("what") == "next_open fill"

Account = Callable[[pl.DataFrame], pl.DataFrame]
honest = functools.partial(replayed_account, cash_ticks=1_000_000_000)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    made = make_bars(SESSIONS, seed=5, minutes=120, keep=0.95)
    return made.select(
        session_of(pl.col("timestamp")).alias("session"), "timestamp", "open", "high", "low", "close", "volume"
    )


@pytest.fixture(scope="module")
def signals(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.select("timestamp", signal=((pl.int_range(pl.len()) // 7) % 2).cast(pl.Float64))


def test_no_fill_and_no_equity_changes_with_later_bars(bars: pl.DataFrame, signals: pl.DataFrame) -> None:
    report = prove_simulation(honest, bars, signals, effort=SOME)
    report.require_clean()
    assert "price_usd" in report.columns
    assert "equity_usd" in report.columns


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
    "not on the worst bar of all": with_signal(
        pl.when(pl.col("close") == pl.col("close").min()).then(0.0).otherwise(pl.col("signal"))
    ),
}


@pytest.mark.parametrize("name", list(FILL_LEAKS))
def test_a_fill_that_knows_the_future_is_found(name: str, bars: pl.DataFrame, signals: pl.DataFrame) -> None:
    report = prove_simulation(FILL_LEAKS[name], bars, signals, effort=SOME)
    with pytest.raises(LookAheadError, match="account column"):
        report.require_clean()
