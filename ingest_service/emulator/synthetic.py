"""Bars made up from a seed: the look of real minute bars, and nothing to earn in them.

The mid price of a symbol is a martingale: Gaussian steps whose size is known beforehand (a daily
volatility that clusters, a U over the session, a jump overnight), less half their variance. Trades
happen at bid or ask, each side by a fresh coin, so that closes bounce and the next open does not know
it. Whether and how much is traded depends on the size of a step, never on its direction.

Bars depend on (seed, symbol, session) alone, given the exchange calendar and numpy's generators: any
range can be asked in any order. A session's total return is drawn first and its minutes are then bent
to meet it (a Brownian bridge), which is the same law as a plain random walk and lets a session start
at the right level without its predecessors being made.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.sessions import Calendar
from ingest_service.emulator.source import BAR_COLUMNS, MINUTE_US
from ingest_service.emulator.traits import generator, traits_of

__all__ = ["FIRST_DAY", "SyntheticBars"]

FloatArray = npt.NDArray[np.float64]

FIRST_DAY = dt.date(2016, 1, 1)
"""Alpaca's own history begins in 2016 (https://docs.alpaca.markets/us/docs/about-market-data-api)."""

_MARKET = "the market"  # a factor's key; no symbol has a space
_MARKET_VOLATILITY = 0.15
_SESSIONS_PER_YEAR = 252
_REGULAR_MINUTES = 390
_PERSISTENCE, _SHOCK = 0.98, 0.10  # of the logarithm of daily volatility
_OVERNIGHT_VARIANCE, _PRE_VARIANCE, _POST_VARIANCE = 0.25, 0.04, 0.03  # shares of a day's variance
_EXTENDED_ACTIVITY = 0.0005  # trades per minute outside the regular session, relative to inside
_PRINTS = 5  # prices looked at in one minute: enough for an open, a high, a low and a close
_KEPT_SESSIONS = 256  # of all symbols together, about 100 kB each; the present session of each symbol at least


class _Session(NamedTuple):
    date: dt.date
    pre_open_us: int
    open_us: int
    close_us: int
    post_close_us: int


class _Factor(NamedTuple):
    """Day by day, by calendar day since `FIRST_DAY`: unit total, and log of the volatility's multiple."""

    total: FloatArray
    log_volatility: FloatArray


