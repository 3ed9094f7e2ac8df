"""What happens, as it happens: to those who ask for a stream of events, and to those who open a websocket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from anyio import CancelScope, create_task_group
from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.requests import HTTPConnection

from app.api.access import is_still_welcome
from app.api.monitor import Listener, ListenerDep
from app.api.monitor_messages import MonitorMessage, PingMessage, Told

__all__ = ["router"]

router = APIRouter(tags=["service"])

_GOING_AWAY = 1001
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"model": MonitorMessage, "description": "Events without an end; the data of each is one of these objects."}
}


@router.get("/events", response_class=EventSourceResponse, responses=_STREAM)
async def events(request: Request, listener: ListenerDep) -> AsyncIterator[ServerSentEvent]:
    """Tell jobs, heartbeats, coverage and new bars as they change, as server-sent events.

    The first event is `state`, all there is at that moment; then `job`, `heartbeat`, `coverage`, `bars` and `problem`
    tell what changed. Whoever connects again gets the whole state again: `Last-Event-ID` is not needed. Who reads too
    slowly gets the whole state in place of what was missed. The same comes by websocket from `/ws/monitor`.
    """
    async for told in _heard(request, listener):
        if not told:
            yield ServerSentEvent(comment="quiet")
        for one in told:
            yield ServerSentEvent(event=one.event, raw_data=one.text)


@router.websocket("/ws/monitor")
async def monitor(socket: WebSocket, listener: ListenerDep) -> None:
    """The same as messages; what is sent to it is not read."""
    await socket.accept()
    async with create_task_group() as tasks:
        tasks.start_soon(_until_gone, socket, tasks.cancel_scope)
        await _tell(socket, listener)
        tasks.cancel_scope.cancel()


async def _heard(connection: HTTPConnection, listener: Listener) -> AsyncIterator[Sequence[Told]]:
    """What a listener hears, as long as the service runs and the key counts."""
    while (told := await listener.next()) is not None and await is_still_welcome(connection):
        yield told


async def _tell(socket: WebSocket, listener: Listener) -> None:
    ping = PingMessage().model_dump_json()
    with contextlib.suppress(WebSocketDisconnect):
        async for told in _heard(socket, listener):
            for text in [one.text for one in told] or [ping]:
                await socket.send_text(text)
        await socket.close(_GOING_AWAY, "the service ends, or the key counts no more")


async def _until_gone(socket: WebSocket, scope: CancelScope) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()
