"""The stream, heard by the unmodified client of alpaca-py and by a plain one."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from alpaca.data.live import NewsDataStream, StockDataStream
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from ingest_service.emulator import PAPER_FREE, PAPER_PLUS

FIRST = dt.datetime(2024, 11, 1, 13, 30, tzinfo=dt.UTC)
"""Opening instant of the folder's first bar."""


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Listener:
    """A plain client: says what it is told and keeps what it hears."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def say(self, **said: object) -> list[dict[str, Any]]:
        self.socket.send(json.dumps(said))
        return self.hear()

    def hear(self, timeout: float = 10) -> list[dict[str, Any]]:
        heard: list[dict[str, Any]] = json.loads(self.socket.recv(timeout))
        return heard

    def enter(self, visitor: Any, key: str | None = None) -> list[dict[str, Any]]:
        return self.say(action="auth", key=key or visitor.config.key_id, secret=visitor.config.secret_key)

    def data(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < count:
            found += self.hear()
        return found


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    with contextlib.ExitStack() as open_sockets:

        def start(visitor: Any, endpoint: str = "/v2/iex") -> Listener:
            address = visitor.url.replace("http", "ws") + endpoint
            listener = Listener(open_sockets.enter_context(connect(address, proxy=None)))
            assert listener.hear() == [{"T": "success", "msg": "connected"}]
            return listener

        yield start


@pytest.fixture
def live(emulate: Any, folder: Path) -> Any:
    """An emulator of the folder as feed iex, whose clock stands just before the first bar is complete."""
    return emulate(bars=folder, feed="iex,sip", now=FIRST + dt.timedelta(seconds=50), speed=0)


def to_minute(visitor: Any, minutes: int, seconds: int = 0) -> None:
    """Let so much time pass since the first bar opened, and everything on the stream happen that is due."""
    now = FIRST + dt.timedelta(minutes=minutes, seconds=seconds)
    visitor.control("/_emu/clock", {"now": now.isoformat(), "speed": 0})


def code(heard: list[dict[str, Any]]) -> object:
    assert heard[0]["T"] == "error"
    return heard[0]["code"]


def test_a_bar_comes_when_its_minute_has_ended(live: Any, listen: Any) -> None:
    listener = listen(live)
    assert listener.enter(live) == [{"T": "success", "msg": "authenticated"}]
    state = listener.say(action="subscribe", bars=["AAA"], statuses=["*"])
    assert (state[0]["T"], state[0]["bars"], state[0]["statuses"], state[0]["updatedBars"]) == (
        "subscription",
        ["AAA"],
        ["*"],
        [],
    )
    to_minute(live, 1)
    assert listener.data(1) == [
        {"T": "b", "S": "AAA", "o": 100.01, "h": 100.03, "l": 99.99, "c": 100.02, "v": 1, "n": 1, "vw": 100.011234}
        | {"t": "2024-11-01T13:30:00Z"}
    ]


def test_every_minute_comes_while_the_clock_runs(live: Any, listen: Any) -> None:
    listener = listen(live)
    listener.enter(live)
    listener.say(action="subscribe", bars=["*"])
    live.control("/_emu/clock", {"now": FIRST.isoformat(), "speed": 600})
    heard = listener.data(10)
    assert [(one["S"], one["v"]) for one in heard[:10]] == [(s, n) for n in range(1, 6) for s in ("AAA", "BBB")]


def test_a_clock_that_leaps_makes_up_for_nothing(live: Any, listen: Any) -> None:
    listener = listen(live)
    listener.enter(live)
    listener.say(action="subscribe", bars=["AAA"])
    to_minute(live, 100, 59)
    to_minute(live, 101)
    assert [one["v"] for one in listener.data(1)] == [101]


def test_a_half_day_streamed_in_seconds_ends_with_what_history_says(emulate: Any, listen: Any) -> None:
    names = ["HALT", "SYNA", "SYNB", "SYNC", "THIN"]
    opening = dt.datetime(2024, 7, 3, 13, 30, tzinfo=dt.UTC)
    visitor = emulate(now=opening, speed=0, revised_share=0.05)
    listener = listen(visitor, "/v2/synthetic")
    listener.enter(visitor)
    listener.say(action="subscribe", bars=names, updatedBars=names)
    visitor.control("/_emu/clock", {"now": opening.isoformat(), "speed": 3600})
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    kinds: set[str] = set()
    while not any(stamp >= "2024-07-03T16:58" for _, stamp in shown):
        for message in listener.hear():
            shown[message["S"], message["t"]] = {key: message[key] for key in ("o", "h", "l", "c", "v", "n", "vw")}
            kinds.add(message["T"])
    visitor.control("/_emu/clock", {"now": "2024-07-03T17:30:00Z", "speed": 0})
    asked: dict[str, object] = {"start": opening.isoformat(), "end": "2024-07-03T16:56:00Z", "limit": 10_000}
    truth = visitor.bars(",".join(names), **asked).json()["bars"]
    assert kinds == {"b", "u"}
    assert sum(map(len, truth.values())) > 600
    for name, rows in truth.items():
        assert all(shown[name, row.pop("t")] == row for row in rows)


def test_the_day_so_far_comes_every_minute(live: Any, listen: Any) -> None:
    listener = listen(live)
    listener.enter(live)
    listener.say(action="subscribe", dailyBars=["AAA"])
    to_minute(live, 1)
    first = listener.data(1)[0]
    to_minute(live, 2)
    second = listener.data(1)[0]
    assert (first["T"], first["t"], first["v"], second["v"]) == ("d", "2024-11-01T04:00:00Z", 1, 3)
    assert (second["o"], second["c"]) == (100.01, 100.03)


def test_unsubscribing_is_answered_with_what_is_left(live: Any, listen: Any) -> None:
    listener = listen(live)
    listener.enter(live)
    listener.say(action="subscribe", bars=["AAA", "BBB"])
    assert listener.say(action="unsubscribe", bars=["AAA"])[0]["bars"] == ["BBB"]


def test_who_says_something_wrong_is_told_so_and_may_go_on(live: Any, listen: Any) -> None:
    listener = listen(live)
    assert code(listener.say(action="subscribe", bars=["AAA"])) == 401
    listener.enter(live)
    assert code(listener.enter(live)) == 403
    assert code(listener.say(action="subscribe", bars="AAA")) == 400
    assert code(listener.say(action="dance")) == 400
    assert code(listener.say(action="subscribe", news=["AAA"])) == 410
    assert listener.say(action="subscribe", bars=["AAA"])[0]["bars"] == ["AAA"]


def test_a_wrong_key_is_402_and_the_end(live: Any, listen: Any) -> None:
    listener = listen(live)
    assert code(listener.say(action="auth", key="mine", secret="wrong")) == 402  # noqa: S106 - made up
    with pytest.raises(ConnectionClosed):
        listener.hear()
    assert "wrong" not in str(live.log())


def test_a_second_connection_of_a_key_is_406_until_the_first_has_gone(live: Any, listen: Any) -> None:
    first, second = listen(live), listen(live)
    first.enter(live)
    assert code(second.enter(live)) == 406
    assert listen(live).enter(live, PAPER_FREE)[0]["msg"] == "authenticated"
    first.socket.close()

    def is_let_in() -> bool:
        return listen(live).enter(live)[0]["T"] == "success"

    until(is_let_in, "the first connection never went")


def test_the_free_plan_has_thirty_symbols(live: Any, listen: Any) -> None:
    listener = listen(live)
    listener.enter(live)
    names = [f"A{chr(65 + n)}" for n in range(26)] + [f"B{chr(65 + n)}" for n in range(5)]
    assert code(listener.say(action="subscribe", bars=names)) == 405
    assert len(listener.say(action="subscribe", bars=names[:30], updatedBars=names[:30])[0]["bars"]) == 30
    paid = listen(live)
    paid.enter(live, PAPER_PLUS)
    assert len(paid.say(action="subscribe", bars=names)[0]["bars"]) == 31


@pytest.mark.parametrize("endpoint", ["/v2/sip", "/v2/delayed_sip", "/v2/synthetic"])
def test_a_feed_that_the_plan_or_the_emulator_lacks_is_409(live: Any, listen: Any, endpoint: str) -> None:
    assert code(listen(live, endpoint).enter(live)) == 409


def test_a_client_that_does_not_say_who_it_is_is_404(emulate: Any, folder: Path, listen: Any) -> None:
    assert code(listen(emulate(bars=folder, feed="iex", auth_seconds=0.1)).hear()) == 404


def test_delayed_sip_is_a_quarter_of_an_hour_late(live: Any, listen: Any) -> None:
    listener = listen(live, "/v2/delayed_sip")
    listener.enter(live, PAPER_PLUS)
    to_minute(live, 15, 50)
    listener.say(action="subscribe", bars=["AAA"])
    to_minute(live, 16)
    assert [one["v"] for one in listener.data(1)] == [1]


def test_the_test_stream_never_stops(emulate: Any, listen: Any) -> None:
    sunday = dt.datetime(2024, 11, 3, 3, 0, tzinfo=dt.UTC)
    visitor = emulate(now=sunday, speed=600)
    listener = listen(visitor, "/v2/test")
    listener.enter(visitor)
    listener.say(action="subscribe", bars=["FAKEPACA"])
    heard = listener.data(2)
    assert {one["S"] for one in heard} == {"FAKEPACA"}


def test_a_halt_is_told_when_it_begins_and_when_it_ends(emulate: Any, listen: Any) -> None:
    halted = dt.datetime(2024, 11, 1, 14, 12, tzinfo=dt.UTC)
    visitor = emulate(now=halted - dt.timedelta(seconds=5), speed=0)
    listener = listen(visitor, "/v2/synthetic")
    listener.enter(visitor)
    listener.say(action="subscribe", statuses=["HALT"])
    for instant, told in ((halted, "H"), (halted + dt.timedelta(minutes=35), "T")):
        visitor.control("/_emu/clock", {"now": (instant - dt.timedelta(seconds=5)).isoformat(), "speed": 0})
        visitor.control("/_emu/clock", {"now": instant.isoformat(), "speed": 0})
        (status,) = listener.data(1)
        assert (status["T"], status["S"], status["sc"]) == ("s", "HALT", told)


# --- alpaca-py ---------------------------------------------------------------------------------------


class Heard:
    """alpaca-py's stream in a thread, and what reached its handlers."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.messages: list[tuple[str, Any]] = []
        self.thread = threading.Thread(target=stream.run, daemon=True)

    def handler(self, kind: str) -> Any:
        async def keep(message: Any) -> None:
            self.messages.append((kind, message))

        return keep

    def of(self, kind: str) -> list[Any]:
        return [message for found, message in self.messages if found == kind]


