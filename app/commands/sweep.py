"""A sweep on the command line: one simulation under every set of a grid of parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

import barlake
from app.commands.options import AdjustmentOption, AsJson, End, Root, Start
from app.console import frame_rows, print_frame, print_json, progress, say
from barlake.artifacts import Artifact
from barlake.keys import Adjustment, ArtifactKind, SessionFilter

if TYPE_CHECKING:
    from simulation_service.sweeps.sweep import SweepReport

__all__ = ["sweep", "sweeps"]

_SHOWN = ("sharpe", "total_return", "max_drawdown", "trades", "costs_usd", "final_value_usd")


def sweep(
    symbol: Annotated[str, typer.Option("--symbol", help="Symbol to trade, such as SPY.", show_default=False)],
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            help="Values of a parameter: fast_bars=5:50:5 (from, to, step), fast_bars=5,10,20 or fast_bars=5. Of the "
            "strategy, or an option of `barlake simulate` by its name with underscores, such as stop_loss=none,0.01.",
            show_default=False,
        ),
    ],
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="A strategy, or one of yours: my_module.py:MyStrategy.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Id of a model: its signals, or what the strategy looks at.")
    ] = None,
    signals: Annotated[
        Path | None, typer.Option("--signals", help="CSV or Parquet with timestamp and signal, instead of a strategy.")
    ] = None,
    cash: Annotated[str, typer.Option("--cash", help="Dollars to start with.")] = "100000",
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    session: Annotated[
        str | None,
        typer.Option("--session", help=f"Hours: {', '.join(SessionFilter)}. Default: the model's, or regular."),
    ] = None,
    feed: Annotated[
        str | None, typer.Option("--feed", help="Default: the model's, or sip, then iex, then the only other feed.")
    ] = None,
    start: Start = None,
    end: End = None,
    at_most: Annotated[
        int | None, typer.Option("--at-most", help="Draw so many sets of a larger grid. Default: all of them.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of that draw.")] = 0,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Sets tried at a time. Default: BARLAKE_WORKERS, or one a core.")
    ] = None,
    top: Annotated[int, typer.Option("--top", help="How many of the best to print.")] = 10,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Try every set of parameters of a grid on the same bars; every one is a trial in the ledger."""
    from simulation_service.options import plan_of_options
    from simulation_service.sweeps.grid import Grid
    from simulation_service.sweeps.sweep import sweep as carry_out

    source = {"strategy": strategy, "model": model, "signals": signals}
    bars = {"adjustment": adjustment, "session": session, "feed": feed, "start": start, "end": end}
    plan, grid = plan_of_options([symbol], {**source, **bars, "cash": cash}), Grid.parse(settings)
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        report = carry_out(lake, plan, grid, at_most=at_most, seed=seed, workers=workers, progress=begin("sweep"))
    if as_json:
        print_json({**report.as_dict(), "best_sets": frame_rows(best_sets(report, top))})
        return
    _print(report, top)
    if not report.is_new:
        say("It was made before: nothing was tried again.")


def best_sets(report: SweepReport, top: int) -> pl.DataFrame:
    """The sets with the highest Sharpe ratios, the first of equal ones first."""
    return report.table.sort("sharpe", descending=True, nulls_last=True, maintain_order=True).head(top)


def _print(report: SweepReport, top: int) -> None:
    from simulation_service.sweeps.page import verdict

    swept = [name for name, values in report.sweep.results["grid"].items() if len(values) > 1]
    print_frame(best_sets(report, top).select("set", *swept, *_SHOWN), title=f"sweep {report.sweep_id}")
    say(verdict(report.sweep.results))
    say(f"report: {report.page_path}")


def sweeps(
    sweep_id: Annotated[
        str | None, typer.Argument(help="A sweep, by its id or first digits. Default: a list.", show_default=False)
    ] = None,
    top: Annotated[int, typer.Option("--top", help="How many of the best to print.")] = 10,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """List sweeps, or show the best sets of one and what the best is worth."""
    from simulation_service.sweeps.sweep import SweepReport

    with barlake.open(root) as lake:
        if sweep_id is None:
            _list(lake.artifacts.list(ArtifactKind.SWEEP), as_json=as_json)
            return
        report = SweepReport(lake.artifacts.find(ArtifactKind.SWEEP, sweep_id), is_new=False)
    if as_json:
        print_json({**report.as_dict(), "best_sets": frame_rows(best_sets(report, top))})
    else:
        _print(report, top)


def _list(found: list[Artifact], *, as_json: bool) -> None:
    rows = [
        {
            "sweep": one.id, "created_at": one.created_at, "symbol": one.results["symbol"],
            "feed": one.results["feed"], "strategy": one.results["signals_name"], "sets": one.results["sets"],
            "best_sharpe": None if one.results["best"] is None else one.results["best"]["figures"]["sharpe"],
            "deflated": None if one.results["deflation"] is None else one.results["deflation"]["probability"],
            "overfitting": one.results["overfitting"],
        }
        for one in found
    ]  # fmt: skip
    if as_json:
        print_json(rows)
    elif not rows:
        say("No sweeps yet: `barlake sweep --symbol SPY --strategy moving_average_cross --set fast_bars=5:50:5`.")
    else:
        print_frame(pl.DataFrame(rows), newest=True)
