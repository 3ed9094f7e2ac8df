"""Errors as problem details (RFC 9457): every answer that is no success has this form, and names the request."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from barlake.errors import (
    BarlakeError,
    ConflictError,
    CredentialsError,
    FormatError,
    InvalidInputError,
    LookAheadError,
    NotFoundError,
    SourceError,
    StorageError,
)

__all__ = ["PROBLEMS", "Fault", "Problem", "install_error_handlers", "problem_response", "status_of"]

MEDIA_TYPE = "application/problem+json"
logger = logging.getLogger(__name__)

_STATUSES: tuple[tuple[type[BarlakeError], HTTPStatus], ...] = (
    (LookAheadError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidInputError, HTTPStatus.BAD_REQUEST),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (StorageError, HTTPStatus.SERVICE_UNAVAILABLE),
    (CredentialsError, HTTPStatus.BAD_GATEWAY),
    (SourceError, HTTPStatus.BAD_GATEWAY),
    (FormatError, HTTPStatus.INTERNAL_SERVER_ERROR),
)


class Fault(BaseModel):
    """One part of a request that its rule forbids."""

    at: str = Field(description="Where it stands: query, path, header or body, and its name.", examples=["query.limit"])
    detail: str = Field(examples=["Input should be greater than or equal to 1"])


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(default="about:blank", description="The kind of problem.", examples=["about:blank"])
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(
        description="Parameter, value, rule and next step.",
        examples=["symbol 'APPL' has no bars. Did you mean 'AAPL'?"],
    )
    instance: str = Field(description="The path that was asked.", examples=["/bars/APPL"])
    request_id: str = Field(description="As in the header X-Request-ID, and in the log.", examples=["0f8b2c7e91d64a53"])
    errors: list[Fault] | None = Field(default=None, description="Of a request that does not fit its description.")


_MEANINGS = {
    HTTPStatus.BAD_REQUEST: "A value that its rule forbids.",
    HTTPStatus.UNAUTHORIZED: "No key, or one that is unknown, expired or revoked.",
    HTTPStatus.FORBIDDEN: "The key's role does not allow it.",
    HTTPStatus.NOT_FOUND: "What was asked for is not here.",
    HTTPStatus.NOT_ACCEPTABLE: "None of the forms in `Accept` is offered.",
    HTTPStatus.REQUEST_TIMEOUT: "The body came too slowly.",
    HTTPStatus.CONFLICT: "Another writer was first, or it is there already.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than is read.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request does not fit its description.",
    HTTPStatus.TOO_MANY_REQUESTS: "More requests than the key allows; `Retry-After` says when to go on.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of the service; the log has its trace.",
    HTTPStatus.BAD_GATEWAY: "A data source failed.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A disk or a database refused.",
}
_REFERENCE = {"schema": {"$ref": "#/components/schemas/Problem"}}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    int(status): {"description": meaning, "content": {MEDIA_TYPE: _REFERENCE}} for status, meaning in _MEANINGS.items()
}
"""For `responses=`: what every route may answer. `app.api.main` gives them to all routes."""


def status_of(error: BarlakeError) -> HTTPStatus:
    """The HTTP status of an error that is raised on purpose."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def problem_response(
    connection: HTTPConnection,
    status: int,
    detail: str,
    *,
    errors: list[Fault] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that tells a problem."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=connection.scope["path"],
        request_id=connection.scope.get("state", {}).get("request_id", ""),
        errors=errors,
    )
    # A path may hold what is no text; JSON does not.
    content = problem.model_dump(exclude_none=True)
    content["instance"] = content["instance"].encode("utf-8", "replace").decode("utf-8")
    return JSONResponse(content, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def install_error_handlers(app: FastAPI) -> None:
    """Have every error of an application told as a problem."""
    app.add_exception_handler(BarlakeError, _on_purpose)
    app.add_exception_handler(UnicodeEncodeError, _no_text)
    app.add_exception_handler(HTTPException, _by_status)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(WebSocketRequestValidationError, _unfit)


async def _on_purpose(connection: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BarlakeError)  # noqa: S101 - it is registered for those
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s: %s", type(error).__name__, error, extra={"stage": "http"}, exc_info=error)
    return await _answer(connection, problem_response(connection, status, _within_lake(connection, str(error))))


def _within_lake(connection: Request, text: str) -> str:
    """The text with files named from the lake's folder on: where that lies is nothing to whoever asks."""
    house = getattr(connection.app.state, "house", None)
    return text if house is None else text.replace(f"{str(house.lake.store.name).rstrip('/')}/", "")


async def _no_text(connection: Request, error: Exception) -> JSONResponse:
    """JSON may hold halves of characters, as U+D800 is one, which no database and no file stores."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - it is registered for those
    detail = (
        f"the request holds text that is none, at {error.object[error.start : error.end]!a}: send whole characters."
    )
    return await _answer(connection, problem_response(connection, HTTPStatus.BAD_REQUEST, detail))


async def _by_status(connection: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for those
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = f"there is no path {connection.scope['path']!r}: /openapi.json lists those there are."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{connection.scope.get('method')} is not offered here: the header Allow says what is."
    return await _answer(
        connection, problem_response(connection, error.status_code, str(detail), headers=error.headers)
    )


async def _unfit(connection: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)  # noqa: S101 - as above
    faults = [Fault(at=".".join(map(str, one["loc"])), detail=one["msg"]) for one in error.errors()]
    detail = "; ".join(f"{one.at}: {one.detail}" for one in faults)
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return await _answer(connection, problem_response(connection, status, detail, errors=faults))


async def _answer(connection: HTTPConnection, response: JSONResponse) -> JSONResponse:
    """The response; to whom asked for a websocket it is sent in place of the handshake."""
    if isinstance(connection, WebSocket):
        await connection.send_denial_response(response)
    return response
