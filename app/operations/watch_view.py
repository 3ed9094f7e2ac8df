"""The picture of `barlake watch`: the state of things as tables for a terminal, or as one JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import rich.box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from app.jobs.job import Agent, JobRecord, JobState
from app.operations.durations import age, span_text
from app.operations.heartbeats import Heartbeat
from app.operations.observer import Standing
from app.operations.rules import DISK_FULL
from barlake.sessions import NEW_YORK

__all__ = ["age", "as_json", "picture", "short_names", "span_text"]

_BAR = 18
_WIDE = 120
_NAME = 16
_LATE_S = 300.0
_TIGHT = 5
_LEAST = {"agent": 8, "state": 9, "beat": 6, "progress": _BAR + 5, "message": 30, "done": 8}
"""Columns that a narrow terminal leaves their room."""
_LEVELS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}
_STATES = {
    "working": "green", "streaming": "green", "running": "green", "polling": "green", "idle": "dim",
    "waiting": "yellow", "paused": "yellow", "connecting": "yellow", "reconnecting": "yellow", "refused": "red",
}  # fmt: skip


def picture(standing: Standing, *, name: str, speed: float = 1.0, width: int = 160) -> RenderableType:
    """One frame.

    Parameters
    ----------
    name
        Of the lake.
    speed
        Of market time.
    width
        Of the terminal, in letters.
    """
    parts: list[RenderableType] = [_header(standing, name, speed)]
    parts += [_alerts(standing)] if standing.alerts else []
    parts += [Text(f"{part}: {why}", style="red") for part, why in standing.problems.items()]
    narrow = width < _WIDE
    parts += [_agents(standing, narrow=narrow), _section("Queue", _queue(standing))]
    parts += [_section("Running jobs", _running(standing, narrow=narrow))] if standing.running else []
    beside = [_section("Feeds", _feeds(standing)), _section("Sources", _sources(standing))]
    parts += beside if narrow else [_side_by_side(*beside)]
    parts += [_disk(standing)]
    parts += [_section("Last warnings and errors", _errors(standing))] if standing.errors else []
    return Group(*parts)


def as_json(standing: Standing) -> dict[str, Any]:
    """The same facts as JSON can hold them, once instants and spans are text."""
    facts = {name: value for name, value in vars(standing).items() if name not in {"jobs", "oldest", "requests"}}
    for name in ("heartbeats", "alerts", "errors", "running", "feeds", "sources"):
        facts[name] = [asdict(one) for one in facts[name]]
    for one, beat in zip(facts["heartbeats"], standing.heartbeats, strict=True):
        one["is_stalled"] = beat.is_stalled(standing.at)
    for one in facts["feeds"]:
        one["lag_s"] = one.pop("lag").total_seconds()
    facts["market"] = asdict(standing.market)
    facts["jobs"] = [
        {"agent": agent, "state": state, "count": count, "oldest": standing.oldest.get((agent, state))}
        for (agent, state), count in sorted(standing.jobs.items())
    ]
    facts["requests"] = [
        {"source": source, "status": status, "count": count}
        for (source, status), count in sorted(standing.requests.items())
    ]
    return facts


def _section(title: str, body: RenderableType) -> RenderableType:
    return Padding(Group(Text(title, style="bold cyan"), Padding(body, (0, 0, 0, 2))), (1, 0, 0, 0))


def _side_by_side(*parts: RenderableType) -> RenderableType:
    grid = Table.grid(padding=(0, 4, 0, 0))
    grid.add_row(*parts)
    return grid


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim", show_edge=False)
    for name in columns:
        table.add_column(
            name, justify="right" if name in right else "left", no_wrap=True, overflow="ellipsis",
            min_width=_LEAST.get(name),
        )  # fmt: skip
    return table


def _header(standing: Standing, name: str, speed: float) -> RenderableType:
    market = standing.market
    local = standing.market_now.astimezone(NEW_YORK)
    text = Text()
    text.append("barlake ", style="bold")
    text.append(f"{name}   ")
    text.append(f"market {market.phase}", style="bold green" if market.phase == "open" else "bold")
    if market.until is not None:
        text.append(f" for {span_text(market.until - standing.market_now)} more")
    text.append(f"   {local:%a %Y-%m-%d %H:%M:%S} New York")
    if speed != 1.0:
        text.append(f"   made-up time, x{speed:g}", style="magenta")
    if standing.last_commit is not None:
        text.append(f"   last commit {span_text(standing.market_now - standing.last_commit)} ago", style="dim")
    return Panel(text, box=rich.box.ROUNDED, border_style="cyan", padding=(0, 1))


def _alerts(standing: Standing) -> RenderableType:
    lines = Text()
    for number, one in enumerate(standing.alerts):
        lines.append("\n" if number else "")
        lines.append(f"{one.level} ", style=_LEVELS.get(one.level.upper(), "red"))
        lines.append(f"{age((standing.at - one.fired_at).total_seconds())}  ", style="dim")
        lines.append(one.message)
    return Panel(lines, title="Alerts", title_align="left", border_style="red", box=rich.box.ROUNDED, padding=(0, 1))


def _agents(standing: Standing, *, narrow: bool) -> RenderableType:
    if "operations" in standing.problems and not standing.heartbeats:
        return _section("Agents", Text("Nobody knows: the operations database cannot be read.", style="red"))
    if not standing.heartbeats:
        return _section("Agents", Text("No worker runs. Start one: barlake worker", style="yellow"))
    if narrow:
        return _agents_narrow(standing)
    table = _table("agent", "worker", "state", "beat", "doing", "progress", "next step", right=("beat",))
    for beat in standing.heartbeats:
        doing = beat.job or beat.symbol or ""
        state, since = _alive(beat, standing)
        table.add_row(beat.agent, beat.worker, state, since, doing, _progress_of(beat), beat.next_step or "")
    return _section("Agents", table)


def _agents_narrow(standing: Standing) -> RenderableType:
    """Who does what, with all that is said of the work in the one column that gives way."""
    names = short_names([one.worker for one in standing.heartbeats])
    several = len(names) > 1
    table = _narrow_table("agent", *(["worker"] if several else []), "state", "beat", "doing", gives_way="doing")
    for beat in standing.heartbeats:
        doing = "  ".join(filter(None, (_share(beat.done, beat.total), beat.job or beat.symbol, beat.next_step)))
        name = [names[beat.worker]] if several else []
        table.add_row(beat.agent, *name, *_alive(beat, standing), doing)
    return _section("Agents" if several else f"Agents of {standing.heartbeats[0].worker}", table)


def _alive(beat: Heartbeat, standing: Standing) -> tuple[Text, Text]:
    """What state an agent is in, and how long ago it said so."""
    is_stalled = beat.is_stalled(standing.at)
    state = Text("stalled", style="bold red") if is_stalled else Text(beat.state, style=_STATES.get(beat.state, ""))
    return state, Text(span_text(beat.age(standing.at)), style="red" if is_stalled else "dim")


def short_names(workers: Sequence[str]) -> dict[str, str]:
    """Names of workers that fit a narrow column: without the machine they share, and cut in the middle.

    Examples
    --------
    >>> short_names(["desk-4711-0a1b", "desk-4733-c2d3"])
    {'desk-4711-0a1b': '4711-0a1b', 'desk-4733-c2d3': '4733-c2d3'}
    >>> short_names(["ip-10-0-17-243.ec2.internal-4711-0a1b", "desk"])
    {'ip-10-0-17-243.ec2.internal-4711-0a1b': 'ip-10…-4711-0a1b', 'desk': 'desk'}
    """
    different = list(dict.fromkeys(workers))
    shared = different[0][: different[0].rfind("-") + 1] if len(different) > 1 else ""
    while not all(one.startswith(shared) for one in different):
        shared = shared[: shared[:-1].rfind("-") + 1]
    return {one: _middle_cut(one.removeprefix(shared) or one) for one in different}


def _middle_cut(name: str) -> str:
    kept = _NAME - 1
    return name if len(name) <= _NAME else f"{name[: kept // 3]}…{name[-(kept - kept // 3) :]}"


def _narrow_table(*columns: str, gives_way: str) -> Table:
    """A table that takes what one column lacks from nowhere else: the others keep their width."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False, expand=True)
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1 if name == gives_way else None)
    return table


