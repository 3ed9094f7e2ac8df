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

import rich.progress
from rich.console import Console

import barlake
from training_service.options import add_options, train_arguments
from training_service.plan import parse_symbols
from training_service.report import TrainReport
from training_service.report_text import print_report
from training_service.train import train

__all__ = ["main", "print_report"]


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
