"""When a service is told to end: by the signal itself, for its server tells nobody before the last answer is sent."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["set_by_signals"]


@contextlib.contextmanager
def set_by_signals(stopping: threading.Event) -> Iterator[None]:
    """Have an event set by SIGINT and SIGTERM, beside what a server does at them.

    In other threads than the main one nothing happens: no signal comes there.
    """
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                # Where nobody listens for a signal, the system's own answer to it stays.
                if callable(before):
                    signal.signal(number, functools.partial(_tell, stopping, before))
                    stack.callback(signal.signal, number, before)
        yield


def _tell(
    stopping: threading.Event, then: Callable[[int, FrameType | None], object], number: int, frame: FrameType | None
) -> None:
    stopping.set()
    then(number, frame)
