"""What a simulation works on: the bars of its period with a signal beside each, read once and checked.

`inputs_of` names it by hash without reading a bar, so that a run that exists is found at once; `read_material` reads.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from barlake import Lake
from barlake.artifacts import canonical_json
from barlake.bar_sources import with_source
from barlake.errors import ConflictError, InvalidInputError
from barlake.factors import factors_of
from barlake.keys import Adjustment
from barlake.scratch import moment_of
from barlake.sessions import session_of
from simulation_service.earlier import earlier_closes, earlier_span
from simulation_service.origin import Origin
from simulation_service.plan import SimulationPlan
from simulation_service.signals import place
from simulation_service.span_checks import (
    dividend_remarks,
    model_remarks,
    require_features_of_these_bars,
    require_no_split,
    require_volume,
)
from simulation_service.strategies.placing import signal_frame, with_predictions
from simulation_service.strategies.records import require_proven

__all__ = ["Material", "inputs_of", "read_material"]

_UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Material:
    """Bars and signals of one simulation.

    Parameters
    ----------
    bars
        session, timestamp, open, high, low, close, volume and signal (null: hold), with symbol; by symbol in the
        order of the plan, then oldest first; of each symbol from the first to the last bar that a signal belongs to.
    signals
        timestamp, symbol, signal, as the origin gave them for the period.
    predictions
        Those of the model behind it, of the period; None without a model.
    bars_without_signal, unmatched_signals
        Bars that hold because they have none, and signals whose minute has no bar.
    bars_by_source
        How many bars each source delivered, `unknown` where nobody knows any more.
    remarks
        Sentences about these bars and signals: equal for equal inputs.
    told
        Sentences about what else the lake holds, which may change.
    earlier_closes
        Session closes before the period, see `simulation_service.earlier`; None where no size needs them.
    """

    bars: pl.DataFrame
    signals: pl.DataFrame
    predictions: pl.DataFrame | None
    bars_without_signal: int
    unmatched_signals: int
    bars_by_source: Mapping[str, int]
    remarks: tuple[str, ...]
    told: tuple[str, ...]
    earlier_closes: pl.DataFrame | None = None


def inputs_of(lake: Lake, plan: SimulationPlan, origin: Origin) -> dict[str, Any]:
    """Everything a run is made from, by hash, as its manifest holds it."""
    found = {"bars": _snapshot(lake, plan, origin), **origin.inputs}
    if plan.adjustment != Adjustment.RAW:
        found["price_factors_sha256"] = _factors_hash(lake, plan, origin.feed)
    if (before := earlier_span(lake, plan, origin)) is not None:
        found["earlier_bars"] = lake.snapshot(plan.symbols, *before, feed=origin.feed).as_dict()
    return found


def read_material(lake: Lake, plan: SimulationPlan, origin: Origin, inputs: Mapping[str, Any]) -> Material:
    """Bars and signals of a plan, after everything that can be wrong with them was looked at.

    Parameters
    ----------
    inputs
        Those that the run's id was made of.

    Raises
    ------
    ConflictError
        If the bars are not those of `inputs` any more.
    InvalidInputError
        If there is no bar, no signal belongs to a bar, or a check of `simulation_service.span_checks` refuses.
    """
    bars = lake.bars(
        plan.symbols,
        origin.span.start,
        origin.span.end,
        session=origin.session,
        feed=origin.feed,
        adjustment=plan.adjustment,
    )
    if _snapshot(lake, plan, origin) != inputs["bars"]:
        raise ConflictError(f"bars of {', '.join(plan.symbols)} were written while they were read: run again.")
    if origin.strategy is not None:
        _require_bars(bars, plan, origin)
    signals = origin.signals if origin.strategy is None else _of_strategy(lake, origin, bars)
    assert signals is not None  # noqa: S101 - an origin has signals, or a strategy that makes them
    placed = list(map(place, _each(signals, plan.symbols), _each(bars, plan.symbols)))
    used = pl.concat([one.bars for one in placed]) if len(placed) > 1 else placed[0].bars
    without, unmatched = (sum(getattr(one, name) for one in placed) for name in _COUNTS)
    silent, told = _checked(lake, plan, origin, used)
    return Material(
        bars=used.drop("ingested_at"),
        signals=signals,
        predictions=_predictions(origin),
        bars_without_signal=without,
        unmatched_signals=unmatched,
        bars_by_source=_by_source(lake, plan, origin.feed, used),
        remarks=(*_signal_remarks(without, unmatched), *silent),
        told=told,
        earlier_closes=earlier_closes(lake, plan, origin),
    )


def _require_bars(bars: pl.DataFrame, plan: SimulationPlan, origin: Origin) -> None:
    """Refuse a period such as a weekend; signals without a bar are refused where they are placed."""
    empty = [name for name, own in zip(plan.symbols, _each(bars, plan.symbols), strict=True) if own.is_empty()]
    if empty:
        raise InvalidInputError(
            f"no bar of {', '.join(empty)} (feed {origin.feed!r}, session {origin.session!r}) lies in "
            f"[{plan.start or 'open'}, {plan.end or 'open'}): name another --start, --end or --session."
        )


_COUNTS = ("bars_without_signal", "unmatched_signals")


def _each(frame: pl.DataFrame, symbols: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Rows of each symbol in turn; a frame of one symbol is not copied."""
    for name in symbols:
        yield frame if len(symbols) == 1 else frame.filter(symbol=name)


