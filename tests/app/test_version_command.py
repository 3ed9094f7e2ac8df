"""`barlake --version` and shell completion."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from app.operations.database import VERSION
from barlake.database import SCHEMA_VERSION

Cli = Callable[..., Any]


def test_the_version_names_the_release_its_schemas_and_its_libraries(cli: Cli) -> None:
    found = cli("--version", "--json").data
    assert found["barlake"] == importlib.metadata.version("barlake")
    assert (found["manifest_schema"], found["operations_version"]) == (SCHEMA_VERSION, VERSION)
    assert found["libraries"]["duckdb"] == importlib.metadata.version("duckdb")
    assert {"polars", "pyarrow", "sqlalchemy", "streamlit"} <= found["libraries"].keys()
    assert "pytest" not in found["libraries"]


def test_the_version_is_one_line_for_a_person(cli: Cli) -> None:
    done = cli("--version")
    assert done.code == 0
    assert done.out.startswith(f"barlake {importlib.metadata.version('barlake')} (Python ")


def test_an_option_of_the_version_before_a_command_is_refused(cli: Cli) -> None:
    done = cli("--json", "symbols")
    assert done.code == 2
    assert "stands after the command" in done.errors


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown_for_a_shell(cli: Cli, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = cli("--show-completion", shell)
    assert done.code == 0, done.errors
    assert "_BARLAKE_COMPLETE" in done.out


def test_a_shell_is_told_the_commands_and_options_that_fit() -> None:
    def told(line: str) -> set[str]:
        environment = {
            "_BARLAKE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", "import sys; sys.argv[0] = 'barlake'; from app.entry import main; main()"],
            env={"PATH": "", "PYTHONPATH": ":".join(sys.path)} | environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return set(done.stdout.split())

    assert told("barlake sym") == {"symbols"}
    assert "--timeframe" in told("barlake bars --time")
