"""How a dataset is split, settled from options before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from barlake.errors import InvalidInputError, did_you_mean
from training_service.folds import Fold, WalkForward, Window, require_at_least

__all__ = ["FoldSpec"]


@dataclass(frozen=True)
class FoldSpec:
    """Walk-forward folds over sessions.

    Parameters
    ----------
    n_splits
        How many folds; at least 1.
    window
        `anchored` trains on everything before a test, `rolling` on the last `train_sessions` sessions.
    train_sessions
        Length of a rolling window; None: as many sessions as the first fold has.
    embargo_sessions
        How many sessions right before a test are left out, on top of the purge.
    whole_sessions
        Whether tests begin and end with a session. If not, they begin anywhere, and the lengths above count
        rows instead.

    Raises
    ------
    InvalidInputError
        If a value is out of range, or `train_sessions` is given for an anchored window.
    """

    n_splits: int = 5
    window: Window = Window.ANCHORED
    train_sessions: int | None = None
    embargo_sessions: int = 0
    whole_sessions: bool = True

    def __post_init__(self) -> None:
        require_at_least("folds", self.n_splits, 1)
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
        n_splits: int = 5,
        *,
        window: str = Window.ANCHORED,
        train_sessions: int | None = None,
        embargo_sessions: int = 0,
    ) -> FoldSpec:
        """Folds as options give them; the window by its name, in any case."""
        names = [member.value for member in Window]
        if str(window).lower() not in names:
            raise InvalidInputError(
                f"window {window!r} is not known: use {' or '.join(names)}.{did_you_mean(str(window), names)}"
            )
        return cls(n_splits, Window(str(window).lower()), train_sessions, embargo_sessions)

    def split(self, frame: pl.DataFrame) -> list[Fold]:
        """Folds of rows with session, timestamp and known_at; errors as in `WalkForward.split`."""
        splitter = WalkForward(
            self.n_splits,
            timestamp=frame["timestamp"].to_numpy(),
            known_at=frame["known_at"].to_numpy(),
            window=self.window,
            train_groups=self.train_sessions,
            embargo=self.embargo_sessions,
        )
        return list(splitter.split(frame, groups=frame["session"].to_numpy() if self.whole_sessions else None))

    def as_dict(self) -> dict[str, Any]:
        """Give the folds as a manifest holds them.

        Examples
        --------
        >>> FoldSpec.parse(3, window="rolling", train_sessions=20).as_dict()
        {'folds': 3, 'window': 'rolling', 'train_sessions': 20, 'embargo_sessions': 0}
        """
        return {
            "folds": self.n_splits,
            "window": self.window.value,
            "train_sessions": self.train_sessions,
            "embargo_sessions": self.embargo_sessions,
        }
