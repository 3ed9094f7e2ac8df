"""Parameters that several routes take, as types with their limits and words."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query

__all__ = ["ArtifactId", "AsOf", "Cursor", "End", "Feed", "Limit", "Start", "Symbol"]

_EXAMPLES: dict[str, Any] = {"a session": {"value": "2024-01-02"}, "an instant": {"value": "2024-01-02T14:30:00Z"}}

Symbol = Annotated[str, Path(description="Such as `SPY`, `BRK.B`, `BTC/USD`.", examples=["SPY"])]
Start = Annotated[
    str | None,
    Query(description="First session date (New York), or first instant with its zone.", openapi_examples=_EXAMPLES),
]
End = Annotated[str | None, Query(description="The same; itself not included.", openapi_examples=_EXAMPLES)]
Feed = Annotated[str | None, Query(description="Without one: `sip`, else `iex`, else the only other.")]
AsOf = Annotated[str | None, Query(description="What the lake held at that instant, given with its zone.")]
Limit = Annotated[int, Query(ge=1, le=100_000, description="Rows of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="`next_cursor` of the page before, with the same parameters.")
]
ArtifactId = Annotated[
    str,
    Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Its id, or the first digits.", examples=["0f8b2c7e91d64a53"]),
]
