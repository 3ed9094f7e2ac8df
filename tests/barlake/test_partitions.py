"""One partition: merged like a plain dict, hashed by its values alone, written whole or not at all."""

from __future__ import annotations

import datetime as dt
import math
import random
from pathlib import Path
from typing import Any

import polars as pl
import polars.testing
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import FormatError
from barlake.partitions import collect, content_hashes, merge, read_files, to_parquet
from barlake.schemas import BAR_VALUES, BARS, REVISIONS, empty_rows
from barlake.stores import LocalStore
from barlake.testing import make_bars

START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
NOON = dt.datetime(2024, 2, 1, 12, tzinfo=dt.UTC)
SCHEMA = {
    "timestamp": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("open", "high", "low", "close"), pl.Float64),
    **dict.fromkeys(("volume", "trade_count"), pl.Int64),
    "vwap": pl.Float64,
}
VALUES = st.tuples(
    st.sampled_from([1.0, 2.0]), st.just(3.0), st.just(1.0), st.sampled_from([1.5, 2.5]), st.integers(0, 2),
    st.none() | st.integers(0, 1), st.none() | st.sampled_from([1.0, 2.0]),
)  # fmt: skip
TABLES = st.dictionaries(st.integers(0, 12), VALUES, max_size=10)
Table = dict[int, tuple[Any, ...]]


def instant(number: int) -> dt.datetime:
    return START + dt.timedelta(minutes=number)


def frame_of(table: Table) -> pl.DataFrame:
    return pl.DataFrame([(instant(key), *values) for key, values in table.items()], schema=SCHEMA, orient="row")


