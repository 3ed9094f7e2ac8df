"""Scenarios and Monte Carlo of a run of the lake, as the command line asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from barlake import Lake
from barlake.errors import InvalidInputError
from barlake.keys import ArtifactKind, parse_member
from simulation_service.scenarios.loading import load_run, run_returns, subject_of
from simulation_service.scenarios.monte_carlo import (
    DEFAULT_RUIN,
    QUANTILES,
    Futures,
    account_paths,
    best_block_sessions,
    require_level,
)
from simulation_service.scenarios.pages.form import Page
from simulation_service.scenarios.pages.futures_page import futures_page
from simulation_service.scenarios.pages.stress_page import stress_page
from simulation_service.scenarios.resampling import DEFAULT_BLOCK_SESSIONS
from simulation_service.scenarios.scenario_table import choose, own_scenarios, standard_scenarios
from simulation_service.scenarios.session_blocks import SessionBlocks
from simulation_service.scenarios.stress import StressReport, stress
from simulation_service.scenarios.traded_paths import traded_paths
from simulation_service.scenarios.trading import Trader
from simulation_service.scenarios.volatility_paths import VolatilityModel, session_log_returns

__all__ = ["AUTO_BLOCK", "FuturesReport", "Method", "monte_carlo", "run_scenarios"]

AUTO_BLOCK = "auto"
"""In place of a length of runs: the one that suits the run's returns best."""

Notify = Callable[[str, int, int], None]


class Method(StrEnum):
    """How paths are made: of the account's returns, of minute bars, or of minute bars with GARCH volatility."""

    RETURNS = "returns"
    BARS = "bars"
    GARCH = "garch"

    @property
    def paths(self) -> int:
        """As many as take a second or two of an account's returns, or half a minute of a year of minute bars."""
        return 10_000 if self is Method.RETURNS else 200

    @property
    def words(self) -> str:
        """How the paths are made, as a sentence."""
        return {
            Method.RETURNS: "Returns of the account's own sessions are drawn in runs.",
            Method.BARS: "Whole sessions of minute bars are drawn in runs, and the strategy decides anew on each path.",
            Method.GARCH: "Whole sessions of minute bars are drawn and stretched as a GARCH model lets volatility come "
            "and go from the last session on, and the strategy decides anew on each path.",
        }[self]


@dataclass(frozen=True, eq=False)
class FuturesReport:
    """Many futures of one run's account.

    Parameters
    ----------
    asked_sessions
        How long a path was to be; longer than it is where volatility has no level to come back to.
    """

    run_id: str
    symbols: tuple[str, ...]
    subject: str
    method: Method
    futures: Futures
    cash_usd: float
    ruin: float
    block_sessions: float
    seed: int
    asked_sessions: int

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "run": self.run_id,
            "symbols": list(self.symbols),
            "method": self.method.value,
            "synthetic": True,
            "block_sessions": self.block_sessions,
            "seed": self.seed,
            "asked_sessions": self.asked_sessions,
            **self.futures.as_dict(cash_usd=self.cash_usd, ruin=self.ruin),
        }

    def table(self) -> pl.DataFrame:
        """By quantile: final_value_usd, total_return, max_drawdown, each ordered by itself."""
        facts = self.futures.as_dict(cash_usd=self.cash_usd, ruin=self.ruin)
        columns = ("final_value_usd", "total_return", "max_drawdown")
        return pl.DataFrame({"quantile": QUANTILES, **{name: list(facts[name].values()) for name in columns}})

    def facts(self) -> dict[str, Any]:
        """What is not by quantile, by name, for eyes."""
        found = self.as_dict()
        low, high = found.pop("risk_of_ruin_interval")
        shown = {name: value for name, value in found.items() if isinstance(value, int | float | str)}
        return {**shown, "risk_of_ruin_between": f"{low:.4f} and {high:.4f} (95 %)"}

    def page(self) -> Page:
        """Its page."""
        sessions = self.futures.closes.shape[1]
        capped = (
            f" Paths end after {sessions} sessions: this volatility has no level to come back to within a year."
            if sessions < self.asked_sessions
            else ""
        )
        return futures_page(
            self.futures,
            title=", ".join(self.symbols),
            subject=self.subject,
            about=f"run {self.run_id} · runs of {self.block_sessions:.3g} sessions on average · seed {self.seed}",
            cash_usd=self.cash_usd,
            ruin=self.ruin,
            how=self.method.words + capped,
        )


