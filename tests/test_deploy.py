"""The files others schedule Barlake with are what those others take, as far as it can be told without them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from app.cli import application
from app.schedules.triggers import Cron

ROOT = Path(__file__).resolve().parent.parent
DAG = ROOT / "deploy/airflow/barlake_update.py"
CRON_JOB = ROOT / "deploy/kubernetes/update-cronjob.yaml"
PAGE = ROOT / "docs/scheduling.md"


def assert_is_update(words: list[str]) -> None:
    """The words after `barlake` are a command line of `update`."""
    assert words[0] == "update"
    command = get_command(application).commands["update"]  # type: ignore[attr-defined]
    with command.make_context("update", words[1:]) as context:
        from app.commands.update import names_of, parts_of

        parts_of(names_of(context.params["do"]))


@pytest.fixture(scope="module")
def dag() -> ast.Module:
    return ast.parse(DAG.read_text(encoding="utf-8"))


def calls(tree: ast.AST, name: str) -> Iterator[dict[str, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == name:
            yield {word.arg: word.value for word in node.keywords if word.arg}


def test_the_dag_runs_on_the_morning_after_each_session_and_catches_nothing_up(dag: ast.Module) -> None:
    (options,) = calls(dag, "DAG")
    assert ast.literal_eval(options["schedule"]) == "30 6 * * 2-6"
    assert ast.literal_eval(options["catchup"]) is False
    assert ast.literal_eval(options["max_active_runs"]) == 1
    assert "tzinfo=dt.UTC" in ast.unparse(options["start_date"])


def test_the_dag_imports_airflow_by_the_names_it_has_now_and_barlake_not_at_all(dag: ast.Module) -> None:
    modules = {node.module for node in ast.walk(dag) if isinstance(node, ast.ImportFrom)}
    assert modules == {"airflow.sdk", "airflow.providers.standard.operators.bash"}


def test_each_task_of_the_dag_is_a_command_there_is(dag: ast.Module) -> None:
    tasks = {ast.literal_eval(one["task_id"]): one["bash_command"] for one in calls(dag, "BashOperator")}
    assert set(tasks) == {"bars", "refresh", "features"}
    for command in tasks.values():
        assert isinstance(command, ast.JoinedStr)
        assert_is_update("".join(part.value for part in command.values if isinstance(part, ast.Constant)).split())


@pytest.fixture(scope="module")
def cron_job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(CRON_JOB.read_text(encoding="utf-8"))
    return found


def test_the_cron_job_runs_once_at_a_time_in_a_zone_that_is_said(cron_job: dict[str, Any]) -> None:
    assert (cron_job["apiVersion"], cron_job["kind"]) == ("batch/v1", "CronJob")
    spec = cron_job["spec"]
    assert str(Cron(spec["schedule"], spec["timeZone"])) == "30 6 * * 2-6 Etc/UTC"
    assert spec["concurrencyPolicy"] in {"Allow", "Forbid", "Replace"}
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] >= 1
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] in {"Never", "OnFailure"}


def test_the_cron_job_asks_for_no_right_it_does_not_need(cron_job: dict[str, Any]) -> None:
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_the_cron_job_runs_a_command_there_is_with_what_it_mounts(cron_job: dict[str, Any]) -> None:
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert_is_update(container["args"])
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["BARLAKE_ROOT"] == mounted["lake"]
    assert environment["BARLAKE_SECURITIES"].startswith(mounted["securities"])
    assert not any("KEY" in name or "SECRET" in name for name in environment)
    image = re.search(r"^  image: (\S+)$", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert image is not None
    assert container["image"] == image[1]


def test_the_crontab_line_is_one() -> None:
    block = re.search(r"```crontab\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    zone, line = block[1].strip().splitlines()
    fields = line.split(maxsplit=5)
    assert str(Cron(" ".join(fields[:5]), zone.removeprefix("CRON_TZ="))) == "30 6 * * 2-6 UTC"
    command = fields[5].split("&& ", maxsplit=1)[1].split(">>")[0]
    assert "%" not in line  # cron takes it for the end of the line
    program, *words = shlex.split(command)
    assert program.endswith("/barlake")
    assert_is_update(words)
