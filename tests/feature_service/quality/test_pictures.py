"""Pictures hold what they were made from."""

from __future__ import annotations

import base64
import re
import struct
import zlib

import numpy as np

from feature_service.quality.pictures import HEIGHT, WIDTH, band_path, columns_path, heat_map, line_path


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)]


def test_a_line_runs_from_edge_to_edge_with_low_at_the_bottom() -> None:
    assert points(line_path([0.0, 5.0, 10.0], low=0.0, high=10.0)) == [(0, HEIGHT), (WIDTH / 2, 15), (WIDTH, 0)]


def test_values_outside_the_range_stay_in_the_box() -> None:
    assert {y for _, y in points(line_path([-9.0, 99.0], low=0.0, high=1.0))} == {0.0, float(HEIGHT)}


def test_a_value_alone_between_holes_is_drawn_and_holes_are_not() -> None:
    path = line_path([None, 1.0, None, 0.0, 1.0], low=0.0, high=1.0)
    assert path == "M25 0h.1M75 30L100 0"
    assert line_path([None, None], low=0.0, high=1.0) == ""


def test_a_band_is_closed_and_stops_where_either_side_has_no_value() -> None:
    assert band_path([0.0, None, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], low=0.0, high=1.0).count("Z") == 2


def test_a_flat_range_runs_through_the_middle() -> None:
    assert line_path([3.0, 3.0], low=3.0, high=3.0) == "M0 15L100 15"


def test_the_highest_column_is_as_high_as_the_box_and_empty_ones_are_left_out() -> None:
    assert columns_path([0, 4, 2]) == "M33.3333 30v-30h33.3333v30zM66.6667 30v-15h33.3333v15z"
    assert columns_path([0, 0]) == columns_path([]) == ""


def pixels(address: str) -> list[list[tuple[int, ...]]]:
    """Rows of a PNG of colours with opacity, unfiltered; checks its marks and sums on the way."""
    kind, _, data = address.partition(",")
    assert kind == "data:image/png;base64"
    content = base64.b64decode(data)
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        named = content[at + 4 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length]) == (zlib.crc32(named),)
        chunks[named[:4]] = named[4:]
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colours, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colours) == (8, 6)
    lines = zlib.decompress(chunks[b"IDAT"])
    rows = [lines[row * (4 * width + 1) :][: 4 * width + 1] for row in range(height)]
    assert {row[0] for row in rows} == {0}
    return [[tuple(row[1 + 4 * x :][:4]) for x in range(width)] for row in rows]


def test_the_heat_map_is_a_png_of_one_pixel_a_pair() -> None:
    assert pixels(heat_map(np.array([[1.0, -0.5, 0.2], [np.nan, 0.0, -1.0]]))) == [
        [(31, 119, 190, 255), (224, 109, 10, 128), (31, 119, 190, 51)],
        [(31, 119, 190, 0), (31, 119, 190, 0), (224, 109, 10, 255)],
    ]
