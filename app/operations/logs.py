"""The log of a process: every record as one structured line, shown on a stream and kept in the database.

Code below `app` logs with the standard library alone, `logger.info("fetched a page", extra={"symbol": ...})`; here
structlog makes of each record, its own or theirs, one line with the same names: timestamp, level, agent, symbol,
stage, job, message. Logging never delays the work nor ends it: the database is written by a thread of its own,
in batches, and a database that refuses costs log records and nothing else.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

from app.operations.log_writer import LogSink, LogWriter, QueueToWriter, TableSink
from app.operations.operations import Operations, open_operations
from app.operations.redaction import Redactor
from app.operations.telemetry import log_sink
from barlake.settings import Settings

__all__ = ["Log", "configure_logging", "kept_log", "log_context"]

_ORDER = ("timestamp", "level", "agent", "symbol", "stage", "job", "message")
_EXIT_PATIENCE_S = 5.0
_SELDOM_S = 300.0
_CHATTY = ("urllib3", "alpaca", "websockets", "asyncio", "filelock")
"""Libraries whose every step is not ours to tell."""


class Log:
    """The log of this process; `flush` and `close` see what was said to its place."""

    def __init__(self, writer: LogWriter | None, handlers: Sequence[logging.Handler]) -> None:
        self._writer = writer
        self._handlers = handlers

    @property
    def lost(self) -> int:
        """Records that the database did not take; the stream had them."""
        return self._writer.lost if self._writer else 0

    def handle(self, record: logging.LogRecord) -> None:
        """Take a record as if it had just been logged."""
        for handler in self._handlers:
            if record.levelno >= handler.level:
                handler.handle(record)

    def flush(self, timeout_s: float = _EXIT_PATIENCE_S) -> None:
        """Wait until what was logged so far is stored, but not longer than that."""
        if self._writer is not None:
            self._writer.flush(timeout_s)

    def close(self) -> None:
        """Store what is left and end the writer; the stream goes on."""
        global _current  # noqa: PLW0603 - the log is the process's, as the module `logging` is
        if _current is self:
            _current = None
        for handler in self._handlers:
            if isinstance(handler, QueueToWriter):
                logging.getLogger().removeHandler(handler)
        if self._writer is not None:
            self._writer.close(_EXIT_PATIENCE_S)
            self._writer = None


_current: Log | None = None


def configure_logging(
    settings: Settings,
    *,
    agent: str,
    operations: Operations | Callable[[], Operations] | None = None,
    for_person: bool = False,
) -> Log:
    """The log of this process, from now on, in place of an earlier one.

    Parameters
    ----------
    agent
        Who speaks, where `log_context` does not say otherwise.
    operations
        Where records of level `info` and above are kept, or what opens it for the first of them; None keeps them
        nowhere.
    for_person
        The process is a command whose result goes to stdout: lines go to stderr, in plain words, and only warnings
        and worse, unless the settings say otherwise. Else they go to stdout, as JSON, from `info` on.
    """
    global _current  # noqa: PLW0603 - the log is the process's, as the module `logging` is
    if _current is not None:
        _current.close()
    redactor = Redactor.of(settings)
    as_json = JsonLines(agent, redactor)
    looks = (settings.log_format or ("text" if for_person else "json")).lower()
    level = (settings.log_level or ("warning" if for_person else "info")).upper()
    shown = _StreamHandler(is_error=for_person)
    shown.setFormatter(as_json if looks == "json" else PlainLines(agent, redactor))
    shown.setLevel(level)
    handlers: list[logging.Handler] = [shown]
    _install(handlers)
    sinks: list[LogSink] = []
    if operations is not None or not for_person:
        exported = log_sink(settings, agent=agent)
        sinks += [] if exported is None else [exported]
    if operations is not None:
        keep = {"keep_rows": settings.log_keep_rows, "keep_days": settings.log_keep_days}
        sinks.append(TableSink(lambda: (operations() if callable(operations) else operations).logs, **keep))
    writer = LogWriter(sinks) if sinks else None
    if writer is not None:
        kept = QueueToWriter(writer, as_json)
        kept.setLevel(min(logging.INFO, shown.level))
        handlers.append(kept)
    _install(handlers)
    _current = Log(writer, handlers)
    if writer is not None:
        _flush_when_terminated()
    return _current


@contextlib.contextmanager
def kept_log(settings: Settings, *, agent: str) -> Iterator[None]:
    """The log of a command that fetches or writes: what it does is kept in the database, until the block ends.

    A command that does nothing makes no database, and one that cannot be opened stops no work.
    """
    with contextlib.ExitStack() as stack:
        opened = functools.cache(lambda: stack.enter_context(open_operations(settings)))
        log = configure_logging(settings, agent=agent, operations=opened, for_person=True)
        try:
            yield
        finally:
            log.close()


def log_context(**fields: str | None) -> AbstractContextManager[None]:
    """Names, such as `job` and `agent`, that every record of this thread has until the block ends."""
    return structlog.contextvars.bound_contextvars(**{name: held for name, held in fields.items() if held is not None})


class JsonLines(ProcessorFormatter):
    """A record as one line of JSON, without secrets."""

    def __init__(self, agent: str, redactor: Redactor) -> None:
        super().__init__(
            foreign_pre_chain=_steps(), processors=[*_ends(agent, redactor), structlog.processors.JSONRenderer()]
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line; made once, however many handlers ask."""
        line: str | None = getattr(record, "_line", None)
        if line is None:
            line = record._line = super().format(record)  # noqa: SLF001 - ours
        return line


