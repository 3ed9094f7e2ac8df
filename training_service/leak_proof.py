"""Proof that labels are known when they say so, and that no prediction of a fold knows what came after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from barlake.leak_proof import Effort, Frames, Future, ProofReport, Source, World, bar_borders, minutes, prove
from barlake.leak_proof.borders import Borders
from barlake.leak_proof.engine import Progress
from barlake.leak_proof.world import instants
from training_service.dataset import Dataset

__all__ = ["LABEL_EFFORT", "prove_folds", "prove_labels"]

LABEL_EFFORT = Effort(whole=24, pieces=60, per_piece=8, sweeps=0)
"""One column is cheap, so many borders are tried."""

_PRICES = ("open", "high", "low", "close", "volume")
_KNOWN = pl.col("timestamp") + pl.duration(minutes=1)


def prove_labels(
    make: Callable[[pl.DataFrame], pl.DataFrame],
    bars: pl.DataFrame,
    *,
    effort: Effort = LABEL_EFFORT,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProofReport:
    """Whether each label is known at the instant it names: with another future after it, it must be the same.

    Parameters
    ----------
    make
        From bars to labels: timestamp, label, known_at (null where there is none). Such as
        `lambda bars: make_labels(bars, spec)`.
    bars
        session, timestamp, open, high, low, close, volume of one symbol; oldest first.

    Raises
    ------
    InvalidInputError
        If no bar has a label: nothing would be proven.
    """
    if make(bars)["label"].null_count() == bars.height:
        raise InvalidInputError(
            f"none of the {bars.height:,} bars has a label, so there is nothing to prove. Use a horizon that ends "
            "within a session, or more bars."
        )
    held = tuple(name for name in _PRICES if name in bars.columns)
    world = World({"bars": Source(bars, minutes(1), held)}, seed=seed)

    def compute(frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        del columns
        return make(frames["bars"]).select("timestamp", "label", "known_at")

    borders = bar_borders(bars)
    # Labels that are known just then are the ones an early `known_at` would betray.
    return prove(compute, world, borders, subject="label column", effort=effort, seed=seed, progress=progress)


def prove_folds(
    predict_folds: Callable[[Dataset], pl.DataFrame],
    dataset: Dataset,
    *,
    per_fold: int = 2,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProofReport:
    """Whether an out-of-fold prediction changes with labels and features that were not known when it was made.

    Everything that is fitted counts: scalers, selection, calibration, the search for parameters. Where rows are
    is not changed, because folds are laid out by the length of the history; values are.

    Parameters
    ----------
    predict_folds
        From a dataset to predictions: timestamp, fold, prediction; fits every fold anew, the same each time.
    per_fold
        Borders tried in each fold's test: as its first bar is known, and later ones.
    """
    label_is_class = set(dataset.frame["label"].drop_nulls().unique().to_list()) <= {0.0, 1.0}
    rows = Source(
        dataset.frame,
        pl.col("known_at"),
        ("label", *dataset.columns),
        otherwise={"label": lambda label: 1.0 - label} if label_is_class else {},
        early=dict.fromkeys(dataset.columns, _KNOWN),
    )
    clock = Source(dataset.frame.select("timestamp"), minutes(1))
    world = World({"minutes": clock, "dataset": rows}, seed=seed)

    def compute(frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        del columns
        found = predict_folds(dataclasses.replace(dataset, frame=frames["dataset"]))
        return found.select("timestamp", "fold", "prediction", known_at=_KNOWN)

    borders = _test_borders(predict_folds(dataset), per_fold, seed)
    count = sum(found.size for found in borders.values())
    effort = Effort(whole=count, pieces=0, sweeps=0, futures=(Future.RISE, Future.FALL), random_share=0.0)
    return prove(compute, world, borders, subject="out-of-fold column", effort=effort, seed=seed, progress=progress)


def _test_borders(predictions: pl.DataFrame, per_fold: int, seed: int) -> Borders:
    chance = np.random.default_rng([seed, 17])
    firsts: list[int] = []
    laters: list[int] = []
    for _, test in predictions.group_by("fold", maintain_order=True):
        known = np.sort(instants(test, _KNOWN))
        firsts.append(int(known[0]))
        laters.extend(chance.choice(known[:-1], size=min(per_fold - 1, known.size - 1), replace=False))
    return {
        "first bar of a test": np.array(sorted(set(firsts)), dtype=np.int64),
        "within a test": np.array(sorted(set(laters)), dtype=np.int64),
    }
