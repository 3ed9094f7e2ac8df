"""How the two ends of a query speak: a header of JSON and some bodies of bytes, each with its length in front.

Nothing is unpickled: the far end may be in a stranger's hands.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

__all__ = ["Link"]

_LENGTH = struct.Struct("<Q")
_CHUNK = 1 << 20


class Link:
    """One end of a connected socket.

    Parameters
    ----------
    deadline
        Of `time.monotonic`: no word is waited for beyond it. None waits for ever.
    most_bytes
        No message of more bytes is taken.
    """

    def __init__(self, connection: socket.socket, *, deadline: float | None = None, most_bytes: int = 1 << 40) -> None:
        self._connection = connection
        self._deadline = deadline
        self._most_bytes = most_bytes

    def send(self, header: dict[str, Any], bodies: Sequence[bytes | memoryview] = ()) -> None:
        """Send one message.

        Raises
        ------
        TimeoutError
            If the deadline passes.
        OSError
            If the far end is gone.
        """
        text = json.dumps({**header, "bodies": [len(body) for body in bodies]}).encode()
        self._wait()
        self._connection.sendall(_LENGTH.pack(len(text)) + text)
        for body in bodies:
            self._wait()
            self._connection.sendall(body)

    def receive(self) -> tuple[dict[str, Any], list[bytes]]:
        """Header and bodies of the next message.

        Raises
        ------
        EOFError
            If the far end is gone, or says more than is allowed.
        TimeoutError
            If the deadline passes.
        """
        left = self._most_bytes
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        if length > left:
            raise EOFError(f"a header of {length:,} bytes")
        header = json.loads(self._exactly(length))
        sizes = header.pop("bodies")
        if sum(sizes) + length > left:
            raise EOFError(f"bodies of {sum(sizes):,} bytes")
        return header, [self._exactly(size) for size in sizes]

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            self._wait()
            part = self._connection.recv(min(size - len(parts), _CHUNK))
            if not part:
                raise EOFError("the far end is gone")
            parts += part
        return bytes(parts)

    def _wait(self) -> None:
        if self._deadline is None:
            return
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
