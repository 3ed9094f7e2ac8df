"""Websockets are guarded as other routes are: a browser would let any page open one, with no leave asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, Depends, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse

from app.api.access import guard
from app.api.main import create_app
from barlake.settings import Settings
from tests.app.api.conftest import LOCAL

router = APIRouter()


@router.websocket("/ws/echo")
async def echo(socket: WebSocket, limit: int = 1) -> None:
    await socket.accept()
    for _ in range(limit):
        await socket.send_text(await socket.receive_text())
    await socket.close()


@pytest.fixture
def sockets(settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings)
    app.include_router(router, dependencies=[Depends(guard)])
    with TestClient(app, base_url="http://127.0.0.1", client=LOCAL) as client:
        yield client


def test_a_program_on_this_machine_is_answered(sockets: TestClient) -> None:
    with sockets.websocket_connect("ws://127.0.0.1/ws/echo") as socket:
        socket.send_text("here")
        assert socket.receive_text() == "here"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://attacker.example"}, 401),
        ({"Host": "attacker.example"}, 401),
        ({"X-Forwarded-For": "203.0.113.9"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
    ],
)
def test_nobody_else_is_let_in_without_a_key(sockets: TestClient, headers: dict[str, str], status: int) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        sockets.websocket_connect("ws://127.0.0.1/ws/echo", headers=headers),
    ):
        pass
    assert refused.value.status_code == status
    assert refused.value.headers["content-type"] == "application/problem+json"
    assert refused.value.json()["request_id"] == refused.value.headers["x-request-id"]


def test_a_key_lets_in_from_anywhere(sockets: TestClient) -> None:
    _, text = sockets.app.state.house.operations.api_keys.create("me", "reader")  # type: ignore[attr-defined]
    headers = {"Origin": "https://elsewhere.example", "Authorization": f"Bearer {text}"}
    with sockets.websocket_connect("ws://127.0.0.1/ws/echo", headers=headers) as socket:
        socket.send_text("there")
        assert socket.receive_text() == "there"


def test_a_parameter_that_does_not_fit_is_told_before_the_handshake(sockets: TestClient) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        sockets.websocket_connect("ws://127.0.0.1/ws/echo?limit=many"),
    ):
        pass
    assert (refused.value.status_code, refused.value.json()["errors"][0]["at"]) == (422, "query.limit")
