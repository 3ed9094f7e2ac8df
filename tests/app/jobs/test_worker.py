"""A worker does what is in the queue, tries again what may pass, and lets go of what is not wanted any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.jobs.queue import JobQueue
from tests.app.jobs.probing import Deeds, InThread, probe

Drain = Callable[..., Any]
Work = Callable[..., InThread]


@pytest.mark.both_databases
def test_what_is_in_the_queue_is_done_once(jobs: JobQueue, deeds: Deeds, drain: Drain) -> None:
    jobs.put_all([probe(f"probe/{number}", rows=number) for number in range(5)])
    jobs.put(probe("probe/3"))
    assert drain().done == 5
    assert sorted(deeds.ended) == [f"probe/{number}" for number in range(5)]
    assert jobs.get("probe/4").result == {"status": "done", "rows": 4}
    jobs.put(probe("probe/3"))
    assert drain().done == 0


def test_what_is_urgent_goes_first(jobs: JobQueue, deeds: Deeds, drain: Drain) -> None:
    jobs.put_all([probe("probe/late"), probe("probe/soon", priority=1), probe("probe/next", priority=2)])
    drain(concurrency=1)
    assert deeds.begun == ["probe/soon", "probe/next", "probe/late"]
