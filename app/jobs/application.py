"""DBOS within a worker: launched on the queue's database, listening to the worker's agents, and let go of again."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy.engine import URL

from app.jobs.database import APPLICATION, SCHEMA, VERSION, address_of, queue_engine, queue_place
from app.jobs.job import Agent
from barlake.settings import Settings

__all__ = ["PARTING_S", "launched", "recover"]

PARTING_S = 45
"""How long a worker that is to end waits for its runs: a request in flight may take 30 s to be given up."""


@contextlib.contextmanager
def launched(settings: Settings, name: str, agents: Collection[Agent]) -> Iterator[None]:
    """Take jobs of these agents until the block ends, then wait for the runs that are under way.

    Parameters
    ----------
    name
        Of the worker: jobs that an earlier one of this name left are taken up at once.
    """
    _speak_by_our_log()
    place = queue_place(settings)
    config = DBOSConfig(
        name=APPLICATION,
        application_version=VERSION,
        executor_id=name,
        serializer=DBOSPortableJSONSerializer(),
        dbos_system_schema=SCHEMA,
        enable_otlp=False,
        log_level="WARNING",
    )
    engine = queue_engine(place)
    if isinstance(place, URL):
        engine.dispose()
        config["system_database_url"] = address_of(place)
    else:
        config["system_database_url"] = f"sqlite:///{place}"
        config["system_database_engine"] = engine
    DBOS(config=config)
    try:
        DBOS.listen_queues([str(agent) for agent in agents])
        DBOS.launch()
        yield
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=PARTING_S)
        engine.dispose()


def recover(worker: str) -> None:
    """Queue again what a dead worker was doing. What a live one has taken up meanwhile stays with it."""
    DBOS._recover_pending_workflows([worker])  # noqa: SLF001 - the public `resume_workflow` asks nobody whose job it is


def _speak_by_our_log() -> None:
    log = logging.getLogger("dbos")
    log.setLevel(logging.WARNING)
    if not log.handlers:
        # DBOS adds a handler of its own where there is none, and keeps its words from the others.
        log.addHandler(logging.NullHandler())
        log.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a message says more than the run itself did."""
    return not record.getMessage().startswith("Exception encountered in background workflow")
