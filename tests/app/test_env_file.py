"""`.env` files: what is set is read back, other lines stay, and nobody else may read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from app.env_file import names_set_in, with_values, write_private
from barlake.errors import InvalidInputError, StorageError

PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "))


@given(value=PRINTABLE)
def test_any_printable_value_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.env"
    path.write_text(with_values("", {"NAME": value}), encoding="utf-8")
    assert dotenv_values(path, interpolate=False) == {"NAME": value}


def test_other_lines_stay_as_they_are_and_a_name_stands_once() -> None:
    text = "# mine\nexport A=1\n\n#A=0\nB='x y'\nA=3\n"
    assert with_values(text, {"A": "2", "C": "4"}) == "# mine\nA=2\n\n#A=0\nB='x y'\nC=4\n"
    assert names_set_in(text) == {"A", "B"}


@pytest.mark.parametrize("value", ["two\nlines", "null\0"])
def test_a_value_that_is_no_line_is_refused(value: str) -> None:
    with pytest.raises(InvalidInputError, match="NAME holds a line break"):
        with_values("", {"NAME": value})


def test_only_its_owner_may_read_the_file_whoever_could_before(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n", encoding="utf-8")
    path.chmod(0o644)
    write_private(path, "A=2\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="utf-8") == "A=2\n"


def test_a_link_leads_to_the_same_file_afterwards(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / ".env"
    real.write_text("A=1\n", encoding="utf-8")
    link.symlink_to(real)
    write_private(link, "A=2\n")
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "A=2\n"


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(StorageError):
        write_private(tmp_path / ".env", "A=1\n")
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