class PlainLines(ProcessorFormatter):
    """A record as one line for eyes, without secrets."""

    def __init__(self, agent: str, redactor: Redactor) -> None:
        processors: list[Any] = [*_ends(agent, redactor), _plainly]
        super().__init__(foreign_pre_chain=_steps(), processors=processors)


def _steps() -> list[Any]:
    """What every record goes through, whoever made it."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]


def _ends(agent: str, redactor: Redactor) -> list[Any]:
    def in_order(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        event["message"] = event.pop("event", "")
        event.setdefault("agent", agent)
        first = {name: event.pop(name) for name in _ORDER if event.get(name) is not None}
        return {**first, **{name: held for name, held in event.items() if held is not None and name not in _ORDER}}

    def without_secrets(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        cleaned: dict[str, Any] = redactor.value(event)
        return cleaned

    return [ProcessorFormatter.remove_processors_meta, in_order, without_secrets]


def _plainly(_logger: Any, _method: str, event: dict[str, Any]) -> str:
    """`warning: message (symbol=SPY stage=fetch)`, with a trace below."""
    facts = dict(event)
    level, message, trace = facts.pop("level", "info"), facts.pop("message"), facts.pop("exception", None)
    for name in ("timestamp", "logger", "agent", "stage"):
        facts.pop(name, None)
    aside = " ".join(f"{name}={held}" for name, held in facts.items() if not isinstance(held, dict | list))
    return f"{level}: {message}" + (f" ({aside})" if aside else "") + (f"\n{trace}" if trace else "")


class _StreamHandler(logging.StreamHandler[TextIO]):
    """Writes to the stdout or stderr of the moment, which tests and wrappers exchange."""

    def __init__(self, *, is_error: bool) -> None:
        self._is_error = is_error
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Where lines go now."""
        return sys.stderr if self._is_error else sys.stdout

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name in `logging`
        """A stream that nobody reads any more, or a full disk behind it, ends no work."""


class _Seldom(logging.Filter):
    """Lets what a library repeats about a collector that is away through once in five minutes."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be handled."""
        if not record.name.startswith("opentelemetry"):
            return True
        last = self._said.get(record.name)
        if last is not None and record.created - last < _SELDOM_S:
            return False
        self._said[record.name] = record.created
        return True


def _is_ours(handler: logging.Handler) -> bool:
    return isinstance(handler, _StreamHandler | QueueToWriter) or getattr(handler, "is_placeholder", False)


def _install(handlers: Sequence[logging.Handler]) -> None:
    root = logging.getLogger()
    for handler in handlers:
        handler.addFilter(_Seldom())
    # A new list: a record may be on its way through the old one.
    root.handlers = [*(one for one in root.handlers if not _is_ours(one)), *handlers]
    root.setLevel(min(handler.level for handler in handlers))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    structlog.configure(
        processors=[*_steps(), ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


@atexit.register
def _close_at_exit() -> None:
    if _current is not None:
        _current.close()


def _flush_when_terminated() -> None:
    """Let SIGTERM end the process as before, but not before the log is stored.

    A worker sets a handler of its own, which ends it in order.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _flush_and_end)


def _flush_and_end(number: int, _frame: FrameType | None) -> None:
    if _current is not None:
        _current.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
