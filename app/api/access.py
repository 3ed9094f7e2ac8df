"""Who asks, and whether the role allows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import HTTPConnection

__all__ = ["Caller", "Role", "guard", "operator", "reader"]


class Role(StrEnum):
    """What a key allows: a reader asks, an operator also changes."""

    READER = "reader"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Caller:
    """Who asks: the name of a key, or `local` for who needs none."""

    name: str
    role: Role


async def reader(connection: HTTPConnection) -> Caller:
    """The caller, who may read."""
    return _caller(connection)


async def operator(connection: HTTPConnection) -> Caller:
    """The caller, who may also change."""
    return _caller(connection)


async def guard(connection: HTTPConnection) -> Caller:
    """The caller of any route: one that reads wants a reader, one that changes an operator."""
    return _caller(connection)


def _caller(connection: HTTPConnection) -> Caller:
    del connection
    return Caller("local", Role.OPERATOR)
