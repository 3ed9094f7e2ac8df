"""What else could have happened to a run, and what events did to prices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, End, Feed, Root, Start
from app.console import figures, print_frame, print_json, progress, say
from barlake.keys import Adjustment

__all__ = ["application", "events", "montecarlo"]

application = typer.Typer(help="Scenarios: past crashes and made-up ones, put to a run.", no_args_is_help=True)

RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: its id, the first digits of it, or newest.", show_default=False)
]
Table = Annotated[
    Path | None, typer.Option("--table", help="A TOML file of scenarios, in place of those of the house.")
]
_SHOWN = ("scenario", "synthetic", "total_return", "buy_and_hold", "max_drawdown", "worst_session", "fills", "reason")


def _html(name: str) -> str:
    return f"The page. Default: reports/{name}.html in the lake."


@application.command("list")
def list_(table: Table = None, as_json: AsJson = False) -> None:
    """List the scenarios there are."""
    from simulation_service.scenarios.scenario_table import own_scenarios, standard_scenarios

    found = standard_scenarios() if table is None else own_scenarios(table)
    rows = [
        {
            "scenario": one.name,
            "start": one.start,
            "end": one.end,
            "shocks": len(one.shocks),
            "description": one.description,
        }
        for one in found
    ]
    print_frame(pl.DataFrame(rows, infer_schema_length=None), as_json=as_json)


@application.command("run")
def run(
    run_id: RunId,
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", help="Name of a scenario; may be given more than once.")
    ] = None,
    table: Table = None,
    html: Annotated[Path | None, typer.Option("--html", help=_html("scenarios-<run>"))] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Put scenarios to a run: the same strategy, cash, fills and rules on other bars."""
    from simulation_service.scenarios.of_runs import run_scenarios
    from simulation_service.scenarios.pages.form import write_page

    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        report, page = run_scenarios(lake, run_id, names=scenario or (), table=table, notify=begin("scenarios"))
        path = html or lake.root / "reports" / f"scenarios-{report.run_id}.html"
        write_page(path, page)
    if as_json:
        print_json({**report.as_dict(), "page": path})
    else:
        print_frame(report.table().select(_SHOWN), title=f"{report.symbol}, run {report.run_id}")
        say(f"page: {path}")


def montecarlo(
    run_id: RunId,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="Paths of the account's returns; of minute bars, traded anew; or of minute bars with GARCH "
            'volatility (needs pip install "barlake[garch]"): returns, bars, garch.',
        ),
    ] = "returns",
    paths: Annotated[
        int | None, typer.Option("--paths", help="How many. Default: 10000 of returns, 200 of bars.")
    ] = None,
    sessions: Annotated[
        int | None, typer.Option("--sessions", help="Length of a path. Default: that of the run.")
    ] = None,
    block: Annotated[
        str, typer.Option("--block", help="Mean sessions that are drawn in a row, or auto (needs barlake[garch]).")
    ] = "5",
    ruin: Annotated[float, typer.Option("--ruin", help="Share of the cash at which the account is ruined.")] = 0.5,
    seed: Annotated[int, typer.Option("--seed", help="The same seed draws the same paths.")] = 0,
    html: Annotated[Path | None, typer.Option("--html", help=_html("montecarlo-<run>"))] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Draw many futures of a run's account: quantiles of its value, deepest falls, risk of ruin."""
    from simulation_service.scenarios.of_runs import monte_carlo
    from simulation_service.scenarios.pages.form import write_page

    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        report = monte_carlo(
            lake,
            run_id,
            method=method,
            paths=paths,
            sessions=sessions,
            block=block,
            ruin=ruin,
            seed=seed,
            notify=begin("paths"),
        )
        path = html or lake.root / "reports" / f"montecarlo-{report.run_id}.html"
        write_page(path, report.page())
    if as_json:
        print_json({**report.as_dict(), "page": path})
    else:
        print_frame(report.table(), title=f"{', '.join(report.symbols)}, run {report.run_id}: synthetic paths")
        figures(report.facts(), title="over all paths")
        say(f"page: {path}")


def events(
    symbol: Annotated[str, typer.Argument(help="Symbol, such as SPY.", show_default=False)],
    dates: Annotated[
        Path | None,
        typer.Option("--dates", help="CSV with date (and time, New York) or timestamp; may have name, symbol."),
    ] = None,
    macro: Annotated[
        str | None, typer.Option("--macro", help="First releases of a macro series, such as CPIAUCSL.")
    ] = None,
    actions: Annotated[
        str | None, typer.Option("--actions", help="Ex-dates of corporate actions: dividend, split and so on.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="With --macro: whose values, such as fred.")] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", help="New York time of events of which only the date is known, such as 08:30."),
    ] = None,
    unit: Annotated[str, typer.Option("--unit", help="What a window is counted in: sessions or minutes.")] = "sessions",
    before: Annotated[
        int | None, typer.Option("--before", help="Sessions or minutes before. Default: 5 sessions, 60 minutes.")
    ] = None,
    after: Annotated[
        int | None, typer.Option("--after", help="Sessions or minutes after. Default: 5 sessions, 60 minutes.")
    ] = None,
    expected_from: Annotated[
        int, typer.Option("--expected-from", help="Sessions before the window that say what was to be expected.")
    ] = 60,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", help="Symbol whose returns say what was to be expected.")
    ] = None,
    adjustment: Annotated[
        str, typer.Option("--adjustment", help=f"Terms of prices: {', '.join(Adjustment)}.")
    ] = Adjustment.ALL.value,
    feed: Feed = None,
    start: Start = None,
    end: End = None,
    html: Annotated[Path | None, typer.Option("--html", help=_html("events-<feed>-<symbol>"))] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Study what prices did around events: earnings from a file, macro releases, ex-dates."""
    from urllib.parse import quote

    from simulation_service.scenarios import event_dates
    from simulation_service.scenarios.events import study_events, window_of
    from simulation_service.scenarios.pages.events_page import events_page
    from simulation_service.scenarios.pages.form import write_page

    if sum(given is not None for given in (dates, macro, actions)) != 1:
        raise typer.BadParameter("name one of --dates, --macro and --actions.")
    if source is not None and macro is None:
        raise typer.BadParameter("--source goes with --macro.")
    with barlake.open(root) as lake:
        if dates is not None:
            found, subject = event_dates.events_from_csv(dates, symbol=symbol), f"events of {dates.name}"
        elif macro is not None:
            found, subject = event_dates.macro_events(lake, macro, source=source), f"releases of {macro}"
        else:
            assert actions is not None  # noqa: S101 - one of the three is given
            found, subject = event_dates.action_events(lake, symbol, actions), f"ex-dates of each {actions}"
        report = study_events(
            lake,
            symbol,
            found if time is None else event_dates.at_time(found, time),
            unit=unit,
            window=window_of(unit, before=before, after=after, expected_from=expected_from),
            benchmark=benchmark,
            feed=feed,
            adjustment=adjustment,
            start=start,
            end=end,
        )
        path = html or lake.root / "reports" / f"events-{report.feed}-{quote(report.symbol, safe='')}.html"
        write_page(path, events_page(report, subject=subject))
    if as_json:
        print_json({**report.as_dict(), "page": path})
    else:
        made_up = ", synthetic bars" if report.is_synthetic else ""
        print_frame(report.study.table(), title=f"{report.symbol}, {subject}{made_up}")
        for remark in report.remarks():
            say(remark)
        say(f"page: {path}")
