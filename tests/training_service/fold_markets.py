"""Made-up rows to split: timestamps with holes, labels of any reach, sessions of any length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

Instants = npt.NDArray[np.datetime64]
MINUTE = np.timedelta64(1, "m")


def minutes(count: int) -> Instants:
    """Consecutive minutes of one morning."""
    return np.datetime64("2024-01-02T14:30", "us") + np.arange(count) * MINUTE


@dataclass(frozen=True)
class Market:
    """Rows in time order; `sessions` None: rows stand for themselves."""

    timestamp: Instants
    known_at: Instants
    sessions: npt.NDArray[np.int64] | None

    @property
    def group(self) -> npt.NDArray[np.int64]:
        """Number of each row's group."""
        return np.arange(self.timestamp.size) if self.sessions is None else self.sessions


@st.composite
def markets(draw: st.DrawFn, *, min_sessions: int = 2, by_row: bool | None = None) -> Market:
    """Timestamps with holes, some of them the same, and known_at of any reach with some missing."""
    lengths = draw(st.lists(st.integers(1, 8), min_size=min_sessions, max_size=14))
    count = sum(lengths)
    steps = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    reach = draw(st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=count, max_size=count))
    timestamp = minutes(1)[0] + np.cumsum(steps) * MINUTE
    known_at = np.array(
        [
            np.datetime64("NaT") if ahead is None else stamp + ahead * MINUTE
            for stamp, ahead in zip(timestamp, reach, strict=True)
        ],
        dtype="datetime64[us]",
    )
    rows_alone = draw(st.booleans()) if by_row is None else by_row
    return Market(timestamp, known_at, None if rows_alone else np.repeat(np.arange(len(lengths)), lengths))
