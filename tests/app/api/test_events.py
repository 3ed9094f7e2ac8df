"""Events of a real service: what happens in the lake, in the queue and to workers is heard, and nobody is a burden."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from app.api import monitor
from app.api.server import serving
from app.jobs.job import Job
from app.jobs.queue import open_queue
from app.operations import open_operations
from app.use_cases.monitor_looks import Looks
from barlake.lake import open_lake
from barlake.settings import Settings
from barlake.testing import make_bars

SOON_S = 3.0
DAY = dt.date(2024, 1, 2)
Event = tuple[str, dict[str, Any]]


def eventually(holds: Callable[[], bool], *, within_s: float = 5.0) -> bool:
    """Whether something comes to hold in time."""
    deadline = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


class Stream:
    """One who listens to `/events`."""

    def __init__(self, url: str, topics: str = "", **headers: str) -> None:
        asked = f"{url}/events?topics={topics}"
        self.answer = requests.get(asked, headers=headers, stream=True, timeout=20)
        self.comments = 0
        self._lines = self.answer.iter_lines(chunk_size=1, decode_unicode=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()

    def events(self) -> Iterator[Event]:
        """Each event, until the service ends the stream."""
        name = ""
        for line in self._lines:
            kind, _, text = line.partition(": ")
            self.comments += line.startswith(":")
            if kind == "event":
                name = text
            elif kind == "data":
                yield name, json.loads(text)

    def next(self, wanted: str = "") -> dict[str, Any]:
        """The next event, or the next of this kind."""
        return next(data for name, data in self.events() if wanted in ("", name))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the service looked."""
    taken: list[float] = []
    take = Looks.look

    def look(self: Looks) -> Any:
        taken.append(time.monotonic())
        return take(self)

    monkeypatch.setattr(Looks, "look", look)
    return taken


@pytest.fixture
def monitors(monkeypatch: pytest.MonkeyPatch) -> list[monitor.Monitor]:
    """Monitors that the service has made."""
    made: list[monitor.Monitor] = []
    make = monitor.Monitor.__init__

    def remember(self: monitor.Monitor, *parts: Any) -> None:
        make(self, *parts)
        made.append(self)

    monkeypatch.setattr(monitor.Monitor, "__init__", remember)
    return made


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with serving(settings) as url:
        yield url


def commit(settings: Settings, symbol: str, minutes: int = 30) -> None:
    with open_lake(settings=settings) as lake:
        lake.write_bars(make_bars([DAY], minutes=minutes), feed="synthetic", symbol=symbol, source="made")


def test_a_commit_a_job_and_a_beat_are_heard_by_all_within_three_seconds(url: str, settings: Settings) -> None:
    with Stream(url) as first, connect(url.replace("http", "ws") + "/ws/monitor") as second:
        whole, same = first.next(), json.loads(second.recv(10))
        assert (whole["event"], whole["missed"], whole["jobs"], whole["coverage"]) == ("state", False, [], [])
        assert same.keys() == whole.keys()

        began = time.monotonic()
        commit(settings, "SPY")
        with open_queue(settings) as queue:
            queue.put(Job("bars/sip/SPY/2024-01", "bars", {"symbol": "SPY"}))
        with open_operations(settings) as operations:
            operations.heartbeats.beat(worker="me", agent="backfill", state="working", done=1, total=4)
        done = time.monotonic()
        heard = dict(take(first.events(), {"job", "heartbeat", "coverage", "bars"}))
        assert time.monotonic() - done < SOON_S, began
        assert heard["job"]["id"] == "bars/sip/SPY/2024-01"
        assert (heard["job"]["state"], heard["job"]["agent"]) == ("queued", "backfill")
        assert (heard["heartbeat"]["worker"], heard["heartbeat"]["done"]) == ("me", 1)
        assert (heard["coverage"]["feed"], heard["coverage"]["bars"], heard["coverage"]["first"]) == (
            "synthetic", 30, "2024-01-02",
        )  # fmt: skip
        assert (heard["bars"]["symbol"], heard["bars"]["count"]) == ("SPY", 30)
        assert heard["bars"]["newest"] == heard["coverage"]["newest"]
        assert dict(take(messages(second), {"job", "heartbeat", "coverage", "bars"})) == heard


def take(events: Iterator[Event], kinds: set[str]) -> list[Event]:
    """Events until one of each kind has come."""
    found: list[Event] = []
    while kinds - {name for name, _ in found}:
        found.append(next(events))
    return found


def messages(found: ClientConnection) -> Iterator[Event]:
    while True:
        data = json.loads(found.recv(10))
        yield data["event"], data
