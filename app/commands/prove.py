"""`barlake prove`: that nothing looks into the future, tried on the bars of the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

import barlake
from app.commands.options import AdjustmentOption, AsJson, Feed, Root
from app.console import frame_rows, notice, print_frame, print_json, progress, say
from barlake.keys import Adjustment, SessionFilter
from barlake.leak_proof import ProofReport

__all__ = ["application"]

application = typer.Typer(
    help="Prove that features, labels, folds, strategies and simulations do not look into the future.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Symbol = Annotated[str, typer.Argument(help="Symbol whose bars are used, such as SPY.", show_default=False)]
Bars = Annotated[int, typer.Option("--bars", help="How many of the newest bars are used.")]
Seed = Annotated[int, typer.Option("--seed", help="Another seed, other borders and other futures.")]
Session = Annotated[str, typer.Option("--session", help="Hours to use: regular or all.")]
Target = Annotated[str, typer.Option("--target", help="direction, return, scaled_return or triple_barrier.")]
Horizon = Annotated[str, typer.Option("--horizon", help="Minutes the label looks ahead, or close.")]


@application.command("features")
def features(
    symbol: Symbol,
    set_name: Annotated[
        str, typer.Option("--set", help="A set of the house, of a package, or my_features.py.")
    ] = "core",
    feed: Feed = None,
    session: Session = SessionFilter.REGULAR.value,
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    context: Annotated[str | None, typer.Option("--context", help="Context symbol; none: none.")] = None,
    bars: Bars = 100_000,
    history: Annotated[
        bool, typer.Option("--history", help="Also measure how much history each feature needs.")
    ] = False,
    sweeps: Annotated[int, typer.Option("--sweeps", min=0, help="More find rarer leaks: 100 try most rows.")] = 8,
    seed: Seed = 0,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Change the future of bars, context, macro and news; no value known before may change. Exit code 1: a leak."""
    from app.proofs import feature_history, prove_lake_features

    options: dict[str, Any] = {"feed": feed, "set_name": set_name, "session": session, "adjustment": adjustment}
    options |= {"bars": bars, "seed": seed} | ({} if context is None else {"context": context})
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        report = prove_lake_features(lake, symbol, sweeps=sweeps, progress=begin("proof"), **options)
        needed = feature_history(lake, symbol, **options) if history else None
    _finish(report, as_json=as_json, needed=needed)


