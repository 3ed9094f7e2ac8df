"""A lake whose bar files lie in a bucket is a lake like any other."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import polars as pl
import pytest

import barlake
from barlake.backup import backup
from barlake.errors import FormatError, InvalidInputError, StorageError
from barlake.lake import Lake
from barlake.rebuild import rebuild
from barlake.records import RowRank
from barlake.repair import repair
from barlake.restore import restore
from barlake.s3_store import S3Store, _client
from barlake.settings import Settings
from barlake.stores import LocalStore, store_of
from barlake.testing import make_bars, temporary_lake
from barlake.verify import Fault, FaultKind, verify

DAYS = [dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 2, 1)]


def settings(root: str, local: Path, **more: str) -> Settings:
    return Settings(_env_file=None, BARLAKE_ROOT=root, BARLAKE_LOCAL_ROOT=str(local), **more)


def open_at(root: str, local: Path, **more: str) -> Lake:
    return barlake.open(settings=settings(root, local, **more))


def now() -> dt.datetime:
    return dt.datetime.now(tz=dt.UTC)


def write(lake: Lake, *, seed: int = 0, days: list[dt.date] = DAYS, symbol: str = "SPY") -> None:
    bars = make_bars(days, seed=seed, minutes=30)
    lake.writer.write(bars, feed="sip", symbol=symbol, source="test", rank=RowRank.FINAL)


def history(lake: Lake) -> list[tuple[dt.datetime, pl.DataFrame]]:
    """Write, correct three times, roll up and sweep; what was held after each step."""
    moments = []
    for seed in range(4):
        write(lake, seed=seed, days=DAYS if seed == 0 else DAYS[:seed])
        moments.append((now(), lake.bars("SPY")))
    lake.rollup()
    moments.append((now(), lake.bars("SPY")))
    lake.vacuum(grace=dt.timedelta(seconds=-1))
    return moments


def test_a_bucket_holds_what_a_folder_holds(s3_root: str, tmp_path: Path) -> None:
    with open_at(s3_root, tmp_path / "local") as far, temporary_lake() as near:
        remembered = history(far)
        history(near)
        assert far.snapshot().root_hash == near.snapshot().root_hash
        assert far.bars("SPY").drop("ingested_at").equals(near.bars("SPY").drop("ingested_at"))
        for moment, bars in remembered:
            assert far.bars("SPY", as_of=moment).equals(bars)
        assert far.revisions("SPY").height == near.revisions("SPY").height > 0
        assert far.bars("SPY", timeframe="1Day").equals(near.bars("SPY", timeframe="1Day"))
        assert far.latest("SPY", bars=3).equals(far.bars("SPY").tail(3))
        assert far.bars("SPY", output="lazy").collect().equals(far.bars("SPY"))
        assert list((tmp_path / "local").rglob("*.parquet")) == [tmp_path / "local" / "calendar" / "xnys.parquet"]


def test_sql_reads_the_bucket(s3_root: str, tmp_path: Path) -> None:
    with open_at(s3_root, tmp_path) as lake:
        history(lake)
        found = lake.sql("SELECT symbol, count(*) AS bars, min(session) AS first FROM bars_of('spy') GROUP BY symbol")
        assert found.rows() == [("SPY", 90, DAYS[0])]
        assert lake.sql("SELECT count(*) FROM revisions").item() == lake.revisions("SPY").height
        assert lake.sql("SELECT count(*) FROM bars_1d").item() == len(DAYS)


def test_a_damaged_object_is_found_kept_and_mended(s3_root: str, tmp_path: Path) -> None:
    with open_at(s3_root, tmp_path) as lake:
        write(lake)
        whole = lake.snapshot().root_hash
        file = lake.manifest.files()[0]
        good = lake.store.read(file.path).to_pybytes()
        lake.store.delete(file.path)
        with pytest.raises(FormatError, match="barlake verify"):
            lake.bars("SPY")
        assert [fault.kind for fault in lake.verify().faults] == ["missing"]
        lake.store.put(file.path, good[:700] + b"?" + good[701:])
        (fault,) = lake.verify().faults
        (mended,) = repair(lake.store, lake.manifest, [fault], now=now)
        assert mended.aside is not None
        assert lake.store.read(mended.aside).to_pybytes()[700:701] == b"?"
        assert lake.verify().is_sound
        write(lake)
        assert lake.snapshot().root_hash == whole


def test_a_service_that_is_down_is_no_damage(s3_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_at(s3_root, tmp_path) as lake:
        write(lake)
        (file,) = lake.manifest.files(start=DAYS[2])
        fault = Fault(FaultKind.MISSING, file.path, "bars", "sip", "SPY", file.key.period.label, (DAYS[2],), "")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        down = S3Store(PurePosixPath(s3_root.removeprefix("s3://")), _client(settings(s3_root, tmp_path)), {})
        with pytest.raises(StorageError, match="did not give"):
            verify(down, lake.manifest)
        with pytest.raises(StorageError, match="did not give"):
            repair(down, lake.manifest, [fault], now=now)
        assert lake.verify().is_sound
        assert lake.bars("SPY").height == 90


def test_a_backup_comes_back_into_a_bucket_and_into_a_folder(s3_root: str, tmp_path: Path) -> None:
    with open_at(s3_root, tmp_path / "local") as lake:
        history(lake)
        made = backup(lake.store, lake.root, lake.manifest, tmp_path / "copies", now=now)
    again = settings(f"{s3_root}-again", tmp_path / "again")
    restore(tmp_path / "copies", store_of(again), tmp_path / "again")
    with barlake.open(settings=again) as lake:
        assert lake.snapshot().root_hash == made.root_hash
        assert lake.verify().is_sound
    folder = tmp_path / "folder"
    assert restore(tmp_path / "copies", LocalStore(folder), folder).root_hash == made.root_hash
    with pytest.raises(InvalidInputError, match="holds bar files"):
        restore(tmp_path / "copies", store_of(again), tmp_path / "third")


def test_a_lost_manifest_is_made_again_from_the_bucket(s3_root: str, tmp_path: Path) -> None:
    with open_at(s3_root, tmp_path / "one") as lake:
        history(lake)
        before, calendar = lake.snapshot().root_hash, lake.calendar
    # Another machine has no manifest, and must not take the files for leftovers.
    with pytest.raises(StorageError, match="has its manifest in another: name that one"):
        open_at(s3_root, tmp_path / "two")
    there = settings(s3_root, tmp_path / "two")
    rebuild(store_of(there), tmp_path / "two", calendar, now=now)
    with barlake.open(settings=there) as lake:
        assert lake.snapshot().root_hash == before
        assert lake.verify().is_sound


def test_two_machines_share_a_bucket_through_postgresql(s3_root: str, tmp_path: Path, postgres: str) -> None:
    database = {"BARLAKE_DATABASE_URL": postgres}
    with open_at(s3_root, tmp_path / "one", **database) as one, open_at(s3_root, tmp_path / "two", **database) as two:
        write(one)
        assert two.bars("SPY").equals(one.bars("SPY"))
        write(two, seed=1, symbol="QQQ")
        two.rollup()
        assert one.bars(["SPY", "QQQ"]).equals(two.bars(["SPY", "QQQ"]))
        one.publish()
        assert one.sql("SELECT count(*) FROM bars").item() == 180
    with pytest.raises(StorageError, match="is in PostgreSQL"):
        open_at(s3_root, tmp_path / "three")


WRITER = """
import datetime as dt, sys
import barlake
from barlake.testing import make_bars
seed, day = int(sys.argv[1]), dt.date.fromisoformat(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
with barlake.open() as lake:
    for number in range(int(sys.argv[3])):
        bars = make_bars([day], seed=seed + number, minutes=30)
        lake.writer.write(bars, feed="sip", symbol="SPY", source="test")
        print(number, flush=True)
"""


def start(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_processes_on_one_partition_both_succeed(s3_root: str, tmp_path: Path) -> None:
    environment = {"BARLAKE_ROOT": s3_root, "BARLAKE_LOCAL_ROOT": str(tmp_path)}
    with open_at(s3_root, tmp_path) as lake:
        writers = [start(environment, "0", str(day), "3") for day in (DAYS[0], dt.date(2023, 12, 28))]
        for writer in writers:
            go(writer)
        assert [writer.wait() for writer in writers] == [0, 0]
        assert lake.bars("SPY").height == 60
        assert lake.verify().is_sound
        assert len(lake.manifest.files()) == 1, "both days lie in one month, closed long ago"
    for writer in writers:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.close()
        writer.stdout.close()


@pytest.mark.parametrize("after", [0.05, 0.3, *(pytest.param(rare, marks=pytest.mark.slow) for rare in (0.0, 0.15))])
def test_a_killed_writer_leaves_the_state_before_or_after(s3_root: str, tmp_path: Path, after: float) -> None:
    environment = {"BARLAKE_ROOT": s3_root, "BARLAKE_LOCAL_ROOT": str(tmp_path)}
    with open_at(s3_root, tmp_path) as lake:
        write(lake, days=DAYS[:1])
        roots = {lake.snapshot().root_hash}
        with temporary_lake() as model:
            for seed in range(40):
                write(model, seed=100 + seed, days=DAYS[:1])
                roots.add(model.snapshot().root_hash)
        with start(environment, "100", str(DAYS[0]), "40") as writer:
            go(writer)
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(after)
            os.kill(writer.pid, signal.SIGKILL)
        assert lake.snapshot().root_hash in roots
        assert lake.verify().is_sound
        lake.vacuum(grace=dt.timedelta(seconds=-1))
        data = (lake.manifest.files(), lake.manifest.files(dataset="revisions"))
        assert {one.path for one in lake.store.files()} == {one.path for files in data for one in files}


def test_the_command_line_works_on_a_bucket(s3_root: str, tmp_path: Path) -> None:
    make_bars(DAYS[:1], minutes=30).write_csv(tmp_path / "SPY.csv")

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *words, "--root", s3_root, "--json"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(run("import", "SPY.csv", "--feed", "sip"))["total"]["inserted"] == 30
    assert json.loads(run("sql", "SELECT count(*) AS bars FROM bars")) == [{"bars": 30}]
    assert json.loads(run("verify"))["files"] == 1
    assert json.loads(run("stats"))["bars"] == 30
    assert (tmp_path / "data" / "s3").exists()


def test_records_and_bars_of_coins_lie_in_a_bucket_too(s3_root: str, tmp_path: Path) -> None:
    with open_at(s3_root, tmp_path) as lake:
        day = {"symbol": "BTC/USD", "session": DAYS[1], "open": 1.0, "high": 2.0, "low": 1.0, "close": 1.5}
        for close in (1.5, 1.6):
            lake.write_daily(pl.DataFrame([day | {"close": close}]), source="alpaca-crypto")
        told = {"article_id": "1", "created_at": now() - dt.timedelta(days=1), "headline": "Up", "symbols": ["BTC/USD"]}
        lake.write_news(pl.DataFrame([told]), source="alpaca")
        lake.write_bars(make_bars(DAYS, minutes=3), feed="alpaca-crypto", symbol="BTC/USD")
        assert lake.daily("BTC/USD")["close"].to_list() == [1.6]
        assert lake.daily("BTC/USD", known_by="2024-01-03T00:00:00Z")["close"].to_list() == [1.5]
        assert lake.sql("SELECT close FROM bars_daily").item() == 1.6
        assert lake.sql("SELECT headline FROM news").item() == "Up"
        assert lake.bars("BTC/USD").height == lake.sql("SELECT count(*) FROM bars_with_source").item() == 9
        assert lake.vacuum(grace=dt.timedelta(seconds=-1)).files == 1
        assert lake.verify().is_sound
