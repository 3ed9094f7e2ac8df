"""The table of scenarios: those that come with the house and those of a user's own file, by name."""

from __future__ import annotations

import datetime as dt
import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from barlake.errors import InvalidInputError, did_you_mean
from barlake.ranges import parse_session_range
from simulation_service.scenarios.shocks import FeedOutage, Gap, Halt, SessionMoves, Shock, Stage, Volatility

__all__ = ["SHOCKS", "Scenario", "choose", "own_scenarios", "standard_scenarios"]

SHOCKS: dict[str, type[Shock]] = {
    "gap": Gap,
    "volatility": Volatility,
    "halt": Halt,
    "feed_outage": FeedOutage,
    "session_moves": SessionMoves,
}
"""Kinds of shock, by the name they have in a file."""

_FIELDS = ("name", "description", "start", "end", "shocks")


@dataclass(frozen=True)
class Scenario:
    """What is tried on a strategy, under one name.

    Parameters
    ----------
    start, end
        Session dates of a span that is replayed as it was, [start, end); None for shocks.
    shocks
        What happens to the bars given, one after the other; empty for a span.
    """

    name: str
    description: str
    start: dt.date | None = None
    end: dt.date | None = None
    shocks: tuple[Shock, ...] = ()

    @property
    def is_synthetic(self) -> bool:
        """Whether its bars are made up."""
        return bool(self.shocks)

    def apply(self, stage: Stage) -> Stage:
        """The stage after all shocks; a span has none."""
        for shock in self.shocks:
            stage = shock.apply(stage)
        return stage

    @classmethod
    def parse(cls, row: Mapping[str, Any], *, where: str) -> Scenario:
        """A scenario from a table of a TOML file.

        Raises
        ------
        InvalidInputError
            If it lacks its name, has a key that does not exist, is neither a span nor shocks or both, or a
            shock is wrong; the message begins with `where` and its name.
        """
        name = str(row.get("name") or "")
        here = f"{where}: scenario {name!r}"
        if not name:
            raise InvalidInputError(f'{where}: a scenario has no name: give it one, such as name = "my_crash".')
        _only(row, _FIELDS, here)
        shocks = tuple(_shock(one, here) for one in row.get("shocks", ()))
        if bool(shocks) == ("start" in row and "end" in row):
            raise InvalidInputError(f"{here} needs either start and end, or shocks: give one of the two.")
        start, end = (None, None) if shocks else parse_session_range(row["start"], row["end"])
        return cls(name, str(row.get("description", "")), start, end, shocks)


def standard_scenarios() -> tuple[Scenario, ...]:
    """The scenarios that come with the house."""
    name = "scenarios.toml"
    text = (importlib.resources.files(__package__) / name).read_text(encoding="utf-8")
    return _parsed(text, where=name)


def own_scenarios(path: Path) -> tuple[Scenario, ...]:
    """The scenarios of a TOML file.

    Raises
    ------
    InvalidInputError
        If the file is absent, is not TOML, or has a scenario that is wrong or named twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"table of scenarios {path} cannot be read ({error}): name a TOML file.") from error
    return _parsed(text, where=str(path))


def choose(scenarios: Iterable[Scenario], names: Sequence[str]) -> tuple[Scenario, ...]:
    """Scenarios by their names, in the order of the names; all of them where none is named.

    Raises
    ------
    InvalidInputError
        If a name is not known; the message lists those there are.
    """
    known = {scenario.name: scenario for scenario in scenarios}
    for name in names:
        if name not in known:
            raise InvalidInputError(
                f"scenario {name!r} is not known: use one of {', '.join(known)}.{did_you_mean(name, known)}"
            )
    return tuple(known[name] for name in names or known)


def _parsed(text: str, *, where: str) -> tuple[Scenario, ...]:
    try:
        rows = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"{where} is not TOML ({error}): see docs/scenarios.md for the form.") from error
    _only(rows, ("scenario",), where)
    found = tuple(Scenario.parse(row, where=where) for row in rows.get("scenario", ()))
    names = [scenario.name for scenario in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not found:
        fault = f"names {twice[0]!r} twice" if twice else "has no [[scenario]]"
        raise InvalidInputError(f"{where} {fault}: each scenario stands there once, under a name of its own.")
    return found


def _shock(row: Mapping[str, Any], where: str) -> Shock:
    kind = str(row.get("kind", ""))
    if kind not in SHOCKS:
        raise InvalidInputError(
            f"{where}: kind {kind!r} of shock is not known: use one of {', '.join(SHOCKS)}.{did_you_mean(kind, SHOCKS)}"
        )
    given = {name: _value(value) for name, value in row.items() if name != "kind"}
    _only(given, [field.name for field in fields(SHOCKS[kind])], f"{where}, {kind}")  # type: ignore[arg-type]
    try:
        return SHOCKS[kind](**given)
    except TypeError as error:
        raise InvalidInputError(f"{where}, {kind}: {error}. See docs/scenarios.md for what it takes.") from error


def _value(value: Any) -> Any:
    """Lists as tuples, and TOML's own dates and times as text."""
    if isinstance(value, list):
        return tuple(_value(item) for item in value)
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _only(given: Iterable[str], known: Sequence[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise InvalidInputError(
                f"{where}: {name!r} is not known: use {', '.join(known)}.{did_you_mean(name, known)}"
            )
