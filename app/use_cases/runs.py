"""A finished simulation as a reader needs it: the ladder first, then figures beside buy and hold, curves and trades.

Curves have at most 2,000 points however long the run: of each stretch its lowest and highest value is kept.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from app.use_cases.bar_axis import Ticks, bar_ticks
from barlake.artifacts import Artifact, canonical_json
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from simulation_service.execution import Fill
from simulation_service.ladder_text import break_even_sentence, deflation_sentence, random_entries_sentence
from simulation_service.runs import compare_runs, facts_of_run, list_runs, require_this_kind
from simulation_service.simulate import REPORT_FILE
from simulation_service.tear_sheet.charts import MOST_POINTS, thin_out
from simulation_service.tear_sheet.curves import drawdowns
from simulation_service.tear_sheet.figures import Card, Column, Rows, cards, columns, rows

__all__ = [
    "Curves",
    "RunComparison",
    "RunView",
    "compare",
    "count_older_runs",
    "curves_of",
    "list_all_runs",
    "names_of_runs",
    "report_of",
    "sessions_of",
    "table_of",
    "view_run",
]

_RUN = {"run": pl.String(), "created_at": pl.Datetime("us", "UTC"), "symbols": pl.String()}
_LADDER = {
    "rung": pl.String(), "final_value": pl.String(), "total_return": pl.Float64(), "sharpe": pl.Float64(),
    "fills": pl.Int64(), "costs_usd": pl.Float64(), "optimistic": pl.Boolean(), "reason": pl.String(),
}  # fmt: skip
_CURVES = ("equity_usd", "buy_and_hold_usd", "same_close_usd")
_BARS = ("symbols", "feed", "session", "adjustment", "first_bar", "last_bar")
"""What runs must share for their figures to compare."""


@dataclass(frozen=True)
class RunView:
    """One run, ready to be shown.

    Parameters
    ----------
    title
        What was traded, on whose signals, over which sessions.
    ladder
        One row per rung, the most optimistic first: rung, final_value (dollars, exact text), total_return, sharpe,
        fills, costs_usd, optimistic, reason (why it has no figures). Empty for a run of an earlier release.
    ladder_notes
        What the ladder assumes, and what a trade may cost.
    beside
        Where it stands among random entries, and what its Sharpe ratio is worth among all tries; what there is.
    cards
        The few figures that are asked for first, each beside buy and hold.
    heads, groups
        All figures: what each column is, and groups of rows with one text for each column.
    notes
        What else is to know before believing a figure.
    facts
        What it was made from, one value a name.
    """

    run: Artifact
    title: str
    ladder: pl.DataFrame
    ladder_notes: tuple[str, ...]
    beside: tuple[str, ...]
    cards: tuple[Card, ...]
    heads: tuple[Column, ...]
    groups: tuple[tuple[str, Rows], ...]
    notes: tuple[str, ...]
    facts: Mapping[str, Any]

    @property
    def is_optimistic(self) -> bool:
        """Whether its own orders are filled at a price that is no longer to be had."""
        return Fill(self.run.results["fill"]).is_optimistic

    @property
    def symbols(self) -> tuple[str, ...]:
        """What it traded."""
        return tuple(self.run.results["symbols"])


@dataclass(frozen=True)
class Curves:
    """Account value over the bars of a run.

    Parameters
    ----------
    points
        bar (its number from 0), timestamp (UTC), session, equity_usd, buy_and_hold_usd, same_close_usd, drawdown and
        buy_and_hold_drawdown (fractions at or below 0): at most 2,000 rows. A curve that the run lacks is null.
    ticks
        Labels below the curves, by the number of the bar.
    bars
        How many bars there are in all.
    cash_usd
        Cash before the first bar.
    """

    points: pl.DataFrame
    ticks: Ticks
    bars: int
    cash_usd: float


@dataclass(frozen=True)
class RunComparison:
    """Runs side by side.

    Parameters
    ----------
    differing
        of (`plan`, `inputs` or `code`), fact, and a column for each run: what differs in how they were made.
    figures
        figure, and a column of text for each run.
    growth
        session, run, growth (account value at the session's close by starting cash, minus 1), at most 2,000 rows.
    same_bars
        Whether all traded the same symbols over the same period, of one feed and in the same terms.
    """

    runs: tuple[str, ...]
    differing: pl.DataFrame
    figures: pl.DataFrame
    growth: pl.DataFrame
    same_bars: bool

    @property
    def verdict(self) -> str:
        """Whether the figures may be held against each other."""
        if self.same_bars:
            return (
                "These runs traded the same bars. The best of several looks better than it is: see the number of tries."
            )
        return "These runs traded different bars: a difference in their figures may be one of the bars."


def list_all_runs(lake: Lake) -> pl.DataFrame:
    """One row per run, the newest first; columns as `simulation_service.runs.list_runs`."""
    found = list_runs(lake.artifacts.list(ArtifactKind.RUN))
    return pl.DataFrame(schema=_RUN) if found.is_empty() else found.reverse()


def count_older_runs(lake: Lake) -> int:
    """How many runs were made by an earlier release and are of another kind: their pages are kept, nothing else."""
    return len(lake.artifacts.list(ArtifactKind.RUN)) - list_all_runs(lake).height


def names_of_runs(runs: pl.DataFrame) -> dict[str, str]:
    """What each run of a list is called where there is little room, by its id."""
    return {row["run"]: f"{row['symbols']}, {row['source']} ({row['run'][:6]})" for row in runs.iter_rows(named=True)}


def view_run(lake: Lake, run_id: str) -> RunView:
    """One run, by its id or first digits.

    Raises
    ------
    NotFoundError
        If no run or several have such an id.
    InvalidInputError
        If it was made by a release whose runs were of another kind.
    """
    run = _find(lake, run_id)
    results = run.results
    ladder, heads = results.get("ladder") or {}, columns(results)
    return RunView(
        run=run,
        title=_title(results),
        ladder=_ladder(ladder),
        ladder_notes=tuple(_ladder_notes(ladder)),
        beside=tuple(_beside(results)),
        # There is little room beside a figure, and the words above it say what is held.
        cards=tuple(
            replace(one, beside=one.beside.replace("buy and hold", "held"))
            for one in cards(results, results.get("deflation"))
        ),
        heads=tuple(heads),
        groups=tuple(rows(heads)),
        notes=(*results.get("remarks", ()), *results.get("told", ())),
        facts=facts_of_run(run),
    )


def curves_of(lake: Lake, run_id: str, *, most: int = MOST_POINTS) -> Curves:
    """Account value beside buy and hold, in at most `most` points; errors as in `table_of`."""
    equity = table_of(lake, run_id, "equity")
    cash = float(_find(lake, run_id).results["cash_usd"])
    known = [name for name in _CURVES if equity[name].null_count() < equity.height]
    chosen = np.unique(np.concatenate([thin_out(equity[name].to_numpy(), most=most // len(known)) for name in known]))
    falls = [_fall(equity, name, cash) for name in _CURVES[:2]]
    numbered = equity.with_row_index("bar").with_columns(*falls)
    return Curves(
        points=numbered[chosen].select("bar", "timestamp", "session", *_CURVES, *(fall.name for fall in falls)),
        ticks=bar_ticks(numbered.group_by("session", maintain_order=True).agg(pl.col("bar").first()), equity.height),
        bars=equity.height,
        cash_usd=cash,
    )


def sessions_of(lake: Lake, run_id: str) -> list[dt.date]:
    """Sessions of a run, oldest first; errors as in `table_of`."""
    sessions: list[dt.date] = table_of(lake, run_id, "equity")["session"].unique().sort().to_list()
    return sessions


def table_of(lake: Lake, run_id: str, name: str) -> pl.DataFrame:
    """A table of a run, as `barlake.run_tables` describes it.

    Raises
    ------
    NotFoundError
        If no run or several have such an id.
    FormatError
        If the run has no such table, or its file is not the one that was written.
    """
    return pl.read_parquet(lake.artifacts.verified_file(_find(lake, run_id), f"{name}.parquet"))


def report_of(lake: Lake, run_id: str) -> Path:
    """The run's tear sheet, one HTML page; errors as in `table_of`."""
    return lake.artifacts.verified_file(_find(lake, run_id), REPORT_FILE)


def compare(lake: Lake, run_ids: Sequence[str]) -> RunComparison:
    """Runs side by side.

    Raises
    ------
    NotFoundError
        If one is not in the lake.
    InvalidInputError
        If there are fewer than two, or one comes twice.
    FormatError
        If the account values of one are not the file that was written.
    """
    found = [_find(lake, one) for one in run_ids]
    facts = compare_runs(found)
    groups = rows([Column(one.id, "", one.results["account"]) for one in found])
    return RunComparison(
        runs=tuple(one.id for one in found),
        differing=facts.filter(pl.col("of") != "result"),
        figures=pl.DataFrame(
            [(label, *values) for _, lines in groups for label, values in lines],
            schema=["figure", *(one.id for one in found)], orient="row",
        ),
        growth=pl.concat([_growth(lake, one, most=MOST_POINTS // len(found)) for one in found]),
        same_bars=len({canonical_json([one.results[name] for name in _BARS]) for one in found}) == 1,
    )  # fmt: skip


def _find(lake: Lake, run_id: str) -> Artifact:
    return require_this_kind(lake.artifacts.find(ArtifactKind.RUN, run_id))


def _title(results: Mapping[str, Any]) -> str:
    first, last = (dt.datetime.fromisoformat(results[side]).date() for side in ("first_bar", "last_bar"))
    source = f"{results['signals_from']} {results['signals_name']}"
    return f"{', '.join(results['symbols'])} on {source}, {first} to {last}, {results['sessions']:,} sessions"


def _ladder(ladder: Mapping[str, Any]) -> pl.DataFrame:
    found = [
        {**{name: rung.get(name) for name in _LADDER}, "rung": rung["name"], "optimistic": place == 0}
        for place, rung in enumerate(ladder.get("rungs", ()))
    ]
    return pl.DataFrame(found, schema=_LADDER)


def _ladder_notes(ladder: Mapping[str, Any]) -> list[str]:
    if not ladder:
        return []
    assumed = ["Typical costs of a liquid US stock are assumed, as none were given."] if ladder["assumed"] else []
    return [*assumed, _sentence(break_even_sentence(ladder))]


def _beside(results: Mapping[str, Any]) -> list[str]:
    told = []
    if results.get("random_entries"):
        told.append(_sentence(random_entries_sentence(results["random_entries"])))
    if results.get("deflation"):
        told.append(_sentence(deflation_sentence(results["deflation"])))
    return told


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _fall(equity: pl.DataFrame, name: str, cash: float) -> pl.Series:
    """Drawdown of one account value at every bar; null where the run lacks it."""
    label = "drawdown" if name == "equity_usd" else name.replace("_usd", "_drawdown")
    if equity[name].null_count() == equity.height:
        return pl.Series(label, [None] * equity.height, dtype=pl.Float64)
    return pl.Series(label, drawdowns(equity[name].to_numpy(), cash))


def _growth(lake: Lake, run: Artifact, *, most: int) -> pl.DataFrame:
    closes = table_of(lake, run.id, "equity").group_by("session", maintain_order=True).agg(pl.col("equity_usd").last())
    growth = closes.select(
        "session", run=pl.lit(run.id), growth=pl.col("equity_usd") / float(run.results["cash_usd"]) - 1
    )
    return growth[thin_out(growth["growth"].to_numpy(), most=most)]
