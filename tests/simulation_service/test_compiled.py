"""Machine code kept on disk is never older than the sources it was made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import simulation_service

ASK_OUTER = """
from simulation_service.outer import outer
print(outer(1_000_000), sum(outer.stats.cache_hits.values()))
"""
OUTER = """
from simulation_service.compiled import compiled
from simulation_service.full_kernel import _part_up

@compiled
def outer(amount):
    return _part_up(amount, 50_000_000)
"""
ASK_PORTFOLIO = """
import numpy as np
from simulation_service import portfolio_kernel as kernel
from simulation_service.kernel import _way
from simulation_service.execution import Execution
from simulation_service.full_kernel import Terms
from simulation_service.rules import Rules

price, yes = np.full((3, 1), 1_000_000), np.ones((3, 1), dtype=np.bool_)
room, zero = np.full((3, 1), 2**62), np.zeros(3, dtype=np.int64)
scene = kernel.Scene(price, price, price, price, yes, yes, ~yes, room, room, zero, zero)
wanted = np.array([[1_000_000], [kernel.NO_SIGNAL], [0]])
paths = kernel.Paths(np.empty(3), np.empty(3), np.empty((3, 1)))
caps = kernel.Caps(kernel.NO_LIMIT, kernel.NO_LIMIT, 0, False)
way = _way(Execution(), Rules(), 1)
fills = kernel.portfolio_loop(scene, wanted, 10_000_000, way, caps, Terms(0, 1_000_000, 0, 0, 0, -1), paths)[0]
print(*fills[:, 5], sum(kernel.portfolio_loop.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, without what was compiled."""
    copy = tmp_path / "simulation_service"
    shutil.copytree(Path(simulation_service.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def answer(package: Path, script: str) -> list[int]:
    """What a new process prints that imports the copy."""
    house = Path(simulation_service.__file__).parents[1]
    places = os.environ | {"PYTHONPATH": f"{package.parent}{os.pathsep}{house}"}
    places.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, env=places, cwd=package.parent
    )
    return [int(word) for word in done.stdout.split()]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def kept(package: Path, name: str) -> set[str]:
    return {path.name for path in (package / "__pycache__").glob(f"{name}-*.nb[ic]")}


def test_loop_sees_a_helper_and_a_constant_of_other_files_change(package: Path) -> None:
    (package / "outer.py").write_text(OUTER)
    assert answer(package, ASK_OUTER) == [500_000, 0]
    first = kept(package, "outer.outer")
    assert answer(package, ASK_OUTER) == [500_000, 1]
    assert kept(package, "outer.outer") == first

    change(package / "full_kernel.py", "return whole * rate + (rest", "return 7 + whole * rate + (rest")
    assert answer(package, ASK_OUTER) == [500_007, 0]
    assert len(kept(package, "outer.outer")) == len(first)
    assert not kept(package, "outer.outer") & first

    change(package / "ticks.py", "RATE_UNITS = 100_000_000", "RATE_UNITS = 1_000_000_000")
    assert answer(package, ASK_OUTER) == [50_007, 0]


@pytest.mark.slow
def test_portfolio_pays_a_fee_that_was_changed_in_the_file_of_one_symbol(package: Path) -> None:
    *fees, hits = answer(package, ASK_PORTFOLIO)
    assert (fees, hits) == ([900, 900], 0)
    assert answer(package, ASK_PORTFOLIO)[-1] == 1
    change(package / "full_kernel.py", "    return fee\n", "    return fee + 1\n")
    assert answer(package, ASK_PORTFOLIO) == [901, 901, 0]
