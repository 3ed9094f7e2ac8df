"""A file of one's own is a module by its content, and keeps the text that ran."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from barlake.errors import InvalidInputError, NotFoundError
from barlake.own_files import load_file, source_text


def test_the_same_text_is_one_module_and_another_text_another_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("VALUE = 1\n")
    first = load_file(path, package="own_file")
    assert load_file(path, package="own_file") is first
    path.write_text("VALUE = 2\n")
    second = load_file(path, package="own_file")
    assert (first.VALUE, second.VALUE) == (1, 2)
    assert (source_text(first), source_text(second)) == ("VALUE = 1\n", "VALUE = 2\n")


def test_a_file_that_is_absent_or_raises_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"absent\.py cannot be read"):
        load_file(tmp_path / "absent.py", package="own_file")
    path = tmp_path / "broken.py"
    path.write_text("1 / 0\n")
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="it raises ZeroDivisionError: division by zero"):
            load_file(path, package="own_file")


def test_a_module_without_a_file_has_no_source() -> None:
    with pytest.raises(InvalidInputError, match="module 'typed' has no source to take down"):
        source_text(types.ModuleType("typed"))
