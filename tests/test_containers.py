"""The containers, read without an engine: what they copy, run and hold is there, and nothing runs as root."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD")


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Instruction and argument of each step, continuation lines joined, comments dropped."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE)).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


STEPS = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def arguments(name: str) -> list[str]:
    return [argument for instruction, argument in STEPS if instruction == name]


def start_command(words: list[str]) -> list[str]:
    """The same command on this machine: scripts lie beside the interpreter."""
    if words[:2] == ["python", "-m"]:
        return [sys.executable, *words[1:]]
    return [str(Path(sys.executable).parent / words[0]), *words[1:]]


def test_continuation_lines_belong_to_their_instruction() -> None:
    assert instructions("# a\nENV A=1 \\\n    B=2\nUSER x\n") == [("ENV", "A=1      B=2"), ("USER", "x")]


def test_the_image_runs_as_a_user_without_rights() -> None:
    users = arguments("USER")
    assert users
    assert users[-1].split(":")[0] not in {"root", "0"}
    last_user = max(number for number, (name, _) in enumerate(STEPS) if name == "USER")
    assert [argument for name, argument in STEPS[last_user:] if name in {"RUN", "COPY", "ADD"}] == []


def test_the_image_installs_the_pinned_versions() -> None:
    installs = [argument for argument in arguments("RUN") if "pip install" in argument]
    assert installs
    assert all("-c constraints.txt" in argument for argument in installs)


def test_both_containers_can_set_a_tear_sheet_as_pdf() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    for installs in (" ".join(arguments("RUN")), container["onCreateCommand"]):
        assert {"libpango-1.0-0", "libpangoft2-1.0-0", "fonts-dejavu-core"} <= set(installs.split())
    assert ".[simulation]" in " ".join(arguments("RUN"))


def test_the_image_holds_every_package_and_only_what_is_in_git() -> None:
    copied = {source for argument in arguments("COPY") for source in argument.split()[:-1]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    admitted = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert copied == admitted


def test_the_image_holds_no_secret() -> None:
    assert [argument for name in ("ENV", "ARG") for argument in arguments(name) if SECRET_NAME.search(argument)] == []


def test_the_image_uses_a_python_the_project_supports() -> None:
    base = re.fullmatch(r"python:(3\.\d+)-slim", arguments("FROM")[0])
    assert base
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Programming Language :: Python :: {base[1]}" in project["classifiers"]


def test_compose_has_the_first_two_services() -> None:
    assert {"feature_builder", "demo"} <= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_closed_to_the_outside(name: str) -> None:
    service = SERVICES[name]
    for published in service.get("ports", []):
        assert str(published).startswith("127.0.0.1:")
    assert service["cap_drop"] == ["ALL"]
    assert not str(service["user"]).startswith(("0", "root"))
    assert [key for key in service.get("environment", {}) if SECRET_NAME.search(key)] == []
    assert all(file["required"] is False for file in service.get("env_file", []))


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_of_a_service_starts_without_a_container(name: str) -> None:
    service = SERVICES[name]
    command = start_command([*service["entrypoint"], *service["command"], "--help"])
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


def test_the_image_starts_the_command_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entrypoint = json.loads(arguments("ENTRYPOINT")[0])
    assert entrypoint[0] in project["scripts"]
    command = start_command([*entrypoint, *json.loads(arguments("CMD")[0])])
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0


def test_the_development_container_is_ubuntu_and_uses_make() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert container["image"].endswith(":ubuntu-24.04")
    assert {"make", "python3", "python3-venv"} <= set(container["onCreateCommand"].split())
    assert container["postCreateCommand"] == "make install"
    dry = subprocess.run(["make", "--dry-run", "install"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert dry.returncode == 0, dry.stderr
    assert SECRET_NAME.search(json.dumps(container)) is None
