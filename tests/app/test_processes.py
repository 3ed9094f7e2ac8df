"""Commands that are stopped, and commands that meet a full disk, as processes."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import barlake
from barlake.sessions import Calendar
from ingest_service.emulator import EmulatorConfig, Fault, serve
from ingest_service.emulator.config import PLACEHOLDER_KEY_ID, PLACEHOLDER_SECRET_KEY

INGEST = ("ingest", "SPY", "--start", "2024-01-02", "--end", "2024-01-24")
BARS = 15 * 390

Settings = dict[str, str]


@pytest.fixture
def served(bar_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A function that serves the folder with some faults; gives the settings that lead there."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Settings:
            config = EmulatorConfig(bars=bar_folder, **options)
            url = stack.enter_context(serve(config, calendar=Calendar.default()))
            return {
                "ALPACA_DATA_URL": url,
                "ALPACA_API_KEY_ID": PLACEHOLDER_KEY_ID,
                "ALPACA_API_SECRET_KEY": PLACEHOLDER_SECRET_KEY,
            }

        yield start


def wait_for_a_request(settings: Settings) -> None:
    deadline = time.monotonic() + 60
    while not requests.get(f"{settings['ALPACA_DATA_URL']}/_emu/log", timeout=60).json():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


# --- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.RATE_LIMIT])
def test_ctrl_c_ends_an_ingest_at_once_with_one_sentence(
    start_process: Any, served: Callable[..., Settings], tmp_path: Path, fault: Fault
) -> None:
    # Every block of two requests disturbs one; the seed is one that strikes the first.
    settings = served(faults=(fault,), fault_period=2, seed=2)
    process = start_process(*INGEST, "--root", tmp_path, **settings)
    wait_for_a_request(settings)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    code, out, errors = finished(process)
    assert time.monotonic() - began < 5
    assert (code, out) == (130, "")
    assert "Traceback" not in errors
    assert errors.count("Run the same command again") == 1


def test_what_ctrl_c_left_is_completed_by_the_same_command(
    start_process: Any, served: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = served(faults=(Fault.SLOW,), fault_period=2, seed=2, slow_seconds=1.0)
    process = start_process(*INGEST, "--root", tmp_path, **settings)
    wait_for_a_request(settings)
    process.send_signal(signal.SIGINT)
    assert finished(process)[0] == 130
    code, _, errors = finished(start_process(*INGEST, "--root", tmp_path, "--json", **settings))
    assert (code, errors) == (0, "")
    with barlake.open(tmp_path) as lake:
        assert lake.bars("SPY").height == BARS


def test_a_closed_pipe_ends_without_a_traceback(start_process: Any, example: Path) -> None:
    with start_process("bars", "SPY", "--root", example, "--json") as process:
        process.stdout.read(1)
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors


# --- a full disk ---------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that gives a disk of its own a size; called again, the same disk another."""
    disk, mount = tmp_path / "disk", shutil.which("mount")
    disk.mkdir()
    mounted = False

    def resize(size: str) -> Path:
        nonlocal mounted
        how = f"{'remount,' if mounted else ''}size={size}"
        asked = subprocess.run(
            [mount or "mount", "-t", "tmpfs", "-o", how, "tmpfs", disk], check=False, capture_output=True
        )
        if asked.returncode != 0:
            pytest.skip("this machine does not let the tests mount a small disk")
        mounted = True
        return disk

    if mount is None:
        pytest.skip("there is no mount command")
    yield resize
    if mounted:
        subprocess.run(["umount", "-l", disk], check=True)


# At 700k the bars fit and the catalogue does not.
SIZES = [*(pytest.param(size, marks=pytest.mark.slow) for size in ("64k", "300k", "500k")), "700k"]


@pytest.mark.parametrize("size", SIZES)
def test_a_full_disk_is_one_message_and_the_same_command_completes_later(
    start_process: Any, served: Callable[..., Settings], small_disk: Callable[[str], Path], size: str
) -> None:
    settings = served()
    root = small_disk(size) / "lake"
    code, out, errors = finished(start_process(*INGEST, "--root", root, **settings))
    assert (code, out) == (1, "")
    assert "Traceback" not in errors
    assert "free space" in errors
    assert "run the same command again" in errors
    small_disk("50m")
    assert finished(start_process(*INGEST, "--root", root, **settings))[0] == 0
    with barlake.open(root) as lake:
        assert lake.bars("SPY").height == BARS
        assert lake.sql("select count(*) from bars").item() == BARS
    assert [path.name for path in root.rglob("*.tmp*")] == []


@pytest.mark.parametrize("name", ["bars.csv", "bars.parquet"])
def test_a_file_out_that_does_not_fit_is_not_there_at_all(
    cli: Any, example: Path, small_disk: Callable[[str], Path], name: str
) -> None:
    disk = small_disk("64k")
    done = cli("export", "file", "SPY", "--to", disk / name, "--root", example)
    assert (done.code, done.out) == (1, "")
    assert name in done.errors
    assert "free space" in done.errors
    assert list(disk.iterdir()) == []


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from app.cli import run
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.parametrize("limit_bytes", [pytest.param(20_000, marks=pytest.mark.slow), 100_000])
def test_a_file_that_may_not_grow_is_one_message(bar_folder: Path, tmp_path: Path, limit_bytes: int) -> None:
    arguments = ["import", str(bar_folder), "--feed", "sip", "--root", str(tmp_path / "lake")]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit_bytes), *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert "run the same command again" in done.stderr
