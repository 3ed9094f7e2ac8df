"""The queue as producers and viewers hold it: put jobs in, look at them, cancel, pause, resume, do again, prune."""

from __future__ import annotations

import builtins
import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from dbos import DBOSClient, EnqueueOptions, Queue, WorkflowStatus
from dbos import error as dbos_errors
from sqlalchemy import Connection, Engine, String, cast, func, select, tuple_

from app.jobs.database import SCHEMA, make_client, queue_engine, queue_place, refusals
from app.jobs.job import ONE_AT_A_TIME, REVISION, Agent, Job, JobRecord, JobState, revision_of
from app.jobs.job_rows import (
    HELD,
    NEEDS_KEY,
    STATES,
    agent_of,
    instant_of,
    jobs_table,
    record_of,
    state_of,
    words_of,
)
from barlake.errors import ConflictError, InvalidInputError, NotFoundError
from barlake.settings import Settings

__all__ = ["PROGRESS", "WORKFLOW", "Claim", "JobQueue", "Place", "open_queue"]

WORKFLOW = "job"
"""Every job is a run of this one DBOS workflow, whose arguments name the task."""

PROGRESS = "progress"
"""DBOS event that a running job sets."""

POLLING_S = 0.2
"""How often a worker looks for work. It also bounds how many jobs one can begin: `concurrency / POLLING_S` a second."""

_PAGE = 500
_WAITING = ["DELAYED", "ENQUEUED", "PENDING"]


def open_queue(settings: Settings) -> JobQueue:
    """The queue that these settings name; made when missing.

    Raises
    ------
    StorageError
        If its database cannot be made or reached.
    """
    return JobQueue(queue_engine(queue_place(settings)), concurrency=settings.worker_concurrency)


Place = tuple[int, str]
"""Where a job stands among all: the millisecond it was asked for in, and its id."""


@dataclass(frozen=True)
class Claim:
    """A worker's hold on a job: who, by which token, out of which agent's queue."""

    worker: str
    token: str
    agent: str


