"""The description as a page for people: one file of HTML that loads nothing and runs nothing."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import re
from typing import Any

import jinja2
import markupsafe
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

__all__ = ["reference_page", "router"]

router = APIRouter(include_in_schema=False)

_FOLDER = importlib.resources.files("app.api")


@router.get("/")
async def entrance() -> RedirectResponse:
    """Lead who opened the address in a browser to the page."""
    return RedirectResponse("docs")


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """Every path with its parameters and answers, for people."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"
    page = reference_page(request.app.openapi(), style=style)
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


@functools.cache
def _style() -> str:
    return (_FOLDER / "reference.css").read_text(encoding="utf-8")


def reference_page(description: dict[str, Any], *, style: str) -> str:
    """HTML text of an OpenAPI description."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["prose"] = _prose
    template = environment.from_string((_FOLDER / "reference.html.j2").read_text(encoding="utf-8"))
    return template.render(info=description["info"], groups=_groups(description), style=style)


def _prose(text: str) -> markupsafe.Markup:
    """Paragraphs, with what stands between backticks as code."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    marked = (re.sub(r"`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(part))) for part in paragraphs)
    return markupsafe.Markup("".join(f"<p>{part}</p>" for part in marked))  # noqa: S704 - all of it was escaped


def _groups(description: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations by their tag, in the order of the description."""
    schemas = description["components"]["schemas"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            facts = {
                "method": method.upper(),
                "path": path,
                "says": operation["description"],
                "parameters": [_parameter(one) for one in operation.get("parameters", [])],
                "body": _fields(_json_schema(operation.get("requestBody", {})), schemas),
                "answers": _answers(operation["responses"], schemas),
            }
            groups.setdefault(operation["tags"][0], []).append(facts)
    return groups


def _parameter(one: dict[str, Any]) -> dict[str, Any]:
    schema = one["schema"]
    return {
        "name": one["name"],
        "place": one["in"],
        "kind": _kind(schema),
        "default": schema.get("default"),
        "says": one.get("description", ""),
        "required": one.get("required", False),
    }


def _answers(responses: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that are no problem: problems are the same everywhere."""
    return [
        {
            "status": status,
            "says": found["description"],
            "forms": list(found.get("content", {})),
            "fields": _fields(_json_schema(found), schemas),
        }
        for status, found in responses.items()
        if status < "400"
    ]


def _json_schema(holder: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = holder.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _fields(schema: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """Name, kind and meaning of each field of an object."""
    found = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return [
        {"name": name, "kind": _kind(one), "says": one.get("description", "")}
        for name, one in found.get("properties", {}).items()
    ]


def _kind(schema: dict[str, Any]) -> str:
    """A type in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or schema.get("const", "any"))
