"""Connections that do not wait for ever: for a request that is sent letter by letter, for an answer nobody reads."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["READING_S", "REQUEST_S", "ImpatientProtocol", "ImpatientWebSocket"]

REQUEST_S = 15.0
"""So long the head of a request may be on its way, from its first byte or from the connection's beginning."""

READING_S = 30.0
"""So long a client may take to make room for more: 48 kB, of which the operating system holds some more."""


class ImpatientProtocol(H11Protocol):
    """uvicorn's protocol, which by itself ends only connections that rest between two requests."""

    def __init__(self, *parts: Any, **named_parts: Any) -> None:
        super().__init__(*parts, **named_parts)
        self._request = _Patience(REQUEST_S)
        self._reading = _Patience(READING_S)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._request.begin(self.loop, transport)

    def data_received(self, data: bytes) -> None:
        """Go on waiting for the head of a request, or wait no more because it is here."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._request.begin(self.loop, self.transport)
        else:
            self._request.end()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._reading.begin(self.loop, self.transport)

    def resume_writing(self) -> None:
        """Wait no more: the client has read."""
        super().resume_writing()
        self._reading.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._request.end()
        self._reading.end()
        super().connection_lost(exc)


class ImpatientWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's websockets, which by themselves wait for ever for one who does not read."""

    def __init__(self, *parts: Any, **named_parts: Any) -> None:
        super().__init__(*parts, **named_parts)
        self._reading = _Patience(READING_S)

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._reading.begin(self.loop, self.transport)

    def resume_writing(self) -> None:
        """Wait no more: the client has read."""
        super().resume_writing()
        self._reading.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._reading.end()
        super().connection_lost(exc)


class _Patience:
    """Ends a connection unless what it waits for comes in time; what comes in part does not begin the wait anew."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, transport.abort)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
