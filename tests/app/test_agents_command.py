"""Agents as processes: begun from a command, obeying within a beat, killed and begun again, none twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.cli import run
from app.jobs.queue import JobQueue, open_queue
from app.operations import Operations, open_operations
from app.use_cases.agents import agent_standing, agent_standings, pause_agent, start_agent, stop_agent
from barlake.errors import NotFoundError
from barlake.settings import Settings, load_settings
from tests.app.jobs.probing import eventually

Command = Callable[..., Any]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty lake, of which every process that is begun knows by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BARLAKE_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("BARLAKE_HEARTBEAT_S", "0.5")
    return load_settings()


@pytest.fixture
def control(settings: Settings) -> Iterator[tuple[Operations, JobQueue]]:
    with open_operations(settings) as operations, open_queue(settings) as queue:
        yield operations, queue
        for one in agent_standings(operations, queue):
            for worker in one.workers:
                if worker.pid is not None:
                    os.kill(worker.pid, signal.SIGKILL)


def idle_worker(control: tuple[Operations, JobQueue], agent: str) -> int:
    """The process of the only worker of an agent, once it is there."""
    eventually(lambda: agent_standing(*control, agent).state == "idle")
    (worker,) = agent_standing(*control, agent).workers
    assert worker.pid is not None
    return worker.pid


def beats(operations: Operations) -> set[tuple[str, str]]:
    return {(one.agent, one.state) for one in operations.heartbeats.all()}


def test_an_agent_is_begun_once_obeys_and_is_begun_again_after_it_was_killed(
    control: tuple[Operations, JobQueue],
) -> None:
    with ThreadPoolExecutor(4) as beside:
        found = list(beside.map(lambda _: start_agent(*control, "research"), range(4)))
    assert [len(one.workers) for one in found] == [1, 1, 1, 1]
    assert {one.state for one in found} == {"starting"}
    first = idle_worker(control, "research")
    log = agent_standing(*control, "research").log
    assert log is not None
    eventually(lambda: "worker research-" in log.read_text())

    pause_agent(*control, "research")
    eventually(lambda: agent_standing(*control, "research").state == "paused")
    start_agent(*control, "research")
    assert idle_worker(control, "research") == first

    os.kill(first, signal.SIGKILL)
    eventually(lambda: agent_standing(*control, "research").state == "absent")
    start_agent(*control, "research")
    second = idle_worker(control, "research")
    assert second != first

    stop_agent(*control, "research")
    eventually(lambda: not agent_standing(*control, "research").workers)
    with pytest.raises(ProcessLookupError):
        eventually(lambda: os.kill(second, 0))


def test_none_is_begun_where_others_see_to_workers(settings: Settings, control: tuple[Operations, JobQueue]) -> None:
    _, queue = control
    with open_operations(settings.model_copy(update={"starts_workers": False})) as operations:
        found = start_agent(operations, queue, "live")
    assert (found.state, str(found.desired), found.log) == ("absent", "running", None)


def test_an_agent_that_is_none_is_refused_with_those_there_are(control: tuple[Operations, JobQueue]) -> None:
    with pytest.raises(NotFoundError, match=r"agent 'backfil' is none.*Did you mean 'backfill'"):
        stop_agent(*control, "backfil")


def test_a_stopped_agent_takes_no_work_and_a_worker_begun_by_hand_stands_by(
    control: tuple[Operations, JobQueue],
) -> None:
    stop_agent(*control, "features")
    command = [sys.executable, "-m", "app.entry", "worker", "--agent", "features", "--name", "hand"]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: agent_standing(*control, "features").state == "stopped")
        eventually(lambda: ("features-watch", "stopped") in beats(control[0]))
        assert worker.poll() is None
        start_agent(*control, "features")
        eventually(lambda: agent_standing(*control, "features").state == "idle")
        stop_agent(*control, "features")
        assert worker.wait(timeout=60) == 0
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.usefixtures("control")
def test_the_commands_say_what_is_wanted_and_what_is_done(command: Command) -> None:
    assert [one["name"] for one in command("list")] == ["live", "backfill", "features", "research"]
    assert command("pause", "backfill")["desired"] == "paused"
    assert command("list")[1]["desired"] == "paused"
    found = command("start", "backfill")
    assert (found["desired"], found["state"]) == ("running", "idle")
    assert command("stop", "backfill", "--wait", "60")["workers"] == []


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """What `barlake agents` prints as JSON."""

    def call(*words: str) -> Any:
        capsys.readouterr()
        assert run(["agents", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call
