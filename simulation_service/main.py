"""The door: `python -m simulation_service.main --model ID --symbol SPY`, or `--signals FILE` in place of a model."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import barlake
from barlake.errors import BarlakeError
from barlake.keys import SessionFilter
from simulation_service.execution import Fill
from simulation_service.simulate import Progress as ProgressCallback
from simulation_service.simulate import SimulationReport, simulate_model, simulate_signals

__all__ = ["main", "parser", "print_report"]

_FAILED, _INTERRUPTED = 1, 130


def parser() -> argparse.ArgumentParser:
    """Options of the door."""
    options = argparse.ArgumentParser(
        prog="python -m simulation_service.main",
        description="Trade a model's predictions, or signals from a file, over bars of the lake. "
        "Both fills are always computed and shown side by side, with buy and hold.",
    )
    source = options.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", metavar="ID", help="a model of this lake: its id or the first digits of it")
    source.add_argument("--signals", metavar="FILE", type=Path, help="CSV or Parquet with timestamp and signal")
    options.add_argument("--symbol", required=True, metavar="S", help="symbol to trade, such as SPY")
    options.add_argument("--cash", default="100000", metavar="USD", help="cash to start with (default 100000)")
    options.add_argument(
        "--fill",
        default=Fill.NEXT_OPEN.value,
        choices=[Fill.NEXT_OPEN.value, Fill.SAME_CLOSE.value],
        help="the headline: next_open (default), or same_close, which is optimistic",
    )
    options.add_argument("--feed", help="with --signals: feed of the bars (default: sip, iex, or the only one)")
    options.add_argument(
        "--session",
        choices=[part.value for part in SessionFilter],
        help="with --signals: which bars take part (default regular)",
    )
    options.add_argument("--start", metavar="DATE", help="first session or instant to trade")
    options.add_argument("--end", metavar="DATE", help="first session or instant not to trade any more")
    options.add_argument("--root", type=Path, metavar="PATH", help="the lake (default BARLAKE_ROOT or ./data)")
    options.add_argument("--json", action="store_true", help="print every figure as JSON")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the door; 0 when the run stands, 1 with one message on stderr when it cannot, 2 for wrong usage."""
    options = parser()
    given = options.parse_args(arguments)
    if given.model is not None and (given.feed or given.session):
        options.error("--feed and --session go with --signals: a model brings its own")
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
    with barlake.open(given.root) as lake, _progress(shown=not given.json) as notify:
        if given.model is not None:
            return simulate_model(
                lake,
                given.model,
                given.symbol,
                cash_usd=given.cash,
                fill=given.fill,
                start=given.start,
                end=given.end,
                progress=notify,
            )
        return simulate_signals(
            lake,
            given.signals,
            given.symbol,
            cash_usd=given.cash,
            fill=given.fill,
            feed=given.feed,
            session=given.session or SessionFilter.REGULAR.value,
            start=given.start,
            end=given.end,
            progress=notify,
        )


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


def print_report(report: SimulationReport, console: Console) -> None:
    """Print the main figures, both fills with buy and hold beside each, and where the page lies."""
    results = report.results
    console.print(_table(report))
    console.print(
        f"bars without signal {results['bars_without_signal']:,}, signals without bar "
        f"{results['unmatched_signals']:,}, prices rounded {results['prices_rounded']:,}"
    )
    state = "made" if report.is_new else "existed, nothing was written"
    console.print(f"run {report.run_id} ({state})\nreport: {report.report_path}", soft_wrap=True, markup=False)


def _table(report: SimulationReport) -> Table:
    results = report.results
    period = f"{results['first_bar'][:10]} to {results['last_bar'][:10]}"
    table = Table(
        title=f"{results['symbol']} ({results['feed']}), {period}, {results['bars']:,} bars",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        title_justify="left",
    )
    table.add_column("fill", no_wrap=True)
    for heading in ("final value", "return", "Sharpe", "drawdown", "fills", "shares bought"):
        table.add_column(heading, justify="right")
    other = next(fill for fill in (Fill.NEXT_OPEN, Fill.SAME_CLOSE) if fill.value != results["fill"])
    for fill in (Fill(results["fill"]), other):
        held = results["buy_and_hold"][fill]
        for name, account in (
            (f"{fill}\n(optimistic)" if fill.is_optimistic else fill.value, results[fill]),
            (f"held, {held['bought_at']}", held),
        ):
            metrics = account["metrics"]
            sharpe = "-" if metrics["sharpe"] is None else f"{metrics['sharpe']:.2f}"
            table.add_row(
                name,
                account["final_value"],
                f"{metrics['total_return']:+.2%}",
                sharpe,
                f"{metrics['max_drawdown']:.2%}",
                f"{account['fills']:,}",
                f"{account['shares_bought']:,}",
            )
    return table


if __name__ == "__main__":
    sys.exit(main())