@pytest.fixture
def hear(live: Any) -> Iterator[Callable[..., Heard]]:
    running: list[Heard] = []

    def start(visitor: Any = live, endpoint: str = "/v2/iex", *, raw_data: bool = False) -> Heard:
        maker = NewsDataStream if endpoint.endswith("news") else StockDataStream
        address = visitor.url.replace("http", "ws") + endpoint
        stream = maker(visitor.config.key_id, visitor.config.secret_key, raw_data=raw_data, url_override=address)
        stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.05
        running.append(Heard(stream))
        return running[-1]

    yield start
    for heard in running:
        heard.stream.stop()
        heard.thread.join(20)
        assert not heard.thread.is_alive()


def subscribed(visitor: Any) -> bool:
    return any(entry["query"].get("action") == "subscribe" for entry in visitor.log())


def test_the_real_client_hears_bars_revised_bars_and_days(live: Any, hear: Any) -> None:
    heard = hear()
    heard.stream.subscribe_bars(heard.handler("b"), "AAA", "BBB")
    heard.stream.subscribe_updated_bars(heard.handler("u"), "AAA")
    heard.stream.subscribe_daily_bars(heard.handler("d"), "AAA")
    live.control(
        "/_emu/revise", {"symbol": "AAA", "timestamp": FIRST.isoformat(), "values": {"close": 100.03, "volume": 5}}
    )
    heard.thread.start()
    until(lambda: subscribed(live), "the client did not subscribe")
    to_minute(live, 1)
    until(lambda: len(heard.of("b")) == 2 and heard.of("d"), "no bars came")
    to_minute(live, 1, 30)
    until(lambda: heard.of("u"), "no revision came")
    first, revised = heard.of("b")[0], heard.of("u")[0]
    assert (first.symbol, first.timestamp, first.close, first.volume) == ("AAA", FIRST, 100.02, 1)
    assert (revised.symbol, revised.timestamp, revised.close, revised.volume) == ("AAA", FIRST, 100.03, 5)


