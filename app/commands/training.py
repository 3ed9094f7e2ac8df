"""Training a model: every option of it on the command line."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

import barlake
from app.commands.options import AsJson, Feed, Root
from app.console import print_json, progress
from barlake.keys import Adjustment, SessionFilter

__all__ = ["train"]


def train(
    symbols: Annotated[
        list[str], typer.Argument(help="The symbol to predict, then context symbols: SPY,QQQ.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Option("--target", help="direction, return, scaled_return or triple_barrier."),
    ] = "direction",
    horizon: Annotated[
        str,
        typer.Option("--horizon", help="Minutes the label looks ahead, or close: to the session's close."),
    ] = "5",
    task: Annotated[
        str | None,
        typer.Option("--task", help="classification or regression. Default: what the target usually is."),
    ] = None,
    target_parameter: Annotated[
        list[str] | None,
        typer.Option("--target-parameter", help="upper, lower, volatility_window or threshold, such as upper=2."),
    ] = None,
    estimator: Annotated[
        str,
        typer.Option(
            "--estimator",
            help="logistic, ridge, random_forest, hist_gradient_boosting, lightgbm, xgboost, or module:function.",
        ),
    ] = "hist_gradient_boosting",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", help="Of the estimator, such as max_iter=200."),
    ] = None,
    class_weight: Annotated[
        str | None,
        typer.Option("--class-weight", help="balanced, or the weights of 0 and 1: 1,2."),
    ] = None,
    select: Annotated[
        int | None,
        typer.Option("--select", help="Columns to keep: those that go best with the label."),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option("--calibration", help="sigmoid or isotonic: mends probabilities on the last training sessions."),
    ] = None,
    early_stopping: Annotated[
        bool,
        typer.Option("--early-stopping", help="Learn the number of trees from the last training sessions."),
    ] = False,
    search: Annotated[
        str | None,
        typer.Option("--search", help="grid, random, halving or optuna, inside the training rows of each fold."),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option("--space", help="C=0.1,1 or C=0.01..10:log. Default: what the preset brings."),
    ] = None,
    candidates: Annotated[int, typer.Option("--candidates", help="How many random and optuna try.")] = 20,
    inner_folds: Annotated[int, typer.Option("--inner-folds", help="Walk-forward tests of each candidate.")] = 3,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            help="Walk-forward tests. Default: 5; with --refit every period but the first.",
            show_default=False,
        ),
    ] = None,
    refit: Annotated[
        str | None,
        typer.Option("--refit", help="Fit anew with each week, month or quarter, or every 20-sessions."),
    ] = None,
    window: Annotated[
        str,
        typer.Option("--window", help="anchored trains on all that came before, rolling on the last."),
    ] = "anchored",
    train_sessions: Annotated[
        int | None,
        typer.Option("--train-sessions", help="Length of a rolling window. Default: that of the first fold."),
    ] = None,
    embargo: Annotated[int, typer.Option("--embargo", help="Sessions left out before each test.")] = 0,
    combinatorial: Annotated[
        str | None,
        typer.Option(
            "--combinatorial", help="Scores over many histories, too: blocks, then blocks tested at a time: 6,2."
        ),
    ] = None,
    feature_set: Annotated[str, typer.Option("--feature-set", help="Name of the feature set.")] = "core",
    session: Annotated[
        str, typer.Option("--session", help="Hours the features were built over.")
    ] = SessionFilter.REGULAR.value,
    adjustment: Annotated[
        str, typer.Option("--adjustment", help="Of the prices they were built of: raw, split, dividend or all.")
    ] = Adjustment.RAW.value,
    feed: Feed = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of whatever is drawn.")] = 0,
    placebo: Annotated[
        int, typer.Option("--placebo", help="Fit so many times more on shifted labels, for a p-value.")
    ] = 0,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Train a model walk-forward, with scores beside baselines that look at no feature."""
    from training_service.main import print_report
    from training_service.options import train_arguments
    from training_service.train import train as train_model

    given: dict[str, Any] = train_arguments(
        target=target,
        horizon=horizon,
        task=task,
        target_parameter=target_parameter or [],
        estimator=estimator,
        parameter=parameter or [],
        class_weight=class_weight,
        select=select,
        calibration=calibration,
        early_stopping=early_stopping,
        search=search,
        space=space or [],
        candidates=candidates,
        inner_folds=inner_folds,
        folds=folds,
        refit=refit,
        window=window,
        train_sessions=train_sessions,
        embargo=embargo,
        combinatorial=combinatorial,
        feature_set=feature_set,
        session=session,
        adjustment=adjustment,
        feed=feed,
        seed=seed,
        placebo=placebo,
    )
    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        report = train_model(lake, ",".join(symbols), **given, progress=start("training"))
    if as_json:
        print_json(report.as_dict())
    else:
        print_report(report, Console(soft_wrap=True, highlight=False))
