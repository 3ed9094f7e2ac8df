"""A server on loopback that gives the answers of a script in order and keeps what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Seen:
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    at: float


@dataclass
class Script:
    """The answers to come, and the questions that came.

    `beside` answers what is not of the script, by the beginning of its path; None there is the script itself.
    """

    answers: list[Answer]
    beside: Mapping[str, Answer | None] = field(default_factory=dict)
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        prefix = next((prefix for prefix in self.beside if parts.path.startswith(prefix)), None)
        if prefix is not None and (other := self.beside[prefix]) is not None:
            other(handler)
            return
        params = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self.lock:
            self.seen.append(Seen(parts.path, params, headers, time.monotonic()))
            answer = self.answers.pop(0) if self.answers else status(500, "the script is over")
        answer(handler)


Scripted = Callable[..., AbstractContextManager[Script]]


@contextmanager
def serve(*answers: Answer, beside: Mapping[str, Answer | None] | None = None) -> Iterator[Script]:
    script = Script(list(answers), beside or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            script.next_answer(self)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, code: int, body: bytes, **headers: str) -> None:
    handler.send_response(code)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in ({"Content-Length": str(len(body))} | named).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def status(code: int, body: object = "", **headers: str) -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda handler: reply(handler, code, text.encode(), **headers)


def hang(handler: BaseHTTPRequestHandler) -> None:
    """Longer than any client of a test waits, who waits longer than a busy machine takes to answer."""
    time.sleep(8.0)
    handler.close_connection = True


def truncated(handler: BaseHTTPRequestHandler) -> None:
    """Half a body, and then the line is dead."""
    reply(handler, 200, b'{"results": [{"o"', Content_Length="5000")
    handler.close_connection = True
