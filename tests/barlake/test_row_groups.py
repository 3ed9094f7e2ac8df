"""A few sessions out of large files: what is read group by group is what a scan of the files gives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pytest

from barlake.errors import FormatError
from barlake.keys import PeriodLength
from barlake.lake import Lake
from barlake.ranges import TimeRange, time_range
from barlake.reader import read_paths
from barlake.row_groups import MOST_FILES, read_narrow
from barlake.sessions import Calendar
from barlake.testing import make_bars, temporary_lake

DAYS = Calendar.default().in_range(dt.date(2023, 1, 1), dt.date(2025, 1, 1))["session"].to_list()


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    with temporary_lake() as made:
        bars = make_bars(DAYS, seed=1)
        made.writer.write(bars, feed="mine", symbol="BRK/B", source="test", longest=PeriodLength.YEAR)
        yield made


def paths(lake: Lake) -> list[str]:
    return [file.path for file in lake.manifest.files()]


def scanned(lake: Lake, span: TimeRange) -> pl.DataFrame:
    rows = lake.store.scan(paths(lake), keys=("feed", "symbol", "dt"))
    assert span.start is not None
    rows = rows.filter(pl.col("timestamp") >= span.start)
    return (rows if span.end is None else rows.filter(pl.col("timestamp") < span.end)).collect()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2023-03-06", "2023-03-13"),
        ("2023-12-28", "2024-01-04"),
        ("2024-03-04T15:31:00Z", "2024-03-04T15:32:00Z"),
        ("2024-03-04T15:31:30Z", "2024-03-06T15:31:30.5Z"),
        ("2024-12-20", None),
        ("2024-03-02", "2024-03-04"),
        ("2030-01-01", "2031-01-01"),
        ("2010-01-01", "2011-01-01"),
    ],
)
def test_a_narrow_range_is_what_a_scan_gives(lake: Lake, start: str, end: str | None) -> None:
    span = time_range(start, end, "mine")
    found = read_narrow(lake.store, paths(lake), span)
    assert found is not None
    expected = scanned(lake, span)
    assert found.equals(expected.select(found.columns))
    assert found.schema == expected.select(found.columns).schema


@pytest.mark.parametrize(("start", "end"), [("2023-01-01", "2024-06-01"), (None, "2023-01-10"), (None, None)])
def test_a_wide_range_is_left_to_the_scan(lake: Lake, start: str | None, end: str | None) -> None:
    assert read_narrow(lake.store, paths(lake), time_range(start, end, "mine")) is None


def test_many_files_are_left_to_the_scan(lake: Lake) -> None:
    span = time_range("2023-03-06", "2023-03-07", "mine")
    assert read_narrow(lake.store, paths(lake)[:1] * (MOST_FILES + 1), span) is None
    assert read_narrow(lake.store, [], span) is None


def test_a_file_that_is_gone_or_damaged_is_told_with_the_next_step(lake: Lake) -> None:
    span, path = time_range("2023-03-06", "2023-03-07", "mine"), paths(lake)[0]
    gone = path.replace(".parquet", "x.parquet")
    with pytest.raises(FormatError, match="barlake repair"):
        read_paths(lake.store, [gone], feed="mine", span=span)
    damaged = lake.root / path.replace(".parquet", "y.parquet")
    damaged.write_bytes((lake.root / path).read_bytes()[:-100])
    with pytest.raises(pa.ArrowException):
        read_narrow(lake.store, [str(damaged.relative_to(lake.root))], span)
    with pytest.raises(FormatError, match="barlake verify"):
        read_paths(lake.store, [str(damaged.relative_to(lake.root))], feed="mine", span=span)
