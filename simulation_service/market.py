"""The bars of one symbol as the kernel reads them: prices in ticks, sessions, and where a fill may happen at all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError
from barlake.halts import MARKET_HALTS, Halt, halted_minutes
from barlake.keys import SYNTHETIC_FEED, SessionFilter, is_always_open
from barlake.sessions import XNYS_FEED, Calendar, session_dates
from simulation_service.tick_prices import price_ticks
from simulation_service.ticks import FloatArray

__all__ = ["Market"]

_HOURS = {
    SessionFilter.REGULAR: ("open", "close"),
    SessionFilter.PRE: ("pre_open", "open"),
    SessionFilter.POST: ("close", "post_close"),
    SessionFilter.ALL: ("pre_open", "post_close"),
}


@dataclass(frozen=True, eq=False)
class Market:
    """Bars of one symbol, oldest first; a minute without a bar is not there, so nothing fills in it.

    Parameters
    ----------
    open, high, low, close
        Shape (n_bars,), positive whole ticks in float64.
    volume
        Shape (n_bars,), shares traded, float64.
    session_number
        Shape (n_bars,), int64, the same for all bars of one session and rising with time.
    session_end
        Shape (n_bars,), bool: the last minute of its session by the calendar, which is known beforehand. None
        where no calendar was given: `Rules.flat_at_close` then cannot be kept.
    tradable
        Shape (n_bars,), bool: whether anything can be filled in this bar.
    prices_rounded, largest_rounding_usd
        How many opens and closes lay between two ticks, and the furthest one was moved.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    session_number: npt.NDArray[np.int64]
    session_end: npt.NDArray[np.bool_] | None
    tradable: npt.NDArray[np.bool_]
    prices_rounded: int = 0
    largest_rounding_usd: float = 0.0

    @classmethod
    def of(
        cls,
        bars: pl.DataFrame,
        *,
        feed: str = XNYS_FEED,
        hours: str = SessionFilter.ALL,
        calendar: Calendar | None = None,
        halts: Sequence[Halt] | None = None,
    ) -> Market:
        """Market of the bars of one symbol.

        Parameters
        ----------
        bars
            timestamp (UTC), open, high, low, close (dollars), volume; session (date) if it is there; oldest first.
        feed
            Whose sessions they are; made-up bars (`synthetic`) and coins know no halts of the US market.
        hours
            Which part of a session is traded: `regular`, `pre`, `post` or `all`. With a calendar, a bar outside
            it cannot be traded in.
        calendar
            XNYS sessions with their closing times, such as `lake.calendar`.
        halts
            Spans in which nothing trades. None: the known halts of the whole market, see `barlake.halts`.

        Raises
        ------
        InvalidInputError
            If there is no bar, a column is missing, a price cannot be traded, or a volume is below 0 or missing.
        """
        _require_bars(bars)
        prices = {name: price_ticks(bars[name].to_numpy(), name=name) for name in ("open", "high", "low", "close")}
        volume = bars["volume"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        if not (volume >= 0).all():
            first = int(np.argmin(volume >= 0))
            raise InvalidInputError(f"volume {volume[first]} at bar {first} is not a number of shares: give 0 or more.")
        tradable = volume > 0
        for halt in _halts_of(feed) if halts is None else halts:
            tradable[_halted(bars["timestamp"], tradable, halt)] = False
        session = bars["session"] if "session" in bars.columns else session_dates(bars["timestamp"], feed)
        ends = None
        if calendar is not None:
            ends, open_for_trade = _scheduled(bars["timestamp"], session, calendar.of(feed), SessionFilter.parse(hours))
            tradable &= open_for_trade
        rounded = (prices["open"], prices["close"])
        return cls(
            open=prices["open"].ticks,
            high=prices["high"].ticks,
            low=prices["low"].ticks,
            close=prices["close"].ticks,
            volume=volume,
            session_number=session.to_physical().cast(pl.Int64).to_numpy(),
            session_end=ends,
            tradable=tradable,
            prices_rounded=sum(column.rounded for column in rounded),
            largest_rounding_usd=max(column.largest_rounding_usd for column in rounded),
        )

    @classmethod
    def from_ticks(
        cls,
        open_: FloatArray,
        close: FloatArray,
        *,
        high: FloatArray | None = None,
        low: FloatArray | None = None,
        volume: FloatArray | None = None,
        session_number: npt.NDArray[np.int64] | None = None,
        session_end: npt.NDArray[np.bool_] | None = None,
        tradable: npt.NDArray[np.bool_] | None = None,
    ) -> Market:
        """Market of arrays that are ticks already, such as a made-up path.

        What is not given: high and low are the further of open and close, the volume is boundless, all bars lie in
        one session without an end, and a bar can be traded in where its volume is above 0.
        """
        volume = np.full(close.size, np.inf) if volume is None else volume
        return cls(
            open_,
            np.maximum(open_, close) if high is None else high,
            np.minimum(open_, close) if low is None else low,
            close,
            volume,
            np.zeros(close.size, dtype=np.int64) if session_number is None else session_number,
            session_end,
            volume > 0 if tradable is None else tradable,
        )

    @property
    def bars(self) -> int:
        """Number of bars."""
        return int(self.close.size)


def _require_bars(bars: pl.DataFrame) -> None:
    missing = {"timestamp", "open", "high", "low", "close", "volume"} - set(bars.columns)
    if missing:
        raise InvalidInputError(
            f"bars lack {', '.join(sorted(missing))}: a market needs prices and volume of each bar."
        )
    if bars.is_empty():
        raise InvalidInputError("bars are empty: a market needs at least one.")


def _halted(timestamp: pl.Series, traded: npt.NDArray[np.bool_], halt: Halt) -> slice:
    """Bars inside a halt; none where every minute of it traded, because then they are bars of no market it stopped."""
    minutes: list[dt.datetime] = halted_minutes([halt])["timestamp"].to_list()
    first = timestamp.search_sorted(minutes[0], "left")
    last = timestamp.search_sorted(minutes[-1], "right")
    return slice(first, first if int(traded[first:last].sum()) == len(minutes) else last)


def _halts_of(feed: str) -> Sequence[Halt]:
    return () if feed == SYNTHETIC_FEED or is_always_open(feed) else MARKET_HALTS


def _scheduled(
    timestamp: pl.Series, session: pl.Series, calendar: Calendar, hours: SessionFilter
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """By bar: whether it is the last minute of its session's hours, and whether it lies within them."""
    begins, ends = _HOURS[hours]
    frame = pl.DataFrame({"timestamp": timestamp, "session": session})
    joined = frame.join(
        calendar.frame.select("session", begins=begins, ends=ends), on="session", how="left", maintain_order="left"
    )
    stamp = pl.col("timestamp")
    inside = (stamp >= pl.col("begins")) & (stamp < pl.col("ends"))
    last = stamp == pl.col("ends") - pl.duration(minutes=1)
    found = joined.select(inside.fill_null(value=False).alias("inside"), last.fill_null(value=False).alias("last"))
    return found["last"].to_numpy(), found["inside"].to_numpy()
