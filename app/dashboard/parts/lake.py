"""The lake, its queue and its operations, opened once for all who look."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.jobs.queue import JobQueue, open_queue
from app.operations import Operations, open_operations
from app.operations.observer import Observer
from barlake.clock import clock_of
from barlake.lake import Lake, open_lake
from barlake.settings import Settings, load_settings

__all__ = ["lake", "observer", "operations", "queue"]


@dataclass(frozen=True)
class _Opened:
    lake: Lake
    queue: JobQueue
    operations: Operations
    observer: Observer


@st.cache_resource(show_spinner=False)
def _open(_settings: Settings, root: str, folder: str) -> _Opened:  # noqa: ARG001 - what tells lakes apart
    """All parts of one lake. Names that begin with an underscore are no part of Streamlit's key."""
    found = open_lake(settings=_settings)
    queue, operations = open_queue(_settings), open_operations(_settings)
    return _Opened(found, queue, operations, Observer(found, operations, queue, clock_of(_settings)))


def _opened() -> _Opened:
    settings = load_settings()
    return _open(settings, settings.root, str(settings.local_root))


def lake() -> Lake:
    """The lake that the settings name.

    Raises
    ------
    StorageError
        If it cannot be opened.
    """
    return _opened().lake


def queue() -> JobQueue:
    """The lake's jobs."""
    return _opened().queue


def operations() -> Operations:
    """The lake's heartbeats, logs and alerts."""
    return _opened().operations


def observer() -> Observer:
    """Who looks at all of it at once."""
    return _opened().observer
