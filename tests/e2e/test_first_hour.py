"""Ten minutes on one's own key: the page's commands, as they stand there, against an emulator of real bars."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake.sessions import session_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "first-hour.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("init", "dashboard", "doctor")
"""Commands that other tests run: they ask a person, go on until Ctrl-C, or judge the machine they run on."""


def commands(page: str) -> Iterator[list[str]]:
    """What the page has a reader type after `barlake`."""
    for block in BLOCK.findall(page):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["barlake"]:
                yield words[1:]


def test_commands_are_found_without_what_is_said_about_them() -> None:
    assert list(commands("```sh\nmake x\nbarlake a 'b c'   # d\n```\n`barlake no`\n")) == [["a", "b c"]]


@pytest.fixture
def spring(year: Path, tmp_path: Path) -> Path:
    """Real bars of eight weeks."""
    folder = tmp_path / "bars"
    folder.mkdir()
    for symbol in ("SPY", "QQQ"):
        bars = pl.scan_parquet(year / f"{symbol}.parquet")
        chosen = session_of(pl.col("timestamp")).is_between(pl.date(2024, 3, 4), pl.date(2024, 4, 26))
        bars.filter(chosen).collect().write_parquet(folder / f"{symbol}.parquet")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_page_leads_from_nothing_to_a_simulation(
    barlake_command: Any, emulate: Any, spring: Path, tmp_path: Path
) -> None:
    typed = list(commands(PAGE.read_text(encoding="utf-8")))
    assert {words[0] for words in typed} > {"init", "ingest", "features", "prove", "train", "simulate", "dashboard"}
    (tmp_path / "home").mkdir()
    with emulate("--bars", spring) as source:
        command = dataclasses.replace(
            barlake_command, folder=tmp_path / "home", environment=barlake_command.environment | source.settings
        )
        printed = {tuple(words[:2]): command.run(*words) for words in typed if words[0] not in ELSEWHERE}
    held = command.json("symbols")
    assert {row["symbol"]: row["bars"] for row in held} == {
        path.stem: pl.scan_parquet(path).select(pl.len()).collect().item() for path in spring.glob("*.parquet")
    }
    [run] = command.json("runs", "list")
    assert run["run"] in printed["runs", "show"]
    assert "baseline" in printed["models", "show"]
