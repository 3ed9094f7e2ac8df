from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from barlake.clock import FileClock

Cli = Callable[..., Any]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root of an empty lake on the evening before Independence Day."""
    FileClock.set(tmp_path / "clock.json", dt.datetime(2024, 7, 3, 22, tzinfo=dt.UTC), speed=0)
    monkeypatch.setenv("BARLAKE_CLOCK", str(tmp_path / "clock.json"))
    monkeypatch.setenv("BARLAKE_ROOT", str(tmp_path / "lake"))
    return tmp_path


def rows(cli: Cli) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in cli("schedule", "list", "--json").data}


def test_a_lake_begins_with_three_schedules_that_know_their_next_time(cli: Cli, root: Path) -> None:
    del root
    found = rows(cli)
    assert {name: row["next"] for name, row in found.items()} == {
        "daily": "2024-07-04T06:30Z", "after-session": "2024-07-06T00:20Z", "watch-list": None,
    }  # fmt: skip
    assert found["daily"]["when"] == "30 6 * * 2-6 UTC"
    assert "30 6 * * 2-6" in cli("schedule", "list").out


def test_schedules_are_added_paused_resumed_and_removed(cli: Cli, root: Path) -> None:
    del root
    added = cli("schedule", "add", "morning", "15 9 * * 1-5", "--zone", "America/New_York", "--categories", "etfs")
    assert (added.code, "first 2024-07-04T13:15Z" in added.out) == (0, True)
    assert (
        cli("schedule", "add", "at-close", "close+20m", "--do", "sessions", "--json").data["next"]
        == "2024-07-05T20:20Z"
    )
    assert rows(cli)["at-close"]["work"] == "parts sessions"
    assert cli("schedule", "pause", "morning").code == 0
    assert (rows(cli)["morning"]["paused"], rows(cli)["morning"]["next"]) == (True, None)
    assert cli("schedule", "resume", "morning").code == 0
    assert rows(cli)["morning"]["next"] is not None
    assert cli("schedule", "remove", "daily").code == 0
    assert set(rows(cli)) == {"after-session", "at-close", "morning", "watch-list"}


def test_run_now_puts_a_job_that_waits_for_a_worker(cli: Cli, root: Path) -> None:
    del root
    job = cli("schedule", "run-now", "daily", "--json").data["job"]
    assert job.startswith("schedule/daily/now-2024-07-03T22:00")
    assert (rows(cli)["daily"]["last"], rows(cli)["daily"]["last_state"]) == ("2024-07-03T22:00Z", "queued")


def test_what_makes_no_schedule_is_refused(cli: Cli, root: Path) -> None:
    del root
    for words, said in (
        (["add", "x", "every day"], "not five fields"),
        (["add", "x", "close+20m", "--do", "features"], "features need no schedule"),
        (["add", "daily", "close+20m"], "is there already"),
        (["pause", "dayly"], "Did you mean 'daily'"),
    ):
        refused = cli("schedule", *words)
        assert (refused.code, said in refused.errors) == (1, True)
