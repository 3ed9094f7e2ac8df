"""The lake, its queue and its operations, opened once for all who look."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

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
def _open(_settings: Settings, known_by: int) -> _Opened:  # noqa: ARG001 - what tells settings apart
    """All parts of one lake. Names that begin with an underscore are no part of Streamlit's key."""
    found = open_lake(settings=_settings)
    queue, operations = open_queue(_settings), open_operations(_settings)
    return _Opened(found, queue, operations, Observer(found, operations, queue, clock_of(_settings)))


def _opened() -> _Opened:
    settings = _settings(_state_of(Path(".env")), frozenset(os.environ.items()))
    return _open(settings, hash(settings))


@functools.lru_cache(maxsize=1)
def _settings(_file: object, _environment: frozenset[tuple[str, str]]) -> Settings:
    """The settings, read anew when `.env` or the environment has changed: a key may come while the pages are open."""
    return load_settings()


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size


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
