"""The files others schedule Barlake with are what those others take, as far as it can be told without them."""

from __future__ import annotations

import ast
import copy
import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import AliasChoices
from typer.main import get_command

from app.cli import application
from app.jobs.job import Agent
from app.schedules.triggers import Cron
from barlake.settings import Settings
from ingest_service.watch_list import load_watch_list

ROOT = Path(__file__).resolve().parent.parent
DAG = ROOT / "deploy/airflow/barlake_update.py"
K8S, SYSTEMD, LAUNCHD = (ROOT / "deploy" / name for name in ("k8s", "systemd", "launchd"))
PAGE = ROOT / "docs/scheduling.md"


def assert_is_update(words: list[str]) -> None:
    """The words after `barlake` are a command line of `update`."""
    assert words[0] == "update"
    command = get_command(application).commands["update"]  # type: ignore[attr-defined]
    with command.make_context("update", words[1:]) as context:
        from app.commands.update import names_of, parts_of

        parts_of(names_of(context.params["do"]))


def assert_is_command(words: list[str]) -> None:
    """The words after `barlake` are a command line, down to its options."""
    command = get_command(application)
    context = None
    while hasattr(command, "commands"):
        context = command.context_class(command, parent=context)
        command, words = command.commands[words[0]], words[1:]
    with command.make_context(command.name, words, parent=context):
        pass


def environment_names(settings: type[Settings]) -> set[str]:
    aliases = [field.validation_alias for field in settings.model_fields.values()]
    return {str(name) for one in aliases if isinstance(one, AliasChoices) for name in one.choices}


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


# --- Kubernetes ---------------------------------------------------------------------------------

Manifest = dict[str, Any]


def manifests(path: Path) -> list[Manifest]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


KUSTOMIZATION = manifests(K8S / "kustomization.yaml")[0]
APART = {"kustomization.yaml", "secret.template.yaml", "first-key.job.yaml"}
BY_FILE = {path.name: manifests(path) for path in sorted(K8S.glob("*.yaml")) if path.name != "kustomization.yaml"}
ALL = [one for found in BY_FILE.values() for one in found]


def named(one: Manifest) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def of_kind(kind: str) -> list[Manifest]:
    return [one for one in ALL if one["kind"] == kind]


def template_of(one: Manifest) -> Manifest:
    spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one["spec"]
    found: Manifest = spec["template"]
    return found


WORKLOADS = [one for one in ALL if one["kind"] in {"Deployment", "CronJob", "Job"}]
DEPLOYMENTS = of_kind("Deployment")


@pytest.mark.parametrize("manifest", ALL, ids=named)
def test_a_manifest_is_what_kubernetes_takes(manifest: Manifest) -> None:
    assert kubernetes_validate.validate(manifest, "1.34", strict=True) == "1.34"


