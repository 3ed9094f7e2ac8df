import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import barlake
from app.cli import run
from barlake.testing import make_bars

MONDAY, TUESDAY = dt.date(2024, 3, 11), dt.date(2024, 3, 12)


def fill(root: Path, *, corrected: bool = False) -> None:
    bars = make_bars([MONDAY, TUESDAY], minutes=3)
    with barlake.open(root) as lake:
        lake.write_bars(bars, feed="synthetic", symbol="SPY")
        if corrected:
            lake.write_bars(bars.with_columns(pl.col("volume") + 1), feed="synthetic", symbol="SPY")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, object]:
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_revisions_lists_old_values_beside_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "lake", corrected=True)
    code, rows = answer(capsys, "revisions", "SPY", "--root", str(tmp_path / "lake"))
    assert isinstance(rows, list)
    assert (code, len(rows)) == (0, 6)
    assert {row["volume_new"] - row["volume_old"] for row in rows} == {1}


def test_bars_as_of_an_earlier_instant_are_those_held_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "lake")
    with barlake.open(tmp_path / "lake") as lake:
        then, before = lake.snapshot().moment, lake.bars("SPY")["volume"].to_list()
    fill(tmp_path / "lake", corrected=True)
    code, rows = answer(capsys, "bars", "SPY", "--as-of", then.isoformat(), "--root", str(tmp_path / "lake"))
    assert isinstance(rows, list)
    assert (code, [row["volume"] for row in rows]) == (0, before)


def test_what_is_here_is_shown_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, bars = str(tmp_path / "lake"), make_bars([MONDAY, TUESDAY], minutes=3)
    commands = (["symbols"], ["coverage"], ["gaps"], ["snapshot"], ["snapshot", "SPY"])
    with barlake.open(root) as lake:
        lake.write_bars(bars.head(3), feed="synthetic", symbol="SPY")
        then = lake.snapshot().moment.isoformat()
    before = [answer(capsys, *command, "--root", root) for command in commands]
    with barlake.open(root) as lake:
        lake.write_bars(bars.with_columns(pl.col("volume") + 1), feed="synthetic", symbol="SPY")
    after = [answer(capsys, *command, "--root", root, "--as-of", then) for command in commands]
    now = [answer(capsys, *command, "--root", root) for command in commands]
    for index in (0, 1, 3, 4):
        assert after[index] == before[index] != now[index]
    rows = after[2][1]
    assert isinstance(rows, list)
    assert [row["session"] for row in rows] == ["2024-03-11"]
    assert run(["snapshot", "--root", root]) == 0
    assert "root hash" in capsys.readouterr().out


def test_two_lakes_are_compared_as_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name)
    with barlake.open(tmp_path / "b") as lake:
        then = lake.snapshot().moment.isoformat()
    fill(tmp_path / "b", corrected=True)
    places = (str(tmp_path / "a"), str(tmp_path / "b"))
    assert answer(capsys, "diff", *places)[0] == 1
    assert answer(capsys, "diff", *places, "--as-of", then)[0] == 0


def test_the_command_line_works_with_the_manifest_in_postgresql(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, other = str(tmp_path / "lake"), str(tmp_path / "sqlite")
    fill(tmp_path / "sqlite", corrected=True)
    monkeypatch.setenv("BARLAKE_DATABASE_URL", postgres)
    fill(tmp_path / "lake", corrected=True)
    assert not (tmp_path / "lake" / "manifest" / "manifest.sqlite").exists()
    assert answer(capsys, "diff", root, other)[0] == 0
    assert answer(capsys, "verify", "--root", root)[0] == 0
    assert answer(capsys, "sql", "select count(*) as n from bars", "--root", root) == (0, [{"n": 6}])
    _, snapshot = answer(capsys, "snapshot", "--root", root)
    assert isinstance(snapshot, dict)
    assert run(["rebuild", "--root", root]) == 1
    assert "--yes" in capsys.readouterr().err
    code, report = answer(capsys, "rebuild", "--yes", "--root", root)
    assert isinstance(report, dict)
    assert (code, report["root_hash"]) == (0, snapshot["root_hash"])
    assert answer(capsys, "backup", str(tmp_path / "copies"), "--root", root)[0] == 0
    assert run(["restore", str(tmp_path / "copies"), "--root", str(tmp_path / "again")]) == 1
    assert "needs a database of its own" in capsys.readouterr().err


def test_rollup_says_how_many_files_became_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "lake")
    code, report = answer(capsys, "rollup", "--root", str(tmp_path / "lake"))
    assert (code, report) == (0, {"files_before": 1, "files_after": 1, "rows": 6, "skipped": 0})


def test_diff_of_equal_lakes_is_empty_and_of_others_names_the_sessions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    code, found = answer(capsys, "diff", str(tmp_path / "a"), str(tmp_path / "b"))
    assert isinstance(found, dict)
    assert (code, found["equal"], found["sessions"]) == (0, True, [])
    with barlake.open(tmp_path / "b") as lake:
        lake.write_bars(make_bars([TUESDAY], minutes=3, seed=4), feed="synthetic", symbol="SPY")
    code, found = answer(capsys, "diff", str(tmp_path / "a"), str(tmp_path / "b"))
    assert isinstance(found, dict)
    assert (code, [row["session"] for row in found["sessions"]]) == (1, ["2024-03-12"])


def test_diff_makes_no_lake_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "a")
    assert run(["diff", str(tmp_path / "a"), str(tmp_path / "nowhere")]) == 1
    assert "nowhere is no lake" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_the_door_runs_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "app.entry", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "simulate" in done.stdout


def test_what_the_environment_says_of_the_allocators_stands() -> None:
    script = (
        "from app.entry import spare_memory; spare_memory()\n"
        "import os, polars, pyarrow\n"
        "assert os.environ['_RJEM_MALLOC_CONF'].endswith('dirty_decay_ms:7')\n"
        "assert 'narenas:' in os.environ['_RJEM_MALLOC_CONF']\n"
        "print(pyarrow.default_memory_pool().backend_name)\n"
    )
    given = {name: text for name, text in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    given["_RJEM_MALLOC_CONF"] = "dirty_decay_ms:7"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=given)
    assert done.stdout == "system\n"
