"""A plan and a grid -> every set tried on the same bars, in parallel -> one artifact with a table and heat maps.

A sweep lies in `sweeps/<sweep_id>/`: sets.parquet (one row per set: its values and figures), returns.parquet (the
return of each session, one column per set), report.html and manifest.json. Its id comes from the bars, the plan, the
grid and the code. Every set is a trial in the ledger before anybody sees a figure of it, those that failed too.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from barlake import Lake
from barlake.artifacts import Artifact, artifact_id
from barlake.durable import storage_errors
from barlake.errors import InvalidInputError
from barlake.keys import ArtifactKind
from barlake.parallel import plan_workers, run_parallel
from barlake.trials import Deflation, TrialKind
from simulation_service.market import Market
from simulation_service.material import Material, inputs_of, read_material
from simulation_service.origin import Origin, origin_of
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.simulate import choices, study
from simulation_service.strategies.buy_and_hold import BuyAndHold
from simulation_service.strategies.catalogue import make_strategy
from simulation_service.strategies.placing import signal_frame, with_predictions
from simulation_service.strategies.records import is_of_the_house, require_proven
from simulation_service.sweeps.code import sweep_code
from simulation_service.sweeps.grid import Grid, Values
from simulation_service.sweeps.page import render
from simulation_service.sweeps.tally import Tally
from simulation_service.sweeps.trying import Ground, Tried, Trier, share, try_shared
from simulation_service.sweeps.values import origin_with, require_known, with_values

__all__ = ["PAGE_FILE", "RETURNS_FILE", "SETS_FILE", "SweepReport", "sweep"]

PAGE_FILE, SETS_FILE, RETURNS_FILE = "report.html", "sets.parquet", "returns.parquet"

Progress = Callable[[str, int, int], None]
"""Told what was done, how many sets are done, and how many there are."""


@dataclass(frozen=True)
class SweepReport:
    """A finished sweep.

    Parameters
    ----------
    sweep
        Its artifact; `sweep.results` holds what is said of it.
    is_new
        False if the sweep was made before and nothing was tried now.
    """

    sweep: Artifact
    is_new: bool

    @property
    def sweep_id(self) -> str:
        """Sixteen hex digits that name the sweep."""
        return self.sweep.id

    @property
    def page_path(self) -> Path:
        """The HTML page."""
        return self.sweep.path / PAGE_FILE

    @property
    def table(self) -> pl.DataFrame:
        """One row per set, in the order of the grid: its number, its values, why it failed, its figures."""
        return pl.read_parquet(self.sweep.path / SETS_FILE)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the table, as JSON can hold it."""
        return {
            "sweep_id": self.sweep_id,
            **self.sweep.results,
            "created": self.is_new,
            "table": str(self.sweep.path / SETS_FILE),
            "report": str(self.page_path),
        }


