"""A key makes one path, and that path makes the key again."""

from __future__ import annotations

import datetime as dt
import string
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.keys import PartitionKey, Period, PeriodLength
from barlake.layout import BARS, REVISIONS, parse_partition_path, partition_path

FEEDS = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_lowercase),
    st.text(string.ascii_lowercase + string.digits + "-_", max_size=31),
)
SYMBOLS = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_uppercase + string.digits + "^"),
    st.text(string.ascii_uppercase + string.digits + ".^/=_-", max_size=31),
)
PERIODS = st.builds(
    Period.of, st.dates(dt.date(1900, 1, 1), dt.date(2199, 12, 31)), st.sampled_from(list(PeriodLength))
)
KEYS = st.builds(PartitionKey, FEEDS, SYMBOLS, PERIODS)


@given(st.sampled_from([BARS, REVISIONS]), KEYS)
@example(BARS, PartitionKey("sip", "BRK.B", Period.parse("2024")))
@example(BARS, PartitionKey("sip", "BTC/USD", Period.parse("2024-01")))
@example(BARS, PartitionKey("sip", "^GSPC", Period.parse("2024-01-02")))
@example(BARS, PartitionKey("sip", "A=B", Period.parse("2024-01-02")))
def test_a_key_reads_back_from_its_path(dataset: str, key: PartitionKey) -> None:
    path = partition_path(dataset, key)
    assert parse_partition_path(path) == (dataset, key)
    assert len(path.parts) == 5
    assert ".." not in path.parts


@given(KEYS, KEYS)
def test_different_keys_have_different_paths_even_where_case_does_not_count(
    one: PartitionKey, other: PartitionKey
) -> None:
    same = str(partition_path(BARS, one)).lower() == str(partition_path(BARS, other)).lower()
    assert same == (one == other)


@pytest.mark.parametrize(
    "path",
    [
        "parquet/bars/feed=sip/symbol=SPY",
        "parquet/bars/feed=sip/symbol=SPY/dt=2024/part.parquet",
        "bars/feed=sip/symbol=SPY/dt=2024/x",
        "parquet/bars/symbol=SPY/feed=sip/dt=2024",
        "parquet/bars/feed=sip/symbol=/dt=2024",
        "parquet/bars/feed=sip/symbol=SPY/dt=yesterday",
        "parquet/bars/feed=SIP/symbol=SPY/dt=2024",
        "parquet/bars/feed=sip/symbol=spy/dt=2024",
        "parquet/bars/feed=sip/symbol=BTC%2fUSD/dt=2024",
    ],
)
def test_a_path_that_no_key_makes_is_refused(path: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_partition_path(PurePosixPath(path))