class SyntheticBars:
    """Minute bars of made-up symbols, 2016 to the end of the calendar.

    Regular sessions (half days end early), and a few bars before and after. A minute without a trade has
    no bar. Prices are whole cents, the vwap has six decimals and lies in [low, high].

    Parameters
    ----------
    symbols
        Those that exist.
    seed
        Another seed is another market.
    calendar
        Sessions to fill.
    """

    def __init__(self, symbols: Sequence[str], *, seed: int, calendar: Calendar) -> None:
        self.symbols = tuple(sorted(set(symbols)))
        self._seed = seed
        self._sessions = _sessions(calendar)
        self._post_closes = np.array([session.post_close_us for session in self._sessions], dtype=np.int64)
        self._days = np.array([(session.date - FIRST_DAY).days for session in self._sessions], dtype=np.int64)
        self._lengths = np.array([_variance_profile(session).sum() for session in self._sessions])
        self._factor = functools.cache(self._draw_factor)
        self._deviations = functools.cache(self._daily_deviations)
        self._levels = functools.cache(self._log_levels)
        self._bars = functools.lru_cache(maxsize=max(_KEPT_SESSIONS, 2 * len(self.symbols)))(self._session_bars)

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """See `BarSource.rows`."""
        if symbol not in self.symbols:
            return pl.DataFrame(schema=BAR_COLUMNS)
        first = int(np.searchsorted(self._post_closes, start_us, side="right"))
        stop = first
        while stop < len(self._sessions) and self._sessions[stop].pre_open_us <= end_us:
            stop += 1
        places = range(first, stop)
        parts, found = [pl.DataFrame(schema=BAR_COLUMNS)], 0
        for place in reversed(places) if descending else places:
            part = _between(self._bars(symbol, place), start_us, end_us)
            parts.append(part.reverse() if descending else part)
            found += part.height
            if found >= limit:
                break
        return pl.concat(parts).head(limit)

    def _draw_factor(self, name: str) -> _Factor:
        days = int(self._days[-1]) + 1
        total, shock = generator(self._seed, name, "days").standard_normal((days, 2)).T
        log_volatility = np.empty(days)
        level = 0.0
        for day in range(days):
            level = _PERSISTENCE * level + _SHOCK * shock[day]
            log_volatility[day] = level
        # Less its own variance: the mean of exp(2x) is then 1, and the average variance the one asked for.
        return _Factor(total, log_volatility - _SHOCK**2 / (1 - _PERSISTENCE**2))

    def _daily_deviations(self, symbol: str) -> tuple[FloatArray, FloatArray]:
        """Standard deviation of a whole day's log return, session by session: market part, own part."""
        traits = traits_of(symbol, seed=self._seed)
        scale = 1 / math.sqrt(_SESSIONS_PER_YEAR)
        market = np.exp(self._factor(_MARKET).log_volatility[self._days])
        own = np.exp(self._factor(symbol).log_volatility[self._days])
        return traits.beta * _MARKET_VOLATILITY * scale * market, traits.own_volatility * scale * own

    def _log_levels(self, symbol: str) -> FloatArray:
        """Logarithm of the mid price at the end of the session before each session."""
        market, own = self._deviations(symbol)
        steps = np.sqrt(self._lengths) * (
            market * self._factor(_MARKET).total[self._days] + own * self._factor(symbol).total[self._days]
        )
        steps -= self._lengths * (market**2 + own**2) / 2
        return math.log(traits_of(symbol, seed=self._seed).first_price) + np.concatenate(([0.0], steps.cumsum()[:-1]))

    def _bridge(self, name: str, place: int, variances: FloatArray) -> FloatArray:
        """Log price path of one factor with unit daily variance: shape (n_minutes, _PRINTS)."""
        session = self._sessions[place]
        draw = generator(self._seed, name, "minutes", session.date.toordinal())
        spread = np.repeat(variances / _PRINTS, _PRINTS)
        path = (draw.standard_normal(spread.size) * np.sqrt(spread)).cumsum()
        total = self._factor(name).total[self._days[place]] * math.sqrt(spread.sum())
        path += spread.cumsum() / spread.sum() * (total - path[-1])
        return path.reshape(-1, _PRINTS)

    def _mid_prices(self, symbol: str, place: int, variances: FloatArray) -> FloatArray:
        market, own = (deviation[place] for deviation in self._deviations(symbol))
        drift = np.repeat(variances / _PRINTS, _PRINTS).cumsum().reshape(-1, _PRINTS) * (market**2 + own**2) / 2
        logs = market * self._bridge(_MARKET, place, variances) + own * self._bridge(symbol, place, variances)
        prices: FloatArray = np.exp(self._levels(symbol)[place] + logs - drift)
        return prices

    def _session_bars(self, symbol: str, place: int) -> pl.DataFrame:
        session = self._sessions[place]
        traits = traits_of(symbol, seed=self._seed)
        draw = generator(self._seed, symbol, "trades", session.date.toordinal())
        variances = _variance_profile(session)
        mid = self._mid_prices(symbol, place, variances)
        side = draw.choice([-1.0, 1.0], size=mid.shape)
        prices = np.maximum(np.round(mid + side * (mid * traits.half_spread + 0.005), 2), 0.01)
        expected = np.sqrt(variances) * math.hypot(*(deviation[place] for deviation in self._deviations(symbol)))
        surprise = np.abs(np.log(mid[:, -1] / mid[:, 0])) / expected
        busy = math.exp(0.5 * self._factor(symbol).log_volatility[self._days[place]])
        rate = traits.trades_per_minute * busy * _activity_profile(session) * (0.7 + 0.4 * surprise)
        trades = draw.poisson(rate * draw.lognormal(-0.125, 0.5, rate.size))
        size = traits.shares_per_trade * draw.lognormal(-0.08, 0.4, rate.size)
        volume = np.maximum(trades, np.rint(trades * size)).astype(np.int64)
        weights = draw.gamma(1.0, size=mid.shape) + 1e-9
        return _as_bars(session, prices, weights, trades, volume)


