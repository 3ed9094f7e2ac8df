"""Scores of out-of-sample predictions beside a baseline that looks at no feature.

The baseline knows the training labels only. For a direction: always the more frequent class, with its
frequency as the probability. For a return: the mean of the training labels, and also plain zero, which is
harder to beat because the mean of minute returns is mostly noise (Gu, Kelly and Xiu 2020,
https://doi.org/10.1093/rfs/hhaa009, score against zero for that reason).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from barlake.errors import InvalidInputError
from training_service.labels import Task

__all__ = ["Outcome", "beats_baseline", "score", "verdict"]

FloatArray = npt.NDArray[np.float64]
Scores = dict[str, float | int | None]


@dataclass(frozen=True)
class Outcome:
    """What was predicted for rows with a label, what came, and what the baseline said.

    Parameters
    ----------
    label
        Shape (n_rows,): 0.0 or 1.0 for a direction, log return for a return. No NaN.
    prediction
        Shape (n_rows,): probability of 1, or log return.
    baseline
        Shape (n_rows,): mean of the training labels of the fold each row belongs to.
    """

    label: FloatArray
    prediction: FloatArray
    baseline: FloatArray

    @classmethod
    def pooled(cls, outcomes: Sequence[Outcome]) -> Outcome:
        """Several folds as one, in order."""
        return cls(
            np.concatenate([one.label for one in outcomes]),
            np.concatenate([one.prediction for one in outcomes]),
            np.concatenate([one.baseline for one in outcomes]),
        )


def score(outcome: Outcome, task: Task) -> Scores:
    """Figures by name; None where a figure is not defined for these rows.

    For a direction: rows, up_share, accuracy, baseline_accuracy, log_loss, baseline_log_loss (natural log),
    auc, balanced_accuracy (both 0.5 for a baseline, None with one class).

    For a return: rows, r2_vs_mean, r2_vs_zero (1 - squared error / squared error of that baseline), mae,
    baseline_mae, rmse, baseline_rmse (log return; the baseline of the last two is the training mean), and
    information_coefficient (Spearman's rank correlation of prediction and label, None if either is constant).

    Raises
    ------
    InvalidInputError
        If there is no row.
    """
    if outcome.label.size == 0:
        raise InvalidInputError(
            "a fold has no labelled row to score: use fewer folds, a shorter horizon or more sessions."
        )
    return _score_direction(outcome) if task is Task.CLASSIFICATION else _score_return(outcome)


def beats_baseline(scores: Mapping[str, float | int | None], task: Task) -> bool:
    """Whether the model is better than the baseline by every measure the two share.

    Examples
    --------
    >>> figures = {"accuracy": 0.52, "baseline_accuracy": 0.51, "log_loss": 0.693, "baseline_log_loss": 0.692}
    >>> beats_baseline(figures, Task.CLASSIFICATION)
    False
    """
    figures = {name: value for name, value in scores.items() if value is not None}
    if task is Task.CLASSIFICATION:
        return figures["accuracy"] > figures["baseline_accuracy"] and figures["log_loss"] < figures["baseline_log_loss"]
    return figures.get("r2_vs_mean", -1.0) > 0 and figures.get("r2_vs_zero", -1.0) > 0


def verdict(
    overall: Mapping[str, float | int | None],
    folds: Sequence[Mapping[str, float | int | None]],
    task: Task,
) -> str:
    """One plain sentence: does the model beat the baseline, over all folds and in how many of them."""
    won = sum(beats_baseline(fold, task) for fold in folds)
    does = "beats" if beats_baseline(overall, task) else "does NOT beat"
    names = (
        (("accuracy", "baseline_accuracy"), ("log_loss", "baseline_log_loss"))
        if task is Task.CLASSIFICATION
        else (("rmse", "baseline_rmse"), ("mae", "baseline_mae"))
    )
    figures = ", ".join(f"{name} {overall[name]:.6g} against {overall[base]:.6g}" for name, base in names)
    return f"The model {does} the baseline out of sample: {figures}; better in {won} of {len(folds)} folds."


def _score_direction(outcome: Outcome) -> Scores:
    label, prediction, baseline = outcome.label, outcome.prediction, outcome.baseline
    guess = (prediction > 0.5).astype(np.float64)  # noqa: PLR2004 - even odds
    has_both = np.unique(label).size > 1
    return {
        "rows": int(label.size),
        "up_share": float(label.mean()),
        "accuracy": float((guess == label).mean()),
        "baseline_accuracy": float(((baseline > 0.5) == label).mean()),  # noqa: PLR2004 - even odds
        "log_loss": float(log_loss(label, prediction, labels=[0.0, 1.0])),
        "baseline_log_loss": float(log_loss(label, baseline, labels=[0.0, 1.0])),
        "auc": float(roc_auc_score(label, prediction)) if has_both else None,
        "balanced_accuracy": float(balanced_accuracy_score(label, guess)) if has_both else None,
    }


def _score_return(outcome: Outcome) -> Scores:
    label, prediction, baseline = outcome.label, outcome.prediction, outcome.baseline
    error, baseline_error = label - prediction, label - baseline
    return {
        "rows": int(label.size),
        "r2_vs_mean": _r2(error, baseline_error),
        "r2_vs_zero": _r2(error, label),
        "mae": float(np.abs(error).mean()),
        "baseline_mae": float(np.abs(baseline_error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "baseline_rmse": float(np.sqrt((baseline_error**2).mean())),
        "information_coefficient": _rank_correlation(prediction, label),
    }


def _r2(error: FloatArray, baseline_error: FloatArray) -> float | None:
    total = float((baseline_error**2).sum())
    return 1.0 - float((error**2).sum()) / total if total > 0 else None


def _rank_correlation(left: FloatArray, right: FloatArray) -> float | None:
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    return float(np.corrcoef(rankdata(left), rankdata(right))[0, 1])
