"""What came of making things again: step by step, the same or not, and on which link it hangs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Cause", "Link", "Made", "ReproReport", "Step", "changed_links"]


class Link(StrEnum):
    """What a result hangs on, in the order in which it is looked at.

    `files`: the stored file is not the one that was written. `machine`: nothing else has changed, and the step gives
    the same here every time: another processor, or another number of threads, computed what is stored.
    """

    FILES = "files"
    BARS = "bars"
    CODE = "code"
    LIBRARY = "library"
    SEED = "seed"
    MACHINE = "machine"


_CODE_AMONG_INPUTS = frozenset({"strategy"})


@dataclass(frozen=True)
class Cause:
    """A link that is not what it was, and in what way."""

    link: Link
    what: str


@dataclass(frozen=True)
class Made:
    """Something that was made, as far as two makings can be compared.

    Parameters
    ----------
    parts
        Hash by name, of whatever must be the same bit by bit.
    """

    parts: Mapping[str, str]
    inputs: Mapping[str, Any]
    code: str
    libraries: Mapping[str, str]
    seed: int | None = None

    @property
    def data(self) -> dict[str, Any]:
        """Its inputs that are data; a strategy, which is code, has its hash among the inputs too."""
        return {name: held for name, held in self.inputs.items() if name not in _CODE_AMONG_INPUTS}

    def differs_from(self, other: Made) -> list[str]:
        """Names of parts that only one has, or that are not the same."""
        names = sorted({*self.parts, *other.parts})
        return [name for name in names if self.parts.get(name) != other.parts.get(name)]


@dataclass(frozen=True)
class Step:
    """One thing made again.

    Parameters
    ----------
    same
        Whether every part has the same bits. None: it could not be made again.
    differs
        Names of the parts that are not the same.
    causes
        Links that changed. Where the bits are the same all the same, they had no effect.
    note
        What else is to know: from which bars it was made, or why it could not be.
    """

    what: str
    same: bool | None
    differs: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The step as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True)
class ReproReport:
    """Every step from the bars to what was asked for."""

    id: str
    kind: str
    steps: tuple[Step, ...]

    @property
    def same(self) -> bool:
        """Whether every step gave the same bits."""
        return all(step.same is True for step in self.steps)

    @property
    def verdict(self) -> str:
        """One sentence: the same to the bit, or the first step that is not and the links it names."""
        broken = next((step for step in self.steps if step.same is not True), None)
        if broken is None:
            return f"{self.kind} {self.id}: made again from the bars, the same to the bit."
        links = ", ".join(dict.fromkeys(cause.link.value for cause in broken.causes)) or "unknown"
        did = "could not be made again" if broken.same is None else "differs"
        return f"{self.kind} {self.id}: {broken.what} {did}; the link is {links}."

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "same": self.same,
            "verdict": self.verdict,
            "steps": [step.as_dict() for step in self.steps],
        }


def changed_links(stored: Made, made: Made) -> list[Cause]:
    """Links that are not the same in two makings, from the first to the last."""
    causes = [Cause(Link.BARS, text) for text in _changed_inputs(stored.data, made.data)]
    own, others = ({name: held.get(name) for name in _CODE_AMONG_INPUTS} for held in (stored.inputs, made.inputs))
    causes += [Cause(Link.CODE, text) for text in _changed_inputs(own, others)]
    if stored.code != made.code:
        causes.append(Cause(Link.CODE, f"its code had hash {stored.code[:12]}, today's has {made.code[:12]}"))
    causes += [Cause(Link.LIBRARY, text) for text in _changed_libraries(stored.libraries, made.libraries)]
    if stored.seed != made.seed:
        causes.append(Cause(Link.SEED, f"the seed was {stored.seed}, now it is {made.seed}"))
    return causes


def _changed_inputs(before: Mapping[str, Any], after: Mapping[str, Any], *, where: str = "") -> list[str]:
    """Leaves of two nested mappings that are not the same; versions of libraries are another link."""
    found = []
    for name in sorted({*before, *after} - {"libraries"}):
        one, other, path = before.get(name), after.get(name), f"{where}{name}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += _changed_inputs(one, other, where=f"{path}.")
        elif one != other:
            found.append(f"{path} was {_short(one)}, now it is {_short(other)}")
    return found


def _changed_libraries(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    # A library that the manifest does not name had no part in what it describes.
    return [
        f"{name} was {version}, installed is {after.get(name, 'none')}"
        for name, version in before.items()
        if after.get(name) != version
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - about one line
