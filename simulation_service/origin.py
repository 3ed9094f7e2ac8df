"""Where the signals of a simulation come from, settled before a bar is read: model, file or strategy.

An origin knows which bars it needs and what its run's id hangs on. The signals of a model and of a file are there
at once; those of a strategy are made of the bars (`simulation_service.strategies`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from barlake.artifacts import Artifact, sha256_of
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import ArtifactKind, SessionFilter
from barlake.ranges import TimeRange, time_range
from simulation_service.plan import FileSource, ModelSource, SimulationPlan, StrategySource
from simulation_service.signals import PREDICTIONS_FILE, read_predictions, read_signals_of
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.catalogue import make_strategy
from simulation_service.strategies.definition import definition, definition_hash

if TYPE_CHECKING:
    from barlake import Lake

__all__ = ["Origin", "origin_of"]

_MINUTE = dt.timedelta(minutes=1)


@dataclass(frozen=True, eq=False)
class Origin:
    """What a plan's source is, found and checked.

    Parameters
    ----------
    kind, name
        `model`, `file` or `strategy`, and what people call it.
    facts
        The source as the run's parameters hold it: enough to find it again.
    inputs
        Hashes that go into the run's id.
    feed, session
        Which bars are traded.
    span
        Instants [start, end) of the bars needed; a side that is None is open.
    signals
        A signal frame with symbol; None where a strategy makes them of the bars.
    strategy
        None unless it makes the signals.
    model, predictions
        The model behind it and its predictions of the traded symbol, if there is one.
    """

    kind: str
    name: str
    facts: Mapping[str, Any]
    inputs: Mapping[str, Any]
    feed: str
    session: str
    span: TimeRange
    signals: pl.DataFrame | None = None
    strategy: Strategy | None = None
    model: Artifact | None = None
    predictions: pl.DataFrame | None = field(default=None, repr=False)


def origin_of(lake: Lake, plan: SimulationPlan) -> Origin:
    """The origin of a plan's signals.

    Raises
    ------
    NotFoundError
        If the lake has no such model or strategy, or no bars of a symbol.
    InvalidInputError
        If the source is wrong, does not go with the plan, or has no signal in the period.
    LookAheadError
        If a signal comes from a fit that had seen its future.
    FormatError
        If the file of predictions was changed after training.
    """
    if isinstance(plan.source, ModelSource):
        return _of_model(lake, plan, plan.source)
    if isinstance(plan.source, FileSource):
        return _of_file(lake, plan, plan.source)
    return _of_strategy(lake, plan, plan.source)


# --- a model -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Model:
    """A model, its predictions of the traded symbol, and the bars they are of."""

    artifact: Artifact
    predictions: pl.DataFrame
    feed: str
    session: str

    @property
    def inputs(self) -> dict[str, str]:
        return {"model": self.artifact.id, "predictions_sha256": str(self.artifact.files[PREDICTIONS_FILE]["sha256"])}


def _model(lake: Lake, plan: SimulationPlan, model_id: str) -> _Model:
    found = lake.artifacts.find(ArtifactKind.MODEL, model_id)
    own = {"feed": str(found.parameters["feed"]), "session": SessionFilter.parse(found.parameters["session"]).value}
    for name, wanted in (("feed", plan.feed), ("session", plan.session)):
        if wanted is not None and wanted != own[name]:
            raise InvalidInputError(
                f"{name} {wanted!r}: model {found.id} was trained on {name} {own[name]!r}, and its predictions are of "
                f"those bars. Leave --{name} out, or train a model with --{name} {wanted}."
            )
    predictions = read_predictions(lake.artifacts, found, symbol=plan.symbols[0])
    return _Model(found, predictions, own["feed"], own["session"])


def _of_model(lake: Lake, plan: SimulationPlan, source: ModelSource) -> Origin:
    if len(plan.symbols) > 1:
        raise InvalidInputError(
            f"symbols {', '.join(plan.symbols)}: a model predicts one symbol. Name that one, or a strategy that "
            "looks at all of them."
        )
    model = _model(lake, plan, source.model_id)
    signals = model.predictions.select("timestamp", pl.lit(plan.symbols[0]).alias("symbol"), "signal")
    wanted = _within(signals, plan, model.feed, f"model {model.artifact.id!r}")
    return Origin(
        kind="model",
        name=model.artifact.id,
        facts={"kind": "model", "model": model.artifact.id},
        inputs=model.inputs,
        feed=model.feed,
        session=model.session,
        span=_span_of(wanted),
        signals=wanted,
        model=model.artifact,
        predictions=model.predictions,
    )


# --- a file ------------------------------------------------------------------------------------


def _of_file(lake: Lake, plan: SimulationPlan, source: FileSource) -> Origin:
    feed = lake.feed_of(plan.symbols, plan.feed)
    signals = read_signals_of(source.path, symbols=plan.symbols)
    wanted = _within(signals, plan, feed, f"file {source.path.name!r}")
    digest = sha256_of(source.path)
    return Origin(
        kind="file",
        name=source.path.name,
        facts={"kind": "file", "name": source.path.name, "sha256": digest},
        inputs={"signals_sha256": digest},
        feed=feed,
        session=plan.session or SessionFilter.REGULAR.value,
        span=_span_of(wanted),
        signals=wanted,
    )


# --- a strategy --------------------------------------------------------------------------------


def _of_strategy(lake: Lake, plan: SimulationPlan, source: StrategySource) -> Origin:
    strategy = make_strategy(source.name, source.parameters)
    defined = definition(strategy)
    facts = {"kind": "strategy", "name": source.name, "parameters": dict(defined["parameters"]), "model": None}
    inputs: dict[str, Any] = {"strategy": definition_hash(strategy)}
    if source.model_id is None:
        feed = lake.feed_of(plan.symbols, plan.feed)
        hours = plan.session or SessionFilter.REGULAR.value
        span = _narrowed(_held_span(lake, plan, feed), plan, feed)
        return Origin("strategy", source.name, facts, inputs, feed, hours, span, strategy=strategy)
    model = _model(lake, plan, source.model_id)
    wanted = _within(model.predictions, plan, model.feed, f"model {model.artifact.id!r}")
    return Origin(
        kind="strategy",
        name=source.name,
        facts={**facts, "model": model.artifact.id},
        inputs={**inputs, **model.inputs},
        feed=model.feed,
        session=model.session,
        span=_span_of(wanted),
        strategy=strategy,
        model=model.artifact,
        predictions=model.predictions,
    )


def _held_span(lake: Lake, plan: SimulationPlan, feed: str) -> TimeRange:
    """From the first to the last bar that the lake holds of any symbol."""
    snapshot = lake.snapshot(plan.symbols, feed=feed)
    firsts = [one.first for one in snapshot.symbols if one.first is not None]
    lasts = [one.last for one in snapshot.symbols if one.last is not None]
    if not firsts:
        raise NotFoundError(f"symbols {', '.join(plan.symbols)} have no bars of feed {feed!r}: ingest or import them.")
    return TimeRange(min(firsts), max(lasts) + _MINUTE)


# --- periods -----------------------------------------------------------------------------------


def _within(signals: pl.DataFrame, plan: SimulationPlan, feed: str, name: str) -> pl.DataFrame:
    """Signals of the plan's period; dates are sessions of the feed."""
    span = time_range(plan.start, plan.end, feed)
    found = signals
    if span.start is not None:
        found = found.filter(pl.col("timestamp") >= span.start)
    if span.end is not None:
        found = found.filter(pl.col("timestamp") < span.end)
    if found.is_empty():
        held = signals["timestamp"].sort()
        spans = f"they run from {held[0]} to {held[-1]}" if held.len() else "there are none at all"
        raise InvalidInputError(
            f"no signal of {name} lies in [{plan.start or 'open'}, {plan.end or 'open'}): {spans}. "
            "Name another --start or --end."
        )
    return found


def _span_of(signals: pl.DataFrame) -> TimeRange:
    first, last = signals["timestamp"].min(), signals["timestamp"].max()
    assert isinstance(first, dt.datetime) and isinstance(last, dt.datetime)  # noqa: S101, PT018 - there is one at least
    return TimeRange(first, last + _MINUTE)


def _narrowed(held: TimeRange, plan: SimulationPlan, feed: str) -> TimeRange:
    """The part of what is held that the plan asks for."""
    asked = time_range(plan.start, plan.end, feed)
    assert held.start is not None and held.end is not None  # noqa: S101, PT018 - both sides of what is held
    start, end = max(held.start, asked.start or held.start), min(held.end, asked.end or held.end)
    if start >= end:
        raise InvalidInputError(
            f"no bar of {', '.join(plan.symbols)} lies in [{plan.start or 'open'}, {plan.end or 'open'}): they run "
            f"from {held.start} to {held.end - _MINUTE}. Name another --start or --end."
        )
    return TimeRange(start, end, asked.zone)