def test_the_real_client_gets_instants_of_msgpack(live: Any, hear: Any) -> None:
    heard = hear(raw_data=True)
    heard.stream.subscribe_bars(heard.handler("b"), "*")
    heard.thread.start()
    until(lambda: subscribed(live), "the client did not subscribe")
    to_minute(live, 1)
    until(lambda: heard.of("b"), "no bars came")
    stamp = heard.of("b")[0]["t"]
    assert isinstance(stamp, msgpack.Timestamp)
    assert stamp.to_datetime() == FIRST


def test_the_real_client_comes_back_after_a_disconnection(live: Any, hear: Any) -> None:
    heard = hear()
    heard.stream.subscribe_bars(heard.handler("b"), "AAA")
    heard.thread.start()
    until(lambda: subscribed(live), "the client did not subscribe")
    live.control("/_emu/stream", {"faults": [{"fault": "disconnect_after", "n": 1}]})
    to_minute(live, 1)
    until(lambda: heard.of("b"), "no bars came")

    def is_back() -> bool:
        return sum(entry["query"].get("action") == "subscribe" for entry in live.log()) == 2

    until(is_back, "the client did not come back")
    to_minute(live, 2)
    until(lambda: len(heard.of("b")) == 2, "no bars came any more")
    assert [bar.volume for bar in heard.of("b")] == [1, 2]


