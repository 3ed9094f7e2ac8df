"""What the stream says and how: messages, error codes, and the two ways in which a frame is written.

Frames are arrays of messages, as JSON text or as msgpack with its own type for instants
(https://docs.alpaca.markets/docs/streaming-market-data).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import polars as pl

__all__ = ["CHANNELS", "ERRORS", "Message", "bar_message", "decode", "encode", "error_message"]

Message = dict[str, Any]

CHANNELS = {
    "trades": "t",
    "quotes": "q",
    "bars": "b",
    "updatedBars": "u",
    "dailyBars": "d",
    "statuses": "s",
    "lulds": "l",
    "corrections": "c",
    "cancelErrors": "x",
}
"""Channel of stocks -> type of its messages; the emulator has messages of four of them."""

ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    408: "v2 not enabled",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}
"""Code -> its words."""

_SHORT = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "trade_count": "n", "vwap": "vw"}


def error_message(code: int) -> Message:
    """An error; a code without words of its own is an internal one."""
    return {"T": "error", "code": code, "msg": ERRORS.get(code, ERRORS[500])}


def bar_message(kind: str, symbol: str, rows: pl.DataFrame) -> Message:
    """The first row of a frame of bars, as a message of that type."""
    row = rows.row(0, named=True)
    return {"T": kind, "S": symbol, **{short: row[name] for name, short in _SHORT.items()}, "t": row["timestamp"]}


def encode(messages: Sequence[Message], *, packed: bool) -> bytes | str:
    """One frame: bytes if it is packed, else text."""
    if packed:
        frame: bytes = msgpack.packb(list(messages), datetime=True)
        return frame
    return json.dumps(list(messages), separators=(",", ":"), default=_wire)


def decode(frame: bytes | str) -> Mapping[str, Any] | None:
    """What a client sent, in either way; None if it is neither or no object."""
    try:
        said = msgpack.unpackb(frame) if isinstance(frame, bytes) else json.loads(frame)
    except (ValueError, msgpack.UnpackException, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _wire(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    raise TypeError(f"{value!r} has no place in a message")
