"""How many queries run at once, and how many wait for their turn."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from app.sandbox.errors import SqlBusyError

__all__ = ["Gate"]

_WAITING = 8
_PATIENCE_S = 5.0


class Gate:
    """Lets some in, lets a few wait for some seconds, and sends the rest away at once.

    Who waits holds a thread of the service, so few may: a crowd of queries must not keep other questions from
    being answered.
    """

    def __init__(self, *, waiting: int = _WAITING, patience_s: float = _PATIENCE_S) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._outside = 0
        self._waiting = waiting
        self._patience_s = patience_s

    @contextlib.contextmanager
    def entered(self, at_once: int) -> Iterator[None]:
        """Hold one of `at_once` places.

        Raises
        ------
        SqlBusyError
            If too many wait already, or no place was free in time.
        """
        with self._changed:
            if self._inside >= at_once and not self._wait(at_once):
                raise SqlBusyError(
                    f"{at_once} queries run at the moment, as many as may (BARLAKE_SQL_CONCURRENCY): "
                    "ask again in some seconds."
                )
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify()

    def _wait(self, at_once: int) -> bool:
        if self._outside >= self._waiting:
            return False
        self._outside += 1
        try:
            return self._changed.wait_for(lambda: self._inside < at_once, self._patience_s)
        finally:
            self._outside -= 1
