"""Proof that fills and the equity curve know nothing of later bars, nor of their own bar's end at its open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from barlake.leak_proof import Effort, Frames, Future, ProofReport, Source, World, bar_borders, minutes, prove
from barlake.leak_proof.engine import Progress
from barlake.leak_proof.world import instants
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, replay
from simulation_service.market import Market
from simulation_service.rules import Direction, Reason, Rules
from simulation_service.ticks import to_dollars

__all__ = ["PLAYS", "Play", "prove_simulation", "replayed_account"]

_EFFORT = Effort(whole=0, pieces=60, per_piece=10, sweeps=0, futures=(Future.CUT, Future.NUDGE))
"""Short pieces and small changes: an account that cheats grows beyond all numbers where prices triple."""

MarketMaker = Callable[[pl.DataFrame], Market]

_DECIDED_BEFORE = {Reason.DRAWDOWN, Reason.DAILY_LOSS, Reason.MARGIN}
_AT_THE_PRICE_OF_SIGNALS = {Reason.SIGNAL, Reason.HOLDING}


@dataclass(frozen=True)
class Play:
    """One way to trade the signals, by name; `signal_shift` is taken off them first, so that 0 can mean short."""

    name: str
    execution: Execution
    rules: Rules = field(default_factory=Rules)
    signal_shift: float = 0.0


# Levels that bars of a minute reach: a rule that never acts proves nothing.
_STOPS = Rules(Direction.BOTH, stop_loss=0.0006, take_profit=0.0008, trailing_stop=0.0007)
_CLOCK = Rules(Direction.BOTH, fractional=True, flat_at_close=True, max_holding_bars=5)
_CAPPED = Execution(delay_bars=1, costs=Costs.typical(), volume_share=0.2)

PLAYS = (
    *(Play(fill.value, Execution(fill)) for fill in Fill),
    Play("stops_at_the_open", _CAPPED, _STOPS, 0.5),
    Play("stops_at_the_close", replace(_CAPPED, fill=Fill.NEXT_CLOSE), _STOPS, 0.5),
    Play("clock_at_the_open", Execution(), _CLOCK, 0.5),
    Play("clock_at_the_close", Execution(Fill.NEXT_CLOSE), _CLOCK, 0.5),
    Play("loss_of_a_session", Execution(costs=Costs.typical()), Rules(daily_loss_limit=0.002)),
    Play("short_until_the_breaker", Execution(), Rules(Direction.SHORT, max_drawdown=0.002), 0.5),
)
"""Every fill and every rule: what a proof replays unless it is told otherwise."""

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


def replayed_account(
    bars: pl.DataFrame,
    *,
    cash_ticks: int,
    market_of: MarketMaker = Market.of,
    plays: Sequence[Play] = PLAYS,
) -> pl.DataFrame:
    """What the trading rules did in every play: a row for every fill and for every bar, with when it is known.

    Parameters
    ----------
    bars
        session, timestamp, open, high, low, close, volume and signal (null holds) of one symbol; oldest first.
    market_of
        Makes the market of bars. Such as `functools.partial(Market.of, calendar=lake.calendar, hours="regular")`; a
        play that leaves at the close needs the calendar, and is left out without one.

    Returns
    -------
    known_at, what, then price_usd, fee_usd, filled_shares and reason of a fill, or cash_usd, shares and equity_usd
    after a bar. A fill that an earlier bar decided, granted at the open, is known when its bar opens; everything else
    when its bar is complete.
    """
    market = market_of(bars)
    signal = bars["signal"].fill_null(float("nan")).to_numpy()
    tables = []
    for play in plays:
        if play.rules.flat_at_close and market.session_end is None:
            continue
        wanted = signal - play.signal_shift
        done = replay(wanted, market, cash_ticks=cash_ticks, execution=play.execution, rules=play.rules)
        tables += [_fills(play, done, market, bars["timestamp"]), _balances(play, done, bars["timestamp"])]
    return pl.concat(tables, how="diagonal")


def _fills(play: Play, done: Replay, market: Market, timestamp: pl.Series) -> pl.DataFrame:
    reasons = [Reason(reason) for reason in done.fill_reasons]
    decided = _DECIDED_BEFORE | (_AT_THE_PRICE_OF_SIGNALS if play.execution.fill.is_at_open else set())
    at_open = np.array([reason in decided for reason in reasons], dtype=bool)
    at_open &= done.fill_quotes == market.open[done.fill_bars]
    waits = pl.lit(pl.Series(np.where(at_open, 0, 1)))
    return pl.DataFrame(
        {
            "timestamp": timestamp.gather(done.fill_bars),
            "what": pl.Series([f"{play.name} fill"] * done.fill_bars.size, dtype=pl.String),
            "price_usd": to_dollars(done.fill_prices),
            "fee_usd": to_dollars(done.fill_fees),
            "filled_shares": done.fill_shares,
            "reason": pl.Series([reason.label for reason in reasons], dtype=pl.String),
        }
    ).with_columns(known_at=pl.col("timestamp") + pl.duration(minutes=waits))


def _balances(play: Play, done: Replay, timestamp: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "timestamp": timestamp,
            "what": pl.Series([f"{play.name} account"] * timestamp.len(), dtype=pl.String),
            "cash_usd": to_dollars(done.cash),
            "shares": done.shares,
            "equity_usd": to_dollars(done.equity),
        }
    ).with_columns(known_at=pl.col("timestamp") + pl.duration(minutes=1))
