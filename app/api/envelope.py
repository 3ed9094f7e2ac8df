"""What surrounds every request: its id, its limits, the headers of its answer, its line in the log."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import problem_response
from app.operations.logs import log_context

__all__ = ["BODY_S", "MOST_BODY_BYTES", "Envelope"]

logger = logging.getLogger(__name__)

MOST_BODY_BYTES = 1 << 20
BODY_S = 30.0
"""So long a body may be on its way."""

_SLOW_S = 5.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET = {"GET", "HEAD", "OPTIONS"}

SECURITY_HEADERS = {
    # https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer whose route did not say otherwise."""

Observe = Callable[[Scope, int, float], None]
"""Told of each answer: its request, its status, the seconds until it was sent."""


class Envelope:
    """The outermost layer of the service.

    Parameters
    ----------
    observe
        Told of every request that has ended.
    """

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and see to it that it answers whatever happens."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(scope, receive, send)
        with log_context(request_id=request_id):
            try:
                await self._answer(exchange)
            finally:
                seconds = time.monotonic() - exchange.began
                self._observe(scope, exchange.status, seconds)
                _log(scope, exchange, seconds)

    async def _answer(self, exchange: _Exchange) -> None:
        headers = Headers(scope=exchange.scope)
        if "transfer-encoding" in headers and "content-length" in headers:
            # A proxy that believes the other one takes the rest of the body for a request of its own.
            exchange.ends_connection = True
            detail = "Content-Length and Transfer-Encoding are both sent: a body has one length."
            await self._refuse(exchange, 400, detail)
            return
        if "\0" in exchange.scope["path"] or b"%00" in exchange.scope.get("query_string", b""):
            # PostgreSQL stores no such text (https://www.postgresql.org/docs/current/datatype-character.html).
            await self._refuse(exchange, 400, "the address holds the character NUL, which no name and no value has.")
            return
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except Exception as error:
            logger.exception("a request ended in %s", type(error).__name__, extra={"stage": "http"})
            if exchange.status or exchange.scope["type"] != "http":
                raise  # whoever has half of an answer must see that it broke off
            await self._refuse(exchange, 500, "a fault of the service: the log has its trace under this request id.")

    async def _refuse(self, exchange: _Exchange, status: int, detail: str) -> None:
        response = problem_response(HTTPConnection(exchange.scope), status, detail)
        await response(exchange.scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer, on their way through the envelope."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.began = time.monotonic()
        self.status = 0
        self.sent_bytes = 0
        self.ends_connection = False
        self._receive = receive
        self._send = send
        self._received = 0
        self._is_whole = scope["type"] != "http"

    async def receive(self) -> Message:
        """The next part of the body.

        Raises
        ------
        HTTPException
            413 when it is too large, 408 when it is too slow.
        """
        if self._is_whole:
            return await self._receive()
        self._require_size(int(Headers(scope=self.scope).get("content-length", 0)))
        try:
            async with asyncio.timeout(self.began + BODY_S - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            self._is_whole = True
            raise HTTPException(408, f"the body did not come within {BODY_S:g} s.") from None
        self._received += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        self._require_size(self._received)
        return message

    def _require_size(self, size: int) -> None:
        if size > MOST_BODY_BYTES:
            self._is_whole = True
            raise HTTPException(413, f"a body of {size:,} bytes is larger than the {MOST_BODY_BYTES:,} that are read.")

    async def send(self, message: Message) -> None:
        """Send a part of the answer, its first one with the headers of every answer."""
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            self.status = message["status"]
            self._add_headers(MutableHeaders(raw=message.setdefault("headers", [])))
        elif message["type"] == "websocket.accept":
            self.status = 101
        elif message["type"] == "http.response.body":
            self.sent_bytes += len(message.get("body", b""))
        await self._send(message)

    def _add_headers(self, headers: MutableHeaders) -> None:
        state: dict[str, Any] = self.scope["state"]
        headers["X-Request-ID"] = state["request_id"]
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if "rate" in state:
            for name, value in state["rate"].headers.items():
                headers.setdefault(name, value)
        if self.ends_connection or self.status in {408, 413}:
            headers["Connection"] = "close"  # the rest of the body is not read


def _request_id(scope: Scope) -> str:
    """The id that came with the request, where it is one, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _log(scope: Scope, exchange: _Exchange, seconds: float) -> None:
    method, status = scope.get("method", "WEBSOCKET"), exchange.status
    # What is only read, quickly and with success, would drown the rest.
    is_quiet = method in _QUIET and status < 400 and seconds < _SLOW_S  # noqa: PLR2004 - where refusals begin
    level = logging.WARNING if status >= 500 else logging.DEBUG if is_quiet else logging.INFO  # noqa: PLR2004 - as above
    facts = {
        "stage": "http", "status": status, "seconds": round(seconds, 4), "bytes": exchange.sent_bytes,
        "caller": scope["state"].get("caller"), "client": (scope.get("client") or ("",))[0],
    }  # fmt: skip
    path = scope.get("raw_path") or quote(scope["path"]).encode()  # as sent: no line break that would forge a line
    logger.log(level, "%s %s %d", method, path.decode("latin-1"), status, extra=facts)
