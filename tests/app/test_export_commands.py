"""`barlake export` and `barlake register`: what they print, what they leave, and what stays secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import barlake

BARS = 15 * 390


@pytest.mark.parametrize("name", ["bars.parquet", "bars.csv"])
def test_bars_written_to_a_file_come_back_as_they_were(cli: Any, example: Path, tmp_path: Path, name: str) -> None:
    done = cli("export", "file", "SPY", "--to", tmp_path / name, "--root", example)
    assert (done.code, done.out) == (0, f"5,850 bars written to {tmp_path / name}\n")
    root = tmp_path / "copy"
    assert cli("import", tmp_path / name, "--feed", "synthetic", "--root", root).code == 0
    with barlake.open(root) as copy, barlake.open(example) as lake:
        assert copy.snapshot("SPY").root_hash == lake.snapshot("SPY").root_hash


def test_a_file_out_is_described_in_json(cli: Any, example: Path, tmp_path: Path) -> None:
    target = tmp_path / "bars.parquet"
    arguments = ("SPY", "--start", "2024-01-02", "--end", "2024-01-03", "--timeframe", "1Hour", "--session", "regular")
    done = cli("export", "file", *arguments, "--to", target, "--root", example, "--json")
    with barlake.open(example) as lake:
        snapshot = lake.snapshot("SPY", "2024-01-02", "2024-01-03")
    assert done.data == {
        "bars": 7, "bytes": target.stat().st_size, "file": str(target), "symbols": "SPY",
        "start": "2024-01-02T05:00:00+00:00", "end": "2024-01-03T05:00:00+00:00", "timeframe": "1Hour",
        "session": "regular", "adjustment": "raw", "moment": snapshot.moment.isoformat(), "root": snapshot.root_hash,
    }  # fmt: skip


def test_a_file_that_exists_is_overwritten_only_on_request(cli: Any, example: Path, tmp_path: Path) -> None:
    target = tmp_path / "bars.csv"
    target.write_text("mine")
    order = ("export", "file", "SPY", "--to", target, "--root", example)
    done = cli(*order)
    assert (done.code, target.read_text()) == (1, "mine")
    assert "--overwrite" in done.errors
    assert cli(*order, "--overwrite").code == 0
    assert len(target.read_text().splitlines()) == BARS + 1


def test_lines_go_to_a_file_or_to_stdout_alone(cli: Any, example: Path, tmp_path: Path) -> None:
    arguments = ("export", "influx", "SPY", "QQQ", "--root", example, "--to")
    assert cli(*arguments, tmp_path / "bars.lp", "--json").data["bars"] == 2 * BARS - 1
    done = cli(*arguments, "-")
    assert done.code == 0
    assert done.out == (tmp_path / "bars.lp").read_text()
    assert done.out.startswith("bars,feed=synthetic,symbol=SPY open=")
    assert done.errors == f"{2 * BARS - 1:,} bars\n"


def test_a_closed_pipe_ends_lines_without_a_traceback(start_process: Any, example: Path) -> None:
    with start_process("export", "influx", "--to", "-", "--root", example) as process:
        process.stdout.read(1)
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors


def test_a_database_is_brought_up_to_the_lake_and_its_address_is_never_shown(
    cli: Any, example: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("adbc_driver_postgresql", reason="the extra barlake[postgres] is not installed")
    monkeypatch.setenv("BARLAKE_EXPORT_POSTGRES_URL", postgres)
    first = cli("export", "postgres", "SPY", "--root", example)
    again = cli("export", "postgres", "SPY", "--root", example, "--json")
    assert first.out == "table bars: 5,850 inserted, 0 updated, 0 unchanged, 0 deleted\n"
    assert {name: again.data[name] for name in ("table", "inserted", "unchanged")} == {
        "table": "bars", "inserted": 0, "unchanged": BARS,
    }  # fmt: skip
    password = postgres.split(":")[2].split("@", maxsplit=1)[0]
    assert password not in first.out + first.errors + again.out + again.errors


def test_an_address_without_a_password_takes_it_from_the_environment(
    cli: Any, example: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("adbc_driver_postgresql", reason="the extra barlake[postgres] is not installed")
    from tests.servers import PASSWORD

    user, _, place = postgres.partition("@")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    done = cli("export", "postgres", "SPY", "--url", f"{user.rpartition(':')[0]}@{place}", "--root", example)
    assert (done.code, done.errors) == (0, "")


def test_registering_says_what_came_and_went(cli: Any, tmp_path: Path, bar_folder: Path) -> None:
    cli("import", bar_folder, "--feed", "synthetic", "--root", tmp_path)
    done = cli("register", "delta", "--root", tmp_path)
    assert done.out == f"Delta table {tmp_path}: version 0, 1 files (1 added, 0 removed)\n"
    again = cli("register", "delta", "--root", tmp_path, "--json")
    assert again.data == {"table": str(tmp_path), "version": 0, "files": 1, "added": 0, "removed": 0}


def test_a_ducklake_script_goes_to_stdout_and_an_old_catalogue_is_not_touched(
    cli: Any, example: Path, tmp_path: Path
) -> None:
    done = cli("register", "ducklake", tmp_path / "bars.ducklake", "--root", example)
    assert done.code == 0
    assert "ducklake_add_data_files" in done.out
    (tmp_path / "bars.ducklake").write_text("mine")
    refused = cli("register", "ducklake", tmp_path / "bars.ducklake", "--root", example)
    assert refused.code == 1
    assert "delete it first" in refused.errors


def test_json_of_an_export_is_one_value(cli: Any, example: Path, tmp_path: Path) -> None:
    done = cli("export", "influx", "--to", tmp_path / "bars.lp", "--root", example, "--json")
    assert json.loads(done.out)["measurement"] == "bars"
