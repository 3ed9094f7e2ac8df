"""Each command of the page about the way out is run as it stands there, but for names of servers."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import barlake
from barlake.testing import make_bars

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/leaving.md").read_text(encoding="utf-8")
LINES = [
    line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]
COMMANDS = [part.strip() for line in LINES for part in line.split("&&") if part.strip().startswith("barlake ")]


@pytest.fixture(autouse=True)
def _two_symbols() -> None:
    with barlake.open("data") as lake:
        for seed, symbol in enumerate(("SPY", "QQQ")):
            bars = make_bars([dt.date(2024, 1, 2), dt.date(2024, 1, 3)], seed=seed)
            lake.write_bars(bars, feed="synthetic", symbol=symbol)


@pytest.mark.parametrize("command", [line for line in COMMANDS if "postgres" not in line and "http" not in line])
def test_a_command_of_the_page_runs(cli: Any, command: str) -> None:
    words = shlex.split(command.partition(" > ")[0])[1:]
    done = cli(*words)
    assert done.code == 0, done.errors
    assert done.out
    targets = [word for flag, word in pairwise(words) if flag == "--to" and word != "-"]
    assert all(Path(target).stat().st_size for target in targets)


@pytest.mark.parametrize("command", [line for line in COMMANDS if "postgres" in line])
def test_a_command_of_the_page_fills_a_database(
    cli: Any, command: str, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("adbc_driver_postgresql", reason="the extra barlake[postgres] is not installed")
    monkeypatch.setenv("BARLAKE_EXPORT_POSTGRES_URL", postgres)
    done = cli(*shlex.split(command)[1:], "--json")
    assert done.code == 0, done.errors
    assert done.data["inserted"] > 0


def test_there_are_commands_of_every_kind_on_the_page() -> None:
    kinds = {" ".join(command.split()[1:3]) for command in COMMANDS}
    assert kinds >= {"export file", "export postgres", "export influx", "register delta", "register ducklake"}


def test_the_plain_files_are_found_by_the_plain_manifest() -> None:
    with sqlite3.connect("data/manifest/manifest.sqlite") as connection:
        rows = connection.execute("select path from files where removed_at is null").fetchall()
    connection.close()
    assert len(rows) == 2
    assert all((Path("data") / path).is_file() for (path,) in rows)
