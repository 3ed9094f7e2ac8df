"""`barlake doctor`: every trouble that stops the work is named, with what to do, and nothing else is called one."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import barlake
from app.operations import open_operations
from barlake.clock import FileClock
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars
from ingest_service.emulator import EmulatorConfig, serve
from ingest_service.emulator.accounts import PAPER_PLUS

if TYPE_CHECKING:
    from tests.app.conftest import Outcome

    Cli = Callable[..., Outcome]

DISK_BYTES = 6 * 1024 * 1024


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ALPACA_DATA_URL", "http://127.0.0.1:9")  # nobody is asked by accident
    return tmp_path / "lake"


def serving(bar_folder: Path, **words: Any) -> Any:
    return serve(EmulatorConfig(bars=bar_folder, feed="sip,iex", **words), calendar=Calendar.default())


def use(url: str, monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    config = EmulatorConfig()
    environment = {
        "ALPACA_DATA_URL": url, "ALPACA_API_KEY_ID": config.key_id, "ALPACA_API_SECRET_KEY": config.secret_key, **names,
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def examined(cli: Cli, root: Path) -> tuple[int, Mapping[str, Mapping[str, str]]]:
    outcome = cli("doctor", "--root", root, "--json")
    assert outcome.data["is_well"] is (outcome.code == 0)
    return outcome.code, {one["name"]: one for one in outcome.data["findings"]}


def test_without_key_and_network_it_says_what_is_missing_and_that_nothing_is_broken(cli: Cli, root: Path) -> None:
    outcome = cli("doctor", "--root", root)
    assert outcome.code == 0
    assert "warn key                 ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY not set" in outcome.out
    assert "warn network             no answer from http://127.0.0.1:9" in outcome.out
    assert "warn watch list          no watch list" in outcome.out
    assert "warn workers             none runs" in outcome.out
    assert "-> start one: `barlake worker`" in outcome.out
    assert "ok   versions" in outcome.out
    assert "fail" not in outcome.out


def test_a_watch_list_without_a_key_cannot_work(cli: Cli, root: Path) -> None:
    root.mkdir()
    assert cli("securities", "init", "--file", root / "securities.yaml").code == 0
    code, found = examined(cli, root)
    assert code == 1
    assert found["key"]["outcome"] == "fail"
    assert found["watch list"]["outcome"] == "ok"


def test_all_is_well_with_a_key_of_the_free_plan(
    cli: Cli, root: Path, bar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with barlake.open(root) as lake:
        lake.write_bars(make_bars([dt.date(2024, 1, 2)]), feed="sip", symbol="SPY")
    with serving(bar_folder) as url:
        use(url, monkeypatch)
        code, found = examined(cli, root)
        assert (code, found["feed"]["outcome"]) == (0, "ok")
        monkeypatch.setenv("ALPACA_LIVE_FEED", "sip")
        _, insisting = examined(cli, root)
    assert {name: found[name]["outcome"] for name in ("network", "key", "clock", "stream", "lake", "manifest")} == (
        dict.fromkeys(("network", "key", "clock", "stream", "lake", "manifest"), "ok")
    )
    assert "no SIP of the last 15 minutes in this plan" in found["feed"]["seen"]
    assert found["stream"]["seen"].endswith("/v2/iex greets")
    assert "1 symbols, 390 bars of sip" in found["manifest"]["seen"]
    assert insisting["feed"]["outcome"] == "warn"
    assert "ALPACA_LIVE_FEED=iex" in insisting["feed"]["advice"]


def test_a_plan_with_sip_is_told_from_one_without(
    cli: Cli, root: Path, bar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(bar_folder) as url:
        use(url, monkeypatch, ALPACA_API_KEY_ID=PAPER_PLUS, ALPACA_LIVE_FEED="sip")
        _, found = examined(cli, root)
    assert found["feed"]["seen"] == "sip up to now"
    assert found["stream"]["seen"].endswith("/v2/sip greets")


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_a_fault_and_is_not_repeated(
    status: int, cli: Cli, root: Path, bar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(bar_folder, wrong_key_status=status) as url:
        use(url, monkeypatch, ALPACA_API_SECRET_KEY="wrong-one")  # noqa: S106 - it is none
        outcome = cli("doctor", "--root", root)
    assert outcome.code == 1
    assert f"refuses the key (HTTP {status}" in outcome.out
    assert "-> copy key and secret anew" in outcome.out
    assert "wrong-one" not in outcome.out + outcome.errors


def test_a_key_without_a_network_cannot_work(cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use("http://127.0.0.1:9", monkeypatch)
    code, found = examined(cli, root)
    assert (code, found["network"]["outcome"]) == (1, "fail")
    assert "HTTPS_PROXY" in found["network"]["advice"]


def test_a_clock_five_minutes_off_is_a_fault(
    cli: Cli, root: Path, bar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(bar_folder, now=dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)) as url:
        use(url, monkeypatch)
        code, found = examined(cli, root)
    assert (code, found["clock"]["outcome"]) == (1, "fail")
    assert found["clock"]["seen"].startswith(("this machine's clock is 4 min 5", "this machine's clock is 5 min"))
    assert found["clock"]["seen"].endswith("behind the server's")
    assert "timedatectl set-ntp true" in found["clock"]["advice"]


def test_a_made_up_clock_is_compared_with_the_server_that_keeps_it(
    cli: Cli, root: Path, bar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = tmp_path / "clock.json"
    with serving(bar_folder, now=dt.datetime(2024, 1, 10, 15, tzinfo=dt.UTC), clock=clock) as url:
        use(url, monkeypatch, BARLAKE_CLOCK=str(clock))
        _, found = examined(cli, root)
        assert found["clock"]["outcome"] == "ok"
        FileClock.set(tmp_path / "other.json", dt.datetime(2024, 1, 10, 15, 5, tzinfo=dt.UTC), speed=1)
        use(url, monkeypatch, BARLAKE_CLOCK=str(tmp_path / "other.json"))
        code, found = examined(cli, root)
    assert (code, found["clock"]["outcome"]) == (1, "fail")


def test_a_stream_that_is_not_there_is_no_reason_to_stop(cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.app.operations.hooks import running_hook

    with running_hook() as hook:  # it answers GET with 501
        use(hook.url.split("/services")[0], monkeypatch)
        code, found = examined(cli, root)
    assert (code, found["stream"]["outcome"], found["key"]["outcome"]) == (0, "warn", "warn")
    assert "live bars are polled" in found["stream"]["advice"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can only be mounted by an administrator")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, *, but: int) -> None:
    found = os.statvfs(disk)
    with (disk / "filler").open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(found.f_bavail * found.f_frsize - but, 1))


def test_a_disk_that_fills_is_said_before_it_is_full(cli: Cli, disk: Path) -> None:
    cli("doctor", "--root", disk / "lake")
    fill(disk, but=DISK_BYTES * 18 // 100 + (1 << 20))
    _, found = examined(cli, disk / "lake")
    assert found["disk"]["outcome"] in {"ok", "warn"}
    (disk / "filler").unlink()
    fill(disk, but=(1 << 20) + 4096)
    _, found = examined(cli, disk / "lake")
    assert found["disk"]["outcome"] == "warn"
    assert "% full" in found["disk"]["seen"]


def test_a_full_disk_is_a_fault_and_nothing_else_breaks(cli: Cli, disk: Path) -> None:
    cli("doctor", "--root", disk / "lake")
    fill(disk, but=0)
    code, found = examined(cli, disk / "lake")
    assert (code, found["disk"]["outcome"]) == (1, "fail")
    assert "takes no more bytes: No space left on device" in found["disk"]["seen"]
    assert "free space" in found["disk"]["advice"]


def test_a_folder_that_is_none_and_a_wrong_setting_are_said(
    cli: Cli, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    code, found = examined(cli, tmp_path / "file")
    assert (code, found["lake"]["outcome"]) == (1, "fail")
    monkeypatch.setenv("ALPACA_RPM", "many")
    code, found = examined(cli, root)
    assert (code, found["settings"]["outcome"]) == (1, "fail")
    assert "ALPACA_RPM is 'many'" in found["settings"]["seen"]


def test_a_silent_worker_and_an_active_alert_are_named(cli: Cli, root: Path) -> None:
    with open_operations(Settings(_env_file=None).model_copy(update={"root": str(root)})) as operations:
        operations.heartbeats.beat(worker="w1", agent="live", state="idle", period_s=1e-9)
        operations.heartbeats.beat(worker="w2", agent="backfill", state="idle", period_s=3600)
        operations.alerts.fire("disk", level="warning", message="81 % full")
    _, found = examined(cli, root)
    assert "silent: live of w1" in found["workers"]["seen"]
    assert found["alerts"]["seen"] == "1 active: disk"


def test_a_file_that_counts_and_is_gone_is_a_fault(cli: Cli, root: Path) -> None:
    with barlake.open(root) as lake:
        lake.write_bars(make_bars([dt.date(2024, 1, 2)]), feed="sip", symbol="SPY")
        (file,) = lake.manifest.files()
    (root / file.path).unlink()
    code, found = examined(cli, root)
    assert (code, found["manifest"]["outcome"]) == (1, "fail")
    assert "barlake verify" in found["manifest"]["advice"]
