"""Tables of features: whole or absent, half-open, versioned, never half replaced."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import polars.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake import feature_files
from barlake.errors import FormatError, InvalidInputError, NotFoundError, StorageError
from barlake.feature_files import GRACE, value_hash
from barlake.feature_tables import FeatureTables
from barlake.keys import FeatureSetKey
from barlake.layout import TEMPORARY_PREFIX
from barlake.sessions import session_of
from barlake.testing import make_bars

SESSIONS = [dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
KEY = FeatureSetKey("core", "0123456789abcdef")
NEXT = FeatureSetKey("core", "fedcba9876543210")


def a_table(sessions: list[dt.date] | None = None, seed: int = 0) -> pl.DataFrame:
    bars = make_bars(SESSIONS if sessions is None else sessions, seed=seed, minutes=20)
    return bars.select(
        session_of(pl.col("timestamp")).alias("session"),
        "timestamp",
        "close",
        "volume",
        pl.col("close").rolling_mean(5).cast(pl.Float32).alias("sma_5"),
    )


def put(
    tables: FeatureTables,
    frame: pl.DataFrame | None = None,
    *,
    key: FeatureSetKey = KEY,
    symbol: str = "SPY",
    feed: str = "sip",
    **inputs: Any,
) -> int:
    table = a_table() if frame is None else frame
    return tables.write(key, symbol, table, inputs={"feed": feed, **inputs}, definition={"feed": feed, "a": [1]})


@pytest.fixture
def tables(tmp_path: Path) -> FeatureTables:
    return FeatureTables(tmp_path / "features")


def files(tables: FeatureTables) -> set[str]:
    return {str(path.relative_to(tables.root)) for path in tables.root.rglob("*.parquet")}


# In and out ------------------------------------------------------------------------------------------


def test_what_is_written_comes_back(tables: FeatureTables) -> None:
    assert put(tables) == 2
    polars.testing.assert_frame_equal(tables.read(KEY, "SPY"), a_table(), check_exact=True)


def test_columns_that_are_picked_follow_session_and_timestamp(tables: FeatureTables) -> None:
    put(tables)
    found = tables.read(KEY, "SPY", columns=["sma_5", "close", "timestamp"])
    assert found.columns == ["session", "timestamp", "sma_5", "close"]


def test_a_range_is_half_open_for_sessions_and_for_instants(tables: FeatureTables) -> None:
    put(tables)
    one = tables.read(KEY, "SPY", start="2024-01-02", end=dt.date(2024, 1, 3))
    assert one["session"].unique().to_list() == [dt.date(2024, 1, 2)]
    stamps = a_table()["timestamp"]
    some = tables.read(KEY, "SPY", start=stamps[3], end=stamps[7])
    assert some["timestamp"].to_list() == stamps[3:7].to_list()
    assert tables.read(KEY, "SPY", start="2030-01-01").height == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "2024-01-03", "end": "2024-01-02"}, "is not before end"),
        ({"start": dt.datetime(2024, 1, 2)}, "has no time zone"),  # noqa: DTZ001 - what is refused
        ({"columns": ["sma5"]}, r"column 'sma5' is not in feature set 'core'. Did you mean 'sma_5'"),
    ],
)
def test_a_wrong_question_is_refused(options: dict[str, Any], message: str, tables: FeatureTables) -> None:
    put(tables)
    with pytest.raises(InvalidInputError, match=message):
        tables.read(KEY, "SPY", **options)


def test_a_symbol_that_no_folder_could_be_named_after_comes_back(tables: FeatureTables) -> None:
    put(tables, symbol="BTC/USD")
    assert tables.read(KEY, "btc/usd").height == 60
    assert all("symbol=BTC%2FUSD" in name for name in files(tables))


def test_parquet_readers_of_hive_folders_find_symbol_and_year(tables: FeatureTables) -> None:
    put(tables)
    put(tables, symbol="QQQ")
    found = pl.scan_parquet(
        tables.root / "core" / f"v={KEY.version}" / "**/*.parquet", hive_partitioning=True
    ).collect()
    assert found.group_by("symbol", "dt").len().sort("symbol", "dt").rows() == [
        ("QQQ", 2023, 20),
        ("QQQ", 2024, 40),
        ("SPY", 2023, 20),
        ("SPY", 2024, 40),
    ]


# Writing again ---------------------------------------------------------------------------------------


def test_the_same_values_write_no_file(tables: FeatureTables) -> None:
    put(tables)
    before = files(tables)
    assert put(tables, moment="other inputs") == 0
    assert files(tables) == before


def test_only_the_year_that_changed_gets_a_new_file(tables: FeatureTables) -> None:
    longer = a_table([*SESSIONS, dt.date(2024, 1, 4)])
    put(tables, longer.head(60))
    kept = tables.paths(KEY, "SPY")[0]
    assert put(tables, longer) == 1
    assert tables.paths(KEY, "SPY")[0] == kept
    assert tables.read(KEY, "SPY").equals(longer)


def test_a_table_that_shrinks_loses_its_years(tables: FeatureTables) -> None:
    put(tables)
    put(tables, a_table(SESSIONS[1:]))
    assert tables.read(KEY, "SPY")["session"].unique().to_list() == SESSIONS[1:]


def test_a_reader_that_looked_before_still_finds_the_old_files(tables: FeatureTables) -> None:
    put(tables)
    old = tables.paths(KEY, "SPY")
    put(tables, a_table(seed=1))
    assert all(path.exists() for path in old)
    assert pl.read_parquet(old, hive_partitioning=False).equals(a_table())


def test_the_grace_period_begins_when_a_file_stops_counting_not_when_it_was_written(
    tables: FeatureTables,
) -> None:
    put(tables)
    old = tables.paths(KEY, "SPY")
    for path in old:
        long_ago = path.stat().st_mtime - GRACE.total_seconds() - 60
        os.utime(path, (long_ago, long_ago))
    put(tables, a_table(seed=1))
    put(tables, a_table(seed=2))
    assert all(path.exists() for path in old)


def test_files_that_stopped_counting_are_removed_after_the_grace_period(
    tables: FeatureTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tables)
    put(tables, a_table(seed=1))
    monkeypatch.setattr(feature_files, "GRACE", dt.timedelta(seconds=-1))
    put(tables, a_table(seed=2))
    assert files(tables) == {str(path.relative_to(tables.root)) for path in tables.paths(KEY, "SPY")}


def test_a_file_that_counts_again_is_not_removed(tables: FeatureTables, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tables)
    put(tables, a_table(seed=1))
    put(tables)
    monkeypatch.setattr(feature_files, "GRACE", dt.timedelta(seconds=-1))
    put(tables)
    assert tables.read(KEY, "SPY").equals(a_table())


def test_what_a_crash_left_behind_is_removed_by_a_later_write(tables: FeatureTables) -> None:
    put(tables)
    folder = tables.paths(KEY, "SPY")[0].parent
    old, young = folder / ".tmp-old.parquet", folder / "young.parquet"
    for path in (old, young):
        path.write_bytes(b"half a file")
    long_ago = old.stat().st_mtime - GRACE.total_seconds() - 60
    os.utime(old, (long_ago, long_ago))
    put(tables)
    assert not old.exists()
    assert young.exists()
    assert tables.read(KEY, "SPY").height == 60


# Whole or absent -------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_what_was_there(tables: FeatureTables, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tables)
    before = files(tables)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(feature_files.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        put(tables, a_table(seed=1))
    monkeypatch.undo()
    assert files(tables) == before
    assert tables.read(KEY, "SPY").equals(a_table())


_KILLED = """
import os, sys
from pathlib import Path
import polars as pl
from barlake import feature_files, feature_tables
from barlake.feature_tables import FeatureTables
from barlake.keys import FeatureSetKey

