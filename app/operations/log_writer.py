"""The thread that carries log records to the database and to a collector, in batches."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import logging.handlers
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from app.operations.log_records import LogRecords
from barlake.errors import StorageError

__all__ = ["LogSink", "LogWriter", "QueueToWriter", "TableSink"]

_WAITING = 10_000
"""Records that may wait; what comes when so many do is lost to the database, not to the stream."""
_BATCH = 1_000
_GATHER_S = 0.25
"""So long a batch may grow: a reader who follows sees a record so much later."""
_RETRY_S = 2.0
_PRUNE_EVERY_S = 60.0
_COLUMNS = ("agent", "symbol", "stage", "job", "message")


class LogSink(Protocol):
    """Where batches of records go: rows as in the table of log records."""

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take a batch; a `StorageError` asks for another try later."""
        ...

    def close(self) -> None:
        """Send what is held back."""
        ...


class TableSink:
    """The table of log records, kept to its size.

    Parameters
    ----------
    records
        Gives the table when there is something to store.
    """

    def __init__(self, records: Callable[[], LogRecords], *, keep_rows: int, keep_days: int) -> None:
        self._records = records
        self._keep_rows, self._keep_days = keep_rows, keep_days
        self._pruned: float | None = None
        self._since_prune = 0

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store a batch, and once in a while take out what is too old or too much."""
        records = self._records()
        records.append(rows)
        now, self._since_prune = time.monotonic(), self._since_prune + len(rows)
        if self._pruned is None or now - self._pruned > _PRUNE_EVERY_S or self._since_prune > self._keep_rows // 10:
            records.prune(keep_rows=self._keep_rows, keep_days=self._keep_days)
            self._pruned, self._since_prune = now, 0

    def close(self) -> None:
        """Nothing is held back."""


class _Flush(threading.Event):
    """A mark in the queue: all before it was dealt with when it is set."""


class QueueToWriter(logging.handlers.QueueHandler):
    """Hands each record to the writer as a row; never waits."""

    def __init__(self, writer: LogWriter, lines: logging.Formatter) -> None:
        super().__init__(queue.Queue())  # the writer has the queue; the base class wants one
        self._writer = writer
        self._lines = lines

    def prepare(self, record: logging.LogRecord) -> Any:
        """The record as a row of the table."""
        event = json.loads(self._lines.format(record))
        row = {name: None if event.get(name) is None else str(event[name]) for name in _COLUMNS}
        rest = {name: held for name, held in event.items() if name not in {*_COLUMNS, "timestamp", "level"}}
        logged_at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        return {**row, "logged_at": logged_at, "level": record.levelno, "fields": json.dumps(rest)}

    def enqueue(self, record: Any) -> None:
        """Leave the row with the writer."""
        self._writer.offer(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the name in `logging`
        """A record that cannot be put in words ends no work."""
        self._writer.lost += 1


class LogWriter:
    """Takes rows from any thread at once and writes them from one.

    Parameters
    ----------
    complain
        Told, once an episode, that a sink refuses.
    """

    def __init__(self, sinks: Sequence[LogSink], *, complain: Callable[[str], None] | None = None) -> None:
        self._sinks = sinks
        self._complain = complain or _to_stderr
        # `SimpleQueue.put` may be interrupted by a signal handler that puts, too.
        self._queue: queue.SimpleQueue[dict[str, Any] | _Flush] = queue.SimpleQueue()
        self._is_closing = threading.Event()
        self._is_refused = False
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def offer(self, row: dict[str, Any]) -> None:
        """Take a row, or lose it when too many wait."""
        if self._queue.qsize() >= _WAITING:
            self.lost += 1
        else:
            self._queue.put(row)

    def flush(self, timeout_s: float) -> None:
        """Wait until what was offered so far is written, but not longer than that."""
        mark = _Flush()
        self._queue.put(mark)
        mark.wait(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Write what is left, without patience for a sink that refuses."""
        self._is_closing.set()
        self._queue.put(_Flush())
        self._thread.join(timeout_s)
        for sink in self._sinks:
            sink.close()

    def _run(self) -> None:
        while not (self._is_closing.is_set() and self._queue.empty()):
            rows, marks = self._gather()
            for sink in self._sinks:
                self._write(sink, rows)
            for mark in marks:
                mark.set()

    def _gather(self) -> tuple[list[dict[str, Any]], list[_Flush]]:
        """The next batch: it ends when it is large, when it has grown for a while, or at a mark."""
        rows: list[dict[str, Any]] = []
        ends = None
        while len(rows) < _BATCH:
            try:
                found = self._queue.get(timeout=None if ends is None else max(ends - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if isinstance(found, _Flush):
                return rows, [found]
            rows.append(found)
            ends = ends or time.monotonic() + _GATHER_S
        return rows, []

    def _write(self, sink: LogSink, rows: list[dict[str, Any]]) -> None:
        while rows:
            try:
                sink.append(rows)
            except StorageError as error:
                self._say_refused(str(error))
                if self._is_closing.wait(_RETRY_S):
                    self.lost += len(rows)
                    return
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread must go on
                self._say_refused(f"{type(error).__name__} while log records were stored")
                self.lost += len(rows)
                return
            else:
                self._say_accepted()
                return

    def _say_refused(self, why: str) -> None:
        if not self._is_refused:
            self._complain(f"log records cannot be stored: {why}")
        self._is_refused = True

    def _say_accepted(self) -> None:
        if self._is_refused:
            self._complain(f"log records are stored again; {self.lost} were lost to the database")
        self._is_refused = False


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text + "\n")
