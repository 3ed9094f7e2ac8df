"""One write of many symbols says what as many writes of one symbol would say, and costs one commit."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from barlake.catalogue import is_current
from barlake.errors import InvalidInputError
from barlake.lake import Lake
from barlake.rebuild import rebuild
from barlake.records import RowRank
from barlake.schemas import BAR_VALUES
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars, temporary_lake
from tests.barlake.conftest import Clock

SESSION = dt.date(2024, 7, 2)
OPEN = dt.datetime(2024, 7, 2, 13, 30, tzinfo=dt.UTC)
NOW = dt.datetime(2024, 7, 2, 21, 0, tzinfo=dt.UTC)
SYMBOLS = ("AAPL", "BRK.B", "SPY")

Row = tuple[str, int, float, int]
"""Symbol, minute after the open, close, rank."""


def as_frame(rows: list[Row]) -> pl.DataFrame:
    schema = {"symbol": pl.String, "minute": pl.Int64, "close": pl.Float64, "rank": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    stamp = pl.lit(OPEN).dt.cast_time_unit("us") + pl.duration(minutes=pl.col("minute"))
    prices = [pl.col("close").alias(name) for name in ("open", "high", "low")]
    return frame.with_columns(stamp.alias("timestamp"), *prices, volume=pl.lit(100)).drop("minute")


@contextlib.contextmanager
def lake_in_july() -> Iterator[Lake]:
    with temporary_lake(now=lambda: NOW) as lake:
        yield lake


def one_by_one(lake: Lake, frame: pl.DataFrame) -> None:
    for (symbol, rank), rows in frame.group_by("symbol", "rank", maintain_order=True):
        lake.writer.write(
            rows.drop("symbol", "rank"), feed="iex", symbol=str(symbol), source="test", rank=RowRank(int(str(rank)))
        )


def contents(lake: Lake) -> list[pl.DataFrame]:
    """All that is said of bars but when."""
    held = lake.manifest.held().drop("first", "last")
    names = held["symbol"].unique().sort().to_list()
    values = ["symbol", "timestamp", *BAR_VALUES]
    found = [held]
    for name in names:
        old = lake.revisions(name, feed="iex").drop("known_from", "known_until")
        found += [
            lake.bars(name, feed="iex").select(values),
            old.sort(old.columns),
            lake.manifest.provisional(feed="iex", symbol=name),
        ]
    return found


batches = st.lists(
    st.lists(
        st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 4), st.sampled_from([10.0, 11.0, 12.0]), st.integers(1, 3)),
        min_size=1,
        max_size=8,
        unique_by=lambda row: row[:2],
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(batches)
def test_it_says_what_writes_of_one_symbol_say(history: list[list[Row]]) -> None:
    with lake_in_july() as many, lake_in_july() as single:
        for batch in history:
            frame = as_frame(batch)
            many.writer.write_many(frame, feed="iex", source="test")
            one_by_one(single, frame)
        for one, other in zip(contents(many), contents(single), strict=True):
            assert one.equals(other), (one, other)
        assert not many.verify().faults


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(batches)
def test_a_manifest_made_anew_from_its_files_holds_the_same(history: list[list[Row]]) -> None:
    with lake_in_july() as lake:
        for batch in history:
            lake.writer.write_many(as_frame(batch), feed="iex", source="test")
        before = lake.snapshot().root_hash, [len(lake.revisions(name)) for name in lake.symbols()["symbol"]]
        rebuild(lake.store, lake.root, Calendar.default(), now=lake.now)
        assert (lake.snapshot().root_hash, [len(lake.revisions(name)) for name in lake.symbols()["symbol"]]) == before


def test_a_minute_of_many_symbols_is_one_commit_and_one_file_each() -> None:
    with lake_in_july() as lake:
        for minute in range(3):
            report = lake.writer.write_many(
                as_frame([(name, minute, 10.0, 1) for name in SYMBOLS]), feed="iex", source="x"
            )
            assert (report.inserted, report.files_written) == (3, 3)
        assert lake.manifest.commits()["symbol"].to_list() == [None] * 3
        assert len(lake.manifest.files()) == 3
        again = lake.writer.write_many(as_frame([(name, 2, 10.0, 1) for name in SYMBOLS]), feed="iex", source="x")
        assert (again.unchanged, again.files_written) == (3, 0)
        assert lake.manifest.commits().height == 3


def test_each_instant_has_its_bars_in_python_and_in_sql() -> None:
    seconds = itertools.count()
    with temporary_lake(now=lambda: NOW + dt.timedelta(seconds=next(seconds))) as lake:
        instants = []
        for close in (10.0, 11.0):
            lake.writer.write_many(as_frame([(name, 0, close, 2) for name in SYMBOLS]), feed="iex", source="x")
            last = lake.manifest.last_commit_at()
            assert last is not None
            instants.append(last)
        lake.publish()
        moment = lake.manifest.commits()["moment"][1]
        for instant, close in (*zip(instants, (10.0, 11.0), strict=True), (moment, 10.0)):
            assert lake.bars(list(SYMBOLS), as_of=instant)["close"].to_list() == [close] * 3
            found = lake.sql(f"SELECT symbol, close FROM bars_as_of('{instant.isoformat()}') ORDER BY symbol")
            assert found["close"].to_list() == [close] * 3
        assert lake.held(instants[0])["content_hash"].n_unique() == 1
        assert lake.held(instants[0])["content_hash"].to_list() != lake.held()["content_hash"].to_list()


@pytest.mark.both_databases
def test_both_databases_keep_it_alike(lake: Lake, clock: Clock) -> None:
    clock.moment = NOW
    for close in (10.0, 11.0):
        lake.writer.write_many(as_frame([(name, 0, close, 1) for name in SYMBOLS]), feed="iex", source="x")
        clock.moment += dt.timedelta(seconds=1)
    lower = lake.writer.write_many(as_frame([("SPY", 0, 12.0, 3), ("AAPL", 0, 10.0, 1)]), feed="iex", source="x")
    assert (lower.changed, lower.files_written) == (2, 4)
    assert lake.bars(list(SYMBOLS))["close"].to_list() == [10.0, 11.0, 12.0]
    assert lake.manifest.provisional(feed="iex", symbol="SPY")["rank"].to_list() == [3]
    before = NOW + dt.timedelta(milliseconds=500)
    assert lake.bars(list(SYMBOLS), as_of=before)["close"].to_list() == [10.0] * 3
    lake.publish_session("iex", SESSION)
    assert lake.sql(f"SELECT close FROM bars_as_of('{before.isoformat()}')")["close"].to_list() == [10.0] * 3
    assert lake.verify().is_sound


def test_corrections_of_a_session_are_one_file() -> None:
    with lake_in_july() as lake:
        for close in (10.0, 11.0, 12.0, 13.0):
            lake.writer.write_many(as_frame([("SPY", 0, close, 1)]), feed="iex", source="x")
        assert [file.rows for file in lake.manifest.files(dataset="revisions")] == [3]
        assert lake.revisions("SPY")["close_old"].to_list() == [10.0, 11.0, 12.0]


def test_rows_of_closed_months_and_rows_that_are_no_bars_are_written_too() -> None:
    with temporary_lake() as lake:
        frame = as_frame([("SPY", 0, 10.0, 1), ("AAPL", 0, 10.0, 1), ("AAPL", 1, -1.0, 1)])
        report = lake.writer.write_many(frame, feed="iex", source="x")
        assert (report.inserted, report.quarantined) == (2, 1)
        assert {file.key.period.label for file in lake.manifest.files()} == {"2024-07"}
        assert lake.manifest.quarantine()["symbol"].to_list() == ["AAPL"]


def test_final_rows_and_rows_without_symbols_are_refused() -> None:
    with lake_in_july() as lake:
        with pytest.raises(InvalidInputError, match="is not provisional"):
            lake.writer.write_many(as_frame([("SPY", 0, 10.0, 4)]), feed="iex", source="x")
        with pytest.raises(InvalidInputError, match="lack the column symbol"):
            lake.writer.write_many(as_frame([("SPY", 0, 10.0, 1)]).drop("symbol"), feed="iex", source="x")


def test_a_minute_is_shown_without_the_rest_of_the_catalogue() -> None:
    with lake_in_july() as lake:
        lake.writer.write_many(as_frame([(name, 0, 10.0, 1) for name in SYMBOLS]), feed="iex", source="x")
        lake.publish_session("iex", SESSION)
        assert lake.sql("SELECT count(*) AS n FROM bars")["n"].to_list() == [3]
        assert is_current(lake)
        for minute, close in ((1, 10.0), (1, 11.0)):
            lake.writer.write_many(as_frame([(name, minute, close, 1) for name in SYMBOLS]), feed="iex", source="x")
            lake.publish_session("iex", SESSION)
        assert not is_current(lake), "gaps and factors are still those of before"
        tables = [
            "bars ORDER BY ALL",
            "revisions ORDER BY ALL",
            "coverage ORDER BY ALL",
            "commits",
            "symbols ORDER BY ALL",
        ]
        some = [lake.sql(f"SELECT * FROM {table}") for table in tables]
        assert some[0].height == 6
        assert some[1].height == 3
        lake.publish()
        assert is_current(lake)
        for one, table in zip(some, tables, strict=True):
            assert one.equals(lake.sql(f"SELECT * FROM {table}")), table


def test_two_writers_of_the_same_symbols_lose_nothing() -> None:
    with lake_in_july() as lake, Lake(lake.root, Settings(_env_file=None), now=lambda: NOW) as other:
        for minute in range(4):
            writer = (lake, other)[minute % 2].writer
            writer.write_many(as_frame([(name, minute, 10.0, 1) for name in SYMBOLS]), feed="iex", source="x")
        final = make_bars([SESSION], minutes=5)
        other.writer.write(final, feed="iex", symbol="SPY", source="x")
        report = lake.writer.write_many(as_frame([("SPY", 4, 99.0, 1), ("SPY", 5, 99.0, 1)]), feed="iex", source="x")
        assert (report.outranked, report.inserted) == (1, 1)
        assert lake.bars("SPY")["close"].to_list() == [*final["close"].to_list(), 99.0]
        assert lake.bars("AAPL").height == 4


WRITER = """
    import sys, pathlib
    from barlake.lake import Lake
    from barlake.settings import Settings
    from tests.barlake.test_write_many import NOW, as_frame
    with Lake(pathlib.Path(sys.argv[1]), Settings(_env_file=None), now=lambda: NOW) as lake:
        for minute in range(200):
            rows = [(f"S{number}", minute, 10.0, 1) for number in range(20)]
            lake.writer.write_many(as_frame(rows), feed="iex", source="x")
            print(minute, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_whole_minutes(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for pause in (0.0, 0.013, 0.031):
        root = tmp_path / str(pause)
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            told = [int(process.stdout.readline()) for _ in range(3)][-1]
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        with Lake(root, Settings(_env_file=None), now=lambda: NOW) as lake:
            heights = {lake.bars(f"S{number}").height for number in range(20)}
            assert len(heights) == 1
            assert heights.pop() > told
            assert not lake.verify().faults
