"""Market time: real, or one made-up time for all who read the same file."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import barlake
from barlake.clock import FileClock, RealClock, clock_of
from barlake.errors import InvalidInputError
from barlake.settings import Settings

NOON = dt.datetime(2024, 7, 3, 16, 0, tzinfo=dt.UTC)


def test_without_a_file_it_is_real_time() -> None:
    clock = clock_of(Settings(_env_file=None))
    assert abs((clock.now() - dt.datetime.now(dt.UTC)).total_seconds()) < 5
    assert clock.speed == 1
    assert not RealClock().wait_until(clock.now(), threading.Event())


def test_a_stopped_clock_shows_what_it_was_set_to(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    FileClock.set(path, NOON, speed=0)
    clock = FileClock(path)
    assert clock.now() == NOON
    FileClock.set(path, NOON + dt.timedelta(days=1), speed=0)
    assert clock.now() == NOON + dt.timedelta(days=1)


def test_a_fast_clock_passes_an_hour_while_the_machine_waits_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    FileClock.set(path, NOON, speed=36_000)
    clock = FileClock(path)
    began = time.monotonic()
    assert not clock.wait_until(NOON + dt.timedelta(hours=1), threading.Event())
    assert clock.now() >= NOON + dt.timedelta(hours=1)
    assert time.monotonic() - began >= 0.09


def test_a_wait_ends_when_the_clock_is_set_past_it_or_the_wait_is_called_off(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    FileClock.set(path, NOON, speed=0)
    clock, stop = FileClock(path), threading.Event()
    threading.Timer(0.1, FileClock.set, (path, NOON + dt.timedelta(days=2)), {"speed": 0}).start()
    assert not clock.wait_until(NOON + dt.timedelta(days=1), stop)
    threading.Timer(0.1, stop.set).start()
    assert clock.wait_until(NOON + dt.timedelta(days=9), stop)


def test_two_processes_with_one_file_live_at_one_instant_and_so_does_their_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clock.json"
    FileClock.set(path, NOON, speed=0)
    monkeypatch.setenv("BARLAKE_CLOCK", str(path))
    code = "import barlake, sys; print(barlake.open(sys.argv[1]).now().isoformat())"
    said = subprocess.run([sys.executable, "-c", code, tmp_path / "lake"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == NOON.isoformat()
    with barlake.open(tmp_path / "lake") as lake:
        assert lake.now() == NOON


@pytest.mark.parametrize("text", ["", "{}", '{"instant": "noon", "set_at": 1, "speed": 1}', "[1]"])
def test_a_file_that_tells_no_time_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="tells no time"):
        FileClock(path)


def test_a_speed_below_nothing_and_an_instant_without_zone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="speed"):
        FileClock.set(tmp_path / "clock.json", NOON, speed=-1)
    with pytest.raises(InvalidInputError, match="zone"):
        FileClock.set(tmp_path / "clock.json", NOON.replace(tzinfo=None), speed=1)
