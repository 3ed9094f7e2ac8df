"""Which of DuckDB's functions a query may call: the lists in `functions.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

__all__ = ["ALLOWED", "REFUSED", "TABLE_FUNCTIONS", "why_refused"]

_LISTS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("functions.toml").read_text(encoding="utf-8"))

ALLOWED = frozenset(_LISTS["allowed"])
"""Functions that compute from their arguments alone; operators are functions too. All in lower case."""

TABLE_FUNCTIONS = frozenset(_LISTS["table_functions"])
"""Functions in the place of a table."""

REFUSED: dict[str, str] = {name: group["because"] for group in _LISTS["refused"].values() for name in group["names"]}
"""Functions that were looked at and are not offered, each with the reason."""


def why_refused(name: str) -> str:
    """Why a function is not offered, to be put behind a sentence; empty where that is not known."""
    return f": it {REFUSED[name]}" if name in REFUSED else ""
