"""A file is whole and on disk, or not there at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from barlake import durable
from barlake.durable import write_durably
from barlake.errors import StorageError


def test_a_file_appears_with_its_folders_and_nothing_beside_it(tmp_path: Path) -> None:
    write_durably(tmp_path / "a" / "b" / "one", b"bytes")
    assert (tmp_path / "a" / "b" / "one").read_bytes() == b"bytes"
    assert [one.name for one in (tmp_path / "a" / "b").iterdir()] == ["one"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(durable.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_durably(tmp_path / "one", b"bytes")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*file/x/one: Not a directory\. Nothing was half"):
        write_durably(tmp_path / "file" / "x" / "one", b"bytes")
