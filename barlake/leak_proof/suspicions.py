"""What a proof has seen so far: of each column the earliest wrong row, and how often it was wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from barlake.leak_proof.compare import Answer, answer_of
from barlake.leak_proof.world import Compute, Future, World

__all__ = ["Suspicion", "Suspicions"]


@dataclass(frozen=True, eq=False)
class Suspicion:
    """A value that changed with the future after an instant: `row` of `before`, the answer to `world` as it is."""

    column: str
    world: World
    before: Answer
    row: int
    known_at: int
    instant: int
    kind: str
    future: Future


@dataclass(eq=False)
class Suspicions:
    """The record of one proof.

    Parameters
    ----------
    tried
        Kind of border -> how many were tried.
    wrong
        Column -> at how many of them it was wrong.
    """

    compute: Compute
    tried: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    seen: dict[str, Suspicion] = field(default_factory=dict)

    def look(
        self,
        world: World,
        before: Answer,
        kind: str,
        instant: int,
        future: Future,
        columns: Sequence[str] | None = None,
    ) -> None:
        """Compare the answer to one other future with `before`, the answer to the world as it is."""
        after = answer_of(self.compute, world.with_future(instant, future), columns)
        self.tried[kind] += 1
        for name, rows in before.differences(after, instant):
            self.wrong[name] += 1
            row = int(rows[0])
            known = int(before.known_at[row]) if row < before.known_at.size else instant
            if name not in self.seen or known < self.seen[name].known_at:
                self.seen[name] = Suspicion(name, world, before, row, known, instant, kind, future)