def test_the_real_client_hears_news(emulate: Any, hear: Any) -> None:
    visitor = emulate(now=dt.datetime(2024, 11, 1, tzinfo=dt.UTC), speed=0)
    heard = hear(visitor, "/v1beta1/news")
    heard.stream.subscribe_news(heard.handler("n"), "*")
    heard.thread.start()
    until(lambda: subscribed(visitor), "the client did not subscribe")
    visitor.control("/_emu/clock", {"now": "2024-11-01T00:00:00Z", "speed": 36_000})
    until(lambda: heard.of("n"), "no news came")
    assert heard.of("n")[0].source == "synthetic"


# --- faults ------------------------------------------------------------------------------------------


def entered(live: Any, listen: Any, *faults: dict[str, Any]) -> Listener:
    listener: Listener = listen(live)
    listener.enter(live)
    listener.say(action="subscribe", bars=["AAA"])
    live.control("/_emu/stream", {"faults": list(faults)})
    return listener


def test_a_mute_stream_stays_open_and_says_nothing(live: Any, listen: Any) -> None:
    listener = entered(live, listen, {"fault": "mute"})
    to_minute(live, 1)
    with pytest.raises(TimeoutError):
        listener.hear(0.3)
    live.control("/_emu/stream", {"clear": True})
    to_minute(live, 2)
    assert [one["v"] for one in listener.data(1)] == [2]


def test_a_mute_stream_may_speak_again_by_itself(live: Any, listen: Any) -> None:
    listener = entered(live, listen, {"fault": "mute", "seconds": 90})
    for minute in (1, 2, 3):
        to_minute(live, minute)
    assert [one["v"] for one in listener.data(1)] == [3]


def test_garbage_comes_before_the_frame(live: Any, listen: Any) -> None:
    listener = entered(live, listen, {"fault": "garbage_frame"})
    to_minute(live, 1)
    with pytest.raises(json.JSONDecodeError):
        listener.hear()
    assert [one["v"] for one in listener.hear()] == [1]


def test_errors_come_on_order(live: Any, listen: Any) -> None:
    listener = entered(live, listen, {"fault": "error", "code": 500}, {"fault": "error", "code": 409})
    to_minute(live, 1)
    assert code(listener.hear()) == 500
    assert listener.hear()[0]["T"] == "b"
    assert code(listen(live).enter(live, PAPER_FREE)) == 409
    assert listen(live).enter(live, PAPER_FREE)[0]["T"] == "success"


def test_a_bar_may_come_twice_and_late(live: Any, listen: Any) -> None:
    listener = entered(live, listen, {"fault": "duplicate_bar"})
    to_minute(live, 1)
    assert [one["v"] for one in listener.data(2)] == [1, 1]
    live.control("/_emu/stream", {"faults": [{"fault": "late_bar", "seconds": 60}]})
    to_minute(live, 2)
    to_minute(live, 3)
    assert sorted(one["v"] for one in listener.data(2)) == [2, 3]


def test_a_slow_frame_waits(live: Any, listen: Any) -> None:
    listener = entered(live, listen, {"fault": "slow", "seconds": 0.4})
    began = time.monotonic()
    to_minute(live, 1)
    listener.data(1)
    assert time.monotonic() - began >= 0.4
    assert "slow" in {entry["fault"] for entry in live.log()}
