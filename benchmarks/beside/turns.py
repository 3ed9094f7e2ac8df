"""Contenders in processes of their own, timed in turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Contender", "Times", "Worker", "alternate"]

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """A process that does one timed task after the other."""

    def __init__(self, python: Path | str, script: Path, folder: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), str(script), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"},
        )

    def ask(self, task: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer to one request."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        self._process.stdin.write(json.dumps({"task": task, "with": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"the worker ended at {task}: see its message above.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@dataclass(frozen=True)
class Contender:
    """One way to do a task: who, and the request that says it."""

    who: str
    task: str
    arguments: dict[str, Any]


@dataclass
class Times:
    """Seconds of the rounds of a contender, its peak of memory, and what its result added up to."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    first: float | None = None
    peak_mb: float = 0.0

    def add(self, answer: dict[str, Any]) -> None:
        """One round more."""
        self.wall.append(answer["wall"])
        self.cpu.append(answer["cpu"])
        self.peak_mb = max(self.peak_mb, answer["peak_mb"] or 0.0)

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.wall)

    @property
    def cpu_median(self) -> float:
        """Median of the CPU time of the rounds, of all threads."""
        return statistics.median(self.cpu)

    def __str__(self) -> str:
        first = "" if self.first is None else f", {self.first * 1e3:,.1f}"
        return f"{self.median * 1e3:,.1f} ({min(self.wall) * 1e3:,.1f}{first})"


def alternate(workers: dict[str, Worker], contenders: Sequence[Contender], rounds: int) -> dict[str, Times]:
    """Times of each contender over some rounds after one that warms, in every round one after the other."""
    found = {one.who: Times() for one in contenders}
    proofs: dict[str, dict[str, Any]] = {}
    for number in range(rounds + 1):
        for one in contenders:
            answer = workers["ours" if one.task.startswith("ours.") else "theirs"].ask(one.task, one.arguments)
            if number:
                found[one.who].add(answer)
            else:
                found[one.who].first, proofs[one.who] = answer["wall"], answer["proof"]
    for one in contenders:
        _refuse_if_other(one, proofs[one.who], proofs[contenders[0].who])
    return found


def _refuse_if_other(one: Contender, proof: dict[str, Any], expected: dict[str, Any]) -> None:
    """Stop where a contender's result is not what the first one's is."""
    common = sorted(set(proof) & set(expected))
    # Computed vwaps differ in their last bits, so one may round the other way.
    other = [name for name in common if abs(proof[name] - expected[name]) > (1e-7 * proof[name]) * (name == "vwap")]
    if other or not common:
        sys.exit(f"{one.who} found something else at {one.task}: {other} of {proof} and {expected}")
