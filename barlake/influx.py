"""Bars to an InfluxDB, or whatever else takes line protocol by HTTP POST.

A point with the same tags and time replaces the one before it, so sending again is harmless and corrections
arrive; a bar that the lake no longer holds stays there.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import requests
import tenacity
from pydantic import SecretStr

from barlake.errors import BarlakeError, InvalidInputError, StorageError
from barlake.exporting import BarExport, OnPiece, tell_nobody
from barlake.line_protocol import lines

__all__ = ["BATCH_LINES", "post_lines"]

BATCH_LINES = 5_000
"""Lines in one request: what InfluxDB advises, about 700 kB."""

TOKEN_NAME = "BARLAKE_INFLUX_TOKEN"  # noqa: S105 - the name of a variable

_ATTEMPTS = 5
_TIMEOUT_SECONDS = 60
_LONGEST_WAIT_SECONDS = 30.0
_LONGEST_QUOTE = 300
_TRY_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_SECRETS = {"p", "token"}


class _Later(Exception):  # noqa: N818 - not an error until the last attempt
    """The server could not take a batch now; `seconds` is how long it asked to be left alone."""

    def __init__(self, said: str, seconds: float | None = None) -> None:
        super().__init__(said)
        self.seconds = seconds


def post_lines(
    export: BarExport,
    url: str,
    *,
    token: SecretStr | None = None,
    batch_lines: int = BATCH_LINES,
    backoff_seconds: float = 1.0,
    on_piece: OnPiece = tell_nobody,
) -> int:
    """Send a selection of bars to a write address, batch by batch; hands back the number of lines.

    Parameters
    ----------
    url
        Such as `http://host:8086/write?db=market` (version 1) or
        `http://host:8086/api/v2/write?org=ORG&bucket=BUCKET` (version 2).
    token
        A version 2 token, or `user:password` for version 1.

    Raises
    ------
    InvalidInputError
        If the address is none or carries a secret, or the server refuses the request for good.
    StorageError
        If the server does not answer, or asks to wait, after all attempts. Batches it took are kept there.
    """
    _require_address(url)
    sent = 0
    with requests.Session() as session:
        session.headers["Content-Type"] = "text/plain; charset=utf-8"
        _authorize(session, url, token)
        for piece in export.pieces(on_piece):
            made = lines(piece.rows, measurement=export.name)
            for batch in made.to_frame().iter_slices(batch_lines):
                _post(session, url, batch["line"].to_list(), backoff_seconds)
                sent += batch.height
    return sent


def _require_address(url: str) -> None:
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InvalidInputError(f"{url!r} is no write address: give one such as http://host:8086/write?db=market.")
    if parts.password or _SECRETS & set(asked):
        raise InvalidInputError(
            f"the address {_shown(url)} carries a secret, which every user of this machine could see: leave it out "
            f"and put a token, or user:password, into {TOKEN_NAME}."
        )
    if not set(asked.get("precision", [])) <= {"ns", "n"}:
        raise InvalidInputError(f"precision {asked['precision'][0]!r} of {_shown(url)} is not ns: leave it out.")


def _shown(url: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _authorize(session: requests.Session, url: str, token: SecretStr | None) -> None:
    if token is None:
        return
    secret = token.get_secret_value()
    user, colon, password = secret.partition(":")
    if colon and not urlsplit(url).path.startswith("/api/"):
        session.auth = (user, password)
    else:
        session.headers["Authorization"] = f"Token {secret}"


def _post(session: requests.Session, url: str, batch: Sequence[str], backoff_seconds: float) -> None:
    body = ("\n".join(batch) + "\n").encode()

    def wait(state: tenacity.RetryCallState) -> float:
        reason = state.outcome.exception() if state.outcome else None
        asked = reason.seconds if isinstance(reason, _Later) else None
        growing: float = tenacity.wait_random_exponential(multiplier=backoff_seconds)(state)
        return min(growing if asked is None else asked, _LONGEST_WAIT_SECONDS)

    trying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Later),
        wait=wait,
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
    try:
        trying(lambda: _attempt(session, url, body))
    except _Later as error:
        raise StorageError(
            f"{_shown(url)} did not take the bars after {_ATTEMPTS} attempts; the last one: {error}. What it took is "
            "kept there: mend the server, then run the same command again."
        ) from error


def _attempt(session: requests.Session, url: str, body: bytes) -> None:
    try:
        answer = session.post(url, data=body, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _Later(f"no answer ({type(error).__name__})") from error
    except requests.RequestException as error:
        raise InvalidInputError(f"{_shown(url)} cannot be asked: {type(error).__name__}. Mend the address.") from error
    if answer.ok and not answer.is_redirect:
        return
    if answer.status_code in _TRY_AGAIN or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _Later(f"{answer.status_code} {_quote(answer)}", _seconds(answer.headers.get("Retry-After")))
    raise _refusal(url, answer)


def _refusal(url: str, answer: requests.Response) -> BarlakeError:
    said = f"{_shown(url)} answered {answer.status_code}: {_quote(answer)}."
    if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return InvalidInputError(f"{said} Put a token that may write, or user:password, into {TOKEN_NAME}.")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return InvalidInputError(f"{said} Make the database or bucket first, or mend the address.")
    return InvalidInputError(
        f"{said} It will not take these lines however often they are sent: see what it says about the measurement."
    )


def _quote(answer: requests.Response) -> str:
    return " ".join(answer.text.split())[:_LONGEST_QUOTE] or answer.reason


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.strip().isdigit() else None
