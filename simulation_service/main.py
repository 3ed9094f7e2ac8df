"""The door: `python -m simulation_service.main --symbol SPY`, and a `--model`, `--signals` or `--strategy`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

import barlake
from barlake.errors import BarlakeError
from barlake.keys import Adjustment, SessionFilter
from simulation_service.options import FLAGS, OPTIONS, plan_of_options, wrong_source
from simulation_service.report_text import print_report
from simulation_service.simulate import Progress as ProgressCallback
from simulation_service.simulate import SimulationReport, simulate

__all__ = ["main", "parser"]

_FAILED, _INTERRUPTED = 1, 130


def parser() -> argparse.ArgumentParser:
    """Options of the door."""
    options = argparse.ArgumentParser(
        prog="python -m simulation_service.main",
        description="Trade a model's predictions, signals from a file, or a strategy over bars of the lake. "
        "Next open, same close, and buy and hold always stand beside it.",
    )
    options.add_argument("--symbol", required=True, metavar="S", help="symbol to trade, or several: SPY,QQQ")
    options.add_argument(
        "--model", metavar="ID", help="a model of this lake: its id, the first digits of it, or newest"
    )
    options.add_argument("--signals", metavar="FILE", type=Path, help="CSV or Parquet with timestamp and signal")
    options.add_argument("--strategy", metavar="NAME", help="a strategy of the house, or one's own by its import path")
    options.add_argument(
        "--set", action="append", dest="settings", metavar="NAME=VALUE", help="a parameter of the strategy"
    )
    options.add_argument(
        "--size", action="append", dest="sizes", metavar="NAME=VALUE", help="a parameter of the sizing"
    )
    options.add_argument("--cash", metavar="USD", help="cash to start with (default 100000)")
    options.add_argument("--adjustment", help=f"terms of the prices: {', '.join(Adjustment)} (default raw)")
    options.add_argument("--feed", help="feed of the bars (default: the model's, or sip, iex, or the only one)")
    options.add_argument(
        "--session", help=f"which bars take part: {', '.join(SessionFilter)} (default: the model's, or regular)"
    )
    options.add_argument("--start", metavar="DATE", help="first session or instant to trade")
    options.add_argument("--end", metavar="DATE", help="first session or instant not to trade any more")
    for name, (kind, what) in OPTIONS.items():
        options.add_argument(_flag(name), type=kind, metavar=kind.__name__.upper(), help=what)
    for name, what in FLAGS.items():
        options.add_argument(_flag(name), action="store_const", const=True, help=what)
    options.add_argument("--root", type=Path, metavar="PATH", help="the lake (default BARLAKE_ROOT or ./data)")
    options.add_argument("--json", action="store_true", help="print every figure as JSON")
    return options


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the door; 0 when the run stands, 1 with one message on stderr when it cannot, 2 for wrong usage."""
    options = parser()
    given = options.parse_args(arguments)
    if (wrong := wrong_source(vars(given))) is not None:
        options.error(wrong)
    try:
        report = _run(given)
    except BarlakeError as error:
        sys.stderr.write(f"error: {error}\n")
        return _FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing was written.\n")
        return _INTERRUPTED
    if given.json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
    else:
        print_report(report, Console(highlight=False))
    return 0


def _run(given: argparse.Namespace) -> SimulationReport:
    plan = plan_of_options([given.symbol], vars(given))
    with barlake.open(given.root) as lake, _progress(shown=not given.json) as notify:
        return simulate(lake, plan, progress=notify)


@contextlib.contextmanager
def _progress(*, shown: bool) -> Iterator[ProgressCallback]:
    """A bar on stderr that is gone when the run is done; only a person at a terminal sees it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task("simulation", total=None)

        def notify(doing: str, done: int, of: int) -> None:
            bar.update(task, description=doing, completed=done, total=of)

        yield notify


if __name__ == "__main__":
    sys.exit(main())