def _of_strategy(lake: Lake, origin: Origin, bars: pl.DataFrame) -> pl.DataFrame:
    """What the strategy wants at each bar; it sees the model's predictions, if there is one.

    It is on record then, and proven to look at nothing later.
    """
    assert origin.strategy is not None  # noqa: S101 - asked for by the only caller
    shown = bars.drop("ingested_at")
    if origin.predictions is not None:
        shown = with_predictions(shown, origin.predictions)
    require_proven(lake, origin.strategy, shown)
    return signal_frame(origin.strategy, shown)


def _checked(lake: Lake, plan: SimulationPlan, origin: Origin, bars: pl.DataFrame) -> tuple[list[str], tuple[str, ...]]:
    """Remarks on the bars, and on what the lake holds beside them; refuses what cannot be traded."""
    first, last = bars["session"].min(), bars["session"].max()
    assert isinstance(first, dt.date) and isinstance(last, dt.date)  # noqa: S101, PT018 - there is a bar at least
    actions = lake.corporate_actions(plan.symbols).filter("counts")
    require_no_split(actions, first, last, plan.adjustment)
    told = dividend_remarks(actions, first, last, plan.adjustment)
    if origin.model is not None:
        require_features_of_these_bars(lake, origin.model, bars)
        told += model_remarks(lake, origin.model)
    return require_volume(bars), tuple(told)


def _signal_remarks(without: int, unmatched: int) -> list[str]:
    remarks = []
    if unmatched:
        remarks.append(f"{unmatched:,} signals lie in minutes without a bar: nothing was traded on them.")
    if without:
        remarks.append(f"{without:,} bars have no signal, or one that is no number: they hold what there is.")
    return remarks


def _predictions(origin: Origin) -> pl.DataFrame | None:
    if origin.predictions is None:
        return None
    stamp = pl.col("timestamp")
    return origin.predictions.filter(stamp >= origin.span.start, stamp < origin.span.end)


# --- bars by hash and by source ----------------------------------------------------------------


def _snapshot(lake: Lake, plan: SimulationPlan, origin: Origin) -> dict[str, Any]:
    """The snapshot of the sessions that the period touches."""
    edges = pl.Series([origin.span.start, origin.span.end], dtype=pl.Datetime("us", "UTC")).alias("timestamp")
    edges = edges - pl.Series([0, 1], dtype=pl.Duration("us"))
    first, last = edges.to_frame().select(session_of(pl.col("timestamp"), origin.feed))["timestamp"]
    return lake.snapshot(plan.symbols, first, last + dt.timedelta(days=1), feed=origin.feed).as_dict()


def _factors_hash(lake: Lake, plan: SimulationPlan, feed: str) -> str:
    """Hash over what raw prices are multiplied by, which later splits and dividends change."""
    sessions = lake.calendar.of(feed).frame
    found = [
        factors_of(lake.store, lake.manifest, sessions, feed=feed, symbol=name, as_of=moment_of(lake)).rows()
        for name in plan.symbols
    ]
    return hashlib.sha256(canonical_json(found).encode()).hexdigest()


def _by_source(lake: Lake, plan: SimulationPlan, feed: str, bars: pl.DataFrame) -> dict[str, int]:
    counts: dict[str, int] = {}
    for symbol, own in zip(plan.symbols, _each(bars, plan.symbols), strict=True):
        # Bars lie in long stretches of one delivery, and a stretch is found faster than a value.
        stretches = own["ingested_at"].rle().struct.unnest()
        moments = stretches.group_by(pl.col("value").alias("ingested_at")).agg(pl.col("len").sum())
        named = with_source(moments.lazy(), lake.manifest, feed=feed, symbol=symbol).collect()
        for source, count in named.select(pl.col("source").fill_null(_UNKNOWN), "len").iter_rows():
            counts[source] = counts.get(source, 0) + count
    return dict(sorted(counts.items()))
