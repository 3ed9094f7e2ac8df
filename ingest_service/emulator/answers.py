"""HTTP answers, also the broken ones."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import Mapping

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

__all__ = [
    "DroppedResponse",
    "PackedBody",
    "compressed",
    "error_response",
    "json_bytes",
    "json_response",
    "never_answer",
    "packed",
    "takes_gzip",
]

_WORTH_PACKING_BYTES = 1000


class PackedBody(bytes):
    """A body that is compressed already."""


class DroppedResponse(Response):
    """Promises a whole body, sends half of it and closes the connection; or closes it before any answer.

    Parameters
    ----------
    before_head
        Send nothing at all.
    """

    def __init__(self, content: bytes, *, headers: Mapping[str, str] | None = None, before_head: bool = False) -> None:
        super().__init__(content, headers=headers)
        self._before_head = before_head

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave the answer incomplete: the server then closes the connection."""
        del scope
        body = bytes(self.body)
        if self._before_head:
            # The protocol has no message for it: what hands over requests also holds the connection.
            receive.__self__.transport.abort()  # type: ignore[attr-defined] # uvicorn's request cycle
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


def json_bytes(content: object) -> bytes:
    """Compact JSON."""
    return json.dumps(content, separators=(",", ":")).encode()


def json_response(status: int, content: object, headers: Mapping[str, str]) -> Response:
    """Answer with compact JSON."""
    return Response(json_bytes(content), status_code=status, headers=dict(headers), media_type="application/json")


def error_response(status: int, body: str, headers: Mapping[str, str]) -> Response:
    """An error as Alpaca sends it (`json`), as the proxy before it does (`html`), or without a word (`empty`)."""
    if body == "json":
        content = {"code": 50010000, "message": "internal server error occurred"}
        return json_response(status, content, headers)
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>" if body == "html" else ""
    return Response(page, status_code=status, headers=dict(headers), media_type="text/html")


def takes_gzip(request: Request) -> bool:
    """Whether the client said that it can unpack a compressed body."""
    return "gzip" in request.headers.get("accept-encoding", "")


def packed(body: bytes, request: Request, level: int) -> tuple[bytes, dict[str, str]]:
    """Body compressed if that is wanted and worth it, and the headers that say so."""
    if not isinstance(body, PackedBody):
        if level == 0 or not takes_gzip(request) or len(body) < _WORTH_PACKING_BYTES:
            return body, {}
        body = compressed(body, level)
    return body, {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}


def compressed(body: bytes, level: int) -> PackedBody:
    """The same body, compressed."""
    return PackedBody(gzip.compress(body, compresslevel=level, mtime=0))


async def never_answer(request: Request, headers: Mapping[str, str], seconds: float) -> Response:
    """Wait until the client gives up; one that waits longer than so many seconds gets a 504."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    return json_response(504, {"message": "gateway timeout"}, headers)
