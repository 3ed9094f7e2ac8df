"""What is done to a lake and killed while it is done, each in a process of its own.

A nursery is a process that has imported everything and run nothing. It forks one child for each order, so
an order costs milliseconds, and kills it where it is told to: after a while, or at its n-th step. A step
is a file opened, renamed, removed or made below the campaign's folder, or a transaction about to be
committed or just ended: the child meets a real SIGKILL at that point.
"""

from __future__ import annotations

import datetime as dt
import os
import pickle
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import alembic.command  # noqa: F401 - imported before the fork, not in each child
from sqlalchemy import Engine, Pool, event

import barlake
from barlake import layout
from barlake.backup import backup
from barlake.keys import PeriodLength
from barlake.lake import Lake
from barlake.rebuild import rebuild
from barlake.records import RowRank, utc_now
from barlake.restore import restore
from barlake.settings import Settings
from barlake.stores import LocalStore
from ingest_service import pages
from ingest_service.alpaca import AlpacaSource
from ingest_service.backfill import backfill
from ingest_service.emulator.config import PLACEHOLDER_KEY_ID, PLACEHOLDER_SECRET_KEY
from tests.campaign.plain_lake import Rows, frame_of

PAGE_ROWS = 40
"""Bars a page: several pages and so several commits for one symbol."""

LONGEST_S = 60.0
_AUDITED = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "sqlite3.connect"}


@dataclass(frozen=True)
class Order:
    """One deed: `arguments` are those of the function of that name."""

    name: str
    folder: Path
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Kill:
    """Where to kill: seconds after the fork, or at a step counted from 1; neither lets it end."""

    delay: float | None = None
    step: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a child ended: killed, or with an error, or well after so many seconds and steps."""

    killed: bool
    seconds: float
    steps: int = 0
    error: str = ""


def open_at(root: Path, **settings: Any) -> Lake:
    return barlake.open(root, settings=Settings(_env_file=None, **settings))


def merge(folder: Path, *, key: tuple[str, str], rows: Rows, rank: RowRank, longest: PeriodLength) -> None:
    with open_at(folder / "lake") as lake:
        lake.writer.write(frame_of(rows), feed=key[0], symbol=key[1], source="test", rank=rank, longest=longest)


def finalise(folder: Path, *, key: tuple[str, str], sessions: set[dt.date]) -> None:
    with open_at(folder / "lake") as lake:
        lake.writer.finalise(sessions, feed=key[0], symbol=key[1], source="test")


def roll_up(folder: Path) -> None:
    with open_at(folder / "lake") as lake:
        lake.rollup()


def clean(folder: Path, *, grace: dt.timedelta) -> None:
    with open_at(folder / "lake") as lake:
        lake.vacuum(grace=grace)


def show(folder: Path) -> None:
    with open_at(folder / "lake") as lake:
        lake.publish()


def ingest(folder: Path, *, symbol: str, url: str, start: str, end: str) -> None:
    pages.PAGE_LIMIT = PAGE_ROWS
    settings = {
        "ALPACA_DATA_URL": url,
        "ALPACA_API_KEY_ID": PLACEHOLDER_KEY_ID,
        "ALPACA_API_SECRET_KEY": PLACEHOLDER_SECRET_KEY,
        "ALPACA_RPM": 100_000,
    }
    with open_at(folder / "lake", **settings) as lake:
        source = AlpacaSource.from_settings(lake.settings)
        backfill(lake, source, [symbol], start, end, feed="sip")


def save(folder: Path) -> None:
    with open_at(folder / "lake") as lake:
        backup(lake.store, lake.root, lake.manifest, folder / "copies", now=utc_now)


def bring_back(folder: Path, *, name: str, generation: str) -> None:
    root = folder / name
    if (root / layout.RESTORING_FILE).exists() or not root.exists() or not any(root.iterdir()):
        restore(folder / "copies", LocalStore(root), root, generation=generation)


def make_anew(folder: Path) -> None:
    with open_at(folder / "lake") as lake:
        calendar = lake.calendar
    rebuild(LocalStore(folder / "lake"), folder / "lake", calendar, now=utc_now)


DEEDS: dict[str, Callable[..., None]] = {
    "merge": merge, "finalise": finalise, "rollup": roll_up, "vacuum": clean, "publish": show, "ingest": ingest,
    "backup": save, "restore": bring_back, "rebuild": make_anew,
}  # fmt: skip


# --- the nursery ----------------------------------------------------------------------------------


class _Steps:
    """Counts the steps of this process, and kills it at one of them."""

    def __init__(self, folder: Path, last: int | None) -> None:
        self.count = 0
        self._folder = str(folder)
        self._last = last
        sys.addaudithook(self._audit)
        event.listen(Engine, "commit", self._take)
        event.listen(Pool, "checkin", self._take)

    def _audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in _AUDITED and str(arguments[0]).startswith(self._folder):
            self._take()

    def _take(self, *_: object) -> None:
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def _perform(order: Order, kill: Kill, answer: int) -> None:
    """Do it, in the child, and say how it went."""
    error = ""
    steps = _Steps(order.folder, kill.step)
    try:
        DEEDS[order.name](order.folder, **order.arguments)
    except BaseException:  # noqa: BLE001 - whatever it is belongs into the report
        error = traceback.format_exc()
    os.write(answer, pickle.dumps((steps.count, error[-3000:])))


def carry_out(order: Order, kill: Kill) -> Outcome:
    """Fork a child for an order, kill it where that is wanted, and wait for its end."""
    begun = time.monotonic()
    question, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _perform(order, kill, answer)
        finally:
            os._exit(0)
    os.close(answer)
    if not select.select([question], [], [], LONGEST_S if kill.delay is None else kill.delay)[0]:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    seconds = time.monotonic() - begun
    with os.fdopen(question, "rb") as stream:
        text = stream.read()
    if not text:
        return Outcome(killed=True, seconds=seconds)
    steps, error = pickle.loads(text)  # noqa: S301 - from our own child
    return Outcome(killed=False, seconds=seconds, steps=steps, error=error)


def nursery(pipe: Connection) -> None:
    """Carry out orders, and start watchers, until nobody asks any more; runs no library code itself."""
    parent = os.getppid()
    while os.getppid() == parent:
        if not pipe.poll(0.5):
            continue
        what, *arguments = pipe.recv()
        if what == "end":
            return
        if what == "carry out":
            pipe.send(carry_out(*arguments))
        elif what == "start":
            pid = os.fork()
            if pid == 0:
                try:
                    arguments[0](*arguments[1:])
                finally:
                    os._exit(0)
            pipe.send(pid)
        elif what == "wait":
            pipe.send(os.waitstatus_to_exitcode(os.waitpid(arguments[0], 0)[1]))