def _share(done: float | None, total: float | None) -> str:
    return f"{(done or 0) / total:.0%}" if total else ""


def _progress_of(beat: Heartbeat) -> RenderableType:
    return "" if beat.total is None else _bar(beat.done or 0, beat.total)


def _bar(done: float, total: float) -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    share = done / total if total else 1.0
    bar = ProgressBar(total=max(total, 1), completed=done if total else 1, width=_BAR)
    grid.add_row(bar, Text(f"{share:.0%}", style="dim"))
    return grid


def _queue(standing: Standing) -> RenderableType:
    if "queue" in standing.problems and not standing.jobs:
        return Text("Nobody knows: the queue cannot be read.", style="red")
    if not standing.jobs:
        return Text("Nothing was asked for yet. `barlake securities init`, then `barlake worker`.", style="yellow")
    table = _table("agent", "queued", "running", "oldest", "", right=("queued", "running", "oldest"))
    for agent in (str(one) for one in Agent):
        counts = [standing.jobs.get((agent, str(state)), 0) for state in (JobState.QUEUED, JobState.RUNNING)]
        since = [at for (one, _state), at in standing.oldest.items() if one == agent]
        oldest = age((standing.at - min(since)).total_seconds()) if since else ""
        note = Text("paused", style="yellow") if agent in standing.paused_agents else Text("")
        table.add_row(agent, *(f"{count:,}" if count else "-" for count in counts), oldest, note)
    return Group(table, _over(standing.jobs))


