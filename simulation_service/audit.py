"""How much of a result was the data: the same run, traded again on other feeds and in other terms of prices.

Nothing is written, and no trial is made of it: an audit chooses nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from barlake import Lake
from barlake.artifacts import Artifact
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import SessionFilter
from simulation_service.audit_plans import Group, Signals, Try, groups_of, other_feeds
from simulation_service.bar_difference import BarDifference, bar_difference
from simulation_service.execution import Fill
from simulation_service.plan import FileSource, SimulationPlan
from simulation_service.runs import plan_of_run, require_this_kind
from simulation_service.simulate import carry_out

__all__ = ["Audit", "Variant", "audit_run"]

SIGNALS_FILE = "signals.parquet"

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many variants are behind it, and how many there are."""


@dataclass(frozen=True)
class Variant:
    """The run on other data.

    Parameters
    ----------
    feed, adjustment
        Which bars were traded, in which terms of prices.
    signals
        Whose.
    first_session, last_session
        Of the period traded: that of the run, or the part of it that the other feed holds too.
    difference
        `total_return` less that of the run. Where the period is a part of the run's, less that of the run's own
        data over the same part, whose own difference is None.
    buy_and_hold_return
        Of holding over the same bars.
    refused
        Why it cannot be traded; then there are no figures.
    """

    feed: str
    adjustment: str
    signals: Signals
    first_session: dt.date
    last_session: dt.date
    final_value: str | None = None
    total_return: float | None = None
    difference: float | None = None
    buy_and_hold_return: float | None = None
    fills: int | None = None
    bars: int | None = None
    bars_without_signal: int | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Audit:
    """A run beside its variants.

    Parameters
    ----------
    run_id, feed, adjustment, final_value, total_return
        Of the run as it was made.
    variants
        The first one is the run's own data as the lake holds it now.
    bars
        One for each other feed.
    without_actions
        Symbols of which the lake knows no split and no dividend.
    """

    run_id: str
    feed: str
    adjustment: str
    final_value: str
    total_return: float
    variants: tuple[Variant, ...]
    bars: tuple[BarDifference, ...]
    without_actions: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it; sessions are ISO text."""
        found = asdict(self)
        for one in found["variants"]:
            one |= {name: one[name].isoformat() for name in ("first_session", "last_session")}
        return found | {"sentences": self.sentences()}

    def sentences(self) -> list[str]:
        """What it comes to: how far later corrections, the adjustment and the feed move the result."""
        now, *others = self.variants
        if now.refused is not None:
            found = [f"run {self.run_id} returned {self.total_return:+.2%}; its own bars cannot be traded any more."]
        elif now.difference:
            moved = f"bars that changed since move it by {_points(now.difference)}."
            found = [f"run {self.run_id} returned {self.total_return:+.2%}; {moved}"]
        else:
            found = [f"run {self.run_id} returned {self.total_return:+.2%}, and does so again on its own bars."]
        feed = [one for one in others if one.feed != self.feed and one.adjustment == self.adjustment]
        terms = [one for one in others if one.feed == self.feed and one.adjustment != self.adjustment]
        for cause, variants in (("adjustment", terms), ("feed", feed)):
            if (largest := _largest(variants)) is not None:
                found.append(f"the {cause} alone moves the result by up to {_points(largest)}.")
        return found + [_without_actions(symbol) for symbol in self.without_actions]


def _without_actions(symbol: str) -> str:
    return (
        f"no split or dividend of {symbol} is known here, so adjusted prices are the raw ones: "
        f"`barlake actions fetch {symbol}` brings them."
    )


def _largest(variants: Sequence[Variant]) -> float | None:
    moved = [one.difference for one in variants if one.difference is not None]
    return max(moved, key=abs, default=None)


def _points(difference: float) -> str:
    return f"{difference * 100:+.2f} percentage points"


def audit_run(lake: Lake, run: Artifact, *, progress: Progress | None = None) -> Audit:
    """Trade a run again on every other feed that holds its symbols, and in other terms of prices.

    Raises
    ------
    InvalidInputError
        If the run was made by an earlier release.
    FormatError
        If its file of signals was changed since.
    """
    signals = lake.artifacts.verified_file(require_this_kind(run), SIGNALS_FILE)
    plan = plan_of_run(run, signals=signals)
    groups = list(groups_of(lake, plan, FileSource(signals)))
    account = run.results["account"]
    own_return = account["metrics"]["total_return"]
    count = sum(len(group.trials) for group in groups)
    variants: list[Variant] = []
    for group in groups:
        bases = {} if group.is_part else dict.fromkeys(Signals, own_return)
        for one in group.trials:
            if progress is not None:
                progress(f"{one.plan.feed} {one.plan.adjustment}", len(variants), count)
            found = _traded(lake, one, group)
            base = bases.setdefault(one.signals, found.total_return)
            is_base = one.is_base and group.is_part
            variants.append(found if is_base else _beside(found, base))
    return Audit(
        run_id=run.id,
        feed=str(plan.feed),
        adjustment=plan.adjustment,
        final_value=account["final_value"],
        total_return=own_return,
        variants=tuple(variants),
        bars=tuple(_difference(lake, plan, feed) for feed in other_feeds(lake, plan)),
        without_actions=tuple(one for one in plan.symbols if not _has_actions(lake, one)),
    )


def _traded(lake: Lake, one: Try, group: Group) -> Variant:
    named = Variant(str(one.plan.feed), one.plan.adjustment, one.signals, group.first, group.last)
    try:
        results = carry_out(lake, one.plan)
    except (InvalidInputError, NotFoundError) as error:
        return replace(named, refused=str(error))
    account, held = results["account"], results["buy_and_hold"]
    fill = results["fill"] if results["fill"] in held else Fill.SAME_CLOSE
    return replace(
        named,
        final_value=account["final_value"],
        total_return=account["metrics"]["total_return"],
        buy_and_hold_return=held[fill]["metrics"]["total_return"],
        fills=account["fills"],
        bars=results["bars"],
        bars_without_signal=results["bars_without_signal"],
    )


def _has_actions(lake: Lake, symbol: str) -> bool:
    return not lake.corporate_actions(symbol).filter("counts").is_empty()


def _beside(found: Variant, base: float | None) -> Variant:
    if found.total_return is None or base is None:
        return found
    return replace(found, difference=found.total_return - base)


def _difference(lake: Lake, plan: SimulationPlan, feed: str) -> BarDifference:
    hours = plan.session or SessionFilter.REGULAR.value
    own, other = (
        lake.bars(plan.symbols, plan.start, plan.end, session=hours, feed=name).select("symbol", "timestamp", "close")
        for name in (plan.feed, feed)
    )
    return bar_difference(own, other, feed=feed)
