"""What the same pipeline scores on labels that cannot be foreseen: labels shifted in time, everything fitted again.

A shifted label keeps its neighbours, so that it overlaps with them as before and is as easy or as hard to fit; only
what ties it to its own row is gone. Where folds share labels, a pipeline chooses after the fact or is merely lucky, it
does so on placebos too. A feature that looks ahead is lost with the tie: placebos do not show it, the leak proof does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from training_service.dataset import Dataset
from training_service.folds import Fold
from training_service.outcomes import Outcome
from training_service.scores import headline, headline_value
from training_service.walk import MakeModel, Progress, walk_forward

__all__ = ["PlaceboReport", "placebo_test", "shifted"]


@dataclass(frozen=True)
class PlaceboReport:
    """How a model stands among placebos.

    Parameters
    ----------
    metric
        What was compared: `auc` of classes, `information_coefficient` of numbers.
    value
        Of the model itself.
    placebos
        Of each placebo, in the order in which they were drawn.
    p_value
        Share of all, the model among them, that scored at least as well: small where the labels were foreseen.
    """

    metric: str
    value: float
    placebos: tuple[float, ...]
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        """Give the report as JSON can hold it."""
        return {**asdict(self), "placebos": list(self.placebos)}

    @property
    def sentence(self) -> str:
        """One plain sentence for people."""
        better = sum(one >= self.value for one in self.placebos)
        return (
            f"Placebo: {better} of {len(self.placebos)} fits on shifted labels reach the {self.metric} of "
            f"{self.value:.4g}; p = {self.p_value:.3g}."
        )


def placebo_test(
    dataset: Dataset,
    folds: Sequence[Fold],
    make_model: MakeModel,
    *,
    runs: int,
    seed: int = 0,
    value: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> PlaceboReport:
    """Fit and predict every fold again for each of some random shifts of the labels.

    Parameters
    ----------
    folds, make_model, workers
        As in `walk_forward`; the folds are those of the model itself.
    value
        What the model itself scored; None fits it here too.
    progress
        Called after each run.

    Raises
    ------
    InvalidInputError
        If `runs` is below 1, there are fewer than four sessions, or the metric is not defined for the model.
    """
    if runs < 1:
        raise InvalidInputError(f"placebo {runs} is below 1: a p-value needs at least one run, and 100 say more.")
    own = _score(dataset, folds, make_model, workers) if value is None else value
    found = []
    for number, shift in enumerate(_shifts(dataset.frame, runs, seed), start=1):
        found.append(_score(shifted(dataset, shift), folds, make_model, workers))
        if progress is not None:
            progress(f"placebo {number} fitted", number, runs)
    reached = sum(one >= own for one in found)
    return PlaceboReport(headline(dataset.spec.task), own, tuple(found), (1 + reached) / (1 + runs))


def shifted(dataset: Dataset, rows: int) -> Dataset:
    """The same dataset with every label moved so many labelled rows later; what falls off at the end begins anew.

    Rows without a label stay without, and `known_at` stays where it is: folds and their purge do not change.
    """
    label = dataset.frame["label"]
    labelled = np.flatnonzero(label.is_not_null().to_numpy())
    moved = label.to_numpy(writable=True)
    moved[labelled] = np.roll(moved[labelled], rows)
    frame = dataset.frame.with_columns(pl.Series("label", moved).fill_nan(None))
    return Dataset(dataset.symbol, dataset.spec, frame, dataset.columns, dataset.join)


def _shifts(frame: pl.DataFrame, runs: int, seed: int) -> list[int]:
    """Random shifts by at least the longest session in both directions, so that no label stays in its session."""
    labelled = frame.filter(pl.col("label").is_not_null())
    longest = int(labelled["session"].value_counts()["count"].max() or 0)  # type: ignore[arg-type]  # polars' Any
    if labelled.height < 4 * longest or not longest:
        raise InvalidInputError(
            f"a placebo needs four sessions with labels, there are {labelled['session'].n_unique()}: ingest more."
        )
    return [int(one) for one in np.random.default_rng(seed).integers(longest, labelled.height - longest + 1, runs)]


def _score(dataset: Dataset, folds: Sequence[Fold], make_model: MakeModel, workers: int | None) -> float:
    fitted = walk_forward(dataset, folds, make_model, workers=workers)
    value = headline_value(Outcome.pooled([fold.outcome for fold in fitted]), dataset.spec.task)
    if value is None:
        # A model that says the same of every row tells nothing apart.
        return 0.5 if headline(dataset.spec.task) == "auc" else 0.0
    return value
