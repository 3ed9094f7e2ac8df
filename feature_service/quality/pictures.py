"""Small pictures for the page: lines, columns and a heat map, as SVG paths and one PNG. Pure.

Paths are drawn in a box of 100 x 30 units, which the page stretches.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["HEIGHT", "WIDTH", "band_path", "columns_path", "heat_map", "line_path"]

WIDTH, HEIGHT = 100, 30

_POSITIVE, _NEGATIVE = (31, 119, 190), (224, 109, 10)

Points = Sequence[float | None]


def line_path(values: Points, *, low: float, high: float) -> str:
    """A line through the values from left to right, interrupted where there is none.

    Examples
    --------
    >>> line_path([0.0, 1.0, None, 1.0], low=0.0, high=1.0)
    'M0 30L33.3 0M100 0h.1'
    """
    across, down = _across(len(values)), _down(values, low, high)
    return "".join(
        "M" + "L".join(f"{across[place]:g} {down[place]:g}" for place in run) + ("h.1" if len(run) == 1 else "")
        for run in _runs([value is not None for value in values])
    )


def band_path(lower: Points, upper: Points, *, low: float, high: float) -> str:
    """The area between two lines, interrupted where either has no value.

    Examples
    --------
    >>> band_path([0.0, 0.0], [1.0, 0.5], low=0.0, high=1.0)
    'M0 0L100 15L100 30L0 30Z'
    """
    across = _across(len(lower))
    bottom, top = _down(lower, low, high), _down(upper, low, high)
    shapes = []
    for run in _runs([a is not None and b is not None for a, b in zip(lower, upper, strict=True)]):
        there = [f"{across[place]:g} {top[place]:g}" for place in run]
        back = [f"{across[place]:g} {bottom[place]:g}" for place in reversed(run)]
        shapes.append("M" + "L".join(there + back) + "Z")
    return "".join(shapes)


def columns_path(heights: Sequence[float]) -> str:
    """Columns side by side on the floor of the box, the highest as high as the box.

    Examples
    --------
    >>> columns_path([1, 0, 2, 1])
    'M0 30v-15h25v15zM50 30v-30h25v30zM75 30v-15h25v15z'
    """
    most, width = max(heights, default=0), WIDTH / max(len(heights), 1)
    scaled = [round(height / most * HEIGHT, 1) if most else 0.0 for height in heights]
    return "".join(
        f"M{place * width:g} {HEIGHT}v-{height:g}h{width:g}v{height:g}z"
        for place, height in enumerate(scaled)
        if height > 0
    )


def heat_map(correlation: npt.NDArray[np.float64]) -> str:
    """A PNG as a data address, one pixel a pair: blue for 1, orange for -1, clear for 0 and where it is undefined.

    Colours lie on whatever is behind them, so one picture serves light pages and dark ones.
    """
    known = np.nan_to_num(correlation)
    pixels = np.zeros((*known.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((known >= 0)[..., None], _POSITIVE, _NEGATIVE)
    pixels[..., 3] = np.round(np.abs(known) * 255)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    # Width, height, 8 bits, colours with opacity: https://www.w3.org/TR/png-3/#11IHDR
    header = struct.pack(">IIBBBBB", known.shape[1], known.shape[0], 8, 6, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(lines, 9)), _chunk(b"IEND", b""))
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _across(count: int) -> list[float]:
    return [round(place / max(count - 1, 1) * WIDTH, 1) for place in range(count)]


def _down(values: Points, low: float, high: float) -> list[float]:
    """Heights from the top, what lies outside put on the edge; a flat range runs through the middle."""
    height = high - low
    shares = [0.5 if value is None or not height else min(max((high - value) / height, 0), 1) for value in values]
    return [round(share * HEIGHT, 1) for share in shares]


def _runs(present: Sequence[bool]) -> list[list[int]]:
    """Stretches of places that are present, one after another."""
    runs: list[list[int]] = []
    for place, is_there in enumerate(present):
        if is_there and place and present[place - 1]:
            runs[-1].append(place)
        elif is_there:
            runs.append([place])
    return runs