def _over(jobs: Mapping[tuple[str, str], int]) -> Text:
    text = Text("all agents   ", style="dim")
    for state, style in (("done", "green"), ("failed", "red"), ("paused", "yellow"), ("cancelled", "dim")):
        count = sum(number for (_, one), number in jobs.items() if one == state)
        text.append(f"{state} ", style="dim")
        text.append(f"{count:,}   ", style=style if count else "dim")
    return text


def _running(standing: Standing, *, narrow: bool) -> RenderableType:
    if narrow:
        table = _narrow_table("job", "", "done", "left", gives_way="job")
        for job in standing.running:
            said = job.progress
            _, done, _, left, _ = _how_far(job)
            table.add_row(job.id, "" if said is None else _share(said.done, said.total), done, left)
        return table
    table = _table("job", "progress", "done", "rows", "left", "next step", right=("done", "rows", "left"))
    for job in standing.running:
        table.add_row(job.id, *_how_far(job))
    return table


def _how_far(job: JobRecord) -> tuple[RenderableType, ...]:
    said = job.progress
    if said is None:
        return (Text("begins", style="dim"), "", "", "", "")
    bar = "" if said.total is None else _bar(said.done or 0, said.total)
    of = "" if said.done is None else f"{said.done:,}" + ("" if said.total is None else f"/{said.total:,}")
    left = "" if said.seconds_left is None else age(said.seconds_left)
    return (bar, f"{of} {said.unit}".strip(), f"{said.rows:,}" if said.rows else "", left, said.next_step or "")


def _feeds(standing: Standing) -> RenderableType:
    if not standing.feeds:
        return Text("No bars yet.", style="dim")
    table = _table("feed", "bars", "newest bar", "behind", right=("bars", "behind"))
    for one in standing.feeds:
        lag = one.lag.total_seconds()
        behind = Text(age(lag) if lag else "up to date", style="yellow" if lag > _LATE_S else "green")
        table.add_row(one.feed, f"{one.bars:,}", f"{one.newest:%Y-%m-%d %H:%M}Z", behind)
    return table


def _sources(standing: Standing) -> RenderableType:
    if not standing.sources:
        return Text("No request yet.", style="dim")
    table = _table("source", "requests", "left", "last", right=("requests", "left"))
    for one in standing.sources:
        made = sum(count for (source, _), count in standing.requests.items() if source == one.source)
        left = one.rate_limit_remaining
        tight = Text("" if left is None else str(left), style="yellow" if left is not None and left < _TIGHT else "")
        status = Text(
            f"{one.status or 'no answer'} {age((standing.at - one.requested_at).total_seconds())} ago",
            style="red" if one.error else "",
        )
        table.add_row(one.source, f"{made:,}", tight, status)
    return table


def _disk(standing: Standing) -> RenderableType:
    if not standing.disk_total:
        return Text("")
    share = 1 - standing.disk_free / standing.disk_total
    grid = Table.grid(padding=(0, 2, 0, 0))
    full = share > DISK_FULL
    bar = ProgressBar(
        total=1, completed=share, width=_BAR, complete_style="red" if full else "cyan",
        finished_style="red" if full else "cyan",
    )  # fmt: skip
    words = Text(f"{share:.0%} of {standing.disk_total / 1e9:,.0f} GB used", style="bold red" if full else "")
    grid.add_row(Text("Disk", style="bold cyan"), bar, words)
    return Padding(grid, (1, 0, 0, 0))


def _errors(standing: Standing) -> RenderableType:
    table = _table("time", "level", "agent", "symbol", "message")
    table.columns[-1].no_wrap = False
    table.columns[-1].overflow = "fold"
    for one in standing.errors:
        level = Text(one.level.lower(), style=_LEVELS.get(one.level, ""))
        table.add_row(f"{one.logged_at:%H:%M:%S}", level, one.agent or "", one.symbol or "", _first_line(one.message))
    return table


def _first_line(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= 160 else line[:159] + "…"  # noqa: PLR2004 - what a wide terminal shows
