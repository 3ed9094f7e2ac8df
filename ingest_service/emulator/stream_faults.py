"""What can go wrong between the stream and its client, on order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, Field

from ingest_service.emulator.stream_words import Message, error_message

__all__ = ["Delivery", "StreamFault", "StreamFaults"]

_AT_THE_DOOR = frozenset({402, 404, 406, 409})
"""Errors that answer the next `auth`; others come before the next frame."""


class StreamFault(BaseModel, extra="forbid", frozen=True):
    """One fault of the stream.

    Parameters
    ----------
    fault
        `disconnect_after`: the connection closes when `n` more messages were sent. `mute`: it stays open and
        nothing comes, for `seconds` of market time or until it is cleared. `garbage_frame`: a frame that cannot
        be read comes before the next `n`. `error`: one with that `code`; 402, 404, 406 and 409 answer the next
        `auth`. `duplicate_bar`: the next `n` bars come twice. `late_bar`: the next `n` bars come `seconds` of
        market time late, 60 unless told otherwise. `slow`: the next `n` frames wait so many real `seconds`, half
        a one unless told otherwise.
    """

    fault: Literal["disconnect_after", "mute", "garbage_frame", "error", "duplicate_bar", "late_bar", "slow"]
    n: int = Field(1, ge=0)
    seconds: float | None = Field(None, ge=0)
    code: int = 500


@dataclass
class Delivery:
    """What goes out instead of a frame."""

    messages: list[Message]
    is_garbled: bool = False
    error: Message | None = None
    pause_seconds: float = 0.0
    closes: bool = False
    faults: list[str] = field(default_factory=list)


class StreamFaults:
    """The faults in force; whichever connection comes first meets them."""

    def __init__(self) -> None:
        self._active: list[_Active] = []

    @property
    def faults(self) -> list[StreamFault]:
        """Those that are not over."""
        return [one.fault for one in self._active]

    def clear(self) -> None:
        """End all of them; what they held back is lost."""
        self._active.clear()

    def add(self, faults: Sequence[StreamFault], now: dt.datetime) -> None:
        """Put more in force."""
        self._active += [_Active(fault, fault.n, now) for fault in faults]

    def at_the_door(self) -> Message | None:
        """Error that answers an `auth`, if one is due."""
        for one in self._active:
            if one.waits_at_the_door:
                self._active.remove(one)
                return error_message(one.fault.code)
        return None

    def disturb(self, messages: Sequence[Message], now: dt.datetime) -> Delivery:
        """What is delivered of a frame at this instant."""
        delivery = Delivery(list(messages))
        for one in self._active:
            if not one.waits_at_the_door and one.apply(delivery, now):
                delivery.faults.append(one.fault.fault)
        self._active = [one for one in self._active if not one.is_over]
        return delivery


@dataclass
class _Active:
    """A fault, what is left of it, and what it holds back."""

    fault: StreamFault
    left: int
    since: dt.datetime
    held: list[tuple[dt.datetime, Message]] = field(default_factory=list)
    is_over: bool = False

    @property
    def waits_at_the_door(self) -> bool:
        return self.fault.fault == "error" and self.fault.code in _AT_THE_DOOR

    def apply(self, delivery: Delivery, now: dt.datetime) -> bool:
        """Spoil a delivery; whether anything happened to it."""
        match self.fault.fault:
            case "mute":
                return self._mute(delivery, now)
            case "late_bar":
                return self._hold_back(delivery, now)
        if not delivery.messages:
            return False
        match self.fault.fault:
            case "disconnect_after":
                return self._disconnect(delivery)
            case "duplicate_bar":
                bars = _bars(delivery)[: self.left]
                delivery.messages += bars
                return self._count(len(bars))
            case "garbage_frame":
                delivery.is_garbled = True
            case "slow":
                delivery.pause_seconds = self._seconds(0.5)
            case "error":
                delivery.error = error_message(self.fault.code)
        return self._count(1)

    def _count(self, done: int) -> bool:
        self.left -= done
        self.is_over = self.left <= 0
        return done > 0

    def _seconds(self, default: float) -> float:
        return default if self.fault.seconds is None else self.fault.seconds

    def _mute(self, delivery: Delivery, now: dt.datetime) -> bool:
        self.is_over = self.fault.seconds is not None and now >= self.since + dt.timedelta(seconds=self.fault.seconds)
        if not self.is_over:
            delivery.messages.clear()
        return not self.is_over

    def _disconnect(self, delivery: Delivery) -> bool:
        del delivery.messages[self.left :]
        self.left -= len(delivery.messages)
        self.is_over = delivery.closes = self.left == 0
        return delivery.closes

    def _hold_back(self, delivery: Delivery, now: dt.datetime) -> bool:
        late = _bars(delivery)[: self.left]
        due = now + dt.timedelta(seconds=self._seconds(60.0))
        delivery.messages = [message for message in delivery.messages if message not in late]
        delivery.messages += [message for instant, message in self.held if instant <= now]
        self.held = [(instant, message) for instant, message in self.held if instant > now]
        self.held += [(due, message) for message in late]
        self.left -= len(late)
        self.is_over = self.left == 0 and not self.held
        return bool(late)


def _bars(delivery: Delivery) -> list[Message]:
    return [message for message in delivery.messages if message["T"] == "b"]
