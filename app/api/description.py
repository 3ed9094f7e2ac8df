"""The OpenAPI description: what FastAPI writes, with problems as they are answered and no form that is not."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.errors import Problem

__all__ = ["describe"]

_REFERENCE = "#/components/schemas/{model}"
_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of an application's routes; made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        for name in _FASTAPIS_OWN:
            schemas.pop(name, None)
        problem = Problem.model_json_schema(ref_template=_REFERENCE)
        schemas |= {**problem.pop("$defs", {}), Problem.__name__: problem}
        app.openapi_schema = made
    return app.openapi_schema
