"""HTTP answers, also the broken ones."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import Mapping

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

__all__ = ["DroppedResponse", "html_error", "json_response", "never_answer", "packed"]

_WORTH_PACKING_BYTES = 1000


class DroppedResponse(Response):
    """Promises a whole body, sends half of it and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave the answer incomplete: the server then closes the connection."""
        del scope, receive
        body = bytes(self.body)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


def json_response(status: int, content: object, headers: Mapping[str, str]) -> Response:
    """Compact JSON."""
    body = json.dumps(content, separators=(",", ":")).encode()
    return Response(body, status_code=status, headers=dict(headers), media_type="application/json")


def html_error(headers: Mapping[str, str]) -> Response:
    """The page of a proxy whose server behind it has failed."""
    page = "<html><head><title>500 Internal Server Error</title></head><body><h1>500</h1></body></html>"
    return Response(page, status_code=500, headers=dict(headers), media_type="text/html")


def packed(body: bytes, request: Request, level: int) -> tuple[bytes, dict[str, str]]:
    """Body compressed if that is wanted and worth it, and the headers that say so."""
    wanted = "gzip" in request.headers.get("accept-encoding", "")
    if level == 0 or not wanted or len(body) < _WORTH_PACKING_BYTES:
        return body, {}
    return gzip.compress(body, compresslevel=level, mtime=0), {
        "Content-Encoding": "gzip",
        "Vary": "Accept-Encoding",
    }


async def never_answer(request: Request, headers: Mapping[str, str], seconds: float) -> Response:
    """Wait until the client gives up; one that waits longer than so many seconds gets a 504."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    return json_response(504, {"message": "gateway timeout"}, headers)
