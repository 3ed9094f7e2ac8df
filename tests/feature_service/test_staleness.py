from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from barlake.errors import NotFoundError
from barlake.lake import Lake
from barlake.testing import make_bars, temporary_lake
from feature_service.build import build_features
from feature_service.staleness import stale_tables

DAYS = [dt.date(2024, 1, day) for day in (2, 3)]


def told(lake: Lake, *symbols: str) -> list[tuple[str, str]]:
    return [(one.symbol, one.why) for one in stale_tables(lake, ["core"], symbols, feed="sip")]


def test_a_table_is_stale_when_it_is_missing_or_its_bars_are_others() -> None:
    with temporary_lake() as lake:
        for symbol in ("SPY", "QQQ"):
            lake.write_bars(make_bars(DAYS), feed="sip", symbol=symbol)
        assert told(lake, "SPY", "QQQ", "SPY", "NONE") == [("SPY", "never built"), ("QQQ", "never built")]
        build_features(lake, ["SPY", "QQQ"], feed="sip")
        assert told(lake, "SPY", "QQQ") == []
        lake.write_bars(make_bars(DAYS, seed=3).tail(1), feed="sip", symbol="QQQ")
        assert told(lake, "SPY", "QQQ") == [("QQQ", "its bars have changed")]


def test_the_hash_tells_bars_apart_and_equal_ones_not() -> None:
    with temporary_lake() as lake:
        lake.write_bars(make_bars(DAYS), feed="sip", symbol="SPY")
        (first,) = stale_tables(lake, ["core"], ["SPY"], feed="sip")
        assert stale_tables(lake, ["core"], ["SPY"], feed="sip") == [first]
        lake.write_bars(make_bars(DAYS, seed=3).head(1), feed="sip", symbol="SPY")
        (second,) = stale_tables(lake, ["core"], ["SPY"], feed="sip")
        assert (second.version, second.inputs_hash != first.inputs_hash) == (first.version, True)


def test_bars_outside_regular_hours_alone_make_no_table() -> None:
    with temporary_lake() as lake:
        early = make_bars(DAYS[:1], minutes=3).with_columns(pl.col("timestamp") - pl.duration(hours=2))
        lake.write_bars(early, feed="sip", symbol="SPY")
        assert told(lake, "SPY") == []


def test_a_set_that_is_not_there_is_named() -> None:
    with temporary_lake() as lake, pytest.raises(NotFoundError, match="core"):
        stale_tables(lake, ["cor"], ["SPY"], feed="sip")