root, table, moment = Path(sys.argv[1]), pl.read_parquet(sys.argv[2]), sys.argv[3]
def die(*_, **__): os._exit(9)
if moment == "before the first file": feature_tables.write_file = die
if moment == "before the manifest": feature_tables.put_manifest = die
if moment == "before the manifest has its name": feature_files.Path.replace = lambda self, target: (
    die() if target.name == "manifest.json" else os.replace(self, target))
FeatureTables(root).write(
    FeatureSetKey("core", "0123456789abcdef"), "SPY", table, inputs={"feed": "sip"}, definition={"feed": "sip"})
"""


@pytest.mark.parametrize("moment", ["before the first file", "before the manifest", "before the manifest has its name"])
def test_a_killed_writer_leaves_the_old_table_and_the_next_one_finishes(
    moment: str, tables: FeatureTables, tmp_path: Path
) -> None:
    put(tables)
    table = tmp_path / "table.parquet"
    a_table(seed=1).write_parquet(table)
    command = [sys.executable, "-c", _KILLED, str(tables.root), str(table), moment]
    assert subprocess.run(command, check=False).returncode == 9
    assert tables.read(KEY, "SPY").equals(a_table())
    put(tables, a_table(seed=1))
    assert tables.read(KEY, "SPY").equals(a_table(seed=1))


def test_symbols_written_at_the_same_time_all_count(tables: FeatureTables, tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    a_table().write_parquet(table)
    script = _KILLED.replace('"SPY"', "sys.argv[4]")
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tables.root), str(table), "never", symbol])
        for symbol in ("SPY", "QQQ", "IWM")
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert set(tables.versions()["symbol"]) == {"SPY", "QQQ", "IWM"}


# What is not right -----------------------------------------------------------------------------------


def test_a_missing_file_is_named_with_the_next_step(tables: FeatureTables) -> None:
    put(tables)
    lost = tables.paths(KEY, "SPY")[1]
    content = lost.read_bytes()
    lost.write_bytes(content[:-1])
    assert not tables.is_current(KEY, "SPY", {"feed": "sip"})
    lost.unlink()
    assert not tables.is_current(KEY, "SPY", {"feed": "sip"})
    with pytest.raises(FormatError, match=rf"{lost.name} is missing .*`barlake features SPY`"):
        tables.read(KEY, "SPY")


def test_changed_bytes_are_found_by_their_hash(tables: FeatureTables) -> None:
    put(tables)
    tables.verify(KEY, "SPY")
    path = tables.paths(KEY, "SPY")[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="SHA-256 differs"):
        tables.verify(KEY, "SPY")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}'])
def test_a_manifest_that_is_none_is_named(text: str, tables: FeatureTables) -> None:
    put(tables)
    (tables.root / "core" / f"v={KEY.version}" / "manifest.json").write_text(text)
    with pytest.raises(FormatError, match=r"manifest.json .*build again"):
        tables.read(KEY, "SPY")


@pytest.mark.parametrize("frame", [a_table().clear(), a_table().drop("session"), a_table().drop("timestamp")])
def test_a_frame_that_is_no_table_is_refused(frame: pl.DataFrame, tables: FeatureTables) -> None:
    with pytest.raises(InvalidInputError, match="at least one row and the columns session and timestamp"):
        put(tables, frame)
    assert not tables.root.exists()


@pytest.mark.parametrize("key", [FeatureSetKey("../x", "01234567"), FeatureSetKey("core", "../../x")])
def test_a_key_cannot_leave_the_folder(key: FeatureSetKey, tables: FeatureTables) -> None:
    with pytest.raises(InvalidInputError, match="cannot be a folder"):
        put(tables, key=key)


# Versions --------------------------------------------------------------------------------------------


def test_an_unknown_table_is_refused_with_the_command_that_builds_it(tables: FeatureTables) -> None:
    with pytest.raises(NotFoundError, match="`barlake features SPY` builds it"):
        tables.latest("core", "SPY")
    with pytest.raises(NotFoundError, match="`barlake features SPY` builds it"):
        tables.read(KEY, "SPY")
    with pytest.raises(NotFoundError, match="no version"):
        tables.definition(KEY)
    assert tables.entry(KEY, "SPY") is None
    assert tables.versions().is_empty()
    assert tables.views() == []
    assert tables.last_written() is None


def test_versions_list_each_symbol_once_per_version(tables: FeatureTables) -> None:
    put(tables)
    put(tables, symbol="QQQ")
    put(tables, a_table(SESSIONS[:1]), key=NEXT)
    found = tables.versions("core")
    assert found.select("name", "version", "feed", "symbol", "rows").rows() == [
        ("core", KEY.version, "sip", "SPY", 60),
        ("core", KEY.version, "sip", "QQQ", 60),
        ("core", NEXT.version, "sip", "SPY", 20),
    ]
    assert found.schema["created_at"] == pl.Datetime("us", "UTC")
    assert found["first"][0] == a_table()["timestamp"][0]
    assert tables.versions("other").is_empty()


def test_latest_is_the_one_written_last(tables: FeatureTables) -> None:
    put(tables)
    put(tables, key=NEXT)
    assert tables.latest("core", "SPY") == NEXT
    put(tables, a_table(seed=3))
    assert tables.latest("core", "spy") == KEY


def test_sip_goes_before_iex_before_the_only_other_feed(tables: FeatureTables) -> None:
    keys = {feed: FeatureSetKey("core", f"{number:016x}") for number, feed in enumerate(("sip", "iex", "mine"))}
    put(tables, key=keys["mine"], feed="mine")
    assert tables.latest("core", "SPY") == keys["mine"]
    put(tables, key=keys["sip"], feed="sip")
    put(tables, key=keys["iex"], feed="iex")
    assert tables.latest("core", "SPY") == keys["sip"]
    assert tables.latest("core", "SPY", feed="IEX") == keys["iex"]
    with pytest.raises(NotFoundError, match="from feed 'other'"):
        tables.latest("core", "SPY", feed="other")


def test_two_feeds_of_which_none_goes_first_must_be_named(tables: FeatureTables) -> None:
    put(tables, feed="mine")
    put(tables, feed="yours", key=NEXT)
    with pytest.raises(InvalidInputError, match="from the feeds mine, yours: name one"):
        tables.latest("core", "SPY")


def test_a_view_shows_the_newest_version_and_skips_broken_tables(tables: FeatureTables) -> None:
    put(tables)
    put(tables, symbol="QQQ", key=NEXT)
    put(tables, symbol="SPY", key=NEXT)
    tables.paths(NEXT, "QQQ")[0].unlink()
    (view,) = tables.views()
    assert view.name == "features_core"
    assert list(view.paths) == tables.paths(NEXT, "SPY")


def test_inputs_are_current_only_when_equal(tables: FeatureTables) -> None:
    put(tables, rows=3, first=dt.datetime(2024, 1, 2, tzinfo=dt.UTC).isoformat())
    assert tables.is_current(KEY, "SPY", {"rows": 3, "first": "2024-01-02T00:00:00+00:00", "feed": "sip"})
    assert not tables.is_current(KEY, "SPY", {"rows": 4, "feed": "sip"})
    assert not tables.is_current(KEY, "QQQ", {"feed": "sip"})


def test_the_definition_and_the_libraries_are_kept(tables: FeatureTables) -> None:
    put(tables)
    assert tables.definition(KEY) == {"feed": "sip", "a": [1]}
    entry = tables.entry(KEY, "SPY")
    assert entry is not None
    assert {"python", "polars"} <= set(entry["libraries"])
    text = (tables.root / "core" / f"v={KEY.version}" / "manifest.json").read_text()
    assert json.loads(text)["symbols"]["SPY"] == entry


# The hash that names a file --------------------------------------------------------------------------

_FLOATS = st.lists(st.none() | st.floats(allow_nan=False, width=32), min_size=1, max_size=20)


@given(one=_FLOATS, other=_FLOATS)
def test_the_value_hash_is_equal_exactly_for_equal_values(one: list[float | None], other: list[float | None]) -> None:
    first, second = (pl.DataFrame({"x": pl.Series(values, dtype=pl.Float32)}) for values in (one, other))
    same = [repr(value) for value in one] == [repr(value) for value in other]
    assert (value_hash(first) == value_hash(second)) is same


def test_the_value_hash_does_not_see_how_a_frame_is_held_in_memory() -> None:
    whole = a_table()
    pieces = pl.concat([whole.head(7), whole.slice(7)], rechunk=False)
    assert value_hash(pieces) == value_hash(whole)
    assert value_hash(whole.rename({"sma_5": "sma_6"})) != value_hash(whole)
    assert value_hash(whole.with_columns(pl.col("sma_5").cast(pl.Float64))) != value_hash(whole)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_disk_that_fills_in_the_middle_of_a_feature_file_is_said_to_be_full(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY_PREFIX}part.parquet").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"No space left on device.*free space"):
        feature_files.write_file(tmp_path / "part.parquet", pl.DataFrame({"close": [1.0, 2.0]}))
    assert list(tmp_path.iterdir()) == []
