"""Proof that fills and the equity curve know nothing of later bars, nor of their own bar's end at its open."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from barlake.leak_proof import Effort, Frames, Future, ProofReport, Source, World, bar_borders, minutes, prove
from barlake.leak_proof.engine import Progress
from barlake.leak_proof.world import instants
from simulation_service.accounts import Accounts
from simulation_service.execution import Fill
from simulation_service.ticks import to_dollars

__all__ = ["prove_simulation", "replayed_account"]

_EFFORT = Effort(whole=0, pieces=60, per_piece=10, sweeps=0, futures=(Future.CUT, Future.NUDGE))
"""Short pieces and small changes: an account that cheats grows beyond all numbers where prices triple."""

Account = Callable[[pl.DataFrame], pl.DataFrame]
"""From bars with a column signal to what was done: rows with known_at, such as `replayed_account` gives."""


def prove_simulation(
    account: Account,
    bars: pl.DataFrame,
    signals: pl.DataFrame,
    *,
    effort: Effort = _EFFORT,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProofReport:
    """Whether anything the account did changes with bars and signals that came later.

    A bar's open is known when it opens, the rest of it and its signal a minute later. So a fill at an open must
    not depend on that bar's high, low, close or volume.

    Parameters
    ----------
    account
        Such as `functools.partial(replayed_account, cash_ticks=...)`.
    bars
        session, timestamp, open, high, low, close, volume of one symbol; oldest first.
    signals
        timestamp, signal: a signal frame, see `simulation_service.signals`.
    """
    world = World(
        {
            "bars": Source(
                bars, minutes(1), ("open", "high", "low", "close", "volume"), early={"open": pl.col("timestamp")}
            ),
            "signals": Source(signals, minutes(1), ("signal",), otherwise={"signal": lambda signal: 1.0 - signal}),
        },
        seed=seed,
    )

    def compute(frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        del columns
        return account(_placed(frames["bars"], frames["signals"]))

    # Before the first signal there is no account.
    first = int(instants(signals.head(1), minutes(1))[0])
    held = bars.filter(pl.Series(instants(bars, minutes(1)) >= first))
    borders = {name: found for name, found in bar_borders(held).items() if found.size}
    return prove(compute, world, borders, subject="account column", effort=effort, seed=seed, progress=progress)


def _placed(bars: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """Bars from the first signal on, each with its own or none: also those that open after the last one."""
    joined = bars.join(signals, on="timestamp", how="left", maintain_order="left")
    return joined.filter(pl.col("timestamp") >= signals["timestamp"][0])


def replayed_account(bars: pl.DataFrame, *, cash_ticks: int) -> pl.DataFrame:
    """What the trading rule did with both fills: a row for every fill and for every bar, with when it is known.

    Returns
    -------
    known_at, what, then price_usd and filled_shares of a fill, or cash_usd, shares and equity_usd after a bar.
    A fill at the next open is known when that bar opens; everything else when its bar is complete.
    """
    four = Accounts.replayed(bars, cash_ticks=cash_ticks)
    stamp = bars["timestamp"]
    tables = []
    for fill, done in four.strategy.items():
        opened = stamp.gather(done.fill_bars)
        waits = pl.duration(minutes=0 if fill is Fill.NEXT_OPEN else 1)
        fills = pl.DataFrame(
            {
                "timestamp": opened,
                "what": pl.Series([f"{fill} fill"] * opened.len(), dtype=pl.String),
                "price_usd": to_dollars(done.fill_prices),
                "filled_shares": done.fill_shares.astype(np.int64),
            }
        )
        after = pl.DataFrame(
            {
                "timestamp": stamp,
                "what": pl.Series([f"{fill} account"] * stamp.len(), dtype=pl.String),
                "cash_usd": to_dollars(done.cash),
                "shares": done.shares.astype(np.int64),
                "equity_usd": to_dollars(done.equity),
            }
        )
        tables += [
            fills.with_columns(known_at=pl.col("timestamp") + waits),
            after.with_columns(known_at=pl.col("timestamp") + pl.duration(minutes=1)),
        ]
    return pl.concat(tables, how="diagonal")
