"""What the kernel keeps a process from once the rules are set; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.sandbox import landlock

pytestmark = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")

BEGIN = """
import os, socket, sys, signal
from app.sandbox import landlock
inside, outside = sys.argv[1:]
landlock.allow_only([inside])
"""


def outcome(tmp_path: Path, deed: str) -> str:
    """What a closed-in process says of a deed: `done`, or the name of the error."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file").write_text("in", encoding="utf-8")
    (tmp_path / "outside").write_text("out", encoding="utf-8")
    program = f"{BEGIN}\ntry:\n    {deed}\n    print('done')\nexcept OSError as error:\n    print(type(error).__name__)"
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "inside"), str(tmp_path / "outside")],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(landlock.__file__).parents[2],
    )
    return ended.stdout.strip()


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("os.close(os.open(inside + '/file', os.O_RDONLY))", "done"),
        ("os.listdir(inside)", "done"),
        ("os.open(outside, os.O_RDONLY)", "PermissionError"),
        ("os.open(inside + '/../outside', os.O_RDONLY)", "PermissionError"),
        ("os.open(inside + '/file', os.O_WRONLY)", "PermissionError"),
        ("os.open(inside + '/file', os.O_RDWR | os.O_TRUNC)", "PermissionError"),
        ("os.open(inside + '/new', os.O_WRONLY | os.O_CREAT)", "PermissionError"),
        ("os.truncate(inside + '/file', 0)", "PermissionError"),
        ("os.unlink(inside + '/file')", "PermissionError"),
        ("os.rename(inside + '/file', inside + '/other')", "PermissionError"),
        ("os.mkdir(inside + '/folder')", "PermissionError"),
        ("os.symlink(outside, inside + '/link')", "PermissionError"),
        ("os.execv('/bin/true', ['true'])", "PermissionError"),
        ("os.listdir('/proc')", "PermissionError"),
        ("os.open('/proc/self/environ', os.O_RDONLY)", "PermissionError"),
        ("landlock.allow_only([outside]); os.open(outside, os.O_RDONLY)", "PermissionError"),
        ("landlock.allow_only([outside]); os.open(inside + '/file', os.O_RDONLY)", "PermissionError"),
    ],
)
def test_only_what_was_named_may_be_read_and_nothing_written(tmp_path: Path, deed: str, said: str) -> None:
    assert outcome(tmp_path, deed) == said


@pytest.mark.skipif(landlock.version() < 4, reason="this kernel's Landlock knows no networks")
@pytest.mark.parametrize(
    "deed", ["socket.create_connection(('127.0.0.1', 9))", "socket.create_server(('127.0.0.1', 0))"]
)
def test_no_address_can_be_reached_or_offered(tmp_path: Path, deed: str) -> None:
    assert outcome(tmp_path, deed) == "PermissionError"


@pytest.mark.skipif(landlock.version() < 6, reason="this kernel's Landlock knows no signals")
def test_no_process_outside_can_be_ended(tmp_path: Path) -> None:
    assert outcome(tmp_path, "os.kill(os.getppid(), 0)") == "PermissionError"
