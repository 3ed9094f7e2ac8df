"""Gaps of a table filled from above."""

from __future__ import annotations

import numpy as np

from simulation_service.ticks import FloatArray

__all__ = ["carried"]


def carried(table: FloatArray, *, before: float) -> FloatArray:
    """Each column with its gaps filled by the value above, and `before` on top."""
    row = np.where(np.isnan(table), 0, np.arange(table.shape[0])[:, None])
    np.maximum.accumulate(row, axis=0, out=row)
    found = np.take_along_axis(table, row, axis=0)
    return np.where(np.isnan(found), before, found)
