"""How much of a score is luck: the same model over many histories instead of one.

A walk forward tests each session once, and one draw proves little. Combinatorial purged folds test each block of
sessions several times, by models that never saw it; put together they are whole histories ("paths"), each
with scores of its own. Such a model may have learned from what came after its test, so that its predictions
cannot be traded: only the spread of the scores is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError
from training_service.combinatorial_folds import CombinatorialPurged
from training_service.dataset import Dataset
from training_service.fold_check import check_folds
from training_service.folds import Fold, require_at_least
from training_service.outcomes import Outcome
from training_service.scores import METRICS, score
from training_service.walk import FittedFold, MakeModel, Progress, fit_folds

__all__ = ["CombinatorialSpec", "PathScores", "combinatorial_scores"]


@dataclass(frozen=True)
class CombinatorialSpec:
    """Combinatorial purged folds over sessions.

    Parameters
    ----------
    blocks, test_blocks
        Into how many blocks the sessions are cut, and how many of them each fold tests.
    embargo_sessions
        How many sessions right after a test are left out of its training.

    Raises
    ------
    InvalidInputError
        If there is no block to train on, or none to test.
    """

    blocks: int = 6
    test_blocks: int = 2
    embargo_sessions: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.test_blocks < self.blocks:
            raise InvalidInputError(
                f"combinatorial {self.blocks},{self.test_blocks}: test fewer blocks than there are, and at least one, "
                "such as 6,2."
            )
        require_at_least("embargo_sessions", self.embargo_sessions, 0)

    @classmethod
    def parse(cls, text: str) -> CombinatorialSpec:
        """Folds from a text such as `6,2`: blocks, then blocks that each fold tests.

        Examples
        --------
        >>> CombinatorialSpec.parse("6,2").test_blocks
        2
        """
        try:
            blocks, test_blocks = (int(part) for part in text.split(","))
        except ValueError:
            raise InvalidInputError(
                f"combinatorial {text!r} is not understood: write blocks,tested such as 6,2."
            ) from None
        return cls(blocks, test_blocks)

    def as_dict(self) -> dict[str, int]:
        """Give the folds as a manifest holds them."""
        return {
            "blocks": self.blocks,
            "test_blocks": self.test_blocks,
            "embargo_sessions": self.embargo_sessions,
        }

    @property
    def fits(self) -> int:
        """How many models are fitted: every choice of test blocks once."""
        return math.comb(self.blocks, self.test_blocks)

    def splitter(self, frame: pl.DataFrame) -> CombinatorialPurged:
        """Splitter of rows with timestamp and known_at."""
        return CombinatorialPurged(
            self.blocks,
            self.test_blocks,
            timestamp=frame["timestamp"].to_numpy(),
            known_at=frame["known_at"].to_numpy(),
            embargo=self.embargo_sessions,
        )


@dataclass(frozen=True)
class PathScores:
    """Scores of every path.

    Parameters
    ----------
    folds
        Row numbers of training and test of each fit.
    frame
        One row per path and metric: path, metric, value (null where it is not defined).
    """

    folds: tuple[Fold, ...]
    frame: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Give the spread as JSON can hold it: by metric the least, middle and greatest value of the paths."""
        by_metric = self.frame.group_by("metric", maintain_order=True).agg(
            pl.col("value").min().alias("low"),
            pl.col("value").median().alias("median"),
            pl.col("value").max().alias("high"),
        )
        rows = by_metric.rows_by_key("metric", named=True, unique=True)
        return {"fits": len(self.folds), "paths": self.frame["path"].n_unique(), "metrics": rows}


def combinatorial_scores(
    dataset: Dataset,
    spec: CombinatorialSpec,
    make_model: MakeModel,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> PathScores:
    """Scores of every path of combinatorial purged folds; parameters as in `walk_forward`.

    Raises
    ------
    InvalidInputError
        If there are fewer sessions than blocks, or a fold lacks labels of both classes.
    """
    frame, splitter = dataset.frame, spec.splitter(dataset.frame)
    sessions = frame["session"].to_numpy()
    folds = tuple(splitter.split(frame, groups=sessions))
    check_folds(
        folds,
        timestamp=splitter.timestamp,
        known_at=splitter.known_at,
        may_train_later=True,
        embargo=spec.embargo_sessions,
        groups=sessions,
    )
    fitted = fit_folds(dataset, folds, make_model, workers=workers, progress=progress)
    blocks = np.array_split(np.unique(sessions), spec.blocks)
    task = dataset.spec.task
    rows = [
        {"path": number, "metric": metric, "value": scores["metrics"][metric]["value"]}
        for number, path in enumerate(splitter.path_folds())
        for scores in (score(_outcome_of(path, blocks, fitted), task),)
        for metric in METRICS[task]
    ]
    schema = {"path": pl.Int32, "metric": pl.String, "value": pl.Float64}
    return PathScores(folds, pl.DataFrame(rows, schema=schema))


def _outcome_of(
    path: npt.NDArray[np.intp], blocks: Sequence[npt.NDArray[np.generic]], fitted: Sequence[FittedFold]
) -> Outcome:
    """Each block as the fold that this path takes for it saw it, oldest first."""
    return Outcome.pooled([_of_sessions(fitted[fold].outcome, block) for fold, block in zip(path, blocks, strict=True)])


def _of_sessions(outcome: Outcome, sessions: npt.NDArray[np.generic]) -> Outcome:
    kept = np.isin(outcome.session, sessions)
    return Outcome(*(getattr(outcome, field.name)[kept] for field in fields(Outcome)))
