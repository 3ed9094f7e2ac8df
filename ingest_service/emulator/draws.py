"""Chances that depend on a seed and an instant alone, so that they are the same whenever they are asked for."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

__all__ = ["drawn"]


def drawn(stamps: npt.NDArray[np.int64], *, share: float, key: str) -> npt.NDArray[np.bool_]:
    """Which of these instants are drawn, about `share` of them (SplitMix64, Steele et al. 2014)."""
    seed = zlib.crc32(key.encode())
    with np.errstate(over="ignore"):
        mixed = stamps.astype(np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    chosen: npt.NDArray[np.bool_] = mixed / np.float64(2**64) < share
    return chosen
