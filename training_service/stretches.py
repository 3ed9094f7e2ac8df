"""The last stretch of a training: sessions held back from its end, purged like a test fold.

Early stopping and calibration need rows that the model has not learned from. Drawn at random, such rows
overlap those it has learned from, and praise what is memory; taken from the end they stand to the training
as the test stands to both.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from training_service.fold_check import check_folds

__all__ = ["HELD_BACK", "last_stretch"]

HELD_BACK = 0.2
"""Fraction of the training sessions that is held back."""


def last_stretch(past: pl.DataFrame, *, purpose: str, share: float = HELD_BACK) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows before the last sessions whose labels were known before those began, and the last sessions.

    Parameters
    ----------
    past
        Labelled rows, oldest first: session, timestamp, known_at and more.
    purpose
        What the stretch is for, as an error calls it.
    share
        Of the sessions, between 0 and 1; at least one session is held back.

    Raises
    ------
    InvalidInputError
        If there are fewer than two sessions, or the purge leaves nothing before the stretch.
    """
    sessions = past["session"].unique().sort()
    count = max(1, math.floor(sessions.len() * share))
    first = past.filter(pl.col("session") >= sessions[-count])["timestamp"].min()
    is_before = (pl.col("known_at") <= first) & (pl.col("session") < sessions[-count])
    earlier, later = past.filter(is_before), past.filter(pl.col("session") >= sessions[-count])
    if earlier.is_empty():
        raise InvalidInputError(
            f"{purpose} holds back the last {share:.0%} of the training sessions, and of {sessions.len()} nothing is "
            "left to learn from: use fewer folds, ingest more sessions, or leave it out."
        )
    both, border = pl.concat([earlier, later]), earlier.height
    fold = (np.arange(border), np.arange(border, both.height))
    check_folds([fold], timestamp=both["timestamp"].to_numpy(), known_at=both["known_at"].to_numpy())
    return earlier, later