def test_a_manifest_that_kubernetes_does_not_take_is_found() -> None:
    wrong = copy.deepcopy(DEPLOYMENTS[0])
    wrong["spec"]["template"]["spec"]["containers"][0]["imagine"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagine"):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_everything_is_applied_but_what_is_made_by_hand() -> None:
    assert {*KUSTOMIZATION["resources"], *APART} == {path.name for path in K8S.glob("*.yaml")}
    assert not APART & set(KUSTOMIZATION["resources"])
    assert KUSTOMIZATION["namespace"] == of_kind("Namespace")[0]["metadata"]["name"]
    assert of_kind("Namespace")[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("manifest", WORKLOADS, ids=named)
def test_a_pod_asks_for_no_right_it_does_not_need(manifest: Manifest) -> None:
    pod = template_of(manifest)["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    for container in pod["containers"]:
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("manifest", WORKLOADS, ids=named)
def test_a_pod_has_what_it_mounts_and_reads_and_shares_the_node_of_the_lake(manifest: Manifest) -> None:
    template = template_of(manifest)
    pod = template["spec"]
    (container,) = pod["containers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
    claims = [
        volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume
    ]
    maps = [volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume]
    read = [source.get("configMapRef", source.get("secretRef"))["name"] for source in container["envFrom"]]
    assert set(claims) == {one["metadata"]["name"] for one in of_kind("PersistentVolumeClaim")}
    known = {one["metadata"]["name"] for kind in ("ConfigMap", "Secret") for one in of_kind(kind)}
    assert {*maps, *read} == known
    (term,) = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    image = re.search(r"^  image: (\S+)$", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert image is not None
    assert container["image"] == image[1]
    settings = next(one["data"] for one in of_kind("ConfigMap") if one["metadata"]["name"] == "barlake-settings")
    assert settings["BARLAKE_ROOT"] == mounted["lake"]
    assert settings["BARLAKE_SECURITIES"] == f"{mounted['securities']}/securities.yaml"


def test_settings_are_settings_and_keys_stand_in_the_secret_alone() -> None:
    settings, watched = of_kind("ConfigMap")
    (secret,) = of_kind("Secret")
    assert {*settings["data"], *secret["stringData"]} <= environment_names(Settings)
    assert not [name for name in settings["data"] if re.search("KEY|SECRET|TOKEN|PASSWORD|URL", name)]
    assert all(value.startswith("your-") for value in secret["stringData"].values())
    assert "stringData" in secret
    assert "securities.yaml" in watched["data"]


def test_the_watch_list_of_the_cluster_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "securities.yaml"
    path.write_text(of_kind("ConfigMap")[1]["data"]["securities.yaml"], encoding="utf-8")
    assert {one.symbol for one in load_watch_list(path).securities} == {"SPY", "QQQ"}


@pytest.mark.parametrize("manifest", DEPLOYMENTS, ids=named)
def test_a_deployment_selects_its_own_pods_and_asks_after_their_health(manifest: Manifest) -> None:
    spec = manifest["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert spec["strategy"]["type"] in {"Recreate", "RollingUpdate"}
    (container,) = spec["template"]["spec"]["containers"]
    assert {"startupProbe", "livenessProbe"} <= container.keys()
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
    args = container["args"]
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = container.get(name, {})
        assert probe.get("httpGet", {}).get("port", "http") == "http"
        if "exec" in probe:
            assert f":{args[args.index('--metrics-port') + 1]}/metrics" in probe["exec"]["command"][-1]
    if ports:
        assert "readinessProbe" in container
        assert ports == {"http": int(args[args.index("--port") + 1])}


def test_selectors_of_deployments_do_not_overlap() -> None:
    chosen = [tuple(sorted(one["spec"]["selector"]["matchLabels"].items())) for one in DEPLOYMENTS]
    assert len(set(chosen)) == len(chosen) == 6


@pytest.mark.parametrize("manifest", of_kind("Service"), ids=named)
def test_a_service_leads_to_one_deployment(manifest: Manifest) -> None:
    wanted = manifest["spec"]["selector"].items()
    (found,) = [one for one in DEPLOYMENTS if wanted <= one["spec"]["template"]["metadata"]["labels"].items()]
    (port,) = manifest["spec"]["ports"]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert {"name": port["targetPort"], "containerPort": port["port"]} in container["ports"]


def test_only_the_two_faces_are_reached_and_only_by_named_pods() -> None:
    closed, faces = of_kind("NetworkPolicy")
    for one in WORKLOADS:
        labels = template_of(one)["metadata"]["labels"].items()
        assert closed["spec"]["podSelector"]["matchLabels"].items() <= labels
        is_face = faces["spec"]["podSelector"]["matchLabels"].items() <= labels
        assert is_face is (one["metadata"]["name"] in {"barlake-api", "barlake-dashboard"})
    assert closed["spec"]["ingress"] == []
    assert set(closed["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert {port["port"] for rule in closed["spec"]["egress"] for port in rule["ports"]} == {53, 443, 5432}
    assert [list(peer) for rule in faces["spec"]["ingress"] for peer in rule["from"]] == [["podSelector"]]


def test_the_cluster_runs_the_commands_of_the_compose_file() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    composed = sorted(one["command"] for one in services.values() if one.get("restart") and "command" in one)
    assert sorted(template_of(one)["spec"]["containers"][0]["args"] for one in DEPLOYMENTS) == composed


def test_the_cron_job_runs_once_at_a_time_in_a_zone_that_is_said() -> None:
    (cron_job,) = of_kind("CronJob")
    spec = cron_job["spec"]
    assert str(Cron(spec["schedule"], spec["timeZone"])) == "30 6 * * 2-6 Etc/UTC"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] >= 1
    assert template_of(cron_job)["spec"]["restartPolicy"] == "Never"
    assert_is_command(template_of(cron_job)["spec"]["containers"][0]["args"])


def test_the_first_key_is_made_by_a_command_there_is() -> None:
    (job,) = of_kind("Job")
    assert template_of(job)["spec"]["restartPolicy"] == "Never"
    assert_is_command(template_of(job)["spec"]["containers"][0]["args"])


# --- systemd and launchd --------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SYSTEMD.iterdir()), ids=lambda path: path.name)
def test_a_unit_is_what_systemd_takes(path: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed: units are not verified")
    barlake = Path(sys.executable).parent / "barlake"
    for one in SYSTEMD.iterdir():
        text = one.read_text(encoding="utf-8").replace("/opt/barlake/.venv/bin/barlake", str(barlake))
        (tmp_path / one.name).write_text(text, encoding="utf-8")
    done = subprocess.run([analyze, "verify", tmp_path / path.name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", sorted(SYSTEMD.glob("*.service")), ids=lambda path: path.name)
def test_a_unit_runs_a_command_there_is_as_nobody_in_particular(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    program, *words = shlex.split(lines["ExecStart"].replace("%i", "backfill"))
    assert program == "/opt/barlake/.venv/bin/barlake"
    assert_is_command(words)
    assert lines["User"] == "barlake"
    assert (lines["NoNewPrivileges"], lines["ProtectSystem"], lines["ProtectHome"]) == ("yes", "strict", "yes")
    environment = dict(one.split("=", 1) for one in shlex.split(lines["Environment"]))
    assert environment["BARLAKE_ROOT"] == lines["WorkingDirectory"] == f"/var/lib/{lines['StateDirectory']}"
    assert environment.keys() - {"HOME", "NUMBA_CACHE_DIR"} <= environment_names(Settings)


def test_the_unit_of_workers_tells_how_to_serve_every_agent() -> None:
    text = (SYSTEMD / "barlake-worker@.service").read_text(encoding="utf-8")
    assert set(re.findall(r"barlake-worker@(\w+)", text)) == set(Agent)


@pytest.mark.parametrize("path", sorted(LAUNCHD.iterdir()), ids=lambda path: path.name)
def test_a_property_list_of_launchd_runs_a_command_there_is(path: Path) -> None:
    with path.open("rb") as stream:
        found = plistlib.load(stream)
    assert found["Label"] == path.stem
    program, *words = found["ProgramArguments"]
    assert program == f"{found['WorkingDirectory']}/.venv/bin/barlake"
    assert_is_command(words)
    assert set(found.get("EnvironmentVariables", ())) <= environment_names(Settings)
    assert f"launchctl bootout gui/$(id -u)/{found['Label']}" in path.read_text(encoding="utf-8")
    assert found.get("KeepAlive", False) is ("worker" in words)


# --- Airflow --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("exit_code", [0, 1])
def test_airflow_itself_runs_the_dag(tmp_path: Path, exit_code: int) -> None:
    airflow = shutil.which(os.environ.get("AIRFLOW", "airflow"))
    if airflow is None:
        pytest.skip("no Airflow: AIRFLOW names the command of one in an environment of its own")
    (tmp_path / "dags").mkdir()
    shutil.copy(DAG, tmp_path / "dags")
    told = tmp_path / "told"
    command = tmp_path / "barlake"
    command.write_text(f'#!/bin/sh\necho "$@" >> {told}\nexit {exit_code}\n', encoding="utf-8")
    command.chmod(0o755)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = kept | {
        "HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW_VAR_BARLAKE_COMMAND": str(command),
        "BARLAKE_DAG_RETRIES": "0", "NO_PROXY": "127.0.0.1,localhost",
    }  # fmt: skip

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [airflow, *words], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    migrated = run("db", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    done = run("dags", "test", "barlake_update")
    assert (done.returncode == 0) is (exit_code == 0), done.stderr[-2000:]
    asked = [line.split() for line in told.read_text(encoding="utf-8").splitlines()]
    for words in asked:
        assert_is_update(words)
    assert sorted(words[2] for words in asked) == ["actions,calendar", "bars,sessions,recheck", "features"]
    assert asked[-1][2] == "features"


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