def rows_of(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return frame.select("timestamp", *BAR_VALUES).rows()


@given(st.lists(TABLES, max_size=6))
def test_merging_is_a_dict_of_minutes(tables: list[Table]) -> None:
    held = empty_rows(BARS)
    model: Table = {}
    since: dict[int, dt.datetime] = {}
    for number, table in enumerate(tables):
        now = NOON + dt.timedelta(hours=number)
        new = {key for key in table if key not in model}
        changed = {key for key in table if key in model and model[key] != table[key]}
        old = [(instant(key), *model[key], since[key]) for key in sorted(changed)]
        found = merge(held, frame_of(table), ingested_at=now)
        assert (found.inserted, found.changed) == (len(new), len(changed))
        assert found.unchanged == len(table) - len(new) - len(changed)
        assert found.superseded.rows() == old
        assert found.is_noop == (not new and not changed)
        model |= table
        since |= dict.fromkeys(new | changed, now)
        held = found.rows
        assert held.rows() == [(instant(key), *model[key], since[key]) for key in sorted(model)]
        assert held.columns == BARS.names


@given(TABLES, TABLES)
def test_merging_twice_is_merging_once(first: Table, second: Table) -> None:
    held = merge(empty_rows(BARS), frame_of(first), ingested_at=NOON).rows
    once = merge(held, frame_of(second), ingested_at=NOON).rows
    twice = merge(once, frame_of(second), ingested_at=NOON + dt.timedelta(days=1))
    assert twice.is_noop
    pl.testing.assert_frame_equal(twice.rows, once)


@given(TABLES, st.lists(st.sets(st.integers(0, 12)), max_size=4), st.randoms(use_true_random=False))
def test_the_order_and_the_pieces_in_which_equal_rows_come_do_not_matter(
    table: Table, pieces: list[set[int]], generator: random.Random
) -> None:
    whole = merge(empty_rows(BARS), frame_of(table), ingested_at=NOON).rows
    held = empty_rows(BARS)
    for piece in [*pieces, set(table)]:
        keys = [key for key in table if key in piece]
        generator.shuffle(keys)
        held = merge(held, frame_of({key: table[key] for key in keys}), ingested_at=NOON).rows
    pl.testing.assert_frame_equal(held, whole)


# --- hash --------------------------------------------------------------------------------------------


def a_session() -> pl.DataFrame:
    bars = make_bars([dt.date(2024, 1, 2)], minutes=20)
    return merge(empty_rows(BARS), bars, ingested_at=NOON).rows


def hash_of(rows: pl.DataFrame) -> str:
    [digest] = content_hashes(rows)["content_hash"]
    return str(digest)


def test_the_hash_does_not_know_order_chunks_nor_when_rows_came() -> None:
    rows = a_session()
    expected = hash_of(rows)
    assert hash_of(rows.reverse()) == expected
    assert hash_of(pl.concat([rows[:7], rows[7:]], rechunk=False)) == expected
    assert hash_of(rows.with_columns(ingested_at=pl.lit(START))) == expected


@pytest.mark.parametrize("name", ["timestamp", *BAR_VALUES])
@pytest.mark.parametrize("row", [0, 19])
def test_the_hash_knows_each_value(name: str, row: int) -> None:
    rows = a_session()
    value = rows.item(row, name)
    other = {
        dt.datetime: lambda: value + dt.timedelta(hours=1),
        float: lambda: math.nextafter(value, math.inf),
        int: lambda: value + 1,
    }[type(value)]()
    changed = rows.with_columns(pl.when(pl.int_range(pl.len()) == row).then(pl.lit(other)).otherwise(name).alias(name))
    assert hash_of(changed.cast(dict(rows.schema))) != hash_of(rows)


@pytest.mark.parametrize("name", ["trade_count", "vwap"])
def test_the_hash_tells_nothing_from_zero(name: str) -> None:
    rows = a_session()
    zero, none = (rows.with_columns(pl.lit(value, dtype=rows.schema[name]).alias(name)) for value in (0, None))
    assert hash_of(zero) != hash_of(none)


def test_the_hash_does_not_know_a_negative_zero() -> None:
    rows = a_session()
    zero, negative = (rows.with_columns(vwap=pl.lit(value)) for value in (0.0, -0.0))
    assert hash_of(zero) == hash_of(negative)


def test_a_value_moved_to_another_column_changes_the_hash() -> None:
    rows = a_session()
    assert hash_of(rows.with_columns(open="close", close="open")) != hash_of(rows)


@given(TABLES, TABLES)
def test_hashes_are_equal_exactly_when_values_are(one: Table, other: Table) -> None:
    hashes = [content_hashes(merge(empty_rows(BARS), frame_of(table), ingested_at=NOON).rows) for table in (one, other)]
    assert hashes[0].equals(hashes[1]) == (one == other)


def test_each_session_has_a_hash_of_its_own() -> None:
    bars = merge(empty_rows(BARS), make_bars([dt.date(2024, 1, 2), dt.date(2024, 1, 3)]), ingested_at=NOON).rows
    hashes = content_hashes(bars)
    assert hashes.select("session", "rows").rows() == [(dt.date(2024, 1, 2), 390), (dt.date(2024, 1, 3), 390)]
    assert content_hashes(bars[:390]).equals(hashes[:1])
    assert content_hashes(bars[390:]).equals(hashes[1:])
    assert content_hashes(bars.clear()).is_empty()


# --- files -------------------------------------------------------------------------------------------


def put(folder: Path, path: str, rows: pl.DataFrame, **words: str) -> LocalStore:
    store = LocalStore(folder)
    store.put(path, to_parquet(rows, metadata=words))
    return store


def test_a_file_comes_back_with_its_metadata_and_schema(tmp_path: Path) -> None:
    rows = a_session()
    store = put(tmp_path, "a/b/one.parquet", rows, symbol="BRK.B", x="")
    pl.testing.assert_frame_equal(collect(read_files(store, ["a/b/one.parquet"])), rows)
    schema = pq.read_schema(tmp_path / "a/b/one.parquet")
    assert schema.metadata[b"symbol"] == b"BRK.B"
    assert schema.remove_metadata().equals(BARS)


def test_old_values_have_a_schema_of_their_own(tmp_path: Path) -> None:
    rows = a_session().with_columns(superseded_at=pl.lit(NOON))
    LocalStore(tmp_path).put("old.parquet", to_parquet(rows, metadata={}, dataset="revisions"))
    assert pq.read_schema(tmp_path / "old.parquet").remove_metadata().equals(REVISIONS)


def test_no_files_are_no_rows_of_the_same_columns(tmp_path: Path) -> None:
    assert collect(read_files(LocalStore(tmp_path), [])).equals(empty_rows(BARS))


def test_a_counting_file_that_is_gone_or_damaged_is_a_format_error(tmp_path: Path) -> None:
    store = put(tmp_path, "one.parquet", a_session())
    with pytest.raises(FormatError, match=r"does not have it \(1 of 2 files"):
        read_files(store, ["one.parquet", "gone.parquet"])
    path = tmp_path / "one.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FormatError, match="cannot be read"):
        collect(read_files(store, ["one.parquet"]))
