"""Every kind of damage is found and named; what is whole, or only being replaced, is not called damaged."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from barlake import Lake
from barlake.errors import NotFoundError
from barlake.records import Commit, FileRecord
from barlake.stats import lake_stats
from barlake.testing import make_bars
from barlake.verify import FaultKind, check_file

pytestmark = pytest.mark.both_databases


def flip_a_bit(path: Path, *, at: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def replace_by_another(path: Path) -> None:
    others = sorted(one for one in path.parents[2].rglob("*.parquet") if one.parent != path.parent)
    path.write_bytes(others[0].read_bytes())


DAMAGES: dict[str, tuple[Callable[[Path], None], FaultKind]] = {
    "another file": (replace_by_another, FaultKind.MISPLACED),
    "deleted": (Path.unlink, FaultKind.MISSING),
    "truncated": (truncate, FaultKind.UNREADABLE),
    "a flipped bit": (flip_a_bit, FaultKind.UNREADABLE),
}


def only_file(lake: Lake, symbol: str, *, period: str, dataset: str = "bars") -> FileRecord:
    (file,) = [one for one in lake.manifest.files(dataset=dataset, symbol=symbol) if one.key.period.label == period]
    return file


JANUARY = [dt.date(2024, 1, day) for day in (2, 3, 4)]
FEBRUARY = [dt.date(2024, 2, day) for day in (1, 2)]


@pytest.fixture
def full(lake: Lake) -> Lake:
    """Two symbols with a file each in January and February, and old values of one January session."""
    for seed, symbol in enumerate(("SPY", "QQQ")):
        lake.writer.write(make_bars([*JANUARY, *FEBRUARY], seed=seed), feed="sip", symbol=symbol, source="test")
    corrected = make_bars(JANUARY[:1]).with_columns(pl.col("volume") + 1)
    lake.writer.write(corrected, feed="sip", symbol="SPY", source="test")
    return lake


def test_a_whole_lake_has_no_fault(full: Lake) -> None:
    seen: list[tuple[int, int]] = []
    report = full.verify(on_file=lambda _path, done, total: seen.append((done, total)))
    assert report.is_sound
    assert (report.files, report.sessions, report.orphans) == (5, 10, report.orphans)
    assert report.bytes == lake_stats(full.store, full.manifest).bytes
    assert seen == [(number, 5) for number in range(1, 6)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_symbol_period_and_sessions(full: Lake, damage: str) -> None:
    file = only_file(full, "QQQ", period="2024-01")
    breaks, kind = DAMAGES[damage]
    breaks(full.root / file.path)
    (fault,) = full.verify().faults
    assert (fault.feed, fault.symbol, fault.period, fault.path) == ("sip", "QQQ", "2024-01", file.path)
    assert fault.sessions == tuple(JANUARY)
    assert fault.kind is kind
    assert fault.detail


def test_a_flipped_bit_among_old_values_is_found(full: Lake) -> None:
    file = only_file(full, "SPY", period="2024-01", dataset="revisions")
    flip_a_bit(full.root / file.path, at=0.1)
    (fault,) = full.verify().faults
    assert (fault.dataset, fault.kind, fault.sessions) == ("revisions", FaultKind.UNREADABLE, ())


def test_a_sound_file_with_other_values_names_the_sessions_that_differ(full: Lake) -> None:
    file = only_file(full, "SPY", period="2024-01")
    path = full.root / file.path
    table = pq.read_table(path, partitioning=None)
    volume = table.column("volume").to_pylist()
    volume[-1] += 1
    pq.write_table(table.set_column(5, table.schema.field("volume"), [volume]), path)
    assert [fault.kind for fault in full.verify().faults] == [FaultKind.MISPLACED], "its size differs"
    same_size = replace(file, bytes=path.stat().st_size)
    fault = check_file(pa.py_buffer(path.read_bytes()), same_size, full.manifest.held(feed="sip", symbol="SPY"))
    assert fault is not None
    assert (fault.kind, fault.sessions) == (FaultKind.VALUES, (JANUARY[-1],))


def test_sessions_on_record_that_no_file_holds_are_found(full: Lake) -> None:
    file = only_file(full, "SPY", period="2024-02")
    full.manifest.commit(Commit("c", "test", "sip", "SPY", removed=[file.path]))
    (fault,) = full.verify().faults
    assert (fault.kind, fault.symbol, fault.sessions) == (FaultKind.UNFILED, "SPY", tuple(FEBRUARY))


def test_orphans_and_leftovers_are_told_and_are_no_fault(full: Lake) -> None:
    folder = (full.root / only_file(full, "SPY", period="2024-01").path).parent
    (folder / "orphan.parquet").write_bytes(b"x")
    (folder / ".tmp-half.parquet").write_bytes(b"x")
    report = full.verify()
    assert report.is_sound
    assert [path.rsplit("/", 1)[1] for path in report.orphans] == ["orphan.parquet"]
    assert [path.rsplit("/", 1)[1] for path in report.leftovers] == [".tmp-half.parquet"]


def test_only_the_symbols_and_the_feed_asked_for_are_read(full: Lake) -> None:
    (full.root / only_file(full, "QQQ", period="2024-01").path).unlink()
    assert full.verify(["SPY"]).is_sound
    assert full.verify(feed="iex").files == 0
    with pytest.raises(NotFoundError, match="'SPI' is not in this lake\\. Did you mean 'SPY'"):
        full.verify(["SPI"])


def test_a_wrong_bound_in_the_footer_is_found(full: Lake) -> None:
    """Readers skip rows by these bounds: a wrong one is a wrong answer."""
    path = full.root / only_file(full, "SPY", period="2024-01").path
    first = pq.ParquetFile(path).metadata.row_group(0).column(0).statistics.min
    stamp = int(first.timestamp() * 1_000_000).to_bytes(8, "little")
    content = path.read_bytes()
    place = content.rindex(stamp)
    path.write_bytes(content[:place] + bytes([stamp[0] ^ 1]) + content[place + 1 :])
    (fault,) = full.verify().faults
    assert "timestamp" in fault.detail


def test_a_file_that_is_replaced_meanwhile_is_no_fault(lake: Lake) -> None:
    bars = make_bars(JANUARY[:1], minutes=30)
    lake.writer.write(bars, feed="sip", symbol="SPY", source="test")
    stop = threading.Event()

    def correct() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            changed = bars.with_columns(pl.col("volume") + number)
            lake.writer.write(changed, feed="sip", symbol="SPY", source="test")
            lake.vacuum(grace=dt.timedelta(0))

    writer = threading.Thread(target=correct)
    writer.start()
    try:
        reports = [lake.verify() for _ in range(15)]
    finally:
        stop.set()
        writer.join()
    assert [report.faults for report in reports if not report.is_sound] == []
