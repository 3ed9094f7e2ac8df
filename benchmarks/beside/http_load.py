"""Readers of a service on loopback: `python http_load.py`, one order as JSON on standard input, the times on output.

A process of its own, so that its work is not counted as the service's. Each reader is a thread with a connection that
it keeps, sends one request after the other over plain sockets and reads each answer to its end.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import BinaryIO

FIRST_MONDAY = dt.date(2025, 1, 6)
WEEKS = 50


@dataclass
class Found:
    """What one reader met."""

    seconds: list[float] = field(default_factory=list)
    bytes: int = 0
    faults: list[str] = field(default_factory=list)


def question(pattern: str, symbols: int, chance: random.Random) -> str:
    """The path of a pattern, with a symbol and a week by chance."""
    start = FIRST_MONDAY + dt.timedelta(weeks=chance.randrange(WEEKS))
    week = f"start={start}&end={start + dt.timedelta(days=7)}"
    return pattern.format(symbol=f"S{chance.randrange(symbols):03d}", week=week)


def read_answer(stream: BinaryIO) -> tuple[int, bytes]:
    """Status and body of the next answer, by its length or chunk by chunk."""
    status = int(stream.readline().split(b" ", 2)[1])
    headers = {}
    while (line := stream.readline()) != b"\r\n":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if "content-length" in headers:
        return status, stream.read(int(headers["content-length"]))
    parts = []
    while size := int(stream.readline(), 16):
        parts.append(stream.read(size))
        stream.readline()
    stream.readline()
    return status, b"".join(parts)


def read_for(order: dict[str, object], number: int, found: Found) -> None:
    """Ask until the order is done."""
    chance = random.Random(number)  # noqa: S311 - which week is no secret
    with socket.create_connection((str(order["host"]), int(str(order["port"])))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        for _ in range(int(str(order["requests"]))):
            path = question(str(order["pattern"]), int(str(order["symbols"])), chance)
            accept = str(order.get("accept", "application/json"))
            began = time.perf_counter()
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n\r\n".encode())
            status, body = read_answer(stream)
            found.seconds.append(time.perf_counter() - began)
            found.bytes += len(body)
            if status != 200:
                found.faults.append(f"{status} {path} {body[:200]!r}")


def main() -> None:
    """Do the order and print what came of it."""
    order = json.load(sys.stdin)
    readers = [Found() for _ in range(order["readers"])]
    threads = [threading.Thread(target=read_for, args=(order, n, one)) for n, one in enumerate(readers)]
    began, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result = {
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "seconds": sorted(second for one in readers for second in one.seconds),
        "bytes": sum(one.bytes for one in readers),
        "faults": [fault for one in readers for fault in one.faults],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
