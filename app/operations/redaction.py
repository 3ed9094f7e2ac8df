"""Secrets blanked out of whatever is about to be logged: those of the settings by value, others by their place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import BaseModel, SecretStr

from barlake.settings import Settings

__all__ = ["BLANK", "Redactor"]

BLANK = "***"
_SHORTEST = 4
"""A shorter secret would blank out parts of ordinary words."""
_SHORTEST_PATH = 8

_PLACES = (
    # keys of the service, of which the first part is no secret
    re.compile(r"(?P<kept>\bblk_[0-9a-f]{12}_)[0-9a-f]+"),
    # user:password@ in an address
    re.compile(r"(?P<kept>://[^/\s:@'\"]*:)[^@\s'\"]+(?=@)"),
    # ?apikey=..., token=...
    re.compile(r"(?i)(?P<kept>\b(?:api_?key|access_?token|token|secret|password|passwd)=)[^&\s'\",)}\]]+"),
    # headers, as a dict or a request line shows them
    re.compile(
        r"(?i)(?P<kept>\b(?:authorization|apca-api-[a-z-]*key[a-z-]*|x-api-key)\b['\"]*\s*[:=,]\s*['\"]*"
        r"(?:bearer\s+|basic\s+)?)[^\s'\",}\])]+"
    ),
)


class Redactor:
    """Blanks out secrets in texts and in anything made of texts.

    Parameters
    ----------
    secrets
        Texts that must not be seen, also not percent-encoded, quoted or escaped.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spelled = {way for secret in secrets for way in _spellings(secret) if len(way) >= _SHORTEST}
        longest_first = sorted(spelled, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    @classmethod
    def of(cls, settings: Settings) -> Redactor:
        """For every secret of the settings, and the passwords and paths of those that are addresses."""
        secrets = _secrets_of(settings)
        return cls(part for secret in secrets for part in (secret, *_parts(secret)))

    def text(self, text: str) -> str:
        """The same text without secrets."""
        if self._known is not None:
            text = self._known.sub(BLANK, text)
        for place in _PLACES:
            text = place.sub(rf"\g<kept>{BLANK}", text)
        return text

    def value(self, value: Any) -> Any:
        """The same value without secrets; what is no text, number or collection of them becomes text."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, SecretStr):
            return BLANK
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(held) for name, held in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(held) for held in value]
        return self.text(str(value))


def _secrets_of(model: BaseModel) -> list[str]:
    """Secrets of a model and of those within it."""
    found: list[str] = []
    for name in type(model).model_fields:
        value = getattr(model, name, None)
        if isinstance(value, SecretStr):
            found.append(value.get_secret_value())
        elif isinstance(value, BaseModel):
            found += _secrets_of(value)
    return found


def _spellings(secret: str) -> set[str]:
    text = secret.strip()
    return {
        text,
        quote(text, safe=""),
        quote(text),
        quote_plus(text),
        unquote(text),
        json.dumps(text)[1:-1],
        repr(text)[1:-1],
    }


def _parts(secret: str) -> list[str]:
    """What of an address is secret by itself: its password, and a path that nobody could guess."""
    try:
        address = urlsplit(secret)
        password = address.password
    except ValueError:
        return []
    if not address.netloc:
        return []
    found = [password, unquote(password)] if password else []
    path = f"{address.path}?{address.query}" if address.query else address.path
    if address.scheme in {"http", "https"} and len(path) >= _SHORTEST_PATH:
        found.append(path)
    return found
