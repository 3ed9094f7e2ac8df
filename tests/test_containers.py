"""The containers, read without an engine: what they copy, run and hold is there, and nothing runs as root."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices, BaseModel
from typer.main import get_command

import barlake
from app.cli import application
from app.jobs.job import Agent
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars
from ingest_service.emulator import EmulatorConfig, serve
from ingest_service.emulator.config import PLACEHOLDER_KEY_ID, PLACEHOLDER_SECRET_KEY

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
TRIAL = yaml.safe_load((ROOT / "docker-compose.test.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD")


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Instruction and argument of each step, continuation lines joined, comments dropped."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE)).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


STEPS = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def arguments(name: str) -> list[str]:
    return [argument for instruction, argument in STEPS if instruction == name]


def environment_names(settings: type[BaseModel]) -> set[str]:
    names: set[str] = set()
    for field in settings.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices):
            names |= {str(name) for name in field.validation_alias.choices}
    return names


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
    assert "simulation" in extras_of_the_image()


def extras_of_the_image() -> set[str]:
    found = re.search(r"'\.\[([\w,]+)\]'", " ".join(arguments("RUN")))
    assert found
    return set(found[1].split(","))


def test_the_image_has_what_its_services_need() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"dashboard", "postgres"} <= extras_of_the_image() <= set(project["optional-dependencies"])


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


OURS = [name for name, service in SERVICES.items() if service["image"].startswith("barlake:")]
STAYING = [name for name in OURS if "profiles" not in SERVICES[name]]


def words_of(service: dict[str, Any], *, run: list[str] | None = None) -> list[str]:
    """What a container starts: the entry point of the image unless it is named, then the command, or what `run` has."""
    entrypoint = service.get("entrypoint", json.loads(arguments("ENTRYPOINT")[0]))
    return [*entrypoint, *(service["command"] if run is None else run)]


def test_there_is_a_service_for_each_agent_and_each_face() -> None:
    assert set(STAYING) == {"api", "dashboard", *(f"worker_{agent}" for agent in Agent)}
    for agent in Agent:
        assert words_of(SERVICES[f"worker_{agent}"])[:4] == ["barlake", "worker", "--agent", agent.value]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_closed_to_the_outside(name: str) -> None:
    service = SERVICES[name]
    for published in service.get("ports", []):
        assert str(published).startswith("127.0.0.1:")
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not str(service["user"]).startswith(("0", "root"))
    secret = {key: value for key, value in service.get("environment", {}).items() if SECRET_NAME.search(key)}
    assert all(key.endswith("_FILE") and value.startswith("/run/secrets/") for key, value in secret.items())
    assert all(file["required"] is False for file in service.get("env_file", []))


@pytest.mark.parametrize("name", [*STAYING, "postgres"])
def test_a_service_that_stays_has_a_check_of_its_health_and_is_begun_again(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries"} <= service["healthcheck"].keys()
    assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", OURS)
def test_no_path_of_the_host_reaches_a_container_and_it_starts_no_workers_beside_it(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert environment["BARLAKE_STARTS_WORKERS"] == "false"
    paths = ("BARLAKE_LOCAL_ROOT", "BARLAKE_SECURITIES", "SOURCE_DUCKDB_PATH", "DEST_DUCKDB_PATH", "DEST_PARQUET_DIR")
    assert {environment[path] for path in paths} == {""}
    assert set(environment) <= environment_names(Settings)


def test_what_a_service_depends_on_and_mounts_is_there() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source.startswith("./") or source in COMPOSE["volumes"]


def test_the_feature_builder_is_run_as_the_page_says(tmp_path: Path) -> None:
    said = "docker-compose run --rm feature_builder python -m feature_service.main SPY"
    assert f"# {said}\n" in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    words = words_of(SERVICES["feature_builder"], run=said.split("feature_builder ")[1].split())
    assert words == ["python", "-m", "feature_service.main", "SPY"]
    assert words_of(SERVICES["feature_builder"]) == ["python", "-m", "feature_service.main"]
    bars = tmp_path / "bars.parquet"
    make_bars([dt.date(2024, 1, 2)]).write_parquet(bars)
    with barlake.open(tmp_path / "lake") as lake:
        lake.import_bars(bars, feed="synthetic", symbol="SPY")
    environment = {**os.environ, "BARLAKE_ROOT": str(tmp_path / "lake")}
    done = subprocess.run(
        start_command(words), env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "SPY synthetic core" in done.stdout


def test_the_compose_file_for_trials_touches_neither_the_lake_nor_the_real_source() -> None:
    tried = TRIAL["services"]
    assert set(tried) == {"alpaca", "smoke"}
    assert tried["smoke"]["volumes"] == ["lake:/data"]
    assert "lake" in TRIAL["volumes"]
    environment = tried["smoke"]["environment"]
    assert set(environment) <= environment_names(Settings)
    assert (environment["BARLAKE_DATABASE_URL"], environment["BARLAKE_OPERATIONS_URL"]) == ("", "")
    assert (environment["ALPACA_API_KEY_ID"], environment["ALPACA_API_SECRET_KEY"]) == (
        PLACEHOLDER_KEY_ID, PLACEHOLDER_SECRET_KEY
    )  # fmt: skip
    port = tried["alpaca"]["command"][tried["alpaca"]["command"].index("--port") + 1]
    assert environment["ALPACA_DATA_URL"] == f"http://alpaca:{port}"
    assert f"', {port})" in tried["alpaca"]["healthcheck"]["test"][-1]


@pytest.mark.slow
def test_the_trial_goes_the_whole_way_without_a_container(tmp_path: Path) -> None:
    smoke = TRIAL["services"]["smoke"]
    script = smoke["command"][-1].replace("$$", "$").replace("python -m", f"{sys.executable} -m")
    here = str(Path(sys.executable).parent)
    with serve(EmulatorConfig(symbols=("SPY",)), calendar=Calendar.default()) as url:
        own = smoke["environment"] | {"BARLAKE_ROOT": str(tmp_path), "ALPACA_DATA_URL": url, "ALPACA_TRADING_URL": url}
        environment = {**os.environ, **own, "NO_PROXY": "127.0.0.1", "PATH": f"{here}:{os.environ['PATH']}"}
        done = subprocess.run(
            [*smoke["command"][:-1], script], env=environment, cwd=tmp_path, capture_output=True, text=True,
            timeout=240, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr


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
    assert SECRET_NAME.search(json.dumps(container)) is None


def test_the_development_container_offers_the_demo_first_and_only_what_there_is() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    said = subprocess.run(
        ["sh", "-c", container["postAttachCommand"]["welcome"]], capture_output=True, text=True, check=True
    ).stdout
    offers = [re.split(r"\s{2,}", line.strip())[0] for line in said.strip().splitlines()]
    assert offers[0] == "make demo"
    for offer in offers:
        if offer.startswith("make "):
            dry = subprocess.run(["make", "--dry-run", offer.split()[1]], cwd=ROOT, capture_output=True, check=False)
            assert dry.returncode == 0, dry.stderr
        else:
            assert offer.split()[1] in get_command(application).commands  # type: ignore[attr-defined]
    ports = {parameter.default for name in ("serve", "dashboard") for parameter in parameters_of(name, "port")}
    assert set(container["forwardPorts"]) == ports
    assert {int(port) for port in container["portsAttributes"]} == ports


def parameters_of(command: str, name: str) -> list[Any]:
    found = get_command(application).commands[command]  # type: ignore[attr-defined]
    return [parameter for parameter in found.params if parameter.name == name]
