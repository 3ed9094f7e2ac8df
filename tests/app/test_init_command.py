"""`barlake init`: a folder with a private `.env`, a watch list and a lake; a wrong key or answer writes nothing."""

from __future__ import annotations

import json
import os
import pty
import select
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

import barlake
from app.beginning import KEY_ID, SECRET_KEY
from barlake.sessions import Calendar
from ingest_service.emulator import EmulatorConfig, serve
from ingest_service.watch_list import load_watch_list

Cli = Callable[..., Any]
EMULATOR = EmulatorConfig(symbols=("SPY",))


@pytest.fixture(scope="module")
def alpaca() -> Iterator[str]:
    with serve(EMULATOR, calendar=Calendar.default()) as url:
        yield url


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to begin in, with no setting in the environment."""
    for name in (KEY_ID, SECRET_KEY, "BARLAKE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def secret(here: Path) -> Path:
    path = here / "secret.txt"
    path.write_text(f"{EMULATOR.secret_key}\n", encoding="utf-8")
    return path


@pytest.fixture
def to_emulator(alpaca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    monkeypatch.setenv("ALPACA_FEED", "synthetic")


@pytest.mark.usefixtures("to_emulator")
def test_keys_that_alpaca_takes_are_written_for_their_owner_alone(here: Path, secret: Path, cli: Cli) -> None:
    done = cli("init", "SPY", "qqq", "BTC/USD", "--key-id", EMULATOR.key_id, "--secret-file", secret, "--json")
    assert done.code == 0, done.errors
    assert (done.data["has_key"], done.data["is_checked"], done.data["notices"]) == (True, True, [])
    assert dotenv_values(here / ".env") == {
        "BARLAKE_ROOT": "data", KEY_ID: EMULATOR.key_id, SECRET_KEY: EMULATOR.secret_key
    }  # fmt: skip
    assert stat.S_IMODE((here / ".env").stat().st_mode) == 0o600
    watched = {one.symbol: one.category for one in load_watch_list(here / "securities.yaml").securities}
    assert watched == {"SPY": "stocks", "QQQ": "stocks", "BTC/USD": "crypto"}
    with barlake.open() as lake:
        assert (here / "data/manifest").is_dir()
        assert lake.symbols().is_empty()
    assert EMULATOR.secret_key not in done.out + done.errors


@pytest.mark.usefixtures("to_emulator")
def test_a_key_that_alpaca_refuses_writes_nothing(here: Path, secret: Path, cli: Cli) -> None:
    secret.write_text("wrong", encoding="utf-8")
    done = cli("init", "--key-id", EMULATOR.key_id, "--secret-file", secret)
    assert done.code == 1
    assert "refuses the key" in done.errors
    assert "wrong" not in done.errors.replace("went wrong", "")
    assert [path.name for path in here.iterdir()] == ["secret.txt"]


def test_a_key_that_cannot_be_checked_is_written_and_that_is_said(
    here: Path, secret: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", "http://127.0.0.1:9")
    done = cli("init", "--key-id", "KEY", "--secret-file", secret)
    assert done.code == 0
    assert "the key is not checked: no answer from http://127.0.0.1:9" in done.errors
    assert (here / ".env").is_file()


def test_a_feed_that_is_not_served_is_no_fault_of_the_key(
    here: Path, secret: Path, cli: Cli, alpaca: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    done = cli("init", "--key-id", EMULATOR.key_id, "--secret-file", secret)
    assert done.code == 0, done.errors
    assert "gave no bars of feed 'sip' (HTTP 400, invalid feed: sip)" in done.errors
    assert "ALPACA_FEED" in done.errors
    assert (here / ".env").is_file()


def test_without_a_key_it_says_what_works(here: Path, cli: Cli) -> None:
    done = cli("init", "--root", "my lake")
    assert done.code == 0, done.errors
    assert "barlake demo" in done.out
    assert dotenv_values(here / ".env") == {"BARLAKE_ROOT": "my lake"}
    assert not (here / "securities.yaml").exists()


def test_an_env_file_that_is_there_stays_unless_forced(here: Path, cli: Cli) -> None:
    (here / ".env").write_text("# mine\nBARLAKE_ROOT=old\nOTHER=1\n", encoding="utf-8")
    refused = cli("init", "--root", "new")
    assert refused.code == 1
    assert "sets BARLAKE_ROOT already" in refused.errors
    assert "OTHER=1" in (here / ".env").read_text(encoding="utf-8")
    assert not (here / "new").exists()
    assert cli("init", "--root", "new", "--force").code == 0
    assert (here / ".env").read_text(encoding="utf-8") == "# mine\nBARLAKE_ROOT=new\nOTHER=1\n"


def test_a_watch_list_that_is_there_stays(here: Path, cli: Cli) -> None:
    (here / "securities.yaml").write_text("securities: {}\n", encoding="utf-8")
    done = cli("init", "SPY")
    assert done.code == 0
    assert "is there and stays as it is: add SPY" in done.errors
    assert (here / "securities.yaml").read_text(encoding="utf-8") == "securities: {}\n"


BAD = {
    "a symbol that is none": (["init", "S P Y"], "symbol"),
    "a secret without its key": (["init", "--secret-file", "secret.txt"], "without --key-id"),
    "a key without its secret": (["init", "--key-id", "KEY"], "without its secret"),
    "a secret file that is not there": (["init", "--key-id", "KEY", "--secret-file", "gone.txt"], "gone.txt"),
    "a lake where a file is": (["init", "--root", "secret.txt"], "secret.txt"),
    "a folder with a line break": (["init", "--root", "a\nb"], "line break"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named_and_nothing_is_written(here: Path, secret: Path, cli: Cli, name: str) -> None:
    words, said = BAD[name]
    done = cli(*words)
    assert done.code == 1
    assert said in done.errors
    assert [path.name for path in here.iterdir()] == [secret.name]


def test_a_repository_that_would_publish_the_keys_is_told(here: Path, cli: Cli) -> None:
    (here / ".git").mkdir()
    assert "does not ignore .env" in cli("init").errors
    (here / ".gitignore").write_text(".env\n", encoding="utf-8")
    assert "does not ignore .env" not in cli("init", "--force").errors


@pytest.mark.usefixtures("here")
def test_a_value_of_the_environment_that_wins_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARLAKE_ROOT", "elsewhere")
    assert "BARLAKE_ROOT of the environment wins" in cli("init", "--root", "data").errors


ON_THIS_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "app.entry", "init", "--json"])
"""


