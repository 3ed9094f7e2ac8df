"""Trades of a run on the chart of what was traded: candles of its own feed, hours and terms, entries and exits."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl

from app.use_cases.bar_axis import Ticks, clock_ticks
from app.use_cases.candle_intervals import CandleInterval
from app.use_cases.candles import candles
from app.use_cases.runs import table_of
from barlake.errors import InvalidInputError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.sessions import session_bounds

__all__ = ["MOST_TRADES", "TradePicture", "busy_sessions", "trade_picture"]

MOST_TRADES = 400
"""Trades with their two marks each: more cannot be told apart on a screen."""

_ONE_DAY = dt.timedelta(days=1)
_FEW_SESSIONS = 5


@dataclass(frozen=True)
class TradePicture:
    """One symbol over some sessions of a run.

    Parameters
    ----------
    interval
        Length of a candle: the shortest with which the picture has no more than about 2,000.
    bars
        bar (its number from 0), timestamp (UTC), session, open, high, low, close (dollars).
    trades
        Trades that were open in these sessions, the first `MOST_TRADES` of them: columns of
        `barlake.run_tables.TRADES`, and entry_bar and exit_bar, null where that lies outside of the picture.
    left_out
        How many more there are.
    ticks
        Labels below the bars, by their number.
    """

    interval: CandleInterval
    bars: pl.DataFrame
    trades: pl.DataFrame
    left_out: int
    ticks: Ticks


def trade_picture(lake: Lake, run_id: str, symbol: str, first: dt.date, last: dt.date) -> TradePicture:
    """Trades of one symbol from the session `first` to the session `last`, both of them in the picture.

    Raises
    ------
    NotFoundError
        If no run or several have such an id, or the bars it traded are no longer held.
    InvalidInputError
        If the run did not trade the symbol, or the sessions are reversed.
    FormatError
        If the run's trades are not the file that was written.
    """
    run = lake.artifacts.find(ArtifactKind.RUN, run_id)
    if symbol not in run.results["symbols"]:
        known = ", ".join(run.results["symbols"])
        raise InvalidInputError(f"run {run.id} did not trade {symbol!r}: choose one of {known}.")
    found = candles(
        lake, symbol, first, last + _ONE_DAY, session=run.results["session"], feed=run.results["feed"],
        adjustment=run.results["adjustment"],
    )  # fmt: skip
    held = found.rows.filter(pl.col("open").is_not_null()).with_row_index("bar")
    # A candle of a session or longer opens with its first session.
    opens = pl.col("timestamp").fill_null(pl.col("session").cast(pl.Datetime("us", "UTC")))
    bars = held.select("bar", opens, "session", "open", "high", "low", "close").sort("timestamp")
    span = session_bounds(first, last + _ONE_DAY, run.results["feed"])
    trades = _trades_within(table_of(lake, run.id, "trades").filter(symbol=symbol), bars, *span)
    return TradePicture(
        found.interval, bars, trades.head(MOST_TRADES), max(trades.height - MOST_TRADES, 0), clock_ticks(bars)
    )


def _trades_within(trades: pl.DataFrame, bars: pl.DataFrame, start: dt.datetime, end: dt.datetime) -> pl.DataFrame:
    """Trades that were open in [start, end), each with the bars of its entry and its exit."""
    reaches = pl.col("is_open") | (pl.col("exit_timestamp") >= start)
    found = trades.filter((pl.col("entry_timestamp") < end) & reaches).sort("entry_timestamp")
    for side in ("entry", "exit"):
        instant, bar = pl.col(f"{side}_timestamp"), f"{side}_bar"
        numbered = bars.select(pl.col("timestamp").alias(f"{side}_timestamp"), pl.col("bar").alias(bar))
        is_inside = (instant >= start) & (instant < end)
        if side == "exit":
            is_inside &= ~pl.col("is_open")
        found = (
            found.with_row_index("place")
            .sort(f"{side}_timestamp")
            .join_asof(numbered, on=f"{side}_timestamp", strategy="backward")
            .sort("place")
            .drop("place")
            .with_columns(pl.when(is_inside).then(pl.col(bar)).alias(bar))
        )
    return found


def busy_sessions(lake: Lake, run_id: str, symbol: str) -> tuple[dt.date, dt.date]:
    """First and last of the newest five sessions up to the last trade of a symbol, or of the run where it had none."""
    equity = table_of(lake, run_id, "equity")["session"].unique().sort()
    trades = table_of(lake, run_id, "trades").filter(symbol=symbol)
    if trades.height:
        newest = trades["entry_timestamp"].max()
        assert isinstance(newest, dt.datetime)  # noqa: S101 - narrows polars' Any
        before = equity.filter(equity <= newest.date())
        equity = before if before.len() else equity
    shown = equity.tail(_FEW_SESSIONS)
    return shown[0], shown[-1]
