"""`barlake watch`, `logs`, `metrics` and `alerts`: what workers leave behind, shown to a person and to a program."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import logging
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

import barlake
from app.jobs.job import Job
from app.jobs.queue import open_queue
from app.operations import Operations, open_operations
from app.operations.logs import configure_logging, log_context
from barlake import tables
from barlake.settings import Settings
from barlake.testing import make_bars

if TYPE_CHECKING:
    from tests.app.conftest import Outcome

    Cli = Callable[..., Outcome]

DEADLINE_S = 60


@pytest.fixture(autouse=True)
def _log_of_the_process_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def settings(root: Path) -> Settings:
    return Settings(_env_file=None).model_copy(update={"root": str(root)})


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    with open_operations(settings) as opened:
        yield opened


@pytest.fixture
def at_work(root: Path, settings: Settings, operations: Operations) -> Path:
    """A lake on which a worker has worked."""
    with barlake.open(root) as lake, open_queue(settings) as queue:
        lake.write_bars(make_bars([dt.date(2024, 1, 2)]), feed="synthetic", symbol="SPY")
        queue.put(Job("bars/synthetic/SPY/2024-01", "bars", {"symbol": "SPY"}))
    operations.heartbeats.beat(
        worker="w1", agent="backfill", state="working", job="bars/synthetic/SPY/2024-01", done=13, total=20,
        next_step="page 4", period_s=600,
    )  # fmt: skip
    operations.alerts.fire("disk", level="warning", message="the disk is 81 % full")
    log = configure_logging(settings, agent="backfill", operations=operations, for_person=True)
    with log_context(job="bars/synthetic/SPY/2024-01"):
        logging.getLogger("own").info("asked alpaca for SPY", extra={"symbol": "SPY", "status": 200})
        logging.getLogger("own").warning("again in 8 s", extra={"symbol": "QQQ"})
    log.close()
    return root


def test_watch_of_an_empty_lake_says_what_to_start(cli: Cli, root: Path) -> None:
    outcome = cli("watch", "--once", "--root", root)
    assert outcome.code == 0
    assert "No worker runs. Start one: barlake worker" in outcome.out
    assert "Nothing was asked for yet." in outcome.out
    assert "No bars yet." in outcome.out


def test_watch_shows_who_does_what(cli: Cli, at_work: Path) -> None:
    shown = cli("watch", "--once", "--root", at_work).out
    for words in (
        "the disk is 81 % full", "backfill", "w1", "working", "65%", "page 4", "synthetic", "390", "again in 8 s",
    ):  # fmt: skip
        assert words in shown
    assert re.search(r"backfill +1 +- ", shown)


def test_watch_on_a_narrow_terminal_keeps_who_does_what(
    cli: Cli, at_work: Path, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    alone = cli("watch", "--once", "--root", at_work).out
    assert "Agents of w1" in alone
    assert re.search(r"backfill +working +\d+ s +65%  bars/synthetic/SPY/2024-01  page 4 *\n", alone)
    for number in (4711, 4733):
        operations.heartbeats.beat(
            worker=f"ip-10-0-17-243.eu-central-1.internal-{number}-0a1b", agent="features-watch", state="streaming",
            next_step="3 symbols", period_s=600,
        )  # fmt: skip
    shown = cli("watch", "--once", "--root", at_work).out
    assert re.search(r"features-watch +ip-10…-4733-0a1b +streaming +\d+ s +3 symbols *\n", shown)
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_watch_is_one_object_for_a_program(cli: Cli, at_work: Path) -> None:
    found = cli("watch", "--json", "--root", at_work).data
    assert found["heartbeats"][0]["job"] == "bars/synthetic/SPY/2024-01"
    assert found["heartbeats"][0]["is_stalled"] is False
    (jobs,) = found["jobs"]
    assert (jobs["agent"], jobs["state"], jobs["count"]) == ("backfill", "queued", 1)
    assert found["feeds"][0]["bars"] == 390
    assert found["feeds"][0]["lag_s"] > 0
    assert [one["key"] for one in found["alerts"]] == ["disk"]
    assert found["problems"] == {}


def test_databases_that_are_damaged_are_a_problem_with_a_way_out(cli: Cli, at_work: Path) -> None:
    for name in ("operations.sqlite", "jobs.sqlite"):
        for one in (at_work / "operations").glob(f"{name}*"):
            one.unlink()
        (at_work / "operations" / name).write_bytes(b"no database at all" * 500)
    found = cli("watch", "--json", "--root", at_work)
    assert (found.code, sorted(found.data["problems"])) == (0, ["operations", "queue"])
    assert "None" not in found.errors
    shown = cli("watch", "--once", "--root", at_work).out
    assert ("No worker runs" in shown, "Nothing was asked for" in shown) == (False, False)
    for words, name in ((("logs",), "operations.sqlite"), (("jobs", "list"), "jobs.sqlite")):
        refused = cli(*words, "--root", at_work)
        assert (refused.code, f"move {name}" in refused.errors) == (1, True), refused.errors


def test_watch_runs_until_it_is_interrupted(at_work: Path) -> None:
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    running = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "watch", "--root", str(at_work)],
        stdin=follower, stdout=follower, stderr=subprocess.PIPE, text=True, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(follower)
    seen, interrupted = b"", False
    with contextlib.suppress(OSError):  # the terminal is gone when the last who holds it is
        while part := os.read(leader, 65536):
            seen += part
            if seen.count(b"page 4") >= 2 and not interrupted:  # drawn twice
                running.send_signal(signal.SIGINT)
                interrupted = True
    _, errors = running.communicate(timeout=DEADLINE_S)
    os.close(leader)
    assert (running.returncode, errors) == (0, "")


def test_logs_are_chosen_by_what_they_are_about(cli: Cli, at_work: Path) -> None:
    def messages(*options: str) -> list[str]:
        lines = cli("logs", "--root", at_work, "--json", *options).out.splitlines()
        return [json.loads(line)["message"] for line in lines]

    assert messages() == ["asked alpaca for SPY", "again in 8 s"]
    assert messages("--symbol", "spy") == ["asked alpaca for SPY"]
    assert messages("--level", "warning") == ["again in 8 s"]
    assert messages("--agent", "live") == []
    assert messages("--job", "bars/synthetic") == ["asked alpaca for SPY", "again in 8 s"]
    assert messages("--since", "1h", "--limit", "1") == ["again in 8 s"]
    assert messages("--since", "2100-01-01T00:00:00Z") == []


def test_logs_are_lines_for_a_person(cli: Cli, at_work: Path) -> None:
    first, _ = cli("logs", "--root", at_work).out.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info +backfill +SPY +asked alpaca for SPY status=200$", first)
    assert "no record fits" in cli("logs", "--root", at_work, "--agent", "live").errors


@pytest.mark.parametrize("since", ["soon", "15 years", "2024-01-02"])
def test_a_wrong_time_or_level_is_said(cli: Cli, at_work: Path, since: str) -> None:
    outcome = cli("logs", "--root", at_work, "--since", since)
    assert outcome.code == 1
    assert f"--since '{since}' is neither a span, such as 15m" in outcome.errors
    assert "level 'loud' is none" in cli("logs", "--root", at_work, "--level", "loud").errors


def test_logs_are_followed(
    at_work: Path, operations: Operations, start_process: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start_process("logs", "--root", at_work, "--follow", "--json", "--level", "warning")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["message"] == "again in 8 s"
    now = dt.datetime.now(dt.UTC)
    row = {"logged_at": now, "agent": "live", "symbol": None, "stage": None, "job": None, "fields": "{}"}
    operations.logs.append([row | {"level": 20, "message": "not this"}, row | {"level": 40, "message": "this"}])
    assert json.loads(process.stdout.readline())["message"] == "this"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out, errors) == (0, "", "")


def test_metrics_are_served_until_interrupted(
    at_work: Path, start_process: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start_process("metrics", "serve", "--root", at_work, "--port", "0")
    assert process.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+/metrics", process.stdout.readline())
    assert found
    with urllib.request.urlopen(found[0], timeout=DEADLINE_S) as page:  # noqa: S310 - the page of this test
        assert b'barlake_bars_held{feed="synthetic"} 390.0' in page.read()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (0, "")


def test_alerts_are_listed_and_checked(cli: Cli, at_work: Path, operations: Operations) -> None:
    operations.alerts.clear("disk")
    assert cli("alerts", "list", "--root", at_work).out == "no alert is active\n"
    assert [one["key"] for one in cli("alerts", "list", "--all", "--json", "--root", at_work).data] == ["disk"]
    operations.heartbeats.beat(worker="w2", agent="live", state="idle", period_s=1e-9)
    outcome = cli("alerts", "check", "--root", at_work, "--json")
    assert outcome.code == 1
    assert "stalled/w2" in [one["key"] for one in outcome.data]
    assert "error: alert: worker w2 is silent" in outcome.errors
    operations.heartbeats.forget("w2", "live")
    assert "stalled/w2" not in [one["key"] for one in cli("alerts", "check", "--root", at_work, "--json").data]


@pytest.mark.parametrize(
    ("looks", "starts"), [("text", "warning: http://data.alpaca.markets would send"), ("json", '{"timestamp": "')]
)
def test_a_command_warns_in_words_or_in_json_as_the_settings_say(
    looks: str, starts: str, cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BARLAKE_LOG_FORMAT", looks)
    monkeypatch.setenv(
        "ALPACA_DATA_URL", "http://data.alpaca.markets"
    )  # not to be asked: it is warned of, and asked by https
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    outcome = cli("doctor", "--root", root)
    assert outcome.errors.splitlines()[0].startswith(starts)
    assert len(outcome.errors.splitlines()) == 1


def test_every_request_and_every_commit_of_an_ingest_is_a_line(
    cli: Cli, alpaca: str, root: Path, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    monkeypatch.setenv("ALPACA_FEED", "iex")
    range_ = ("--start", "2024-01-02", "--end", "2024-01-24", "--feed", "sip")
    assert cli("ingest", "SPY", *range_, "--root", root).code == 0
    with barlake.open(root) as lake:
        receipts = lake.manifest.receipts()
        with lake.manifest.engine.connect() as connection:
            commits = connection.execute(select(tables.commits.c.commit_id)).scalars().all()
        bars = lake.bars("SPY").height
    lines = operations.logs.tail(limit=10_000)
    asked = [one for one in lines if one.stage == "fetch"]
    committed = [one for one in lines if one.stage == "commit"]
    assert len(asked) == receipts.height > 0
    assert sorted(one.fields["commit"] for one in committed) == sorted(commits)
    assert {one.symbol for one in (*asked, *committed)} == {"SPY"}
    assert [one.fields["status"] for one in asked] == receipts["status"].to_list()
    assert sum(one.fields.get("inserted", 0) for one in committed) == bars
    assert {"endpoint", "rows", "duration_ms", "remaining"} <= set(asked[0].fields)
    assert asked[0].agent == "ingest"


def test_a_worker_serves_metrics_where_it_is_told_to(
    root: Path, start_process: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start_process("worker", "--agent", "features", "--root", root, "--metrics-port", "0")
    assert process.stderr is not None
    found = None
    while found is None:
        line = process.stderr.readline()
        assert line, "the worker ended"
        found = re.search(r"http://127\.0\.0\.1:\d+/metrics", line)
    with urllib.request.urlopen(found[0], timeout=DEADLINE_S) as page:  # noqa: S310 - the page of this test
        assert b"barlake_disk_free_bytes" in page.read()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