class JobQueue:
    """Jobs, waiting, running and over.

    Parameters
    ----------
    engine
        On the queue's database; disposed of with the queue.
    concurrency
        How many jobs of one agent a worker runs at a time, where nobody said otherwise yet.
    """

    def __init__(self, engine: Engine, *, concurrency: int) -> None:
        self._engine = engine
        self._concurrency = concurrency
        self._client: DBOSClient = make_client(engine)
        self._jobs = jobs_table(None if engine.dialect.name == "sqlite" else SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()
        self._engine.dispose()

    # --- jobs in -------------------------------------------------------------------------------

    def put(self, job: Job, *, force: bool = False) -> str:
        """Id under which the work is done, now or already; see `put_all`."""
        return self.put_all([job], force=force)[0]

    def put_all(self, jobs: Iterable[Job], *, force: bool = False) -> list[str]:
        """Ids under which the work is done, in the order given. Asking twice does it once.

        What is queued, running or paused stays as it is, and so does what is done. What failed or was cancelled is
        queued again under its id; what failed, with what is asked for now.

        Parameters
        ----------
        force
            Have work that is done done again, under an id that ends in `#2`, `#3` and so on.
        """
        ids: list[str] = []
        with refusals():
            rest = iter(jobs)
            while batch := list(itertools.islice(rest, _PAGE)):
                with self._engine.begin() as connection:
                    found = [(job, self._insert(connection, job, job.key)) for job in batch]
                ids += [job.key if is_new else self._put_again(job, force=force) for job, is_new in found]
        return ids

    def _insert(self, connection: Connection, job: Job, job_id: str) -> bool:
        """Whether there was no job of this id, and now there is."""
        assert job.priority is not None  # noqa: S101 - the job's own constructor sees to it
        options = EnqueueOptions(
            workflow_name=WORKFLOW,
            queue_name=str(job.agent),
            workflow_id=job_id,
            workflow_id_reuse_policy="reject",
            priority=job.priority,
        )
        try:
            self._client.enqueue_in_transaction(connection, options, job.task, dict(job.arguments), str(job.agent))
        except dbos_errors.DBOSWorkflowIDInUseError:
            return False
        return True

    def _put_again(self, job: Job, *, force: bool) -> str:
        """Id of work that was asked for before."""
        latest = self._latest(job.key)
        if latest.state is JobState.FAILED and dict(latest.arguments) != dict(job.arguments):
            # Meanwhile it is more: a month that failed on the 5th has other sessions on the 10th.
            self._client.delete_workflows([latest.id])
            with self._engine.begin() as connection:
                self._insert(connection, job, latest.id)
        elif latest.state in {JobState.FAILED, JobState.CANCELLED}:
            self.retry(latest.id)
        elif force and latest.state is JobState.DONE:
            job_id = f"{job.key}{REVISION}{revision_of(latest.id) + 1}"
            with self._engine.begin() as connection:
                self._insert(connection, job, job_id)  # if it is there by now, another has forced the same
            return job_id
        return latest.id

    def _latest(self, key: str) -> JobRecord:
        found = [key, *(one.workflow_id for one in self._pages(workflow_id_prefix=f"{key}{REVISION}"))]
        return self.get(max(found, key=revision_of))

    # --- looking -------------------------------------------------------------------------------

    def list(
        self,
        *,
        prefix: str = "",
        status: JobState | str | None = None,
        agent: str | None = None,
        limit: int | None = 100,
        newest: bool = False,
    ) -> list[JobRecord]:
        """Jobs in the order in which they were asked for, or the newest first.

        Parameters
        ----------
        prefix
            Of the id, such as `bars/sip/SPY`.
        limit
            None means all.

        Raises
        ------
        InvalidInputError
            If there is no such state or agent.
        """
        state = None if status is None else state_of(status)
        wanted = None if agent is None else agent_of(agent)
        words: dict[str, Any] = {"workflow_id_prefix": prefix} if prefix else {}
        if state is not None:
            words["status"] = words_of(state)
        records = (record_of(one) for one in self._pages(sort_desc=newest, **words))
        chosen = (
            one for one in records if (state is None or one.state is state) and (wanted is None or one.agent == wanted)
        )
        return list(itertools.islice(chosen, limit))

    def page(
        self,
        *,
        prefix: str = "",
        status: JobState | str | None = None,
        agent: str | None = None,
        limit: int = 100,
        before: Place | None = None,
    ) -> tuple[Sequence[JobRecord], Place | None]:
        """Jobs, those asked for last first, and the place that the next page begins behind; None where it is empty.

        Jobs that are asked for between two pages move nothing.

        Raises
        ------
        InvalidInputError
            If there is no such state or agent.
        """
        state = None if status is None else state_of(status)
        wanted = None if agent is None else agent_of(agent)
        found: builtins.list[JobRecord] = []
        last, seek, size = before, before, min(_PAGE, 2 * limit + 1)
        while True:
            places = self._places(prefix, state, seek, size)
            known = {one.id: one for one in self.records([job_id for _, job_id in places])}
            for place in places:
                one = known.get(place[1])
                if one is None or state not in {None, one.state} or wanted not in {None, one.agent}:
                    continue
                if len(found) == limit:
                    return found, last
                found.append(one)
                last = place
            if len(places) < size:
                return found, None
            seek = places[-1]

    def _places(self, prefix: str, state: JobState | None, before: Place | None, size: int) -> Sequence[Place]:
        """When jobs were asked for and their ids, the newest first, a batch of them."""
        jobs = self._jobs.c
        query = select(jobs.created_at, jobs.workflow_uuid).where(jobs.name == WORKFLOW)
        if prefix:
            query = query.where(func.substr(jobs.workflow_uuid, 1, len(prefix)) == prefix)
        if state is not None:
            query = query.where(jobs.status.in_(words_of(state)))
        if before is not None:
            query = query.where(tuple_(jobs.created_at, jobs.workflow_uuid) < tuple_(*before))
        query = query.order_by(jobs.created_at.desc(), jobs.workflow_uuid.desc()).limit(size)
        with refusals(), self._engine.connect() as connection:
            return [(int(created), str(job_id)) for created, job_id in connection.execute(query)]

    def get(self, job_id: str) -> JobRecord:
        """One job, with its progress.

        Raises
        ------
        NotFoundError
            If there is none of this id.
        """
        with refusals():
            found = self._client.list_workflows(workflow_ids=[job_id], name=WORKFLOW)
            if not found:
                raise NotFoundError(f"job {job_id!r} is not in the queue: `barlake jobs list` names those that are.")
            said = self._client.get_event(job_id, PROGRESS, timeout_seconds=0)
        return record_of(found[0], said)

    def records(self, job_ids: Sequence[str]) -> Sequence[JobRecord]:
        """These jobs in this order, without their progress; ids that are unknown are left out."""
        found: dict[str, JobRecord] = {}
        for begin in range(0, len(job_ids), _PAGE):
            batch = list(job_ids[begin : begin + _PAGE])
            with refusals():
                rows = self._client.list_workflows(workflow_ids=batch, name=WORKFLOW)
            found |= {one.workflow_id: record_of(one) for one in rows}
        return [found[job_id] for job_id in job_ids if job_id in found]

    def states(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        """Where these jobs stand."""
        return {one.id: one.state for one in self.records(job_ids)}

    def counts(self) -> dict[tuple[str, JobState], int]:
        """How many jobs each agent has in each state that is not over, and of all agents in each that is.

        What is over, or paused, is no longer in an agent's queue: its agent is the empty text.
        """
        jobs = self._jobs.c
        is_held = jobs.attributes.is_not(None) & (cast(jobs.attributes, String) != "null")
        columns = (jobs.queue_name, jobs.status, is_held)
        query = select(*columns, func.count()).where(jobs.name == WORKFLOW).group_by(*columns)
        found: dict[tuple[str, JobState], int] = {}
        with refusals(), self._engine.connect() as connection:
            for queue, word, held, count in connection.execute(query):
                state = JobState.PAUSED if word == "CANCELLED" and held else STATES[word]
                key = (queue if word in _WAITING else "", state)
                found[key] = found.get(key, 0) + count
        return found

    def oldest(self) -> dict[tuple[str, JobState], dt.datetime]:
        """When the oldest job that each agent has waiting, or running, was asked for."""
        jobs = self._jobs.c
        query = select(jobs.queue_name, jobs.status, func.min(jobs.created_at)).where(jobs.name == WORKFLOW)
        query = query.group_by(jobs.queue_name, jobs.status)
        found: dict[tuple[str, JobState], dt.datetime] = {}
        with refusals(), self._engine.connect() as connection:
            for queue, word, created in connection.execute(query):
                if word in _WAITING:
                    key = (queue, STATES[word])
                    found[key] = min(instant_of(created), found.get(key, instant_of(created)))
        return found

    def stamps(self, *, limit: int) -> dict[str, dt.datetime]:
        """When the jobs that changed last did so, by id, the newest first."""
        jobs = self._jobs.c
        query = select(jobs.workflow_uuid, jobs.updated_at).where(jobs.name == WORKFLOW)
        with refusals(), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(jobs.updated_at.desc()).limit(limit)).all()
        return {job_id: instant_of(changed) for job_id, changed in rows}

    def waiting(self, agents: Sequence[str], *, limit: int) -> Sequence[str]:
        """Ids of jobs that are queued for these agents, or run."""
        with refusals():
            found = self._client.list_workflows(
                queue_name=[str(one) for one in agents], status=_WAITING, limit=limit, load_input=False,
                load_output=False,
            )  # fmt: skip
        return [one.workflow_id for one in found]

    def _pages(self, **words: Any) -> Iterator[WorkflowStatus]:
        for offset in itertools.count(0, _PAGE):
            with refusals():
                found = self._client.list_workflows(name=WORKFLOW, limit=_PAGE, offset=offset, **words)
            yield from found
            if len(found) < _PAGE:
                return

    # --- changing what becomes of them ---------------------------------------------------------

    def cancel(self, job_id: str) -> None:
        """Have a job not done, or not done to its end; a running one stops within seconds.

        Raises
        ------
        InvalidInputError
            If it is over.
        """
        record = self._not_over(job_id, "cancelled")
        with refusals():
            if record.state is JobState.PAUSED:
                self._client.update_workflow_attributes(job_id, None)
            else:
                self._client.cancel_workflow(job_id)

    def pause(self, job_id: str, *, reason: str = "paused by hand", needs_key: bool = False) -> None:
        """Set a job aside until it is resumed; a running one stops within seconds and keeps what it has.

        Parameters
        ----------
        needs_key
            The next worker that starts resumes it: its key may be another.

        Raises
        ------
        InvalidInputError
            If it is over.
        """
        record = self._not_over(job_id, "paused")
        if record.state is not JobState.PAUSED:
            with refusals():
                self._client.update_workflow_attributes(job_id, {HELD: reason, NEEDS_KEY: needs_key})
                self._client.cancel_workflow(job_id)

    def resume(self, job_id: str) -> None:
        """Queue a paused job again.

        Raises
        ------
        InvalidInputError
            If it is not paused.
        """
        record = self.get(job_id)
        if record.state is not JobState.PAUSED:
            raise InvalidInputError(f"job {job_id!r} is {record.state}, and only a paused one can be resumed.")
        with refusals():
            self._client.update_workflow_attributes(job_id, None)
            self._client.resume_workflow(job_id, queue_name=record.agent)

    def retry(self, job_id: str) -> None:
        """Queue a job again that failed or was cancelled.

        Raises
        ------
        InvalidInputError
            If it is something else.
        ConflictError
            If somebody else changed it at the same moment.
        """
        record = self.get(job_id)
        if record.state not in {JobState.FAILED, JobState.CANCELLED}:
            raise InvalidInputError(
                f"job {job_id!r} is {record.state}, and only one that failed or was cancelled can be done again; work "
                "that is done is asked for anew with --force."
            )
        try:
            with refusals():
                self._client.rewind_workflow(job_id, queue_name=record.agent)
        except dbos_errors.DBOSException as error:
            raise ConflictError(f"job {job_id!r} was changed by somebody else just now: look at it again.") from error

    def resume_needing_key(self) -> int:
        """Queue the jobs again that were paused because a key was refused; how many."""
        found = [one for one in self._pages(status="CANCELLED") if (one.attributes or {}).get(NEEDS_KEY)]
        for one in found:
            self.resume(one.workflow_id)
        return len(found)

    def _not_over(self, job_id: str, what: str) -> JobRecord:
        record = self.get(job_id)
        if record.state.is_over:
            raise InvalidInputError(f"job {job_id!r} is {record.state} already and cannot be {what}.")
        return record

    def prune(self, *, older_than: dt.timedelta) -> int:
        """Forget jobs that were over this long ago; how many. Work that is forgotten is done again when asked for."""
        before = (dt.datetime.now(dt.UTC) - older_than).isoformat()
        pruned = kept = 0
        while True:
            with refusals():
                found = self._client.list_workflows(
                    name=WORKFLOW, completed_before=before, limit=_PAGE, offset=kept, load_input=False,
                    load_output=False, status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
                )  # fmt: skip
                gone = [one.workflow_id for one in found if HELD not in (one.attributes or {})]
                self._client.delete_workflows(gone)
            pruned, kept = pruned + len(gone), kept + len(found) - len(gone)
            if len(found) < _PAGE:
                return pruned

    # --- what workers ask ----------------------------------------------------------------------

    def claim(self, job_id: str) -> Claim | None:
        """What tells the present run of a job from any other; None when it does not run."""
        return self.claims([job_id]).get(job_id)

    def claims(self, job_ids: Sequence[str] | None = None) -> dict[str, Claim]:
        """Of those that run, or of all that do."""
        if job_ids is not None and not job_ids:
            return {}
        # DBOS tells everybody the worker, but only itself the token that the worker got when it took the job.
        jobs = self._jobs.c
        query = select(jobs.workflow_uuid, jobs.executor_id, jobs.owner_xid, jobs.queue_name).where(
            jobs.name == WORKFLOW, jobs.status == "PENDING"
        )
        if job_ids is not None:
            query = query.where(jobs.workflow_uuid.in_(job_ids))
        with refusals(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {job_id: Claim(worker or "", token or "", agent or "") for job_id, worker, token, agent in rows}

    def requeue(self, job_id: str, agent: str) -> None:
        """Put a job that its worker gives up back into the queue."""
        with refusals():
            self._client.resume_workflow(job_id, queue_name=agent)

    # --- agents --------------------------------------------------------------------------------

    def pause_agent(self, agent: str) -> None:
        """Have no worker do anything for an agent; running jobs go back to the queue within seconds."""
        queue = self.register(agent)
        with refusals():
            queue.set_worker_concurrency(-abs(queue.worker_concurrency or self._concurrency))

    def resume_agent(self, agent: str) -> None:
        """Let the workers go on with an agent's jobs."""
        queue = self.register(agent)
        with refusals():
            queue.set_worker_concurrency(abs(queue.worker_concurrency or self._concurrency))

    def paused_agents(self) -> tuple[str, ...]:
        """Agents for whom nothing is done now."""
        with refusals():
            found = [(agent, self._client.retrieve_queue(str(agent))) for agent in Agent]
            return tuple(str(agent) for agent, queue in found if queue is not None and _is_paused(queue))

    def set_concurrency(self, agent: str, concurrency: int) -> None:
        """Say how many jobs of an agent each worker runs at a time; one that is paused stays so."""
        queue = self.register(agent)
        with refusals():
            queue.set_worker_concurrency(-concurrency if _is_paused(queue) else concurrency)

    def register(self, agent: str) -> Queue:
        """The agent's queue, made when missing; that it is paused shows in a concurrency below zero."""
        with refusals():
            return self._client.register_queue(
                str(agent_of(agent)),
                worker_concurrency=1 if agent in ONE_AT_A_TIME else self._concurrency,
                polling_interval_sec=POLLING_S,
                on_conflict="never_update",
            )


def _is_paused(queue: Queue) -> bool:
    return (queue.worker_concurrency or 0) < 0
