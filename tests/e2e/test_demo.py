"""The demo: the whole loop without keys or network; a second one adds nothing; nobody can take it for real bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import barlake
from app.cli import run

LASTING = ("parquet", "features", "models", "runs")


@pytest.fixture(scope="session")
def first(barlake_command: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Root of a lake after one demo, and what that printed; there are no keys, and the proxy leads nowhere."""
    root = tmp_path_factory.mktemp("demo")
    nowhere = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    return root, barlake_command.run("demo", "--root", root, **nowhere)


def files_of(root: Path) -> dict[str, int]:
    """Every bar, feature, model and run file with its time of change."""
    return {
        str(path): path.stat().st_mtime_ns
        for kind in LASTING
        for path in (root / kind).rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_a_second_demo_adds_no_bar_and_writes_no_file(first: tuple[Path, str], barlake_command: Any) -> None:
    root, _ = first
    before = files_of(root)
    again = barlake_command.json("demo", "--root", root)
    assert (again["bars_added"], again["bar_files_written"], again["requests"]) == (0, 0, 0)
    assert (again["feature_files_written"], again["model_created"]) == (0, False)
    assert again["bars_held"] > 100_000
    assert files_of(root) == before
    assert {Path(path).relative_to(root).parts[0] for path in before} == set(LASTING)


def test_the_demo_prints_a_short_table_and_where_its_report_lies(first: tuple[Path, str]) -> None:
    root, printed = first
    (line,) = [line for line in printed.splitlines() if line.startswith("report: ")]
    report = Path(line.removeprefix("report: "))
    assert report.is_file()
    assert report.is_relative_to(root)
    assert len(printed.splitlines()) < 30


def test_everything_shown_says_that_the_bars_are_synthetic(
    first: tuple[Path, str], capfd: pytest.CaptureFixture[str]
) -> None:
    root, printed = first
    report = Path(next(line for line in printed.splitlines() if line.startswith("report: ")).removeprefix("report: "))
    assert "synthetic" in printed.splitlines()[0]
    assert "synthetic" in report.read_text(encoding="utf-8")
    for command in (["symbols"], ["coverage", "SYNA"], ["bars", "SYNA", "--limit", "2"], ["runs", "list"]):
        assert run([*command, "--root", str(root)]) == 0
        assert "synthetic" in capfd.readouterr().out, command


def test_no_other_feed_is_anywhere_in_the_lake(first: tuple[Path, str]) -> None:
    root, _ = first
    assert [path.name for path in (root / "parquet" / "bars").iterdir()] == ["feed=synthetic"]
    with barlake.open(root) as lake:
        assert lake.symbols()["feed"].unique().to_list() == ["synthetic"]
        for table in ("bars", "feature_versions"):
            assert lake.sql(f"select distinct feed from {table}")["feed"].to_list() == ["synthetic"]
