"""A worker that is alive is told from one that has died, whatever its clock says."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from app.jobs.names import Identity, Roster
from app.operations import Operations
from barlake.errors import InvalidInputError

PERIOD_S = 0.05


class Clock:
    """Seconds, as a test wants them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def elsewhere(name: str = "ben") -> Identity:
    return replace(Identity.here(name), host="another machine")


def beat(operations: Operations, who: Identity) -> None:
    operations.heartbeats.beat(
        worker=who.name, agent="backfill", state="idle", details=who.details(), period_s=PERIOD_S
    )


def roster(operations: Operations, clock: Clock) -> Roster:
    return Roster(operations.heartbeats, Identity.here("anna"), period_s=PERIOD_S, clock=clock)


def test_who_beats_is_alive_and_who_did_not_for_three_beats_is_dead(operations: Operations) -> None:
    clock = Clock()
    watcher = roster(operations, clock)
    beat(operations, elsewhere())
    watcher.look()
    clock.now = 2.9 * PERIOD_S
    watcher.look()
    assert not watcher.is_dead("ben")
    beat(operations, elsewhere())
    watcher.look()
    clock.now = 5.8 * PERIOD_S
    watcher.look()
    assert not watcher.is_dead("ben")
    clock.now = 6 * PERIOD_S
    assert watcher.is_dead("ben")


def test_one_that_left_no_beat_is_given_the_same_time(operations: Operations) -> None:
    clock = Clock()
    watcher = roster(operations, clock)
    watcher.look()
    assert not watcher.is_dead("nobody")
    clock.now = 3.1 * PERIOD_S
    assert watcher.is_dead("nobody")


def test_one_whose_process_on_this_machine_is_gone_is_dead_at_once(operations: Operations) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    beat(operations, replace(Identity.here("ben"), pid=child.pid))
    beat(operations, replace(Identity.here("cleo"), pid=os.getppid()))
    watcher = roster(operations, Clock())
    watcher.look()
    assert watcher.is_dead("ben")
    assert not watcher.is_dead("cleo")


def test_a_name_that_a_live_worker_has_is_refused(operations: Operations) -> None:
    other, stop = elsewhere("anna"), threading.Event()
    beat(operations, other)

    def live() -> None:
        while not stop.wait(PERIOD_S / 4):
            beat(operations, other)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        watcher = Roster(operations.heartbeats, Identity.here("anna"), period_s=10.0)
        with pytest.raises(InvalidInputError, match=r"'anna' is at work already, process \d+ on another machine"):
            watcher.claim(stop)
    finally:
        stop.set()
        thread.join()


def test_the_name_of_a_dead_worker_is_taken(operations: Operations) -> None:
    beat(operations, elsewhere("anna"))
    watcher = Roster(operations.heartbeats, Identity.here("anna"), period_s=PERIOD_S)
    watcher.claim(threading.Event())
    assert operations.heartbeats.all() == []


def test_what_was_announced_of_a_worker_is_its_own_from_the_claim_on(operations: Operations) -> None:
    me = Identity.here("anna")
    announced = {**me.details(), "token": ""}
    for agent in ("live", "research"):
        operations.heartbeats.announce(worker="anna", agent=agent, details=announced, period_s=5.0)
    roster = Roster(operations.heartbeats, me, period_s=5.0)
    roster.claim(threading.Event(), ["research"])
    (beat,) = operations.heartbeats.all()
    assert (beat.agent, beat.state, beat.details) == ("research", "starting", me.details())
    roster.look()
    assert roster.is_mine()


def test_one_whose_name_was_taken_notices(operations: Operations) -> None:
    watcher = roster(operations, Clock())
    watcher.look()
    assert watcher.is_mine()
    beat(operations, elsewhere("anna"))
    watcher.look()
    assert not watcher.is_mine()


def test_names_given_by_default_are_all_different() -> None:
    assert len({Identity.here().name for _ in range(20)}) == 20
