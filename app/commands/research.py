"""From bars to a simulated result: features, simulations and their runs, and all of it as a demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console

import barlake
from app.commands.options import AsJson, End, Feed, Root, Start, Symbols
from app.console import figures, frame_rows, print_frame, print_json, progress, say
from barlake.keys import Adjustment, ArtifactKind, SessionFilter

__all__ = ["demo", "features", "runs", "simulate"]


def demo(root: Root = None, as_json: AsJson = False) -> None:
    """Run the whole loop on made-up bars: no key, no server. A second run adds nothing."""
    from app.demo import print_demo, run_demo

    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        report = run_demo(lake, start)
    if as_json:
        print_json(report.as_dict())
    else:
        print_demo(report)


def features(
    symbols: Symbols = None,
    feed: Feed = None,
    session: Annotated[
        str, typer.Option("--session", help="Hours to use: regular or all.")
    ] = SessionFilter.REGULAR.value,
    set_name: Annotated[
        str,
        typer.Option("--set", help="Feature set: core, full, one of a package, or a file of yours: my_features.py."),
    ] = "core",
    adjustment: Annotated[
        str,
        typer.Option("--adjustment", help="Of prices: raw, split, dividend or all; as of the first session held."),
    ] = Adjustment.RAW.value,
    context: Annotated[
        str | None,
        typer.Option("--context", help="Other symbol that features look at, or none. Default: the set's own."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Symbols at a time. Default: BARLAKE_WORKERS, or one for each core.")
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Build features over the whole history of symbols. What is up to date is left alone."""
    from feature_service.build import build_features

    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        report = build_features(
            lake,
            symbols or [],
            feed=feed,
            session=session,
            set_name=set_name,
            adjustment=adjustment,
            context=context,
            workers=workers,
            progress=start("features"),
        )
    if as_json:
        print_json(report.as_dict())
    else:
        print_frame(pl.DataFrame(report.as_dict()["symbols"]))


def simulate(
    symbol: Annotated[str, typer.Option("--symbol", help="Symbol to trade, such as SPY.", show_default=False)],
    model: Annotated[
        str | None, typer.Option("--model", help="Id of a model of this lake, or its first digits.")
    ] = None,
    signals: Annotated[
        Path | None, typer.Option("--signals", help="CSV or Parquet with timestamp and signal, instead of a model.")
    ] = None,
    cash: Annotated[str, typer.Option("--cash", help="Dollars to start with.")] = "100000",
    fill: Annotated[
        str, typer.Option("--fill", help="The headline: next_open, or same_close, which is optimistic.")
    ] = "next_open",
    session: Annotated[
        str | None, typer.Option("--session", help="With --signals: which bars take part. Default: regular.")
    ] = None,
    feed: Annotated[str | None, typer.Option("--feed", help="With --signals: feed of the bars.")] = None,
    start: Start = None,
    end: End = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Trade a model's predictions, or signals from a file; both fills, beside buy and hold."""
    from simulation_service.main import print_report
    from simulation_service.simulate import simulate_model, simulate_signals

    if (model is None) == (signals is None):
        raise typer.BadParameter("name either --model or --signals, and only one of them.")
    if model is not None and (feed or session):
        raise typer.BadParameter("--feed and --session go with --signals: a model brings its own.")
    options: dict[str, Any] = {"cash_usd": cash, "fill": fill, "start": start, "end": end}
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        options["progress"] = begin("simulation")
        if model is not None:
            report = simulate_model(lake, model, symbol, **options)
        else:
            assert signals is not None  # noqa: S101 - one of the two is given
            hours = session or SessionFilter.REGULAR.value
            report = simulate_signals(lake, signals, symbol, feed=feed, session=hours, **options)
    if as_json:
        print_json(report.as_dict())
    else:
        print_report(report, Console(highlight=False))


def runs(
    run_id: Annotated[
        str | None, typer.Argument(help="A run, by its id or first digits. Default: a list.", show_default=False)
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """List simulations, or show what one of them was made from and what came out."""
    with barlake.open(root) as lake:
        if run_id is not None:
            found = lake.artifacts.find(ArtifactKind.RUN, run_id)
            facts = {**found.parameters, **found.inputs, **found.results, "folder": str(found.path)}
            if as_json:
                print_json(
                    {
                        "id": found.id,
                        "created_at": found.created_at,
                        "inputs": found.inputs,
                        "parameters": found.parameters,
                        "results": found.results,
                        "folder": found.path,
                    }
                )
            else:
                figures(
                    {name: value for name, value in facts.items() if not isinstance(value, dict)},
                    title=f"run {found.id}",
                )
            return
        listed = lake.artifacts.list(ArtifactKind.RUN)
    rows = [
        {
            "run": one.id, "created_at": one.created_at, "symbol": one.results["symbol"], "feed": one.results["feed"],
            "fill": one.results["fill"], "final_value": one.results[one.results["fill"]]["final_value"],
            "buy_and_hold": one.results["buy_and_hold"][one.results["fill"]]["final_value"],
            "report": str(one.path / "report.html"),
        }
        for one in listed
    ]  # fmt: skip
    frame = pl.DataFrame(rows)
    if as_json:
        print_json(frame_rows(frame))
    elif frame.is_empty():
        say("No runs yet: `barlake simulate` makes one, `barlake demo` shows how.")
    else:
        print_frame(frame, newest=True)
