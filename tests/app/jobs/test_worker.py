"""A worker does what is in the queue, tries again what may pass, and lets go of what is not wanted any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.jobs.job import Job, JobState
from app.jobs.queue import JobQueue
from app.operations import Operations
from barlake.errors import ConflictError, CredentialsError, InvalidInputError, SourceError, StorageError
from tests.app.jobs.probing import Deeds, InThread, eventually, probe, states, when

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


@pytest.mark.parametrize("kind", [SourceError, StorageError, ConflictError])
def test_what_may_pass_is_tried_again(jobs: JobQueue, deeds: Deeds, drain: Drain, kind: type[Exception]) -> None:
    deeds.errors = [kind("not now"), kind("nor now")]
    jobs.put(probe())
    assert drain().done == 1
    assert deeds.begun == ["probe/1"] * 3


def test_a_source_that_keeps_failing_ends_the_job_with_its_words(jobs: JobQueue, deeds: Deeds, drain: Drain) -> None:
    deeds.errors = [SourceError(f"no {number}") for number in range(9)]
    jobs.put(probe())
    drain()
    assert len(deeds.begun) == 5
    assert (jobs.get("probe/1").state, jobs.get("probe/1").error) == (JobState.FAILED, "no 4")


@pytest.mark.parametrize("error", [InvalidInputError("symbol 'APPL' is unknown"), RuntimeError("a fault of ours")])
def test_what_cannot_pass_ends_the_job_at_once(jobs: JobQueue, deeds: Deeds, drain: Drain, error: Exception) -> None:
    deeds.errors = [error]
    jobs.put(probe())
    assert drain().failed == 1
    assert deeds.begun == ["probe/1"]
    record = jobs.get("probe/1")
    assert record.state is JobState.FAILED
    assert record.error is not None
    assert str(error) in record.error


@pytest.mark.both_databases
def test_a_failed_job_is_done_when_it_is_asked_for_again(jobs: JobQueue, deeds: Deeds, drain: Drain) -> None:
    deeds.errors = [InvalidInputError("no")] * 2
    jobs.put_all([probe("probe/1"), probe("probe/2")])
    drain()
    assert states(jobs) == {"probe/1": "failed", "probe/2": "failed"}
    jobs.put(probe("probe/1"))
    jobs.retry("probe/2")
    assert drain().done == 2
    assert jobs.get("probe/2").error is None


@pytest.mark.both_databases
def test_a_failed_job_is_done_with_what_is_asked_for_now(jobs: JobQueue, deeds: Deeds, drain: Drain) -> None:
    deeds.errors = [InvalidInputError("no")]
    jobs.put(probe(rows=5))
    drain()
    assert jobs.put(probe(rows=10)) == "probe/1"
    assert drain().done == 1
    record = jobs.get("probe/1")
    assert (record.state, record.error, record.result) == (JobState.DONE, None, {"status": "done", "rows": 10})
    assert states(jobs) == {"probe/1": "done"}


def test_work_that_is_done_is_done_anew_by_force_under_a_new_id(jobs: JobQueue, deeds: Deeds, drain: Drain) -> None:
    jobs.put(probe())
    drain()
    assert [jobs.put(probe(), force=True), jobs.put(probe(), force=True), jobs.put(probe())] == ["probe/1#2"] * 3
    drain()
    assert jobs.put(probe(), force=True) == "probe/1#3"
    assert deeds.ended == ["probe/1", "probe/1#2"]
    assert jobs.get("probe/1#3").key == "probe/1"


def test_a_task_of_another_release_fails_with_the_names_of_this_one(jobs: JobQueue, deeds: Deeds, drain: Drain) -> None:
    jobs.put(Job("new/1", "new"))
    drain()
    assert deeds.begun == []
    assert "probe" in (jobs.get("new/1").error or "")


def test_a_refused_key_asks_once_and_pauses_the_rest(
    jobs: JobQueue, deeds: Deeds, drain: Drain, operations: Operations
) -> None:
    deeds.errors = [CredentialsError("the key was refused")] * 9
    jobs.put_all([probe(f"probe/{number}") for number in range(6)])
    report = drain(concurrency=1)
    assert (len(deeds.begun), report.paused) == (1, 6)
    assert {(one.state, one.error) for one in jobs.list()} == {(JobState.PAUSED, "the key was refused")}
    assert [one.key for one in operations.alerts.active()] == ["credentials/somebody"]
    deeds.errors.clear()
    assert drain().done == 6
    assert operations.alerts.active() == []


@pytest.mark.both_databases
@pytest.mark.parametrize("order", ["cancel", "pause"])
def test_a_running_job_that_is_not_wanted_ends_within_its_step(
    jobs: JobQueue, deeds: Deeds, work: Work, order: str
) -> None:
    deeds.go.clear()
    jobs.put(probe())
    with work():
        eventually(lambda: deeds.begun)
        getattr(jobs, order)("probe/1")
        eventually(lambda: deeds.ended)
        assert states(jobs) == {"probe/1": {"cancel": "cancelled", "pause": "paused"}[order]}
        if order == "pause":
            deeds.go.set()
            jobs.resume("probe/1")
            assert when(jobs, "probe/1", "done").attempts == 1


def test_a_job_that_is_resumed_at_once_has_one_run_at_a_time(jobs: JobQueue, deeds: Deeds, work: Work) -> None:
    deeds.go.clear()
    jobs.put(probe())
    with work():
        for count in range(1, 4):
            eventually(lambda count=count: len(deeds.begun) == count)
            jobs.pause("probe/1")
            jobs.resume("probe/1")
        eventually(lambda: len(deeds.begun) == 4)
        assert len(deeds.ended) == 3
        deeds.go.set()
        when(jobs, "probe/1", "done")


@pytest.mark.both_databases
def test_an_agent_that_is_paused_gives_its_jobs_back_until_it_is_resumed(
    jobs: JobQueue, deeds: Deeds, work: Work, operations: Operations
) -> None:
    deeds.go.clear()
    jobs.put_all([probe("probe/1"), probe("probe/2")])
    with work(concurrency=1):
        eventually(lambda: deeds.begun)
        jobs.pause_agent("backfill")
        eventually(lambda: deeds.ended)
        eventually(lambda: states(jobs) == {"probe/1": "queued", "probe/2": "queued"})
        eventually(lambda: {one.state for one in operations.heartbeats.all() if one.agent == "backfill"} == {"paused"})
        deeds.go.set()
        jobs.resume_agent("backfill")
        when(jobs, "probe/1", "done")
        when(jobs, "probe/2", "done")


@pytest.mark.both_databases
def test_a_worker_that_is_told_to_end_gives_back_what_it_was_doing(
    jobs: JobQueue, deeds: Deeds, work: Work, drain: Drain, operations: Operations
) -> None:
    deeds.go.clear()
    jobs.put_all([probe("probe/1"), probe("probe/2")])
    with work(concurrency=1):
        eventually(lambda: deeds.begun)
    assert states(jobs) == {"probe/1": "queued", "probe/2": "queued"}
    assert operations.heartbeats.all() == []
    deeds.go.set()
    assert drain().done == 2


def test_a_running_job_says_how_far_it_is(jobs: JobQueue, deeds: Deeds, work: Work, operations: Operations) -> None:
    deeds.go.clear()
    jobs.put(probe(rows=7))
    with work(name="anna"):
        progress = eventually(lambda: jobs.get("probe/1").progress)
        assert (progress.done, progress.total, progress.unit) == (1, 4, "steps")
        assert (progress.rows, progress.pages, progress.next_step) == (7, 1, "wait")
        assert (jobs.get("probe/1").worker, jobs.get("probe/1").attempts) == ("anna", 1)

        def beats() -> list[tuple[str, str | None, int | None, int | None]]:
            own = [one for one in operations.heartbeats.all() if one.agent == "backfill"]
            return [(one.worker, one.job, one.done, one.total) for one in own]

        eventually(lambda: beats() == [("anna", "probe/1", 1, 4)])


def test_a_paused_agent_does_not_keep_a_drain_from_its_end(jobs: JobQueue, deeds: Deeds, drain: Drain) -> None:
    jobs.put(probe())
    jobs.pause_agent("backfill")
    assert drain().done == 0
    assert deeds.begun == []


def test_a_job_in_the_middle_of_which_worker_after_worker_died_is_left_alone(
    jobs: JobQueue, deeds: Deeds, drain: Drain
) -> None:
    jobs.put(probe())
    with jobs._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE workflow_status SET recovery_attempts = 30")
    drain()
    assert deeds.begun == []
    record = jobs.get("probe/1")
    assert record.state is JobState.FAILED
    assert "workers ended in the middle of it" in (record.error or "")
    jobs.retry("probe/1")
    drain()
    assert deeds.ended == ["probe/1"]


def test_what_a_worker_of_another_machine_was_doing_when_it_fell_silent_is_done_here(
    jobs: JobQueue, deeds: Deeds, drain: Drain, operations: Operations
) -> None:
    jobs.put(probe())
    with jobs._engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE workflow_status SET status = 'PENDING', executor_id = 'far-away', application_version = '1', "
            "owner_xid = 'token'"
        )
    operations.heartbeats.beat(
        worker="far-away", agent="backfill", state="working", details={"host": "another machine"}, period_s=0.3
    )
    assert drain().done == 1
    assert deeds.ended == ["probe/1"]
