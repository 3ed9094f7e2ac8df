from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from barlake.clock import FileClock
from barlake.errors import InvalidInputError
from barlake.sessions import Calendar
from ingest_service.emulator import EmulatorConfig, LimitClock, VirtualClock, serve

NOON = dt.datetime(2024, 7, 3, 16, tzinfo=dt.UTC)


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_clock_that_was_set_runs_on_from_there() -> None:
    seconds = Seconds()
    start = dt.datetime(2024, 1, 2, 9, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    clock = VirtualClock(start, monotonic=seconds)
    seconds.now += 90
    assert clock.now() == start + dt.timedelta(seconds=90)
    assert clock.now().tzinfo is dt.UTC


def test_a_clock_that_was_not_set_shows_real_time() -> None:
    clock = VirtualClock(dt.datetime(2024, 1, 2, tzinfo=dt.UTC))
    clock.set(None)
    assert abs(clock.now() - dt.datetime.now(tz=dt.UTC)) < dt.timedelta(seconds=5)


def test_a_clock_runs_at_its_speed_until_another_is_given() -> None:
    seconds = Seconds()
    clock = VirtualClock(NOON, speed=480, monotonic=seconds)
    seconds.now += 1
    assert clock.now() == NOON + dt.timedelta(minutes=8)
    clock.set(NOON)
    seconds.now += 1
    assert (clock.now(), clock.speed) == (NOON + dt.timedelta(minutes=8), 480)
    clock.set(NOON, speed=0)
    seconds.now += 1000
    assert clock.now() == NOON


def test_a_negative_speed_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"speed -1 is negative|out of range"):
        VirtualClock(NOON, speed=-1)
    with pytest.raises(InvalidInputError, match="speed -1 is out of range"):
        EmulatorConfig(speed=-1)


def test_a_kept_file_tells_every_other_process_the_time(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    clock = VirtualClock(NOON, speed=0, file=file)
    other = FileClock(file)
    assert other.now() == clock.now() == NOON
    clock.set(NOON + dt.timedelta(hours=1), speed=0)
    assert other.now() == NOON + dt.timedelta(hours=1)
    assert other.wait_until(NOON + dt.timedelta(minutes=5), threading.Event()) is False


def test_a_file_that_tells_the_time_already_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    FileClock.set(file, NOON, speed=0)
    assert VirtualClock(file=file).now() == NOON
    assert VirtualClock(NOON + dt.timedelta(days=1), speed=0, file=file).now() == NOON + dt.timedelta(days=1)


def test_the_emulator_keeps_the_file_of_its_clock(tmp_path: Path, calendar: Calendar, emulate: Any) -> None:
    del emulate
    file = tmp_path / "clock.json"
    with serve(EmulatorConfig(now=NOON, speed=0, clock=file), calendar=calendar) as url:
        told = requests.post(url + "/_emu/clock", json={"now": "2024-07-05T14:00:00Z", "speed": 0}, timeout=30).json()
    assert told == {"now": "2024-07-05T14:00:00Z", "speed": 0.0}
    assert FileClock(file).now() == dt.datetime(2024, 7, 5, 14, tzinfo=dt.UTC)


def test_a_budget_of_market_time_comes_back_as_fast_as_the_clock_runs(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, requests_per_window=1, now=NOON, speed=0)
    assert [visitor.bars("AAA").status_code for _ in range(2)] == [200, 429]
    visitor.control("/_emu/clock", {"now": "2024-07-03T16:01:00Z"})
    assert visitor.bars("AAA").status_code == 200


def test_a_budget_of_machine_time_does_not(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, requests_per_window=1, now=NOON, speed=0, limit_clock=LimitClock.MACHINE)
    assert visitor.bars("AAA").status_code == 200
    visitor.control("/_emu/clock", {"now": "2024-07-03T16:01:00Z"})
    assert visitor.bars("AAA").status_code == 429
