"""Keys of the service: kept as hashes, each with a name and a role; whoever reads the database learns no key."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.operations.database import reading, writing
from app.operations.tables import api_keys
from barlake.errors import ConflictError, InvalidInputError, NotFoundError, did_you_mean
from barlake.keys import parse_member
from barlake.records import utc_now

__all__ = ["ApiKey", "ApiKeys", "Role"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_KEY = re.compile(r"blk_(?P<id>[0-9a-f]{12})_[0-9a-f]{64}")
_ID_BYTES, _SECRET_BYTES = 6, 32


class Role(StrEnum):
    """What a key allows: a reader asks, an operator also changes."""

    READER = "reader"
    OPERATOR = "operator"


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """One key, without its secret. Instants are UTC by machine time.

    Parameters
    ----------
    key_id
        The part of the key that is no secret.
    requests_per_minute
        None takes what the settings say.
    expires_at, revoked_at
        None: never, not yet.
    """

    key_id: str
    name: str
    role: Role
    requests_per_minute: int | None
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None

    def counts_at(self, now: dt.datetime) -> bool:
        """Whether it opens anything at an instant."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class ApiKeys:
    """The table of keys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self,
        name: str,
        role: Role | str,
        *,
        requests_per_minute: int | None = None,
        expires_at: dt.datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which is told here and never again.

        Raises
        ------
        InvalidInputError
            If the name is none, or there is no such role.
        ConflictError
            If a key of this name counts.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInputError(
                f"key name {name!r} is none: use 1 to 64 of letters, digits and . _ @ -, a letter or digit first."
            )
        key_id = secrets.token_hex(_ID_BYTES)
        text = f"blk_{key_id}_{secrets.token_hex(_SECRET_BYTES)}"
        key = ApiKey(
            key_id=key_id, name=name, role=parse_member(Role, "role", role), requests_per_minute=requests_per_minute,
            created_at=utc_now(), expires_at=expires_at, revoked_at=None,
        )  # fmt: skip
        try:
            with writing(self._engine) as connection:
                # Whose time has come makes room for a new one of its name.
                ended = (api_keys.c.name == name) & (api_keys.c.expires_at <= key.created_at)
                connection.execute(
                    update(api_keys).where(ended, api_keys.c.revoked_at.is_(None)).values(revoked_at=key.created_at)
                )
                connection.execute(insert(api_keys), {**vars(key), "role": str(key.role), "hash": _hash(text)})
        except IntegrityError as error:
            raise ConflictError(
                f"there is a key named {name!r} already: `barlake keys revoke {name}` ends it, or use another name."
            ) from error
        return key, text

    def all(self) -> list[ApiKey]:
        """Every key, oldest first, also those that are revoked."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)).mappings()
            return [_key(row) for row in rows]

    def revoke(self, name_or_id: str) -> ApiKey:
        """The key of that name or id, which opens nothing from now on.

        Raises
        ------
        NotFoundError
            If no key that is not revoked has it.
        """
        held = [one for one in self.all() if one.revoked_at is None]
        found = next((one for one in held if name_or_id in {one.name, one.key_id}), None)
        if found is None:
            names = [one.name for one in held]
            raise NotFoundError(
                f"no key {name_or_id!r} to revoke: there are {', '.join(names) or 'none'}."
                f"{did_you_mean(name_or_id, names)}"
            )
        with writing(self._engine) as connection:
            connection.execute(update(api_keys).where(api_keys.c.key_id == found.key_id).values(revoked_at=utc_now()))
        return found

    def find(self, text: str) -> ApiKey | None:
        """The key whose text this is; None if there is none, or it is revoked or its time has come."""
        shape = _KEY.fullmatch(text)
        if shape is None:
            return None
        with reading(self._engine) as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.key_id == shape["id"])).mappings().first()
        if row is None or not hmac.compare_digest(row["hash"], _hash(text)):
            return None
        key = _key(row)
        return key if key.counts_at(utc_now()) else None

    def is_any(self) -> bool:
        """Whether any key opens something now."""
        lives = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > utc_now())
        with reading(self._engine) as connection:
            query = select(api_keys.c.key_id).where(api_keys.c.revoked_at.is_(None), lives).limit(1)
            return connection.execute(query).first() is not None


def _hash(text: str) -> str:
    """A fast hash is enough: 256 random bits cannot be guessed, which passwords can."""
    return hashlib.sha256(text.encode()).hexdigest()


def _key(row: Any) -> ApiKey:
    held = ("key_id", "name", "requests_per_minute", "created_at", "expires_at", "revoked_at")
    return ApiKey(**{name: row[name] for name in held}, role=Role(row["role"]))
