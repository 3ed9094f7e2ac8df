"""Scores of out-of-sample predictions, each with its interval, beside three baselines that look at no feature.

`constant` knows the training labels only: the more frequent class with its frequency as probability, or their
mean. `last` says that what came last comes again: the newest label known when the bar closed. `shuffled` is the
model itself, with the test labels dealt out to its predictions at random: what it scores by leaning to one side,
not by knowing. R2 is also taken against plain zero, which is harder to beat than the mean, because the mean of
minute returns is mostly noise (Gu, Kelly and Xiu 2020, https://doi.org/10.1093/rfs/hhaa009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError
from training_service import baselines
from training_service.bootstrap import Figure, SessionBlocks, auc, figure, rank_correlation
from training_service.outcomes import EVEN_ODDS, Outcome, session_gains
from training_service.targets import Task

__all__ = ["BASELINES", "LOSSES", "METRICS", "Judgement", "headline", "headline_value", "judge", "score", "verdict"]

FloatArray = npt.NDArray[np.float64]
Draws = dict[str, FloatArray]
Scores = dict[str, Any]

METRICS: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: ("accuracy", "balanced_accuracy", "auc", "log_loss", "session_sharpe"),
    Task.REGRESSION: ("r2_vs_mean", "r2_vs_zero", "information_coefficient", "mae", "rmse", "session_sharpe"),
}
LOSSES = frozenset({"log_loss", "mae", "rmse"})
"""Metrics of which less is better."""

BASELINES: Mapping[Task, Mapping[str, str]] = {
    Task.CLASSIFICATION: {"constant": "majority", "last": "last direction", "shuffled": "shuffled labels"},
    Task.REGRESSION: {"constant": "training mean", "last": "last label", "shuffled": "shuffled labels"},
}
"""Names of the baselines, with what people call them."""

_JUDGED: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: ("accuracy", "log_loss"),
    Task.REGRESSION: ("r2_vs_mean", "r2_vs_zero"),
}


class Judgement(StrEnum):
    """What the scores say of a model against the constant baseline."""

    BEATS = "beats the baseline"
    UNCLEAR = "cannot be told from the baseline"
    FAILS = "does NOT beat the baseline"


def score(outcome: Outcome, task: Task) -> Scores:
    """Figures of a test, as JSON can hold them; None where one is not defined for these rows.

    Returns
    -------
    rows, sessions, label_mean; `metrics`: by name (`METRICS`) a value with low and high, the 95 % interval of
    the bootstrap of session blocks; `baselines`: by name (`BASELINES`) the values of the same metrics; `advantage`: by
    metric that is judged, how much better than `constant` the model is, with its interval from the same draws,
    above 0 where it is better.

    accuracy, balanced_accuracy, auc, log_loss (natural log) of classes; r2_vs_mean, r2_vs_zero (1 - squared
    error / that of the training mean or of zero), information_coefficient (Spearman's rank correlation of
    prediction and label), mae and rmse (units of the label) of numbers. session_sharpe: mean over deviation of
    `session_returns`, not annualised, before costs.

    Raises
    ------
    InvalidInputError
        If there is no row.
    """
    if outcome.label.size == 0:
        raise InvalidInputError(
            "a fold has no labelled row to score: use fewer folds, a shorter horizon or more sessions."
        )
    blocks = SessionBlocks(outcome.session)
    model = _draws(outcome, outcome.prediction, task, blocks)
    constant = _draws(outcome, outcome.training_mean, task, blocks)
    return {
        "rows": int(outcome.label.size),
        "sessions": blocks.sessions,
        "label_mean": float(outcome.label.mean()),
        "metrics": {name: figure(model[name], sessions=blocks.sessions) for name in METRICS[task]},
        "baselines": _baselines(outcome, task, blocks.sample),
        "advantage": _advantage(model, constant, task, sessions=blocks.sessions),
    }


def headline(task: Task) -> str:
    """The metric that stands for a model: how well it tells rows apart, whatever its level."""
    return "auc" if task is Task.CLASSIFICATION else "information_coefficient"


def headline_value(outcome: Outcome, task: Task) -> float | None:
    """Value of the headline metric alone; None where it is not defined."""
    sample = SessionBlocks(outcome.session, replicates=0)
    measure = (
        auc(sample, outcome.label, outcome.prediction)
        if task is Task.CLASSIFICATION
        else (rank_correlation(sample, outcome.prediction, outcome.label))
    )
    return None if np.isnan(measure[0]) else float(measure[0])


def judge(scores: Mapping[str, Any]) -> Judgement:
    """Whether a model beats the constant baseline by every judged metric, with an interval wholly above 0.

    Examples
    --------
    >>> better = {"value": 0.01, "low": -0.002, "high": 0.02}
    >>> judge({"advantage": {"accuracy": better, "log_loss": better}})
    <Judgement.UNCLEAR: 'cannot be told from the baseline'>
    """
    advantages = list(scores["advantage"].values())
    if any(one["value"] is None or one["value"] <= 0 for one in advantages):
        return Judgement.FAILS
    if any(one["low"] is None or one["low"] <= 0 for one in advantages):
        return Judgement.UNCLEAR
    return Judgement.BEATS


def verdict(overall: Mapping[str, Any], folds: Sequence[Mapping[str, Any]], task: Task) -> str:
    """One plain sentence: does the model beat the baseline, over all folds and in how many of them."""
    won = sum(judge(fold) is not Judgement.FAILS for fold in folds)
    figures = ", ".join(_beside(name, overall) for name in _JUDGED[task])
    return f"The model {judge(overall)} out of sample: {figures}; better in {won} of {len(folds)} folds."


def _beside(name: str, scores: Mapping[str, Any]) -> str:
    found, base = scores["metrics"][name], scores["baselines"]["constant"][name]
    if found["value"] is None:
        return f"{name} is not defined"
    interval = "" if found["low"] is None else f" [{found['low']:.4g}, {found['high']:.4g}]"
    return f"{name} {found['value']:.4g}{interval} against {base:.4g}"


def _advantage(model: Draws, constant: Draws, task: Task, *, sessions: int) -> dict[str, Figure]:
    found = {}
    for name in _JUDGED[task]:
        # R2 is a comparison in itself.
        better = model[name] if name.startswith("r2") else model[name] - constant[name]
        found[name] = figure(-better if name in LOSSES else better, sessions=sessions)
    return found


def _baselines(outcome: Outcome, task: Task, sample: SessionBlocks) -> dict[str, dict[str, float | None]]:
    last = np.where(np.isnan(outcome.last_label), outcome.training_mean, outcome.last_label)
    found = {
        "constant": _values(_draws(outcome, outcome.training_mean, task, sample)),
        "last": _values(_draws(outcome, last, task, sample)),
    }
    if task is Task.CLASSIFICATION:
        # A class without a probability: the logarithm of 0 is no score.
        found["last"]["log_loss"] = None
        found["shuffled"] = baselines.shuffled_classes(outcome.label, outcome.prediction)
    else:
        found["shuffled"] = baselines.shuffled_numbers(outcome.label, outcome.prediction, outcome.training_mean)
    return {name: {metric: values.get(metric) for metric in METRICS[task]} for name, values in found.items()}


def _values(draws: Draws) -> dict[str, float | None]:
    return {name: None if np.isnan(scores[0]) else float(scores[0]) for name, scores in draws.items()}


def _draws(outcome: Outcome, prediction: FloatArray, task: Task, blocks: SessionBlocks) -> Draws:
    """Every metric of the sample and of each draw."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _of_classes if task is Task.CLASSIFICATION else _of_numbers
        return {
            **found(outcome, prediction, blocks),
            "session_sharpe": _sharpe(outcome, prediction, task, blocks),
        }


