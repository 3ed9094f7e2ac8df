"""A run of the lake, ready to be traded again on other bars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from barlake import Lake
from barlake.artifacts import Artifact
from barlake.errors import NotFoundError
from barlake.keys import ArtifactKind
from barlake.ranges import Boundary
from simulation_service.material import Material, inputs_of, read_material
from simulation_service.origin import Origin, origin_of
from simulation_service.plan import SimulationPlan
from simulation_service.ratios import last_bars, session_returns
from simulation_service.runs import plan_of_run, require_this_kind
from simulation_service.scenarios.scenario_table import Scenario
from simulation_service.scenarios.session_blocks import SessionBlocks
from simulation_service.scenarios.trading import Trader
from simulation_service.ticks import FloatArray

__all__ = ["LoadedRun", "load_run", "run_returns", "subject_of"]

SIGNALS_FILE, EQUITY_FILE = "signals.parquet", "equity.parquet"


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run with what it was traded on.

    Parameters
    ----------
    bars
        What the strategy looks at; where signals are not a strategy's, with a column signal.
    """

    lake: Lake
    run: Artifact
    trader: Trader
    bars: pl.DataFrame

    def blocks(self) -> SessionBlocks:
        """Its sessions, to draw from."""
        calendar = self.lake.calendar.of(self.trader.feed).frame
        early = calendar.filter(pl.col("is_early_close"))["session"].to_list()
        return SessionBlocks.of(self.bars, early_closes=early, feed=self.trader.feed)

    def span(self, scenario: Scenario) -> pl.DataFrame:
        """Bars of a scenario's span, with what the strategy looks at.

        Raises
        ------
        NotFoundError
            If no bar of a symbol is held in it.
        InvalidInputError
            If no signal lies in it.
        """
        start, end, trader = scenario.start, scenario.end, self.trader
        for symbol in trader.plan.symbols:
            if self.lake.held(feed=trader.feed, symbol=symbol, start=start, end=end).is_empty():
                raise NotFoundError(
                    f"no bars of {symbol} from feed {trader.feed!r} are held in [{start}, {end}): ingest or import "
                    "them to replay it."
                )
        return _read(self.lake, trader.plan, start, end)[2]


def load_run(lake: Lake, run_id: str) -> LoadedRun:
    """A run by its id or its first digits.

    Raises
    ------
    NotFoundError
        If there is none, or what it was made from is gone.
    InvalidInputError
        If a release made it whose runs kept no plan.
    """
    run = lake.artifacts.find(ArtifactKind.RUN, run_id)
    plan = plan_of_run(run, signals=run.path / SIGNALS_FILE)
    origin, material, bars = _read(lake, plan, plan.start, plan.end)
    trader = Trader(plan, origin.strategy, origin.feed, origin.session, lake.calendar, run.id, material.earlier_closes)
    return LoadedRun(lake, run, trader, bars)


def subject_of(run: Artifact) -> str:
    """What a run was traded by, in words."""
    source = run.parameters["source"]
    if source["kind"] != "strategy":
        return f"{source['kind']} {source.get('model') or source['name']}"
    set_to = ", ".join(f"{name} {value}" for name, value in source["parameters"].items())
    return f"{source['name']} ({set_to})" if set_to else str(source["name"])


def run_returns(run: Artifact) -> FloatArray:
    """Simple returns of a run's account by session, close to close, the first from its cash."""
    equity = pl.read_parquet(Path(require_this_kind(run).path) / EQUITY_FILE, columns=["session", "equity_usd"])
    last = last_bars(equity["session"].to_numpy())
    return session_returns(equity["equity_usd"].to_numpy(), last, float(run.parameters["cash_usd"]))


def _read(lake: Lake, plan: SimulationPlan, start: Boundary, end: Boundary) -> tuple[Origin, Material, pl.DataFrame]:
    """Of a plan for a span of its own: its origin, its material, and the bars with what a strategy looks at."""
    asked = replace(plan, start=start, end=end)
    origin = origin_of(lake, asked)
    material = read_material(lake, asked, origin, inputs_of(lake, asked, origin))
    bars = material.bars
    if origin.strategy is not None and origin.predictions is not None:
        predicted = origin.predictions.select("timestamp", "symbol", "prediction", model_signal="signal")
        bars = bars.join(predicted, on=["timestamp", "symbol"], how="left", maintain_order="left")
    return origin, material, bars
