"""The front door: what may be asked, in which words, and what comes back."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import polars.testing
import pytest

import barlake
from barlake.errors import FormatError, InvalidInputError, NotFoundError, StorageError
from barlake.lake import Lake
from barlake.settings import Settings
from barlake.testing import make_bars

MONDAY, TUESDAY, WEDNESDAY = dt.date(2024, 3, 11), dt.date(2024, 3, 12), dt.date(2024, 3, 13)
COLUMNS = [
    "feed", "symbol", "session", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap",
]  # fmt: skip


def put(lake: Lake, *symbols: str, feed: str = "sip", sessions: tuple[dt.date, ...] = (MONDAY, TUESDAY)) -> None:
    for symbol in symbols:
        lake.writer.write(make_bars(sessions, minutes=30), feed=feed, symbol=symbol, source="test")


@pytest.fixture
def spy(lake: Lake) -> Lake:
    put(lake, "SPY")
    return lake


# --- ranges ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        (None, None, 60),
        ("2024-03-11", "2024-03-12", 30),
        (MONDAY, WEDNESDAY, 60),
        ("2024-03-12", None, 30),
        (None, "2024-03-12", 30),
        ("2024-03-11T13:40:00Z", "2024-03-11T13:50:00Z", 10),
        ("2024-03-11T09:40:00-04:00", "2024-03-12T09:40:00-04:00", 30),
        (dt.datetime(2024, 3, 12, 13, 59, tzinfo=dt.UTC), None, 1),
        ("2024-03-11T13:59:00.000001Z", "2024-03-12T13:30:00Z", 0),
        ("2030-01-01", None, 0),
    ],
)
def test_a_range_is_half_open(spy: Lake, start: Any, end: Any, rows: int) -> None:
    found = spy.bars("SPY", start, end)
    assert found.height == rows
    assert found.columns == [*COLUMNS, "ingested_at"]


def test_a_reversed_range_and_an_instant_without_zone_are_refused(spy: Lake) -> None:
    with pytest.raises(InvalidInputError, match="start '2024-03-12' is not before end '2024-03-11'"):
        spy.bars("SPY", "2024-03-12", "2024-03-11")
    with pytest.raises(InvalidInputError, match="has no time zone"):
        spy.bars("SPY", dt.datetime(2024, 3, 11))  # noqa: DTZ001 - it is what must be refused


def test_a_range_of_no_bars_has_the_columns_of_any_other(spy: Lake) -> None:
    some, none = spy.bars("SPY", timeframe="5Min"), spy.bars("SPY", "2030-01-01", timeframe="5Min")
    assert none.schema == some.schema
    assert none.columns == [*COLUMNS, "minutes", "derived"]


# --- symbols and feeds -------------------------------------------------------------------------------


def test_an_unknown_symbol_offers_the_near_ones_and_the_next_step(lake: Lake) -> None:
    put(lake, "AAPL", "SPY")
    with pytest.raises(
        NotFoundError, match=r"symbol 'APPL' has no bars in this lake\. Did you mean 'AAPL'\?.*ingest APPL"
    ):
        lake.bars("appl")
    with pytest.raises(NotFoundError, match="symbol 'SPY' has no bars for feed 'iex'"):
        lake.bars("SPY", feed="iex")
    with pytest.raises(NotFoundError, match="symbol 'QQQ' has no bars in this lake"):
        lake.snapshot(["SPY", "QQQ"])
    with pytest.raises(NotFoundError, match="symbol 'QQQ'"):
        lake.gaps("QQQ")


def test_an_empty_lake_knows_no_symbol(lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="symbol 'SPY' has no bars in this lake"):
        lake.bars("SPY")
    assert lake.symbols().is_empty()


@pytest.mark.parametrize(
    ("feeds", "chosen"),
    [(["sip", "iex", "synthetic"], "sip"), (["iex", "synthetic"], "iex"), (["mine"], "mine")],
)
def test_the_consolidated_feed_goes_before_one_exchange_before_the_only_other(
    lake: Lake, feeds: list[str], chosen: str
) -> None:
    for feed in feeds:
        put(lake, "SPY", feed=feed)
    assert lake.feed_of("SPY") == chosen
    assert lake.bars("spy")["feed"].unique().to_list() == [chosen]
    assert lake.bars("SPY", feed=feeds[-1])["feed"].unique().to_list() == [feeds[-1]]


def test_a_feed_that_holds_every_symbol_goes_before_one_that_holds_some(lake: Lake) -> None:
    put(lake, "SPY", feed="sip")
    put(lake, "SPY", "QQQ", feed="iex")
    assert lake.feed_of(["SPY"]) == "sip"
    assert lake.feed_of(["SPY", "QQQ"]) == "iex"


def test_feeds_are_never_mixed_nor_guessed(lake: Lake) -> None:
    put(lake, "SPY", feed="one")
    put(lake, "SPY", "QQQ", feed="two")
    put(lake, "IWM", feed="three")
    with pytest.raises(InvalidInputError, match="had from the feeds one, two: name one, with feed= or --feed"):
        lake.bars("SPY")
    with pytest.raises(NotFoundError, match="no single feed holds all of QQQ, IWM"):
        lake.bars(["QQQ", "IWM"])


def test_symbols_come_in_the_order_asked_for_and_once(lake: Lake) -> None:
    put(lake, "AAPL", "SPY")
    assert lake.bars(["spy", "AAPL", "SPY"])["symbol"].unique(maintain_order=True).to_list() == ["SPY", "AAPL"]
    with pytest.raises(InvalidInputError, match="no symbol was given"):
        lake.bars([])


def test_symbols_tell_what_is_held(lake: Lake) -> None:
    put(lake, "SPY", "BRK.B")
    put(lake, "SPY", feed="iex", sessions=(WEDNESDAY,))
    assert lake.symbols().rows() == [
        ("iex", "SPY", 1, 30, WEDNESDAY, WEDNESDAY, "XNYS"),
        ("sip", "BRK.B", 2, 60, MONDAY, TUESDAY, "XNYS"),
        ("sip", "SPY", 2, 60, MONDAY, TUESDAY, "XNYS"),
    ]
    assert lake.symbols("IEX").height == 1


# --- kinds of answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"timeframe": "2Min"}, "timeframe '2Min' is not known"),
        ({"session": "night"}, "session 'night' is not known"),
        ({"feed": "S I P"}, "feed 'S I P' is not a name"),
    ],
)
def test_an_unknown_option_is_refused_with_those_there_are(spy: Lake, option: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        spy.bars("SPY", **option)


def test_a_part_of_the_session_can_be_asked_for(lake: Lake) -> None:
    bars = make_bars([MONDAY], minutes=60).with_columns(pl.col("timestamp") - dt.timedelta(minutes=30))
    lake.writer.write(bars, feed="sip", symbol="SPY", source="test")
    assert lake.bars("SPY", session="pre").height == 30
    assert lake.bars("SPY", session="regular").height == 30
    assert lake.bars("SPY", session="post").height == 0
    hours = lake.bars("SPY", timeframe="1Hour")["timestamp"].dt.strftime("%H:%M").to_list()
    assert hours == ["13:00", "13:30"]


# --- snapshots ---------------------------------------------------------------------------------------


def test_equal_bars_have_equal_snapshots_in_any_lake(lake: Lake, tmp_path: Path) -> None:
    put(lake, "SPY", "QQQ")
    with barlake.open(tmp_path / "other", settings=Settings(_env_file=None)) as other:
        for session in (TUESDAY, MONDAY):
            put(other, "QQQ", "SPY", sessions=(session,))
        bars = make_bars([MONDAY, TUESDAY], minutes=30)
        for symbol in ("QQQ", "SPY"):
            other.writer.write(bars, feed="sip", symbol=symbol, source="test")
        one, two = lake.snapshot(["SPY", "QQQ"]), other.snapshot(["SPY", "QQQ"])
    assert one.as_dict() == two.as_dict()
    assert lake.snapshot(["QQQ", "SPY"]).root_hash != one.root_hash
    assert one.symbols[0].content_hash != one.symbols[1].content_hash


def test_a_snapshot_changes_with_any_value_in_its_range_and_no_other(spy: Lake) -> None:
    whole, monday = spy.snapshot("SPY"), spy.snapshot("SPY", end=TUESDAY)
    bars = make_bars([TUESDAY], minutes=1, seed=9)
    spy.writer.write(bars, feed="sip", symbol="SPY", source="test")
    assert spy.snapshot("SPY").root_hash != whole.root_hash
    assert spy.snapshot("SPY", end=TUESDAY).as_dict() == monday.as_dict()


def test_the_moment_of_a_snapshot_is_the_last_commit_whatever_the_clock_says(spy: Lake, clock: Any) -> None:
    before = spy.snapshot("SPY").moment
    clock.moment += dt.timedelta(hours=1)
    assert spy.snapshot("SPY").moment == before
    spy.writer.write(make_bars([TUESDAY], minutes=1, seed=9), feed="sip", symbol="SPY", source="test")
    assert spy.snapshot("SPY").moment == clock.moment


def test_a_snapshot_of_no_sessions_has_no_rows(spy: Lake) -> None:
    [empty] = spy.snapshot("SPY", "2030-01-01").symbols
    assert (empty.rows, empty.first, empty.last) == (0, None, None)


# --- the folder --------------------------------------------------------------------------------------


def test_a_lake_opens_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARLAKE_ROOT", str(tmp_path / "there"))
    with barlake.open() as lake:
        assert lake.root == tmp_path / "there"
    with barlake.open(tmp_path / "here") as lake:
        assert lake.root == tmp_path / "here"


@pytest.mark.parametrize("name", ["feed=x", "symbol=SPY", "dt=2024", "close=1", "what?"])
def test_a_folder_that_would_be_misread_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="choose another"):
        barlake.open(tmp_path / name / "lake")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a[b]c", "it's", "sp ace%2F", "ünï", "st*r", "semi;colon"])
def test_a_folder_of_any_other_name_holds_a_lake(tmp_path: Path, name: str) -> None:
    with barlake.open(tmp_path / name) as lake:
        put(lake, "BTC/USD")
        assert lake.sql("SELECT symbol, count(*) AS n FROM bars GROUP BY 1").rows() == [("BTC/USD", 60)]
        assert lake.bars("BTC/USD").height == 60


def test_a_folder_that_cannot_be_made_or_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "lake"):
        with pytest.raises(StorageError, match=r"cannot be used: .*--root or BARLAKE_ROOT"):
            barlake.open(path)


def test_a_manifest_that_is_none_is_a_format_error(tmp_path: Path) -> None:
    (tmp_path / "manifest").mkdir()
    (tmp_path / "manifest" / "manifest.sqlite").write_bytes(b"no database" * 500)
    with pytest.raises(FormatError, match="manifest database is damaged: file is not a database"):
        barlake.open(tmp_path)


def test_a_manifest_that_cannot_be_opened_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "manifest" / "manifest.sqlite").mkdir(parents=True)
    with pytest.raises(StorageError, match="unable to open database file"):
        barlake.open(tmp_path)


def test_a_counting_file_that_is_gone_or_damaged_names_the_next_step(spy: Lake) -> None:
    [first, _] = spy.manifest.files(symbol="SPY")
    path = spy.root / first.path
    path.write_bytes(b"not Parquet")
    with pytest.raises(FormatError, match=r"cannot be read: .* `barlake repair`"):
        spy.bars("SPY")
    path.unlink()
    with pytest.raises(FormatError, match=r"the disk does not have it .* `barlake repair`"):
        spy.bars("SPY")
    assert spy.bars("SPY", TUESDAY).height == 30


def test_a_moved_lake_reads_the_same(tmp_path: Path) -> None:
    with barlake.open(tmp_path / "one") as lake:
        put(lake, "SPY")
        lake.publish()
        expected = lake.bars("SPY")
    (tmp_path / "one").rename(tmp_path / "two")
    with barlake.open(tmp_path / "two") as lake:
        pl.testing.assert_frame_equal(lake.bars("SPY"), expected)
        assert lake.sql("SELECT count(*) AS n FROM bars").item() == 60
    with duckdb.connect(tmp_path / "two" / "duckdb" / "market.duckdb", read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM bars").fetchall() == [(60,)]


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_query_over_a_file_that_is_gone_or_cut_names_what_mends_it(spy: Lake, damage: str) -> None:
    spy.publish()
    file, *_ = spy.root.glob("parquet/bars/**/*.parquet")
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"`barlake verify` names it, `barlake repair` keeps"):
        spy.sql("SELECT sum(close) FROM bars")
    with pytest.raises(InvalidInputError, match="DuckDB refused the query"):
        spy.sql("SELECT no_such_column FROM symbols")