def told(terminal: int, awaited: str) -> str:
    """What appears on a terminal until some words do."""
    shown = ""
    while awaited not in shown:
        assert select.select([terminal], [], [], 30)[0], f"no {awaited!r} in {shown!r}"
        shown += os.read(terminal, 4096).decode()
    return shown


@pytest.mark.slow
def test_a_person_is_asked_and_the_secret_is_not_shown(here: Path, alpaca: str) -> None:
    ours, theirs = pty.openpty()
    alone = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    settings = {"ALPACA_DATA_URL": alpaca, "ALPACA_FEED": "synthetic", "NO_PROXY": "127.0.0.1"}
    process = subprocess.Popen(
        [sys.executable, "-c", ON_THIS_TERMINAL], cwd=here, env=alone | settings, start_new_session=True,
        stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(theirs)
    with process:
        shown = told(ours, "for none):")
        for answer, question in (
            (EMULATOR.key_id, "(not shown):"), (EMULATOR.secret_key, "[data]:"), ("lake", "[SPY QQQ]:")
        ):  # fmt: skip
            os.write(ours, f"{answer}\n".encode())
            shown += told(ours, question)
        os.write(ours, b"spy, qqq\n")
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert EMULATOR.key_id in shown
    assert EMULATOR.secret_key not in shown
    assert json.loads(out)["is_checked"] is True
    assert dotenv_values(here / ".env") == {
        "BARLAKE_ROOT": "lake", KEY_ID: EMULATOR.key_id, SECRET_KEY: EMULATOR.secret_key
    }  # fmt: skip
    assert [one.symbol for one in load_watch_list(here / "securities.yaml").securities] == ["SPY", "QQQ"]
