"""The key a source needs, or a sentence that says where it belongs."""

from __future__ import annotations

import re

from pydantic import SecretStr

from barlake.errors import CredentialsError

__all__ = ["required_key"]


def required_key(name: str, value: SecretStr | None, source: str) -> str:
    """Text of a key. Raises `CredentialsError` if it is absent or cannot be one."""
    text = value.get_secret_value().strip() if value is not None else ""
    where = f"Put {name} into the environment or into .env in the working directory."
    if not text:
        raise CredentialsError(f"{name} is not set, and {source} answers no request without it. {where}")
    if not re.fullmatch(r"[!-~]+", text):
        raise CredentialsError(
            f"{name} holds a space, a line break or a letter no key has (its value is not shown). {where}"
        )
    return text
