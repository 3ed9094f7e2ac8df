"""A finished run as a person reads it in a terminal: the account, what stands beside it, and what is to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from simulation_service.execution import Fill
from simulation_service.ladder_text import defined, print_deflation, print_ladder, print_random_entries
from simulation_service.simulate import SimulationReport

__all__ = ["print_report", "print_results"]

_HEADINGS = ("final value", "return", "Sharpe", "drawdown", "fills", "bought", "costs")


def print_report(report: SimulationReport, console: Console) -> None:
    """Print the main figures, the plain rule at either fill with buy and hold beside, and where the page lies."""
    print_results(report.results, console)
    state = "made" if report.is_new else "existed, nothing was written"
    console.print(f"run {report.run_id} ({state})\nreport: {report.report_path}", soft_wrap=True, markup=False)


def print_results(results: Mapping[str, Any], console: Console) -> None:
    """Print the account and what stands beside it: the plain rule, holding, the ladder, chance, the number of tries."""
    console.print(_table(results))
    if results.get("ladder"):
        print_ladder(results["ladder"], console)
    if results.get("random_entries"):
        print_random_entries(results["random_entries"], console)
    if results.get("deflation"):
        print_deflation(results["deflation"], console)
    console.print(
        f"bars without signal {results['bars_without_signal']:,}, signals without bar "
        f"{results['unmatched_signals']:,}, prices rounded {results.get('prices_rounded', 0):,}"
    )
    for remark in (*results["remarks"], *results["told"]):
        console.print(f"note: {remark}", soft_wrap=True, markup=False)


def _table(results: Mapping[str, Any]) -> Table:
    period = f"{results['first_bar'][:10]} to {results['last_bar'][:10]}"
    title = f"{', '.join(results['symbols'])} ({results['feed']}), {period}, {results['bars']:,} bars"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("account")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, account in _accounts(results):
        metrics = account["metrics"]
        table.add_row(
            name,
            account["final_value"] or "-",
            defined(metrics["total_return"], "+.2%"),
            defined(metrics["sharpe"], ".2f"),
            defined(metrics["max_drawdown"], ".2%"),
            defined(account["fills"], ","),
            defined(account["shares_bought"], ","),
            defined(account.get("costs_usd"), ",.2f"),
        )
    return table


def _accounts(results: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The account as it was asked for, then what the same signals, or none, would have made of the cash."""
    yield f"yours, {_named(Fill(results['fill']))}", results["account"]
    for fill in Fill:
        if fill in results:
            yield f"plain rule, {_named(fill)}", results[fill]
    for held in results["buy_and_hold"].values():
        yield f"held, {held['bought_at']}", held


def _named(fill: Fill) -> str:
    return f"{fill}\n(optimistic)" if fill.is_optimistic else fill.value
