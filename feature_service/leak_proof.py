"""Proof that features look neither ahead nor back for ever. For the features here and for your own.

Whoever reads ahead (`shift(-1)`, a centred mean, a z-score over everything, the day's final VWAP, a figure
before its release) changes when the future changes. So the proof changes it: everything after an instant is cut
off or replaced, in bars, context, macro and news alike, and every value known at that instant must be the same
in every bit. How it is tried: `barlake/leak_proof/` and docs/proof.md.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import polars as pl

from barlake.errors import InvalidInputError
from barlake.leak_proof import (
    Compute,
    Effort,
    Frames,
    HistoryNeed,
    ProofReport,
    Source,
    World,
    bar_borders,
    measure_history,
    minutes,
    prove,
    record_borders,
)
from barlake.leak_proof.borders import Borders
from barlake.leak_proof.engine import Progress
from barlake.leak_proof.history import history_frame
from feature_service.compute import compute_features
from feature_service.declare import Feature
from feature_service.inputs import FeatureInputs

__all__ = [
    "FeatureCompute",
    "history_proof",
    "history_table",
    "inputs_borders",
    "inputs_world",
    "newest_bars",
    "prefix_proof",
    "prove_computation",
    "prove_features",
]

FeatureCompute = Callable[[FeatureInputs], pl.DataFrame]
"""From inputs to columns, one row per bar; pure."""

_TRADED = ("open", "high", "low", "close", "volume")


def prove_features(
    features: Sequence[Feature],
    inputs: FeatureInputs,
    *,
    effort: Effort | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProofReport:
    """Whether any of these features looks ahead, over these inputs.

    Examples
    --------
    `prove_features(CORE.features, inputs).require_clean()` is silent, or raises a `LookAheadError` that names
    the feature, the first wrong row and how far it looked.
    """
    by_name = {one.name: one for one in features}

    def compute(frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        wanted = features if columns is None else [by_name[name] for name in columns]
        return _known(frames, compute_features(FeatureInputs(**frames), wanted))

    return _prove(compute, inputs, effort, seed, progress)


def prove_computation(
    compute: FeatureCompute,
    inputs: FeatureInputs,
    *,
    effort: Effort | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProofReport:
    """The same for anything that makes columns, one row per bar.

    Raises
    ------
    InvalidInputError
        If `compute` gives another number of rows than there are bars.
    """
    return _prove(_adapted(compute), inputs, effort, seed, progress)


def prefix_proof(
    compute: FeatureCompute, inputs: FeatureInputs, *, effort: Effort | None = None, seed: int = 0
) -> None:
    """Check that no value changes, in any bit, whatever comes later.

    Raises
    ------
    LookAheadError
        Names the columns that do, and of the first the row, how far it looked and at what.
    """
    prove_computation(compute, inputs, effort=effort, seed=seed).require_clean()


def history_proof(
    compute: FeatureCompute, inputs: FeatureInputs, *, history_bars: int = 4000, starts: int = 3, seed: int = 0
) -> None:
    """Check that values no longer depend on where the history starts, some bars after its start.

    Raises
    ------
    InvalidInputError
        Names the first column that still differs by more than 1e-9 of its own standard deviation; such a level
        would change with every backfill. Also if there are too few rows.
    """
    for need in measure_history(_adapted(compute), inputs_world(inputs), rows=history_bars, starts=starts, seed=seed):
        if not need.forgets:
            raise InvalidInputError(
                f"feature {need.column!r} still depends on where the history starts after {need.rows_tried} bars: "
                "use its difference over a window, or leave it out."
            )


def history_table(
    features: Sequence[Feature], inputs: FeatureInputs, *, rows: int = 8000, starts: int = 4, seed: int = 0
) -> pl.DataFrame:
    """How much history each feature declares, and how much it was seen to need.

    Returns
    -------
    feature, timeframe, history_bars and history_sessions (declared: until there is a value), rows_needed
    (minute bars until the value is that of the whole history, within 1e-9 of its standard deviation),
    rows_to_same_bits (until it is that in every bit), rows_tried. Null is more than were tried.
    """

    def compute(frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        wanted = [one for one in features if columns is None or one.name in columns]
        return _known(frames, compute_features(FeatureInputs(**frames), wanted))

    needs: list[HistoryNeed] = measure_history(compute, inputs_world(inputs), rows=rows, starts=starts, seed=seed)
    declared = pl.DataFrame(
        {
            "feature": [one.name for one in features],
            "timeframe": [one.timeframe.value for one in features],
            "history_bars": [one.history_bars for one in features],
            "history_sessions": [one.history_sessions for one in features],
        }
    )
    return declared.hstack(history_frame(needs).drop("column"))


def newest_bars(inputs: FeatureInputs, count: int) -> FeatureInputs:
    """The inputs of the newest so many bars; records stay, because the old ones still hold."""
    bars = inputs.bars.tail(count)
    context = inputs.context
    if context is not None and bars.height:
        context = context.filter(pl.col("timestamp") >= bars["timestamp"][0])
    return dataclasses.replace(inputs, bars=bars, context=context)


def inputs_world(inputs: FeatureInputs, *, seed: int = 0) -> World:
    """The inputs with the instants at which they are known, bars first."""
    bars = functools.partial(Source, known_at=minutes(1), values=_TRADED)
    record = functools.partial(Source, known_at=pl.col("known_at"), is_continuous=False)
    sources = {"bars": bars(inputs.bars)}
    if inputs.context is not None:
        sources["context"] = bars(inputs.context)
    if inputs.macro is not None:
        sources["macro"] = record(inputs.macro, values=("value",))
    if inputs.news is not None:
        sources["news"] = record(inputs.news)
    return World(sources, seed=seed)


def inputs_borders(world: World) -> Borders:
    """Where to look: at the bars' own borders, and just before what else becomes known."""
    found = bar_borders(world.clock.frame)
    for name, what in (("macro", "a release"), ("news", "an article")):
        if name in world.sources:
            found |= record_borders(world.sources[name], what, within=world.clock.instants)
    return found


def _prove(
    compute: Compute,
    inputs: FeatureInputs,
    effort: Effort | None,
    seed: int,
    progress: Progress | None,
) -> ProofReport:
    world = inputs_world(inputs, seed=seed)
    return prove(compute, world, inputs_borders(world), subject="feature", effort=effort, seed=seed, progress=progress)


def _adapted(compute: FeatureCompute) -> Compute:
    def adapted(frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        found = compute(FeatureInputs(**frames))
        return _known(frames, found if columns is None else found.select(columns))

    return adapted


def _known(frames: Frames, found: pl.DataFrame) -> pl.DataFrame:
    """The columns beside the instants at which their bars are known."""
    bars = frames["bars"]
    if found.height != bars.height:
        raise InvalidInputError(
            f"the computation gave {found.height} rows for {bars.height} bars: give one row per bar, in their order."
        )
    return found.with_columns(bars.select(known_at=minutes(1))["known_at"])
