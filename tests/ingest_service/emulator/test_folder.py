from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from ingest_service.emulator.folder import FolderBars
from ingest_service.emulator.pages import collect_page
from ingest_service.emulator.query import BarsQuery, PageToken

START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
START_US = int(START.timestamp() * 1e6)
MINUTE_US = 60_000_000


def bars(count: int, *, first: int = 0) -> pl.DataFrame:
    place = pl.int_range(first, first + count, eager=True)
    return pl.DataFrame(
        {
            "timestamp": [START + dt.timedelta(minutes=n) for n in place],
            **dict.fromkeys(("open", "high", "low", "close"), place + 1.0),
            "volume": place + 1,
        }
    )


def everything(source: FolderBars, symbol: str) -> pl.DataFrame:
    return source.rows(symbol, -(2**62), 2**62, limit=10**9)


def test_a_file_without_symbol_column_is_named_after_its_symbol(tmp_path: Path) -> None:
    bars(3).write_parquet(tmp_path / "SPY.parquet")
    assert FolderBars(tmp_path, cached_rows=10).symbols == ("SPY",)


def test_one_file_may_hold_many_symbols_and_one_symbol_many_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    both = pl.concat([bars(3).with_columns(symbol=pl.lit(name)) for name in ("AAA", "BBB")])
    both.write_parquet(tmp_path / "many.parquet")
    bars(2, first=3).with_columns(symbol=pl.lit("AAA")).write_parquet(tmp_path / "deep" / "more.parquet")
    source = FolderBars(tmp_path, cached_rows=10)
    assert everything(source, "AAA")["volume"].to_list() == [1, 2, 3, 4, 5]
    assert everything(source, "BBB")["volume"].to_list() == [1, 2, 3]


def test_what_a_file_does_not_state_is_null(tmp_path: Path) -> None:
    bars(3).write_parquet(tmp_path / "SPY.parquet")
    assert everything(FolderBars(tmp_path, cached_rows=10), "SPY")["vwap"].null_count() == 3


def test_rows_are_served_sorted_in_utc_whatever_the_file_holds(tmp_path: Path) -> None:
    odd = (
        bars(3)
        .reverse()
        .with_columns(pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.cast_time_unit("ns"))
    )
    odd.write_parquet(tmp_path / "SPY.parquet")
    stamps = everything(FolderBars(tmp_path, cached_rows=10), "SPY")["timestamp"]
    assert stamps.dtype == pl.Datetime("us", "UTC")
    assert stamps.to_list() == [START + dt.timedelta(minutes=n) for n in range(3)]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="holds no Parquet file"):
        FolderBars(tmp_path, cached_rows=10)


def test_a_file_that_holds_no_bars_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    bars(3).drop("volume").write_parquet(tmp_path / "SPY.parquet")
    with pytest.raises(InvalidInputError, match="lacks the columns volume"):
        FolderBars(tmp_path, cached_rows=10)


def test_naive_timestamps_are_refused(tmp_path: Path) -> None:
    naive = bars(3).with_columns(pl.col("timestamp").dt.replace_time_zone(None))
    naive.write_parquet(tmp_path / "SPY.parquet")
    with pytest.raises(InvalidInputError, match="aware instants"):
        FolderBars(tmp_path, cached_rows=10)


def test_two_bars_for_one_minute_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        bars(3).write_parquet(tmp_path / folder / "SPY.parquet")
    with pytest.raises(InvalidInputError, match=r"symbol 'SPY' hold 3 minutes twice"):
        FolderBars(tmp_path, cached_rows=10)


def test_the_least_recently_used_symbol_leaves_memory_first(tmp_path: Path) -> None:
    for symbol in ("AAA", "BBB", "CCC"):
        bars(5).write_parquet(tmp_path / f"{symbol}.parquet")
    source = FolderBars(tmp_path, cached_rows=10)
    for symbol in ("AAA", "BBB", "AAA", "CCC"):
        assert everything(source, symbol).height == 5
    assert list(source._cache) == ["AAA", "CCC"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FolderBars:
    folder = tmp_path_factory.mktemp("paged")
    for symbol, count in (("AAA", 30), ("BBB", 1), ("CCC", 20)):
        bars(count).write_parquet(folder / f"{symbol}.parquet")
    return FolderBars(folder, cached_rows=1000)


@given(
    symbols=st.sets(st.sampled_from(["AAA", "BBB", "CCC", "NONE"]), min_size=1),
    start=st.integers(-2, 32),
    length=st.integers(-1, 40),
    limit=st.integers(1, 60),
    descending=st.booleans(),
)
def test_pages_of_any_size_add_up_to_the_whole_range(
    source: FolderBars, symbols: set[str], start: int, length: int, limit: int, *, descending: bool
) -> None:
    start_us, end_us = START_US + start * MINUTE_US, START_US + (start + length) * MINUTE_US
    token: PageToken | None = None
    found: list[tuple[str, int]] = []
    for _page in range(60):
        query = BarsQuery(tuple(sorted(symbols)), start_us, end_us, limit, descending, token, None)
        page = collect_page(source, query)
        rows = [(symbol, volume) for symbol, frame in page.rows.items() for volume in frame["volume"]]
        assert len(rows) == page.height <= limit
        assert page.next_token is None or page.height == limit
        found += rows
        token = page.next_token
        if token is None:
            break
    expected = {
        symbol: [n + 1 for n in range(count) if start <= n <= start + length]
        for symbol, count in (("AAA", 30), ("BBB", 1), ("CCC", 20))
    }
    assert found == [
        (symbol, volume)
        for symbol in sorted(symbols & set(expected))
        for volume in (reversed(expected[symbol]) if descending else expected[symbol])
    ]


@given(symbol=st.sampled_from(["A", "BRK.B", "SPY"]), stamp=st.integers(0, 2**52))
def test_a_token_reads_back_as_what_it_was(symbol: str, stamp: int) -> None:
    token = PageToken(symbol, stamp)
    assert PageToken.decode(token.encode()) == token