def _sessions(calendar: Calendar) -> list[_Session]:
    instants = [pl.col(name).dt.epoch("us") for name in ("pre_open", "open", "close", "post_close")]
    frame = calendar.frame.filter(pl.col("session") >= FIRST_DAY).select("session", *instants)
    return [_Session(*row) for row in frame.iter_rows()]


def _between(bars: pl.DataFrame, start_us: int, end_us: int) -> pl.DataFrame:
    return bars.filter(pl.col("timestamp").dt.epoch("us").is_between(start_us, end_us))


def _minutes(session: _Session) -> tuple[int, int, int]:
    """How many minutes lie before, in and after the regular session."""
    return (
        (session.open_us - session.pre_open_us) // MINUTE_US,
        (session.close_us - session.open_us) // MINUTE_US,
        (session.post_close_us - session.close_us) // MINUTE_US,
    )


def _variance_profile(session: _Session) -> FloatArray:
    """Variance of each minute's step from pre-open to post-close; they sum to 1 on a full session.

    The first minute carries the night.
    """
    pre, regular, post = _minutes(session)
    before = np.full(pre, _PRE_VARIANCE / pre)
    before[0] += _OVERNIGHT_VARIANCE
    smile = _smile(regular, opening=1.6, closing=0.5) ** 2
    share = (1 - _OVERNIGHT_VARIANCE - _PRE_VARIANCE - _POST_VARIANCE) * regular / _REGULAR_MINUTES
    return np.concatenate((before, share * smile / smile.sum(), np.full(post, _POST_VARIANCE / post)))


def _activity_profile(session: _Session) -> FloatArray:
    """Trades of each minute relative to the mean of the regular session."""
    pre, regular, post = _minutes(session)
    smile = _smile(regular, opening=2.5, closing=3.5)
    outside = [np.full(count, _EXTENDED_ACTIVITY) for count in (pre, post)]
    return np.concatenate((outside[0], smile / smile.mean(), outside[1]))


def _smile(minutes: int, *, opening: float, closing: float) -> FloatArray:
    """A U over the session: 1 at noon, more by so much at its ends."""
    progress = (np.arange(minutes) + 0.5) / minutes
    smile: FloatArray = 1 + opening * np.exp(-progress / 0.08) + closing * np.exp((progress - 1) / 0.05)
    return smile


def _as_bars(
    session: _Session,
    prices: FloatArray,
    weights: FloatArray,
    trades: npt.NDArray[np.int64],
    volume: npt.NDArray[np.int64],
) -> pl.DataFrame:
    """Bars of those minutes that traded; a minute with fewer trades than prints shows its first prints."""
    kept = np.flatnonzero(trades)
    prices, weights, trades, volume = prices[kept], weights[kept], trades[kept], volume[kept]
    prints = np.minimum(trades, _PRINTS)
    seen = np.arange(_PRINTS) < prints[:, None]
    low = np.where(seen, prices, np.inf).min(axis=1)
    high = np.where(seen, prices, -np.inf).max(axis=1)
    weights = np.where(seen, weights, 0.0)
    vwap = np.round((prices * weights).sum(axis=1) / weights.sum(axis=1), 6)
    stamps = pl.Series(session.pre_open_us + kept * MINUTE_US, dtype=pl.Int64)
    return pl.DataFrame(
        {
            "timestamp": stamps.cast(pl.Datetime("us", "UTC")),
            "open": prices[:, 0],
            "high": high,
            "low": low,
            "close": prices[np.arange(len(kept)), prints - 1],
            "volume": volume,
            "trade_count": trades,
            "vwap": np.clip(vwap, low, high),
        },
        schema=BAR_COLUMNS,
    )
