"""Events of a real service: what happens in the lake, in the queue and to workers is heard, and nobody is a burden."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.api import connections, envelope, monitor
from app.api.server import serving
from app.jobs.job import Job
from app.jobs.queue import open_queue
from app.operations import open_operations
from app.use_cases.monitor_looks import Looks
from barlake.lake import open_lake
from barlake.settings import Settings
from barlake.testing import make_bars
from tests.app.api.test_serve_command import Service

SOON_S = 3.0
DAY = dt.date(2024, 1, 2)
Event = tuple[str, dict[str, Any]]


def eventually(holds: Callable[[], bool], *, within_s: float = 30.0) -> bool:
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
        whole, same = first.next(), json.loads(second.recv(30))
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
        data = json.loads(found.recv(30))
        yield data["event"], data


def test_only_what_was_asked_for_is_told(url: str, settings: Settings) -> None:
    with Stream(url, "bars") as stream:
        whole = stream.next()
        assert (whole["jobs"], whole["heartbeats"], whole["coverage"]) == (None, None, [])
        with open_queue(settings) as queue:
            queue.put(Job("bars/sip/SPY/2024-01", "bars"))
        commit(settings, "SPY")
        assert next(stream.events())[0] == "bars"
    refused = requests.get(f"{url}/events?topics=bars,bar", timeout=20)
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
    assert "Did you mean 'bars'?" in refused.json()["detail"]


def test_whoever_comes_again_hears_the_whole_state_first(url: str, settings: Settings) -> None:
    with Stream(url, "job") as stream:
        stream.next("state")
        with open_queue(settings) as queue:
            queue.put(Job("bars/sip/SPY/2024-01", "bars"))
            assert stream.next("job")["state"] == "queued"
            queue.pause("bars/sip/SPY/2024-01")
            assert stream.next("job")["state"] == "paused"
            queue.cancel("bars/sip/SPY/2024-01")
            assert stream.next("job")["state"] == "cancelled"
    with Stream(url, "job", **{"Last-Event-ID": "7"}) as stream:
        assert [one["state"] for one in stream.next("state")["jobs"]] == ["cancelled"]


def test_all_who_listen_share_one_look_a_second_and_nobody_listening_there_is_none(
    url: str, looks: list[float], monitors: list[monitor.Monitor]
) -> None:
    with contextlib.ExitStack() as stack:
        for stream in [stack.enter_context(Stream(url)) for _ in range(5)]:
            stream.next("state")
        began = len(looks)
        time.sleep(2.2)
        assert 1 <= len(looks) - began <= 3
        assert len(monitors) == 1
        assert len(monitors[0].listeners) == 5
    assert eventually(lambda: not monitors[0].listeners)
    time.sleep(monitor.LOOK_S)
    over = len(looks)
    time.sleep(1.5 * monitor.LOOK_S)
    assert len(looks) == over
    with Stream(url) as stream:
        assert stream.next()["event"] == "state"


def test_a_client_that_goes_away_leaves_nothing_behind(url: str, monitors: list[monitor.Monitor]) -> None:
    with connect(url.replace("http", "ws") + "/ws/monitor") as there:
        there.recv(30)
        gone = Stream(url)
        gone.next()
        assert len(monitors[0].listeners) == 2
    gone.answer.close()
    assert eventually(lambda: not monitors[0].listeners)


def test_more_than_may_listen_are_told_to_come_later(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "MOST_LISTENERS", 1)
    with Stream(url) as first:
        first.next()
        refused = requests.get(f"{url}/events", timeout=20)
        assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
        assert int(refused.headers["retry-after"]) > 0
        with pytest.raises(InvalidStatus, match="429"):
            connect(url.replace("http", "ws") + "/ws/monitor")


def test_a_quiet_stream_is_kept_and_filled_with_comments(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((connections, "REQUEST_S"), (connections, "READING_S"), (envelope, "BODY_S")):
        monkeypatch.setattr(module, name, 0.4)
    monkeypatch.setattr(monitor, "QUIET_S", 0.3)
    with serving(settings) as url, Stream(url) as stream, connect(url.replace("http", "ws") + "/ws/monitor") as socket:
        stream.next()
        while json.loads(socket.recv(30))["event"] != "state":  # the first look may take longer than silence does
            pass
        time.sleep(1.5)
        commit(settings, "SPY")
        assert stream.next()["symbol"] == "SPY"
        assert stream.comments >= 3
        assert [json.loads(socket.recv(30))["event"] for _ in range(3)] == ["ping"] * 3


def test_a_key_that_is_revoked_ends_its_stream(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "QUIET_S", 0.3)
    closed = settings.model_copy(update={"api_open_on_loopback": False})
    with open_operations(settings) as operations:
        _, text = operations.api_keys.create("me", "reader")
        with serving(closed) as url, Stream(url, Authorization=f"Bearer {text}") as stream:
            assert requests.get(f"{url}/events", timeout=20).status_code == 401
            stream.next()
            operations.api_keys.revoke("me")
            began = time.monotonic()
            assert list(stream.events()) == []
            assert time.monotonic() - began < 5


def test_told_to_end_the_service_ends_streams_at_once_and_itself_in_order(tmp_path: Path) -> None:
    service = Service(tmp_path / "lake", tmp_path / "out")
    with Stream(service.url) as stream, connect(service.url.replace("http", "ws") + "/ws/monitor") as socket:
        stream.next()
        socket.recv(30)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert list(stream.events()) == []  # with its last chunk: an end, not a break
        assert time.monotonic() - began < 3
        assert service.process.wait(60) == 0
        assert time.monotonic() - began < 10
        with pytest.raises(ConnectionClosed):
            socket.recv(30)
    assert [one for one in service.log() if one["level"] in {"error", "critical"}] == []
    service.process.communicate()
