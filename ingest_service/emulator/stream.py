"""The stream: who is connected, what each has subscribed to, and the answers to what they say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fastapi import WebSocket, WebSocketDisconnect

from barlake.keys import SYNTHETIC_FEED
from ingest_service.emulator.accounts import Account, Plan
from ingest_service.emulator.round_the_clock import TEST_SYMBOL
from ingest_service.emulator.stream_words import CHANNELS, Message, decode, encode, error_message

if TYPE_CHECKING:
    from ingest_service.emulator.state import EmulatorState
    from ingest_service.emulator.stream_faults import Delivery

__all__ = ["DELAYED", "NEWS", "TEST", "Connection", "StreamHub"]

TEST, DELAYED, NEWS = "test", "delayed_sip", "news"
"""Endpoints that are no feed of their own."""

_MOST_WAITING_FRAMES = 1024
_TOO_SLOW = 407
_POLICY_VIOLATION, _GOING_DOWN = 1008, 1011
_COUNTED = ("bars", "updatedBars", "dailyBars", "trades", "quotes")


class _ClosedError(Exception):
    """The conversation is over."""


class Connection:
    """One client of one endpoint.

    Parameters
    ----------
    websocket
        Not yet accepted.
    endpoint
        Feed, or one of `TEST`, `DELAYED` and `NEWS`.
    state
        What the emulator remembers.
    """

    def __init__(self, websocket: WebSocket, endpoint: str, state: EmulatorState) -> None:
        self._websocket = websocket
        self.endpoint = endpoint
        self._state = state
        self._is_packed = websocket.headers.get("content-type") == "application/msgpack"
        self.account: Account | None = None
        channels = ("news",) if endpoint == NEWS else tuple(CHANNELS)
        self.channels: dict[str, set[str]] = {channel: set() for channel in channels}
        self._frames: asyncio.Queue[Delivery] = asyncio.Queue(_MOST_WAITING_FRAMES)

    @property
    def known(self) -> tuple[str, ...]:
        """What `*` stands for."""
        return (TEST_SYMBOL,) if self.endpoint == TEST else self._state.symbols

    def wants(self, channel: str) -> list[str]:
        """Symbols it has subscribed to on a channel, sorted."""
        asked = self.channels.get(channel, set())
        return sorted(self.known if "*" in asked else asked & set(self.known))

    def deliver(self, delivery: Delivery) -> None:
        """Send it when what came before was sent; a client that reads too slowly is shut out."""
        try:
            self._frames.put_nowait(delivery)
        except asyncio.QueueFull:
            delivery.messages, delivery.error, delivery.closes = [], error_message(_TOO_SLOW), True
            self._frames.get_nowait()
            self._frames.put_nowait(delivery)

    async def say(self, *messages: Message) -> None:
        """Send one frame at once."""
        await self._send(encode(messages, packed=self._is_packed))

    async def _send(self, frame: bytes | str) -> None:
        await (self._websocket.send_bytes(frame) if isinstance(frame, bytes) else self._websocket.send_text(frame))

    async def hear(self) -> Mapping[str, Any] | None:
        """What the client says next; None if it makes no sense."""
        received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            raise _ClosedError
        said = decode(received.get("bytes") or received.get("text") or "")
        asked = {name: value for name, value in (said or {}).items() if name not in {"key", "secret"}}
        self.note("WS", asked)
        return said

    def note(self, method: str, said: Mapping[str, Any], *, code: int | None = None, fault: str | None = None) -> None:
        """Put a line into the log."""
        entry = {"at": self._state.clock.now(), "method": method, "path": self._websocket.url.path, "query": dict(said)}
        self._state.log.append({**entry, "status": code, "fault": fault, "rows": None})

    async def refuse(self, code: int, *, closes: bool = True) -> None:
        """Say an error, and end the conversation unless it may go on."""
        await self.say(error_message(code))
        self.note("WS", {}, code=code)
        if closes:
            raise _ClosedError

    async def write(self) -> None:
        """Send what is delivered, for ever."""
        while True:
            delivery = await self._frames.get()
            await asyncio.sleep(delivery.pause_seconds)
            if delivery.is_garbled:
                await self._send(b"\xc1\xff garbage" if self._is_packed else "[{garbage")
            if delivery.error is not None:
                await self.say(delivery.error)
            if delivery.messages:
                await self.say(*delivery.messages)
            if delivery.closes:
                await self._websocket.close(_GOING_DOWN)
                return

    def subscription(self) -> Message:
        """The complete state, as every change of it is answered."""
        return {"T": "subscription", **{channel: sorted(names) for channel, names in self.channels.items()}}

    def too_many(self) -> bool:
        """Whether more symbols are subscribed to than the plan has."""
        most = Plan.BASIC.stream_symbols if self.account is None else self.account.plan.stream_symbols
        names = {name for channel in _COUNTED for name in self.channels.get(channel, ())}
        everything = set(self.known) if "*" in names else set()
        return most is not None and len((names | everything) - {"*"}) > most


class StreamHub:
    """Every connection there is.

    Parameters
    ----------
    state
        What the emulator remembers.
    """

    def __init__(self, state: EmulatorState) -> None:
        self._state = state
        self.connections: list[Connection] = []

    async def serve(self, websocket: WebSocket, endpoint: str, *, on_entry: Callable[[], None]) -> None:
        """Talk to one client until it leaves; `on_entry` is called once it has shown a key."""
        connection = Connection(websocket, endpoint, self._state)
        await websocket.accept()
        writer = asyncio.ensure_future(connection.write())
        with contextlib.suppress(_ClosedError, WebSocketDisconnect, RuntimeError):
            # Starlette raises RuntimeError for what is sent after the other side has left.
            try:
                await connection.say({"T": "success", "msg": "connected"})
                await self._let_in(connection)
                on_entry()
                await self._converse(connection)
            finally:
                writer.cancel()
                if connection in self.connections:
                    self.connections.remove(connection)
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await websocket.close(_POLICY_VIOLATION)

    async def _let_in(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(self._state.config.auth_seconds):
                said = await connection.hear()
                while said is None or said.get("action") != "auth":
                    await connection.refuse(400 if said is None else 401, closes=False)
                    said = await connection.hear()
        except TimeoutError:
            await connection.refuse(404)
        ordered = self._state.stream_faults.at_the_door()
        if ordered is not None:
            await connection.refuse(ordered["code"])
        account = self._state.config.account(str(said.get("key")), str(said.get("secret"))) if said else None
        if account is None:
            await connection.refuse(402)
            return
        if not self._may_hear(account, connection.endpoint):
            await connection.refuse(409)
        if any(one.endpoint == connection.endpoint and one.account == account for one in self.connections):
            await connection.refuse(406)
        connection.account = account
        self.connections.append(connection)
        await connection.say({"T": "success", "msg": "authenticated"})

    def _may_hear(self, account: Account, endpoint: str) -> bool:
        if endpoint in {TEST, NEWS}:
            return True
        feed = "sip" if endpoint == DELAYED else endpoint
        is_free = feed in {"iex", SYNTHETIC_FEED}
        return feed in self._state.config.served_feeds and (is_free or account.plan.has_recent_sip)

    async def _converse(self, connection: Connection) -> None:
        while True:
            said = await connection.hear()
            match said and said.get("action"):
                case "auth":
                    await connection.refuse(403, closes=False)
                case "subscribe" | "unsubscribe":
                    await self._change(connection, said or {})
                case _:
                    await connection.refuse(400, closes=False)

    async def _change(self, connection: Connection, said: Mapping[str, Any]) -> None:
        asked = {channel: names for channel, names in said.items() if channel != "action"}
        if not all(isinstance(names, list) and all(isinstance(one, str) for one in names) for names in asked.values()):
            await connection.refuse(400, closes=False)
            return
        if not asked.keys() <= connection.channels.keys():
            await connection.refuse(410, closes=False)
            return
        before = {channel: set(names) for channel, names in connection.channels.items()}
        for channel, names in asked.items():
            if said["action"] == "subscribe":
                connection.channels[channel] |= set(names)
            else:
                connection.channels[channel] -= set(names)
        if connection.too_many():
            connection.channels = before
            await connection.refuse(405, closes=False)
            return
        await connection.say(connection.subscription())
