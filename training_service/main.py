"""The door: `python -m training_service.main SPY,QQQ --target direction --horizon 5`.

The figures go to stdout, as a table or as JSON; progress and errors go to stderr. Exit code 0 is success,
1 an error that the message explains, 2 wrong usage, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import rich.box
import rich.progress
from rich.console import Console
from rich.table import Table

import barlake
from training_service.labels import TargetSpec
from training_service.options import add_options, train_arguments
from training_service.plan import parse_symbols
from training_service.report import TrainReport
from training_service.train import train

__all__ = ["main", "print_report"]

_BASELINES = {
    "accuracy": "baseline_accuracy",
    "log_loss": "baseline_log_loss",
    "rmse": "baseline_rmse",
    "mae": "baseline_mae",
}
_CHANCE = {"auc": 0.5, "balanced_accuracy": 0.5, "r2_vs_mean": 0.0, "r2_vs_zero": 0.0, "information_coefficient": 0.0}
"""What the baseline scores by definition."""
_SMALL = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; returns the exit code."""
    options = _parser().parse_args(arguments)
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        report = _train(options, errors)
    except barlake.BarlakeError as error:
        errors.print(f"error: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        errors.print("stopped: nothing was written.")
        return 130
    if options.json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
    else:
        print_report(report, Console(soft_wrap=True, highlight=False))
    return 0


def print_report(report: TrainReport, console: Console) -> None:
    """Print scores beside the baseline, what the join dropped, the model's id and what to run next."""
    results = report.results
    options = report.parameters
    spec = TargetSpec.parse(
        options["target"], options["horizon"], task=options["task"], parameters=options["target_parameters"]
    )
    console.print(
        f"{report.symbols[0]}: {spec.title}, {options['estimator']}, "
        f"{len(results['folds'])} walk-forward folds, {results['overall']['rows']:,} labelled test rows"
    )
    console.print(_score_table(report))
    join = results["join"]
    for symbol, rate in join["drop_rate_by_symbol"].items():
        console.print(
            f"drop rate {symbol}: {rate:.3%} ({join['missing'][symbol]:,} of {join['primary_rows']:,} bars of "
            f"{report.symbols[0]} have no bar of {symbol} in the same minute)"
        )
    console.print(f"drop rate of the join: {join['drop_rate']:.3%} ({join['rows']:,} rows remain)")
    for fold in results["folds"]:
        if fold["empty_columns"]:
            console.print(f"fold {fold['fold']} knew no value of: {', '.join(fold['empty_columns'])}")
    console.print(report.verdict)
    console.print(f"model {report.model_id} ({'made' if report.created else 'existed, nothing was written'})")
    console.print(f"next: {report.next_command}")


def _score_table(report: TrainReport) -> Table:
    """One row for all test rows together, one for the baseline on them, one per fold with its first session."""
    overall, folds = report.results["overall"], report.results["folds"]
    names = [name for name in overall if name in _BASELINES or name in _CHANCE]
    baseline = {name: overall[_BASELINES[name]] if name in _BASELINES else _CHANCE[name] for name in names}
    table = Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right", overflow="fold")
    for title, scores in (("model", overall), ("baseline", baseline)):
        table.add_row(title, *(_figure(scores[name]) for name in names), style="bold")
    for fold in folds:
        title = f"fold {fold['fold']}, {fold['first_session']}"
        table.add_row(title, *(_figure(fold["scores"][name]) for name in names))
    return table


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.4f}" if abs(value) >= _SMALL else f"{value:#.3g}"


def _train(given: argparse.Namespace, errors: Console) -> TrainReport:
    options = {name: value for name, value in vars(given).items() if name != "json"}
    with barlake.open(options.pop("root")) as lake, _progress_bar(errors) as bar:
        task = bar.add_task("training", total=None)
        return train(
            lake,
            parse_symbols(options.pop("symbols")),
            **train_arguments(**options),
            progress=lambda what, done, total: bar.update(task, completed=done, total=total, description=what),
        )


def _progress_bar(console: Console) -> rich.progress.Progress:
    """A bar that is gone when the work is done; only a person at a terminal sees it."""
    return rich.progress.Progress(console=console, transient=True, disable=not console.is_terminal)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training_service.main",
        description="Train a model on feature tables and predict the first symbol walk-forward.",
    )
    parser.add_argument("symbols", nargs="+", help="the symbol to predict, then context symbols: SPY,QQQ")
    add_options(parser)
    parser.add_argument("--root", type=Path, help="the lake's folder (default BARLAKE_ROOT, or ./data)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
