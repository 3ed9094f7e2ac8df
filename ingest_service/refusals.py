"""What Alpaca's refusals mean for the caller: try again, wait, mend the key, or mend the call. Pure.

The statuses and wordings are those of https://docs.alpaca.markets/reference/stockbars and of answers people
recorded: bodies are often not JSON, mostly have no `code`, and one fault has several statuses.
"""

from __future__ import annotations

import json
import re
from typing import Any

from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.settings import ALPACA_DATA_URL

__all__ = ["WHERE_KEYS_GO", "InvalidSymbolError", "TransientError", "refusal"]

WHERE_KEYS_GO = (
    "Put ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY into the environment or into .env in the working "
    "directory; Alpaca's web page gives free ones. `barlake demo` needs none."
)

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_REQUEST_ERRORS = range(400, 500)
_EMBARGO_CODE = 42210000
_EMBARGO_WORDS = re.compile(r"recent SIP data|too late for subscription", re.IGNORECASE)
_INVALID_SYMBOL = re.compile(r"invalid symbol: ([^\s\",]+)", re.IGNORECASE)
_LONGEST_QUOTE = 200


class TransientError(Exception):
    """A failure that the same request may not meet again; it never leaves the ingest service."""

    attempt = 1


class InvalidSymbolError(InvalidInputError):
    """A symbol that the source cannot read; of a request for many, the others are not answered either."""

    def __init__(self, symbol: str, message: str) -> None:
        super().__init__(message)
        self.symbol = symbol


def refusal(status: int | None, body: str, *, request: str, base_url: str) -> Exception:
    """Error for an answer with an HTTP status of 400 or above.

    Parameters
    ----------
    body
        As received, without secrets; of a long one only the beginning is quoted.
    request, base_url
        What was asked for, and of whom, for the message.

    Returns
    -------
    `TransientError` if the same request may succeed soon, `SourceError` if it may later, `CredentialsError`
    or `InvalidInputError` if it will not.
    """
    code, message = _fields(body)
    told = f"{base_url} answered HTTP {status}: {message!r}."
    if status in _TRANSIENT:
        return TransientError(f"HTTP {status}: {message!r}")
    if _EMBARGO_WORDS.search(message) or (status == _FORBIDDEN and code == _EMBARGO_CODE):
        return SourceError(
            f"the end of {request} is too recent for this plan: {told} "
            "End at least 16 minutes ago, wait, or use feed 'iex'."
        )
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return CredentialsError(
            f"Alpaca refused the key: {told} Check that key and secret belong together and to this "
            f"address. {WHERE_KEYS_GO}"
        )
    if status in _REQUEST_ERRORS:
        if found := _INVALID_SYMBOL.search(message):
            return InvalidSymbolError(
                found[1],
                f"symbol {found[1]!r} is not one Alpaca can read: {told} "
                "Its symbols are upper case, and share classes have a dot, as in 'BRK.B'.",
            )
        return InvalidInputError(_wrong_request(status, told, request))
    return SourceError(f"Alpaca failed on {request}: {told} Run the same command again later.")


def _wrong_request(status: int | None, told: str, request: str) -> str:
    if status == _NOT_FOUND:
        return f"ALPACA_DATA_URL leads to no bars: {told} Normally it is {ALPACA_DATA_URL}."
    return f"Alpaca refused the request for {request}: {told} Mend what it names."


def _fields(body: str) -> tuple[Any, str]:
    """Code and message of an error body, which may as well be HTML or empty."""
    try:
        fields = json.loads(body)
    except ValueError:
        return None, _quote(" ".join(re.sub(r"<[^>]*>", " ", body).split()))
    if not isinstance(fields, dict):
        return None, _quote(body)
    return fields.get("code"), _quote(str(fields.get("message", body)))


def _quote(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