def run_scenarios(
    lake: Lake,
    run_id: str,
    *,
    names: Sequence[str] = (),
    table: Path | None = None,
    notify: Notify = lambda _name, _done, _of: None,
) -> tuple[StressReport, Page]:
    """A run's account under scenarios, and the page of it.

    Parameters
    ----------
    names
        Of the scenarios. Default: all of them.
    table
        A TOML file of scenarios to be used in place of those of the house.

    Raises
    ------
    NotFoundError
        If there is no such run, or of a scenario that is named the bars are not held.
    InvalidInputError
        If a scenario is not known, wrong, or named and not possible on these bars.
    """
    chosen = choose(standard_scenarios() if table is None else own_scenarios(table), names)
    loaded = load_run(lake, run_id)
    must_work = bool(names) or table is not None
    report = stress(loaded.trader, loaded.bars, chosen, span=loaded.span, must_all_work=must_work, notify=notify)
    return report, stress_page(report, subject=f"{subject_of(loaded.run)}, run {loaded.run.id}")


def monte_carlo(
    lake: Lake,
    run_id: str,
    *,
    method: str = Method.RETURNS,
    paths: int | None = None,
    sessions: int | None = None,
    block: str = str(DEFAULT_BLOCK_SESSIONS),
    ruin: float = DEFAULT_RUIN,
    seed: int = 0,
    notify: Notify = lambda _name, _done, _of: None,
) -> FuturesReport:
    """Many futures of a run's account.

    Parameters
    ----------
    paths
        Default: that of the method.
    sessions
        Length of a path. Default: as many sessions as the run has, or of minute bars those that hold every symbol.
    block
        Mean sessions of a drawn run, or `auto`.

    Raises
    ------
    NotFoundError
        If there is no such run.
    InvalidInputError
        If an option is not allowed, the run is too short, or a package is missing.
    """
    way = parse_member(Method, "method", method)
    run = lake.artifacts.find(ArtifactKind.RUN, run_id)
    returns = run_returns(run)
    length = best_block_sessions(returns) if block == AUTO_BLOCK else _number(block)
    require_level(ruin)  # before the work, not after it
    draw: dict[str, Any] = {"paths": way.paths if paths is None else paths, "block_sessions": length, "seed": seed}
    if way is Method.RETURNS:
        asked = returns.size if sessions is None else sessions
        futures = account_paths(returns, sessions=asked, **draw)
    else:
        loaded = load_run(lake, run.id)
        blocks = loaded.blocks()
        asked = blocks.count if sessions is None else sessions
        futures = _traded(loaded.trader, blocks, way, sessions=asked, notify=notify, **draw)
    return FuturesReport(
        run_id=run.id,
        symbols=tuple(run.parameters["symbols"]),
        subject=subject_of(run),
        method=way,
        futures=futures,
        cash_usd=float(run.parameters["cash_usd"]),
        ruin=ruin,
        block_sessions=length,
        seed=seed,
        asked_sessions=asked,
    )


def _traded(trader: Trader, blocks: SessionBlocks, way: Method, **options: Any) -> Futures:
    """Futures on synthetic minute bars; `options` are those of `traded_paths`."""
    model = VolatilityModel.fit(session_log_returns(blocks, trader.symbol)) if way is Method.GARCH else None
    return traded_paths(trader, blocks, model=model, **options)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInputError(
            f"block {text!r} is no number of sessions: give one such as 5, or {AUTO_BLOCK!r}."
        ) from error
