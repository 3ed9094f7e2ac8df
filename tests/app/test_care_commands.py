"""The care of a lake from the command line: broken by hand over HTTP and back to the same root."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import barlake
from app.cli import run
from barlake.sessions import Calendar
from barlake.testing import make_bars
from ingest_service.emulator import EmulatorConfig, serve

DAYS = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2024, 3, 1))["session"].to_list()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def replace_by_another(path: Path) -> None:
    others = sorted(one for one in path.parents[2].rglob("*.parquet") if one.parent != path.parent)
    path.write_bytes(others[0].read_bytes())


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": truncate, "flipped": flip_a_bit, "deleted": Path.unlink, "replaced": replace_by_another,
}  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, EmulatorConfig]]:
    folder = tmp_path_factory.mktemp("bars")
    for seed, symbol in enumerate(("SPY", "QQQ")):
        make_bars(DAYS, seed=seed).write_parquet(folder / f"{symbol}.parquet")
    config = EmulatorConfig(bars=folder, requests_per_window=10_000)
    with serve(config, calendar=Calendar.default()) as url:
        yield url, config


@pytest.fixture
def source(address: tuple[str, EmulatorConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    url, config = address
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ALPACA_DATA_URL", url)
    monkeypatch.setenv("ALPACA_API_KEY_ID", config.key_id)
    monkeypatch.setenv("ALPACA_API_SECRET_KEY", config.secret_key)


@pytest.fixture
def filled(source: None) -> str:  # noqa: ARG001 - its environment is needed
    """Root hash of a lake in ./data that was ingested over HTTP."""
    assert run(["ingest", "SPY", "QQQ", "--start", "2024-01-02", "--end", "2024-03-01", "--json"]) == 0
    # The files of single months would help to mend the year that replaced them.
    assert run(["vacuum", "--grace", "0"]) == 0
    return root_hash()


def root_hash() -> str:
    with barlake.open() as lake:
        return lake.snapshot().root_hash


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def a_file() -> Path:
    with barlake.open() as lake:
        return lake.root / lake.manifest.files(symbol="SPY")[0].path


# Each kind of damage is found in `tests/barlake/test_verify.py`; here two of them go the whole way.
@pytest.mark.parametrize(
    "damage", ["flipped", "deleted", *(pytest.param(one, marks=pytest.mark.slow) for one in ("truncated", "replaced"))]
)
def test_a_file_broken_by_hand_is_found_and_mended_to_the_same_root(
    filled: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGES[damage](a_file())
    found = answer(capsys, "verify", code=1)
    assert [(one["symbol"], one["period"]) for one in found["faults"]] == [("SPY", "2024")]
    report = answer(capsys, "repair")
    assert (report["problems"], report["still_missing"]) == ([], [])
    assert root_hash() == filled
    assert answer(capsys, "verify")["is_sound"]


def test_without_fetching_the_next_ingest_brings_what_is_lost(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    a_file().unlink()
    report = answer(capsys, "repair", "--no-fetch")
    assert len(report["still_missing"][0]["sessions"]) == len(DAYS)
    assert run(["ingest", "SPY", "--start", "2024-01-02", "--end", "2024-03-01", "--json"]) == 0
    assert root_hash() == filled


def test_a_lost_manifest_is_made_again_and_a_sound_one_is_not_by_mistake(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rebuild"]) == 1
    assert "--yes" in capsys.readouterr().err
    for path in Path("data/manifest").glob("manifest.sqlite*"):
        path.unlink()
    assert answer(capsys, "rebuild")["root_hash"] == filled
    assert answer(capsys, "rebuild", "--yes")["root_hash"] == filled


def test_a_backup_comes_back(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "backup", "copies")["root_hash"] == filled
    assert answer(capsys, "backup", "copies")["copied"] == 0
    assert answer(capsys, "restore", "copies", "--root", "again")["root_hash"] == filled
    with barlake.open("again") as lake:
        assert lake.sql("select count(*) from bars").item() == len(DAYS) * 2 * 390


def test_what_is_old_goes_only_with_yes(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("retention", "--older-than", "2024-02-01")
    assert not answer(capsys, *arguments, code=1)["removed"]
    assert root_hash() == filled
    assert answer(capsys, *arguments, "--yes")["removed"]
    with barlake.open() as lake:
        assert lake.symbols()["first"].to_list() == [dt.date(2024, 2, 1)] * 2
    assert answer(capsys, "stats")["dead_files"] == 2
    assert answer(capsys, "vacuum")["files"] == 0
    assert answer(capsys, "vacuum", "--grace", "0")["files"] == 2


def test_people_get_tables(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert filled
    flip_a_bit(a_file())
    for arguments in (
        ["verify"],
        ["repair"],
        ["stats"],
        ["backup", "copies"],
        ["vacuum"],
        ["repair"],
        ["rebuild", "--yes"],
    ):
        assert run(arguments) == (1 if arguments == ["verify"] else 0)
    printed = capsys.readouterr().out
    assert "unreadable" in printed
    assert "nothing is damaged" in printed
