"""How a dataset is split, settled from options before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from barlake.errors import InvalidInputError, did_you_mean
from training_service.folds import Fold, RowArray, WalkForward, Window, require_at_least
from training_service.refit import Refit

__all__ = ["FoldSpec"]

_USUAL = 5


@dataclass(frozen=True)
class FoldSpec:
    """Walk-forward folds over sessions.

    Parameters
    ----------
    n_splits
        How many folds; at least 1. With `refit` that many of the latest periods are tested; None: all but the
        first.
    window
        `anchored` trains on everything before a test, `rolling` on the last `train_sessions` sessions.
    train_sessions
        Length of a rolling window; None: as many sessions as the first fold has.
    embargo_sessions
        How many sessions right before a test are left out, on top of the purge.
    whole_sessions
        Whether tests begin and end with a session. If not, they begin anywhere, and the lengths above count
        rows instead.
    refit
        None: tests of equal length. A schedule: each test is one of its periods.

    Raises
    ------
    InvalidInputError
        If a value is out of range, `train_sessions` is given for an anchored window, or `refit` without whole
        sessions.
    """

    n_splits: int | None = 5
    window: Window = Window.ANCHORED
    train_sessions: int | None = None
    embargo_sessions: int = 0
    whole_sessions: bool = True
    refit: Refit | None = None

    def __post_init__(self) -> None:
        if self.n_splits is not None:
            require_at_least("folds", self.n_splits, 1)
        elif self.refit is None:
            raise InvalidInputError("folds None is no number of tests: give one, or a schedule such as refit 'month'.")
        if self.refit is not None and not self.whole_sessions:
            raise InvalidInputError(f"refit '{self.refit}' counts sessions: leave whole_sessions as it is.")
        require_at_least("embargo_sessions", self.embargo_sessions, 0)
        if self.train_sessions is None:
            return
        require_at_least("train_sessions", self.train_sessions, 1)
        if self.window is not Window.ROLLING:
            raise InvalidInputError(
                f"train_sessions {self.train_sessions} is for a rolling window: an anchored one trains on all that "
                "came before. Leave it out, or use window 'rolling'."
            )

    @classmethod
    def parse(
        cls,
        n_splits: int | None = None,
        *,
        window: str = Window.ANCHORED,
        train_sessions: int | None = None,
        embargo_sessions: int = 0,
        refit: str | None = None,
    ) -> FoldSpec:
        """Folds as options give them; the window by its name, in any case.

        Parameters
        ----------
        n_splits
            None: five, or with `refit` every period but the first.
        refit
            As `Refit.parse` reads it.
        """
        names = [member.value for member in Window]
        if str(window).lower() not in names:
            raise InvalidInputError(
                f"window {window!r} is not known: use {' or '.join(names)}.{did_you_mean(str(window), names)}"
            )
        schedule = None if refit is None else Refit.parse(refit)
        count = _USUAL if n_splits is None and refit is None else n_splits
        return cls(count, Window(str(window).lower()), train_sessions, embargo_sessions, refit=schedule)

    def count(self, frame: pl.DataFrame) -> int:
        """How many folds `split` gives of rows with these sessions."""
        return self.n_splits if self.n_splits is not None else len(self._test_sessions(frame))

    def split(self, frame: pl.DataFrame) -> list[Fold]:
        """Folds of rows with session, timestamp and known_at; errors as in `WalkForward.split`."""
        splitter = WalkForward(
            self.count(frame),
            timestamp=frame["timestamp"].to_numpy(),
            known_at=frame["known_at"].to_numpy(),
            window=self.window,
            train_groups=self.train_sessions,
            embargo=self.embargo_sessions,
            test_groups=None if self.refit is None else self._test_sessions(frame),
        )
        return list(splitter.split(frame, groups=frame["session"].to_numpy() if self.whole_sessions else None))

    def _test_sessions(self, frame: pl.DataFrame) -> RowArray:
        assert self.refit is not None  # noqa: S101 - asked only where there is a schedule
        return self.refit.test_sessions(frame["session"].unique(maintain_order=True), latest=self.n_splits)

    def as_dict(self) -> dict[str, Any]:
        """Give the folds as a manifest holds them.

        Examples
        --------
        >>> FoldSpec.parse(3, window="rolling", train_sessions=20).as_dict()
        {'folds': 3, 'window': 'rolling', 'train_sessions': 20, 'embargo_sessions': 0, 'refit': None}
        """
        return {
            "folds": self.n_splits,
            "window": self.window.value,
            "train_sessions": self.train_sessions,
            "embargo_sessions": self.embargo_sessions,
            "refit": None if self.refit is None else str(self.refit),
        }
