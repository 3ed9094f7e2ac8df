"""The tutorials run as scripts, for anybody: no key, no network, nothing left in the folder they are started from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.py"))


def test_there_are_five_and_the_readme_leads_to_each() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in TUTORIALS if f"docs/tutorials/{path.name}" in readme] == [
        path.name for path in TUTORIALS
    ]
    assert [path.name[:2] for path in TUTORIALS] == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_what_it_claims_holds(script: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "POLARS_FMT_MAX_COLS": "-1"}
    done = subprocess.run(
        [sys.executable, script], cwd=here, env=os.environ | own, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_opens_as_a_notebook_of_text_and_code(script: Path) -> None:
    cells = re.split(r"^# %%", script.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert cells[0] == ""
    text = [cell for cell in cells[1:] if cell.startswith(" [markdown]\n")]
    code = [cell for cell in cells[1:] if not cell.startswith(" [markdown]")]
    assert text[0].startswith(" [markdown]\n# # ")
    assert all(line.startswith("#") for cell in text for line in cell.splitlines()[1:] if line)
    assert len(text) >= 5
    assert sum("assert " in cell for cell in code) >= 5