@application.command("labels")
def labels(
    symbol: Symbol,
    target: Target = "direction",
    horizon: Horizon = "5",
    feed: Feed = None,
    session: Session = SessionFilter.REGULAR.value,
    bars: Bars = 100_000,
    seed: Seed = 0,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Prove that each label is known at the instant it names. Exit code 1: it is not."""
    from app.proofs import prove_lake_labels

    options: dict[str, Any] = {"target": target, "horizon": horizon, "feed": feed, "session": session}
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        report = prove_lake_labels(lake, symbol, bars=bars, seed=seed, progress=begin("proof"), **options)
    _finish(report, as_json=as_json)


@application.command("folds")
def folds(
    symbols: Annotated[
        list[str], typer.Argument(help="The symbol to predict, then context symbols: SPY,QQQ.", show_default=False)
    ],
    target: Target = "direction",
    horizon: Horizon = "5",
    estimator: Annotated[
        str, typer.Option("--estimator", help="A preset or an import path. A slow one makes a slow proof.")
    ] = "logistic",
    n_folds: Annotated[int, typer.Option("--folds", help="Walk-forward tests.")] = 5,
    feature_set: Annotated[str, typer.Option("--feature-set", help="Name of the feature set.")] = "core",
    feed: Feed = None,
    session: Session = SessionFilter.REGULAR.value,
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    bars: Bars = 20_000,
    seed: Seed = 0,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Prove that no out-of-fold prediction knows what came after it. Exit code 1: one does."""
    from app.proofs import prove_lake_folds

    options: dict[str, Any] = {"target": target, "horizon": horizon, "estimator": estimator, "folds": n_folds}
    options |= {"feature_set": feature_set, "feed": feed, "session": session, "adjustment": adjustment}
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        report = prove_lake_folds(lake, symbols, bars=bars, seed=seed, progress=begin("proof"), **options)
    _finish(report, as_json=as_json)


@application.command("strategy")
def strategy(
    name: Annotated[
        str, typer.Argument(help="A strategy, or one of yours: my_module.py:MyStrategy.", show_default=False)
    ],
    symbols: Annotated[list[str], typer.Argument(help="Symbols whose bars it sees, such as SPY.", show_default=False)],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the strategy, such as fast_bars=5.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="A model whose predictions it sees.")] = None,
    feed: Feed = None,
    session: Annotated[str | None, typer.Option("--session", help="Which bars. Default: regular.")] = None,
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    bars: Bars = 40_000,
    seed: Seed = 0,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Change the future of bars and predictions; no signal made before may change. Exit code 1: one does."""
    from app.commands.update import names_of
    from app.strategies import prove_lake_strategy
    from simulation_service.options import settings_of

    options: dict[str, Any] = {"model": model, "feed": feed, "session": session, "adjustment": adjustment}
    given = settings_of(settings or ())
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        advance = begin("proof")
        report = prove_lake_strategy(
            lake, name, given, names_of(symbols), bars=bars, seed=seed, progress=advance, **options
        )
    _finish(report, as_json=as_json)


@application.command("simulation")
def simulation(
    symbol: Annotated[str, typer.Option("--symbol", help="Symbol that is traded, such as SPY.", show_default=False)],
    model: Annotated[str | None, typer.Option("--model", help="Id of a model, its first digits, or newest.")] = None,
    signals: Annotated[
        Path | None, typer.Option("--signals", help="CSV or Parquet with timestamp and signal, instead of a model.")
    ] = None,
    cash: Annotated[str, typer.Option("--cash", help="Dollars to start with.")] = "100000",
    session: Annotated[
        str | None, typer.Option("--session", help="With --signals: which bars take part. Default: regular.")
    ] = None,
    feed: Annotated[str | None, typer.Option("--feed", help="With --signals: feed of the bars.")] = None,
    bars: Bars = 40_000,
    seed: Seed = 0,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Prove that no fill and no account value knows a later bar. Exit code 1: one does."""
    from app.proofs import prove_lake_simulation

    if (model is None) == (signals is None):
        raise typer.BadParameter("name either --model or --signals, and only one of them.")
    options: dict[str, Any] = {"model": model, "signals": signals, "cash": cash, "session": session, "feed": feed}
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        report = prove_lake_simulation(lake, symbol, bars=bars, seed=seed, progress=begin("proof"), **options)
    _finish(report, as_json=as_json)


def _finish(report: ProofReport, *, as_json: bool, needed: pl.DataFrame | None = None) -> None:
    """Say what was tried and found; end with exit code 1 where something looks ahead."""
    if as_json:
        told = report.as_dict() | {"columns": frame_rows(report.frame())}
        print_json(told if needed is None else told | {"history": frame_rows(needed)})
    else:
        _show(report, needed)
    if not report.is_clean:
        for finding in report.findings:
            notice(f"{finding.verdict.value}: {report.subject} {finding.sentence}")
        raise typer.Exit(1)


def _show(report: ProofReport, needed: pl.DataFrame | None) -> None:
    if not report.is_clean:
        print_frame(report.frame().filter(pl.col("verdict") != "clean"))
    if needed is not None:
        print_frame(needed, title="history: null is more than was tried")
    tried = sum(report.tried.values())
    verdict = "nothing looks ahead" if report.is_clean else f"{len(report.findings)} of them do not pass"
    columns = "strategies" if report.subject == "strategy" else f"{report.subject}s"
    say(
        f"{len(report.columns)} {columns} over {report.rows:,} bars at {tried:,} borders "
        f"in {report.seconds:.1f} s: {verdict}"
    )
