"""Synthetic minute bars put together from whole sessions of real ones.

A drawn session brings its minutes, its volumes and the overnight move before it; only the level of its prices
changes, so that it follows the session put before it. All symbols take the same session at the same place,
which keeps what moves together together.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from barlake.sessions import XNYS_FEED, session_bounds
from simulation_service.scenarios.resampling import IndexArray, stationary_bootstrap
from simulation_service.ticks import FloatArray

__all__ = ["PRICES", "SessionBlocks", "on_tick"]

PRICES = ("open", "high", "low", "close")
_DECIMALS = 4
_LEAST = 1e-4


def on_tick(price: pl.Expr) -> pl.Expr:
    """A price as the nearest whole tick of 1e-4 dollars, at least one."""
    return price.round(_DECIMALS).clip(lower_bound=_LEAST)


@dataclass(frozen=True, eq=False)
class SessionBlocks:
    """Sessions to draw from.

    Parameters
    ----------
    bars
        The bars of the sessions, by session, symbol and timestamp, with three more columns: index (of the
        session), anchor (midnight of its date) and progress (share of the session's bars up to and with
        this one, above 0 up to 1).
    sessions
        One row per index and symbol, in that order: index, session, symbol, previous_close, last_close.
    is_early
        Shape (n_sessions,): sessions that close early, which only take each other's place.
    """

    bars: pl.DataFrame
    sessions: pl.DataFrame
    is_early: np.ndarray

    @classmethod
    def of(
        cls, bars: pl.DataFrame, *, early_closes: Collection[dt.date] = frozenset(), feed: str = XNYS_FEED
    ) -> SessionBlocks:
        """The sessions of some bars that hold every symbol.

        Parameters
        ----------
        bars
            symbol, session, timestamp, open, high, low, close, volume and anything else, which a drawn session
            brings along as it is. Prices in one set of terms: a split between two sessions would be drawn too.
        early_closes
            Session dates that end before the others.

        Raises
        ------
        InvalidInputError
            If fewer than two sessions hold every symbol.

        Notes
        -----
        The overnight move before the first session is not known; it counts as none.
        """
        symbols = bars["symbol"].n_unique()
        whole = bars.group_by("session").agg(pl.col("symbol").n_unique().alias("held")).filter(held=symbols)
        days = whole["session"].sort()
        if days.len() < 2:  # noqa: PLR2004 - one session could only follow itself
            raise InvalidInputError(
                f"bars of {days.len()} sessions cannot be resampled: take a span of at least 2 sessions that hold "
                f"{', '.join(bars['symbol'].unique().sort())}."
            )
        numbered = _numbered(bars, days, feed)
        ends = (
            numbered.group_by("index", "session", "symbol", maintain_order=True)
            .agg(pl.col("open").first(), pl.col("close").last().alias("last_close"))
            .with_columns(
                pl.coalesce(pl.col("last_close").shift(1).over("symbol"), "open").alias("previous_close"),
            )
            .select("index", "session", "symbol", "previous_close", "last_close")
        )
        return cls(numbered, ends, days.is_in(list(early_closes)).to_numpy())

    @property
    def count(self) -> int:
        """Number of sessions."""
        return int(self.is_early.size)

    def draw(self, generator: np.random.Generator, *, paths: int, block_sessions: float) -> IndexArray:
        """Indexes of sessions, shape (paths, count): whole days from whole days, early closes from early closes."""
        order = np.empty((paths, self.count), dtype=np.int64)
        for part in (~self.is_early, self.is_early):
            own = np.flatnonzero(part)
            if own.size:
                drawn = stationary_bootstrap(
                    generator, size=own.size, shape=(paths, own.size), block_sessions=block_sessions
                )
                order[:, own] = own[drawn]
        return order

    def path(
        self, order: IndexArray, *, stretch: FloatArray | None = None, tilt: FloatArray | None = None
    ) -> pl.DataFrame:
        """Bars of one synthetic path on the dates of the real sessions, with the columns of the bars given.

        Parameters
        ----------
        order
            Shape (n,), n at most `count`: which session stands at each date.
        stretch, tilt
            Shape (n,): every log move of the session is multiplied by `stretch` (default 1), and log prices
            are raised evenly over its bars, by `tilt` (default 0) at the last of them.

        Returns
        -------
        Rows by timestamp and symbol; prices in whole ticks of 1e-4 dollars.
        """
        places = pl.DataFrame(
            {
                "place": np.arange(order.size),
                "index": order,
                "stretch": np.ones(order.size) if stretch is None else stretch,
                "tilt": np.zeros(order.size) if tilt is None else tilt,
            }
        )
        levels = self._levels(places)
        dates = self.bars.select(pl.col("index").alias("place"), "session", "anchor").unique("place", keep="any")
        drawn = self.bars.join(levels, on=["index", "symbol"]).join(dates, on="place", suffix="_new")
        log_move = (pl.col("stretch") - 1.0, pl.col("tilt") * pl.col("progress"))
        prices = [name for name in (*PRICES, "vwap") if name in self.bars.columns]
        moved = [
            on_tick(
                pl.col(name) * pl.col("scale") * (pl.col(name) / pl.col("previous_close")).pow(log_move[0])
                * log_move[1].exp()
            ).alias(name)
            for name in prices
        ]  # fmt: skip
        stamp = pl.col("anchor_new") + (pl.col("timestamp") - pl.col("anchor"))
        placed = drawn.with_columns(*moved, stamp.alias("timestamp"), pl.col("session_new").alias("session"))
        kept = [name for name in self.bars.columns if name not in {"index", "anchor", "progress"}]
        return placed.select(kept).sort("timestamp", "symbol")

    def _levels(self, places: pl.DataFrame) -> pl.DataFrame:
        """For every place and symbol what its session's prices are multiplied by, so that they follow on."""
        growth = (pl.col("last_close") / pl.col("previous_close")).pow(pl.col("stretch")) * pl.col("tilt").exp()
        begun = self.sessions.filter(pl.col("index") == 0).select("symbol", pl.col("previous_close").alias("begins"))
        by_place = places.join(self.sessions, on="index").join(begun, on="symbol").sort("place", "symbol")
        before = growth.cum_prod().shift(1, fill_value=1.0).over("symbol")
        return by_place.with_columns((pl.col("begins") * before / pl.col("previous_close")).alias("scale")).select(
            "place", "index", "symbol", "stretch", "tilt", "previous_close", "scale"
        )


def _numbered(bars: pl.DataFrame, days: pl.Series, feed: str) -> pl.DataFrame:
    table = pl.DataFrame(
        {
            "session": days,
            "index": np.arange(days.len()),
            "anchor": pl.Series([session_bounds(day, day, feed)[0] for day in days], dtype=pl.Datetime("us", "UTC")),
        }
    )
    joined = bars.join(table, on="session").sort("index", "symbol", "timestamp")
    row = pl.int_range(1, pl.len() + 1)
    return joined.with_columns((row / pl.len()).over("index", "symbol").alias("progress"))