def _of_classes(outcome: Outcome, prediction: FloatArray, blocks: SessionBlocks) -> Draws:
    label = outcome.label
    is_right = (prediction > EVEN_ODDS) == label
    rows, ones = blocks.totals(np.ones(label.size)), blocks.totals(label)
    right, right_ones = blocks.totals(is_right), blocks.totals(is_right * label)
    return {
        "accuracy": right / rows,
        "balanced_accuracy": (right_ones / ones + (right - right_ones) / (rows - ones)) / 2,
        "auc": auc(blocks, label, prediction),
        "log_loss": blocks.totals(baselines.log_losses(label, prediction)) / rows,
    }


def _of_numbers(outcome: Outcome, prediction: FloatArray, blocks: SessionBlocks) -> Draws:
    label, rows = outcome.label, blocks.totals(np.ones(outcome.label.size))
    error, squared = label - prediction, blocks.totals((label - prediction) ** 2)
    return {
        "r2_vs_mean": 1 - squared / _positive(blocks.totals((label - outcome.training_mean) ** 2)),
        "r2_vs_zero": 1 - squared / _positive(blocks.totals(label**2)),
        "information_coefficient": rank_correlation(blocks, prediction, label),
        "mae": blocks.totals(np.abs(error)) / rows,
        "rmse": np.sqrt(squared / rows),
    }


def _positive(totals: FloatArray) -> FloatArray:
    """The same with NaN for 0."""
    return np.where(totals > 0, totals, np.nan)


def _sharpe(outcome: Outcome, prediction: FloatArray, task: Task, blocks: SessionBlocks) -> FloatArray:
    gains = session_gains(outcome, prediction, task)
    names = np.unique(outcome.session)
    rows = np.searchsorted(names, gains["session"].to_numpy().astype(names.dtype))
    gain, draws = gains["gain"].to_numpy(), blocks.draws[:, rows]
    count, total = draws.sum(axis=1), draws @ gain
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        variance = (draws @ gain**2 - count * mean**2) / (count - 1)
        return np.where(variance > 1e-12 * mean**2, mean / np.sqrt(variance), np.nan)
