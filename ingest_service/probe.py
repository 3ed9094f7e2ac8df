"""One request to Alpaca, to learn how things stand: key, plan, clock. Nothing is stored."""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import time
from dataclasses import dataclass

import requests
from pydantic import SecretStr

from barlake.settings import Settings

__all__ = ["NO_RECENT_SIP", "Answer", "ask_alpaca"]

NO_RECENT_SIP = 42210000
"""Code by which Alpaca refuses SIP bars of the last 15 minutes to a plan without them."""

_LONGEST_QUOTE = 200


@dataclass(frozen=True)
class Answer:
    """What came of one request.

    Parameters
    ----------
    status, code, message
        None without an answer; the code and the message are Alpaca's own.
    ahead
        How far the server's clock is ahead of this machine's, to about a second; None when it did not say.
    seconds
        From the request to the answer.
    error
        Why no answer came.
    """

    status: int | None = None
    code: int | None = None
    message: str | None = None
    ahead: dt.timedelta | None = None
    seconds: float = 0.0
    error: str | None = None


def ask_alpaca(base_url: str, settings: Settings, *, feed: str, symbol: str, timeout_s: float = 10.0) -> Answer:
    """Alpaca's answer to a request for the newest prices of a feed, with the key of the settings, if there is one."""
    names = {"APCA-API-KEY-ID": settings.alpaca_key_id, "APCA-API-SECRET-KEY": settings.alpaca_secret_key}
    headers = {name: _sendable(value) for name, value in names.items() if value is not None}
    began, clock = time.monotonic(), time.time()
    try:
        response = requests.get(
            f"{base_url}/v2/stocks/snapshots", params={"symbols": symbol, "feed": feed}, headers=headers,
            timeout=timeout_s, allow_redirects=False,
        )  # fmt: skip
    except requests.RequestException as error:
        # The text of the error may hold the request with its headers.
        return Answer(error=type(error).__name__, seconds=time.monotonic() - began)
    seconds = time.monotonic() - began
    code, message = _refusal(response)
    # The server read its clock some time between the question and the answer.
    return Answer(response.status_code, code, message, _ahead(response, clock + seconds / 2), seconds)


def _sendable(value: SecretStr) -> bytes:
    return value.get_secret_value().strip().encode("utf-8", "replace")


def _refusal(response: requests.Response) -> tuple[int | None, str | None]:
    with contextlib.suppress(ValueError):
        said = response.json()
        if response.status_code >= requests.codes.bad_request and isinstance(said, dict):
            code = said.get("code")
            return code if isinstance(code, int) else None, str(said.get("message", ""))[:_LONGEST_QUOTE]
    return None, None


def _ahead(response: requests.Response, local: float) -> dt.timedelta | None:
    with contextlib.suppress(ValueError, TypeError):
        # The header has whole seconds: the middle of that one is the best guess.
        server = email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp() + 0.5
        return dt.timedelta(seconds=server - local)
    return None
