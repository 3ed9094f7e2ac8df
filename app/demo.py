"""The whole loop on made-up bars: emulator, ingest over HTTP, features, training, simulation, report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import SecretStr

from app.console import Advance, print_frame, say
from barlake.keys import SYNTHETIC_FEED
from barlake.lake import Lake
from feature_service.build import BuildReport, build_features
from ingest_service.alpaca import AlpacaSource
from ingest_service.backfill import BackfillReport, BackfillStep, backfill
from ingest_service.emulator import EmulatorConfig, serve
from simulation_service.plan import ModelSource, SimulationPlan
from simulation_service.simulate import SimulationReport, simulate
from training_service.report import TrainReport
from training_service.train import train

__all__ = ["DemoReport", "print_demo", "run_demo"]

SYMBOLS = ("SYNA", "SYNB", "SYNC")
START, END = "2024-01-02", "2024-07-06"
"""Half a year with a change of the clocks and a half day (2024-07-03)."""

SEED = 20240102


@dataclass(frozen=True)
class DemoReport:
    """What each step of the demo did."""

    ingest: BackfillReport
    features: BuildReport
    training: TrainReport
    simulation: SimulationReport
    seconds: float

    @property
    def bars_added(self) -> int:
        """Bars that were not in the lake before."""
        return sum(one.written.inserted for one in self.ingest.symbols)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "synthetic": True,
            "symbols": list(SYMBOLS),
            "bars_added": self.bars_added,
            "bars_held": sum(one.bars_held for one in self.ingest.symbols),
            "bar_files_written": sum(one.written.files_written for one in self.ingest.symbols),
            "requests": sum(one.requests for one in self.ingest.symbols),
            "feature_files_written": self.features.files_written,
            "model": self.training.model_id,
            "model_created": self.training.created,
            "simulation": self.simulation.as_dict(),
            "report": str(self.simulation.report_path),
            "seconds": round(self.seconds, 1),
        }


def run_demo(lake: Lake, start: Callable[[str], Advance]) -> DemoReport:
    """Run every step into a lake; a second time nothing is added.

    Parameters
    ----------
    start
        Starts a bar of progress of a given name.
    """
    began = time.monotonic()
    # A proxy of the surroundings must not be asked for an address of this machine.
    os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
    config = EmulatorConfig(symbols=SYMBOLS, seed=SEED)
    with serve(config, calendar=lake.calendar) as url:
        ingested = _ingest(lake, config, url, start("ingest"))
    features = build_features(lake, SYMBOLS, feed=SYNTHETIC_FEED, progress=start("features"))
    trained = train(lake, SYMBOLS, target="direction", horizon=5, feed=SYNTHETIC_FEED, progress=start("training"))
    plan = SimulationPlan(SYMBOLS[:1], ModelSource(trained.model_id))
    simulated = simulate(lake, plan, progress=start("simulation"))
    lake.publish()
    return DemoReport(ingested, features, trained, simulated, time.monotonic() - began)


def _ingest(lake: Lake, config: EmulatorConfig, url: str, advance: Advance) -> BackfillReport:
    settings = lake.settings.model_copy(
        update={
            "alpaca_key_id": SecretStr(config.key_id),
            "alpaca_secret_key": SecretStr(config.secret_key),
            "alpaca_data_url": url,
        }
    )

    def on_step(step: BackfillStep) -> None:
        advance(f"sessions of {step.symbol}", step.sessions_done, step.sessions_total)

    source = AlpacaSource.from_settings(settings)
    return backfill(lake, source, SYMBOLS, START, END, feed=SYNTHETIC_FEED, on_step=on_step)


def print_demo(report: DemoReport) -> None:
    """Print a short table of what was done and where to look next."""
    results = report.simulation.results
    say(
        f"Barlake demo on synthetic, that is made-up, bars: no strategy is shown to earn money ({report.seconds:.1f} s)"
    )
    print_frame(_steps(report))
    print_frame(_accounts(results), title=f"{results['symbol']} ({results['feed']}), 100,000 dollars at the start")
    say(f"report: {report.simulation.report_path}")
    say(
        "next: barlake dashboard; barlake bars SYNA --limit 5; "
        'barlake sql "select symbol, count(*) from bars group by 1"'
    )


def _steps(report: DemoReport) -> pl.DataFrame:
    held = sum(one.bars_held for one in report.ingest.symbols)
    requests = sum(one.requests for one in report.ingest.symbols)
    rows = [
        ("ingest", f"{report.bars_added:,} bars added in {requests} requests, {held:,} held"),
        ("features", f"{report.features.files_written} files written, {len(report.features.symbols)} symbols"),
        ("training", f"model {report.training.model_id}: {report.training.verdict}"),
        ("simulation", f"run {report.simulation.run_id}"),
    ]
    return pl.DataFrame(rows, schema=["step", "result"], orient="row")


def _accounts(results: dict[str, Any]) -> pl.DataFrame:
    names = {"next_open": "next_open", "same_close": "same_close (optimistic)"}
    rows = [(name, results[fill]["final_value"], results[fill]["fills"]) for fill, name in names.items()]
    held = results["buy_and_hold"]["next_open"]
    rows.append(("buy and hold", held["final_value"], held["fills"]))
    return pl.DataFrame(rows, schema=["fill", "final value", "fills"], orient="row")
