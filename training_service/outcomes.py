"""What was predicted for the rows of a test, what came, and what could be said without looking at a feature."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import polars as pl

from training_service.targets import Task

__all__ = ["Outcome", "outcome_columns", "session_returns"]

FloatArray = npt.NDArray[np.float64]

EVEN_ODDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """Test rows with a label, in any order of folds; all arrays have the shape (n_rows,).

    Parameters
    ----------
    label
        0.0 or 1.0 for a class, otherwise a number. No NaN.
    prediction
        Probability of a 1, or the number predicted.
    training_mean
        Mean of the training labels of the fold each row belongs to.
    last_label
        The newest label known when the row's bar closed, NaN where there is none yet.
    realised_return
        Log return from the close of the row's bar to the close of the bar its label ends with, NaN where that
        bar is not in the dataset.
    session
        Session of each row, datetime64.
    """

    label: FloatArray
    prediction: FloatArray
    training_mean: FloatArray
    last_label: FloatArray
    realised_return: FloatArray
    session: npt.NDArray[np.datetime64]

    @classmethod
    def of(cls, rows: pl.DataFrame, prediction: FloatArray, *, training_mean: float) -> Outcome:
        """Outcome of predictions for test rows of a dataset with the columns of `outcome_columns`; labelled ones only.

        Parameters
        ----------
        prediction
            One per row.
        """
        has_label = rows["label"].is_not_null()
        known = rows.filter(has_label)
        return cls(
            label=known["label"].to_numpy(),
            prediction=prediction[has_label.to_numpy()],
            training_mean=np.full(known.height, training_mean),
            last_label=known["last_label"].to_numpy(),
            realised_return=known["realised_return"].to_numpy(),
            session=known["session"].to_numpy(),
        )

    @classmethod
    def pooled(cls, outcomes: Sequence[Outcome]) -> Outcome:
        """Several folds as one, in order."""
        return cls(*(np.concatenate([getattr(one, field.name) for one in outcomes]) for field in fields(cls)))


def outcome_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """What `Outcome` needs of each row of a dataset besides its label: last_label and realised_return, NaN if unknown.

    Parameters
    ----------
    frame
        session, timestamp, close, label, known_at; rows in time order, as a dataset has them.
    """
    minute = pl.duration(minutes=1)
    known = (
        frame.select("known_at", pl.col("label").alias("last_label")).drop_nulls().sort("known_at", maintain_order=True)
    )
    now = frame.select((pl.col("timestamp") + minute).alias("now"))
    last = now.join_asof(known, left_on="now", right_on="known_at", strategy="backward")
    closes = frame.select((pl.col("timestamp") + minute).alias("known_at"), pl.col("close").alias("end_close"))
    ends = frame.select("known_at", "close").join(closes, on="known_at", how="left", maintain_order="left")
    realised = (pl.col("end_close") / pl.col("close")).log().alias("realised_return")
    return pl.concat([last.select("last_label"), ends.select(realised)], how="horizontal").fill_null(np.nan)


def session_returns(outcome: Outcome, task: Task) -> dict[dt.date, float]:
    """Mean log return of a stake on every prediction, by session, before any cost.

    Each row stakes the same amount, long where a rise is predicted and short where a fall is, from the close
    of its bar to the end of its label. Stakes of neighbouring rows overlap: the mean over a session is what one
    of them earned, not what an account would have.
    """
    gains = session_gains(outcome, outcome.prediction, task)
    return {row["session"]: row["gain"] for row in gains.iter_rows(named=True)}


def session_gains(outcome: Outcome, prediction: FloatArray, task: Task) -> pl.DataFrame:
    """One row per session that has a realised return, oldest first: session, gain."""
    rise = prediction - EVEN_ODDS if task is Task.CLASSIFICATION else prediction
    # A probability of exactly a half is no rise, as in every other figure.
    side = np.where(rise > 0, 1.0, -1.0) if task is Task.CLASSIFICATION else np.sign(rise)
    gains = pl.DataFrame({"session": outcome.session, "gain": side * outcome.realised_return})
    by_session = gains.filter(pl.col("gain").is_not_nan()).group_by("session").agg(pl.col("gain").mean())
    return by_session.cast({"session": pl.Date()}).sort("session")