def sweep(
    lake: Lake,
    plan: SimulationPlan,
    grid: Grid,
    *,
    at_most: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SweepReport:
    """Try every set of a grid, or find the sweep that did.

    Parameters
    ----------
    plan
        What is the same for all sets; the values of a set go over it.
    grid
        Parameters of the plan's strategy, and fields of `Execution`, `Costs` and `Rules`, by name.
    at_most, seed
        As in `Grid.sets`.
    workers
        As in `barlake.parallel.run_parallel`; the bars are read once and shared by all of them.

    Raises
    ------
    LookAheadError
        If a strategy of one's own looks ahead, or as `simulate`.
    InvalidInputError
        If the plan has several symbols, a name cannot be set, no set can be traded, or as `simulate`.
    NotFoundError, FormatError, ConflictError
        As `simulate`.
    """
    if len(plan.symbols) > 1 or plan.sizing is not None:
        raise InvalidInputError(
            f"symbols {', '.join(plan.symbols)} with a sizing cannot be swept: a sweep is of one symbol's account. "
            "Sweep each symbol, and simulate the portfolio with the set you choose."
        )
    require_known(plan, grid.as_dict())
    sets = grid.sets(at_most=at_most, seed=seed)
    first = with_values(plan, sets[0])
    origin = origin_of(lake, first)
    parameters = {
        **choices(plan, origin_with(origin, plan)),
        "grid": grid.as_dict(),
        "drawn": None if len(sets) == grid.count else {"at_most": at_most, "seed": seed},
    }
    inputs, code = inputs_of(lake, first, origin), sweep_code()
    sweep_id = artifact_id(parameters=parameters, inputs=inputs, code=code)
    made_before = lake.artifacts.get(ArtifactKind.SWEEP, sweep_id)
    if made_before is not None:
        return SweepReport(made_before, is_new=False)
    material = _material(lake, first, origin, inputs)
    ground = _ground(lake, origin, material)
    _prove(lake, plan, sets, ground.bars)
    tally = Tally(plan, grid, origin, material, _try_all(ground, plan, sets, workers, progress))
    results = tally.results(Trier(ground, plan).held(), _recorded(lake, tally, sweep_id))
    facts: dict[str, Any] = {"inputs": inputs, "code": code}
    with lake.artifacts.create(ArtifactKind.SWEEP, sweep_id, parameters=parameters, seed=seed, **facts) as draft:
        draft.results.update(results)
        _write(
            draft.path, tally, render(results, tally.table(), tally.places(), grid.swept, sweep_id=sweep_id, **facts)
        )
    lake.publish()
    return SweepReport(lake.artifacts.find(ArtifactKind.SWEEP, sweep_id), is_new=True)


def _material(lake: Lake, plan: SimulationPlan, origin: Origin, inputs: Mapping[str, Any]) -> Material:
    """Bars of the period, checked; where a strategy makes signals, with those of one that cannot fail."""
    reader = origin if origin.strategy is None else replace(origin, strategy=BuyAndHold())
    return read_material(lake, plan, reader, inputs)


def _ground(lake: Lake, origin: Origin, material: Material) -> Ground:
    market = Market.of(material.bars, feed=origin.feed, hours=origin.session, calendar=lake.calendar)
    if origin.strategy is None:
        return Ground(material.bars, market, material.bars["signal"].to_numpy())
    bars = material.bars.drop("signal")
    return Ground(bars if origin.predictions is None else with_predictions(bars, origin.predictions), market)


def _prove(lake: Lake, plan: SimulationPlan, sets: Sequence[Values], bars: pl.DataFrame) -> None:
    """Prove a strategy of one's own with the first set that it takes; a run of another set proves that one anew."""
    for values in sets:
        source = with_values(plan, values).source
        if not isinstance(source, StrategySource):
            return
        strategy = make_strategy(source.name, source.parameters)
        if is_of_the_house(strategy):
            return
        try:
            signal_frame(strategy, bars)
        except InvalidInputError:
            continue  # a set that it refuses, which the table will say
        require_proven(lake, strategy, bars)
        return


def _try_all(
    ground: Ground, plan: SimulationPlan, sets: Sequence[Values], workers: int | None, progress: Progress | None
) -> list[Tried]:
    """What came of each set, in their order; raises if nothing came of any."""
    options: dict[str, Any] = {"progress": progress, "name_of": lambda _: "set tried"}
    if plan_workers(workers, items=len(sets)).count == 1:
        tried = run_parallel(Trier(ground, plan), sets, workers=1, **options)
    else:
        with tempfile.TemporaryDirectory(prefix="barlake-sweep-") as folder:
            file = Path(folder) / "ground.joblib"
            share(ground, plan, file)
            tried = run_parallel(functools.partial(try_shared, file), sets, workers=workers, **options)
    if all(one.error is not None for one in tried):
        raise InvalidInputError(f"none of {len(tried)} sets could be traded; the first: {tried[0].error}")
    return tried


def _recorded(lake: Lake, tally: Tally, sweep_id: str) -> Deflation | None:
    """Put every set into the ledger at once; returns what the best is worth among all trials of its study."""
    ids = lake.trials.record_many(TrialKind.SIMULATION, study(tally.plan, tally.origin), tally.trials(sweep_id))
    return None if tally.best is None else lake.trials.deflation(ids[tally.best])


def _write(folder: Path, tally: Tally, page: str) -> None:
    with storage_errors(folder):
        tally.table().write_parquet(folder / SETS_FILE, compression="zstd")
        tally.returns().write_parquet(folder / RETURNS_FILE, compression="zstd")
        (folder / PAGE_FILE).write_text(page, encoding="utf-8")
