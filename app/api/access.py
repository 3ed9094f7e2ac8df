"""Who asks, and whether the role allows it.

Who asks from this machine needs no key, unless the service was told otherwise. That trust must not be lent: not to a
page in the user's browser that asks in the user's name, and not to a proxy that passes on what comes from elsewhere.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated

from anyio import to_thread
from fastapi import Depends
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from app.api.rates import Rates
from app.loopback import is_loopback
from app.operations.api_keys import ApiKey, ApiKeys, Role
from barlake.errors import StorageError
from barlake.settings import Settings

__all__ = ["AnyCaller", "Caller", "Doorkeeper", "Role", "anyone", "guard", "is_local", "is_still_welcome"]

KEY_LIVES_S = 1.0
"""So long a key that was looked up is believed: one that is revoked opens nothing a second later."""

_KNOWN_KEYS = 256
_PASSED_ON = {
    "cf-connecting-ip", "forwarded", "true-client-ip", "via", "x-client-ip", "x-cluster-client-ip", "x-real-ip",
}  # fmt: skip
"""Headers by which proxies tell for whom they ask; so do all that begin with `x-forwarded` or `x-original-`."""
_PASSED_ON_PREFIXES = ("x-forwarded", "x-original-")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::[0-9]{1,5})?")
_OWN_PAGES = {"none", "same-origin"}
_READING = {"GET", "HEAD", "OPTIONS"}
_READERS_POSTS = {"/sql"}
"""Questions too long for an address: they change nothing."""


@dataclass(frozen=True)
class Caller:
    """Who asks: the name of a key, or `local` for who needs none."""

    name: str
    role: Role


class Doorkeeper:
    """Tells who asks, and how often a key may.

    Parameters
    ----------
    is_open
        Whether who asks from this machine needs no key.
    processes
        Of the service, this one among them.
    """

    def __init__(self, keys: ApiKeys, settings: Settings, *, is_open: bool, processes: int = 1) -> None:
        self._keys = keys
        self._is_open = is_open
        self.rates = Rates(settings.api_requests_per_minute, processes)
        self._known: OrderedDict[str, tuple[ApiKey, float]] = OrderedDict()

    async def admit(self, connection: HTTPConnection, text: str | None) -> Caller:
        """The caller behind a key, or behind none.

        Raises
        ------
        HTTPException
            401 when a key is missing or counts for nothing, 429 when it asks too often.
        """
        if text is None:
            if self._is_open and is_local(connection):
                return Caller("local", Role.OPERATOR)
            raise _refused("a key is needed: send 'Authorization: Bearer KEY', made by `barlake keys create`.")
        key = await self._key_of(text)
        if key is None:
            self.rates.count_wrong(connection.client.host if connection.client else "")
            raise _refused("this key is unknown, expired or revoked: `barlake keys list` names those that count.")
        connection.state.rate = self.rates.take(key)
        return Caller(key.name, key.role)

    async def knows(self, text: str) -> bool:
        """Whether a key counts; asking so is no question of that key's. False also when it cannot be told."""
        try:
            return await self._key_of(text) is not None
        except StorageError:
            return False

    async def _key_of(self, text: str) -> ApiKey | None:
        now = time.monotonic()
        known = self._known.get(text)
        if known is not None and now < known[1]:
            return known[0]
        key = await to_thread.run_sync(self._keys.find, text)
        self._known.pop(text, None)
        if key is not None:
            self._known[text] = (key, now + KEY_LIVES_S)
            if len(self._known) > _KNOWN_KEYS:
                self._known.popitem(last=False)
        return key


def is_local(connection: HTTPConnection) -> bool:
    """Whether a program on this machine asks for itself.

    Not local is what a proxy passes on; what a page of another site asks, which a browser marks; and what is asked
    under a foreign name that was made to lead here (https://en.wikipedia.org/wiki/DNS_rebinding).
    """
    server, client, headers = connection.scope.get("server"), connection.client, connection.headers
    if server is None or client is None or not (is_loopback(server[0]) and is_loopback(client.host)):
        return False
    if any(map(_is_of_a_proxy, headers)) or not is_loopback(_name_of(headers.get("host", ""))):
        return False
    if not _OWN_PAGES.issuperset(headers.getlist("sec-fetch-site")):
        return False
    return all(origin.partition("://")[2] == headers["host"] for origin in headers.getlist("origin"))


def _is_of_a_proxy(header: str) -> bool:
    return header in _PASSED_ON or header.startswith(_PASSED_ON_PREFIXES)


def _name_of(host: str) -> str:
    """The name in a `Host` header, without its port; empty when it is none."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]) if found else ""


def _refused(detail: str) -> HTTPException:
    return HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


class _Bearer(SecurityBase):
    """A key in `Authorization: Bearer`; also for websockets, which FastAPI's own class does not serve."""

    model = HTTPBearer(description="A key made by `barlake keys create`. Not needed on the service's own machine.")
    scheme_name = "bearer"

    async def __call__(self, connection: HTTPConnection) -> str | None:
        scheme, _, text = connection.headers.get("authorization", "").strip().partition(" ")
        return text.strip() if scheme.lower() == "bearer" else None


class _Header(SecurityBase):
    """A key in `X-API-Key`."""

    model = APIKey(**{"in": APIKeyIn.header}, name="X-API-Key", description="The same key, for tools that want this.")
    scheme_name = "header"

    async def __call__(self, connection: HTTPConnection) -> str | None:
        return connection.headers.get("x-api-key")


async def _caller(
    connection: HTTPConnection,
    bearer: Annotated[str | None, Depends(_Bearer())],
    header: Annotated[str | None, Depends(_Header())],
) -> Caller:
    doorkeeper: Doorkeeper = connection.app.state.doorkeeper
    caller = await doorkeeper.admit(connection, header if bearer is None else bearer)
    connection.state.caller = caller.name
    return caller


AnyCaller = Annotated[Caller, Depends(_caller)]


async def anyone(connection: HTTPConnection) -> Caller | None:
    """The caller, or None where nobody known asks: for routes that everybody may ask, which describe no key."""
    try:
        return await _caller(connection, await _Bearer()(connection), await _Header()(connection))
    except HTTPException:
        return None


async def is_still_welcome(connection: HTTPConnection) -> bool:
    """Whether one who was let in would be again: of an answer without an end, the key may be revoked meanwhile."""
    bearer = await _Bearer()(connection)
    text = await _Header()(connection) if bearer is None else bearer
    doorkeeper: Doorkeeper = connection.app.state.doorkeeper
    return text is None or await doorkeeper.knows(text)


async def guard(connection: HTTPConnection, caller: AnyCaller) -> None:
    """Let the caller pass: whoever has a key where something is read, an operator where it is changed.

    Raises
    ------
    HTTPException
        403 when something is changed and the key is a reader's.
    """
    method = connection.scope.get("method", "GET")  # a websocket has none, and tells only
    if method in _READING or connection.scope["path"] in _READERS_POSTS or caller.role is Role.OPERATOR:
        return
    raise HTTPException(
        403,
        f"key {caller.name!r} is a reader's, and this needs an operator's: `barlake keys create --role operator`.",
    )
