"""What every request shares: one lake, one queue, one operations database, opened when the service begins."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.jobs.queue import JobQueue, open_queue
from app.operations import Operations, open_operations
from app.operations.observer import Observer
from barlake.clock import clock_of
from barlake.lake import Lake, open_lake
from barlake.settings import Settings

__all__ = ["House", "open_house"]


@dataclass(frozen=True)
class House:
    """The parts that requests ask; each may be used by several threads.

    Parameters
    ----------
    stopping
        Set when the service is told to end: answers without an end, such as streams of events, end then.
    """

    settings: Settings
    lake: Lake
    queue: JobQueue
    operations: Operations
    observer: Observer
    stopping: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def open_house(settings: Settings) -> Iterator[House]:
    """All parts of a lake's service, closed when the block ends.

    Raises
    ------
    StorageError
        If the lake or a database of it cannot be opened.
    InvalidInputError
        If a setting names no lake, or no database.
    """
    with (
        open_lake(settings=settings) as lake,
        open_operations(settings) as operations,
        open_queue(settings) as queue,
    ):
        observer = Observer(lake, operations, queue, clock_of(settings))
        yield House(settings, lake, queue, operations, observer)
