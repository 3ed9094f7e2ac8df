"""What a strategy's docstring says, as data: for the page of strategies and the command line."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from simulation_service.strategies.base import Strategy, parameters_of

__all__ = ["Description", "ParameterDescription"]

_SECTION = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)


@dataclass(frozen=True)
class ParameterDescription:
    """One parameter: its default as Python writes it, None where it must be given, and what it means."""

    name: str
    default: str | None
    meaning: str


@dataclass(frozen=True)
class Description:
    """A strategy in words.

    Parameters
    ----------
    summary
        The first line.
    notes
        Whatever else is said, one paragraph a line.
    """

    summary: str
    parameters: tuple[ParameterDescription, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, strategy: type[Strategy]) -> Description:
        """Read the docstring of a class, in NumPy sections; a class of one's own may say little or nothing."""
        # Of the class itself: the one it inherits is of another strategy.
        text = inspect.cleandoc(strategy.__doc__ or "")
        lead, *rest = _SECTION.split(text)
        sections = dict(zip(rest[::2], rest[1::2], strict=True))
        summary, *more = _paragraphs(lead) or [""]
        meanings = _meanings(sections.get("Parameters", ""))
        parameters = tuple(
            ParameterDescription(name, None if one.default is one.empty else repr(one.default), meanings.get(name, ""))
            for name, one in parameters_of(strategy).items()
        )
        return cls(summary, parameters, (*more, *_paragraphs(sections.get("Notes", ""))))


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


def _meanings(section: str) -> dict[str, str]:
    """Name -> meaning; a line that names several parameters speaks of each."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line[0].isspace():
            names = [name.strip() for name in line.split(":")[0].split(",")]
            found |= dict.fromkeys(names, "")
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
    return found
