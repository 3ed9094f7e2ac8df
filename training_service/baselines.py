"""Scores that nothing but the labels gives: what a prediction is worth when it knows nothing of its row.

Shuffled labels are not drawn here but averaged over all their orders at once: the figures are exact, and the
same every time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training_service.outcomes import EVEN_ODDS

__all__ = ["log_losses", "shuffled_classes", "shuffled_numbers"]

FloatArray = npt.NDArray[np.float64]

_SMALLEST = float(np.finfo(np.float64).eps)
"""Nearest that a probability is taken to come to 0 and 1, as scikit-learn's `log_loss` does."""


def log_losses(label: FloatArray, probability: FloatArray) -> FloatArray:
    """Log loss of each row (natural log), for labels 0.0 and 1.0; shape (n_rows,)."""
    safe = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    return -np.where(label == 1, np.log(safe), np.log1p(-safe))


def shuffled_classes(label: FloatArray, probability: FloatArray) -> dict[str, float | None]:
    """Mean scores over every order of the labels; with one class alone, balanced accuracy and AUC are None.

    Examples
    --------
    >>> shuffled_classes(np.array([1.0, 1.0, 1.0, 0.0]), np.array([0.9, 0.9, 0.9, 0.9]))["accuracy"]
    0.75
    """
    ones, guessed = float(label.mean()), float((probability > EVEN_ODDS).mean())
    always = np.ones(label.size)
    chance = 0.5 if 0 < ones < 1 else None
    return {
        "accuracy": ones * guessed + (1 - ones) * (1 - guessed),
        "balanced_accuracy": chance,
        "auc": chance,
        "log_loss": float(
            ones * log_losses(always, probability).mean() + (1 - ones) * log_losses(always * 0, probability).mean()
        ),
    }


def shuffled_numbers(label: FloatArray, prediction: FloatArray, training_mean: FloatArray) -> dict[str, float | None]:
    """Mean scores over every order of the labels; R2 from mean squared errors, None where the labels are all 0.

    The information coefficient is 0 unless a side does not vary.
    """
    squared, of_mean = _mean_squared_gap(label, prediction), _mean_squared_gap(label, training_mean)
    of_zero = float((label**2).mean())
    varies = np.ptp(label) > 0 and np.ptp(prediction) > 0
    return {
        "r2_vs_mean": 1 - squared / of_mean if of_mean > 0 else None,
        "r2_vs_zero": 1 - squared / of_zero if of_zero > 0 else None,
        "information_coefficient": 0.0 if varies else None,
        "mae": _mean_gap(label, prediction),
        "rmse": squared**0.5,
    }


def _mean_squared_gap(left: FloatArray, right: FloatArray) -> float:
    """Mean squared difference of all pairs, one of each side."""
    return float(left.var() + right.var() + (left.mean() - right.mean()) ** 2)


def _mean_gap(left: FloatArray, right: FloatArray) -> float:
    """Mean absolute difference of all pairs, one of each side."""
    ordered = np.sort(right)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    below = np.searchsorted(ordered, left)
    gaps = left * (2 * below - ordered.size) + sums[-1] - 2 * sums[below]
    return float(gaps.mean() / ordered.size)
