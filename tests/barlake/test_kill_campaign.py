"""Whatever is killed, at whatever moment: the lake is as before or as after, and nobody who reads it notices.

`tests/campaign/campaign.py` does it and says how it judges; here it runs in several processes at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DEEDS = {"merge", "ingest", "rollup", "vacuum", "publish", "backup", "restore", "rebuild"}


def campaign(folder: Path, *, kills: int, seed: int, lanes: int) -> list[dict[str, Any]]:
    """The reports of so many processes, each with its share of the kills and a seed of its own."""
    environment = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    share = str(-(-kills // lanes))
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.campaign", folder / f"{one}", "--kills", share, "--seed", f"{one}"],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )
        for one in range(seed, seed + lanes)
    ]  # fmt: skip
    return [json.loads(process.communicate()[0]) for process in started]


def total(reports: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """Kills and outcomes of each deed over all reports."""
    found: dict[str, Counter[str]] = {}
    for report in reports:
        for name, tally in report["deeds"].items():
            found.setdefault(name, Counter()).update(tally)
    return found


def judged(reports: list[dict[str, Any]], *, kills: int) -> dict[str, Counter[str]]:
    """The totals, when no lane met a fault and none was spared."""
    for report in reports:
        assert report["fault"] == "", report["fault"]
        assert report["reads"]["by_python reads"] > 0
        assert report["reads"]["by_duckdb connections"] > 1
    found = total(reports)
    assert sum(tally["kills"] for tally in found.values()) >= kills
    assert set(found) == DEEDS
    assert all(tally["kills"] > 0 for tally in found.values())
    return found


@pytest.mark.timeout(1200)
def test_killed_at_random_moments_a_lake_is_as_before_or_as_after(tmp_path: Path) -> None:
    found = judged(campaign(tmp_path, kills=16, seed=1, lanes=1), kills=16)
    for outcome in ("before", "between", "after"):
        assert sum(tally[outcome] for tally in found.values()) > 0


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_thousand_kills_while_others_read_give_no_wrong_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills, seed = int(os.environ.get("KILLS", "2000")), int(os.environ.get("KILL_SEED", "1000"))
    reports = campaign(tmp_path, kills=kills, seed=seed, lanes=4)
    with capsys.disabled():
        sys.stdout.write("\n" + json.dumps(reports) + "\n")
    found = judged(reports, kills=kills)
    assert sum(tally["after"] for tally in found.values()) * 50 >= kills
    for name, tally in found.items():
        # A campaign that always killed before or after everything would prove nothing.
        assert tally["before"] * 50 >= tally["kills"], (name, tally)
        assert (tally["between"] + tally["after"]) * 50 >= tally["kills"], (name, tally)
