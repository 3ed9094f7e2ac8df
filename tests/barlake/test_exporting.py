"""A range of bars leaves the lake in pieces that together are `lake.bars`, as they were at one instant."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from barlake.errors import InvalidInputError, NotFoundError
from barlake.export_files import write_export, write_lines, writer_of
from barlake.exporting import BarExport, BarSelection
from barlake.lake import Lake
from barlake.testing import make_bars

OLD_YEAR, TUESDAY, WEDNESDAY = dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 1, 3)
FEED = "synthetic"
MINUTES = 10


@pytest.fixture
def held(lake: Lake) -> Lake:
    """SPY and BTC/USD in two years, QQQ in one, and SPY from another feed."""
    days = [OLD_YEAR, TUESDAY, WEDNESDAY]
    lake.write_bars(make_bars(days, minutes=MINUTES), feed=FEED, symbol="SPY")
    lake.write_bars(make_bars(days, minutes=MINUTES, seed=1), feed=FEED, symbol="BTC/USD")
    lake.write_bars(make_bars([TUESDAY], minutes=MINUTES, seed=2), feed=FEED, symbol="QQQ")
    lake.write_bars(make_bars([TUESDAY], minutes=MINUTES, seed=3), feed="other", symbol="SPY")
    return lake


def exported(export: BarExport) -> pl.DataFrame:
    return pl.concat([piece.rows for piece in export.pieces()])


def to_file(lake: Lake, path: Path, selection: BarSelection | None = None) -> int:
    return write_export(BarExport(lake, selection or BarSelection()), path, writer_of(path))[0]


CHOICES = [
    {},
    {"start": "2024-01-02"},
    {"start": "2023-12-29T14:35:00Z", "end": "2024-01-02T14:35:00Z"},
    {"timeframe": "5Min"},
    {"timeframe": "1Day", "session": "regular"},
    {"adjustment": "split"},
]


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_pieces_together_are_what_a_read_gives(held: Lake, options: dict[str, str]) -> None:
    chosen = BarSelection(["QQQ", "spy"], feed=FEED, **options)  # type: ignore[arg-type]
    wanted = held.bars(["QQQ", "SPY"], feed=FEED, **options)
    export = BarExport(held, chosen)
    assert_frame_equal(exported(export), wanted)
    assert export.schema == wanted.schema


def test_a_piece_is_one_symbol_in_one_year_and_the_ranges_leave_no_hole(held: Lake) -> None:
    pieces = list(BarExport(held, BarSelection(["SPY"], "2023-12-29", feed=FEED)).pieces())
    assert [piece.rows.height for piece in pieces] == [MINUTES, 2 * MINUTES]
    assert pieces[0].span.end == pieces[1].span.start == dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC)
    assert (pieces[0].span.start, pieces[1].span.end) == (dt.datetime(2023, 12, 29, 5, tzinfo=dt.UTC), None)


def test_without_symbols_it_is_every_symbol_of_every_feed_or_of_the_one_named(held: Lake) -> None:
    everything = exported(BarExport(held, BarSelection()))
    assert everything.select("feed", "symbol").unique(maintain_order=True).rows() == [
        ("other", "SPY"), (FEED, "BTC/USD"), (FEED, "QQQ"), (FEED, "SPY"),
    ]  # fmt: skip
    assert exported(BarExport(held, BarSelection(feed="other"))).height == MINUTES


def test_all_pieces_show_one_instant_whatever_is_written_meanwhile(held: Lake) -> None:
    export = BarExport(held, BarSelection(["SPY"], feed=FEED))
    before = held.bars("SPY", feed=FEED)
    told: list[str] = []

    def correct(symbol: str, _done: int, _total: int) -> None:
        told.append(symbol)
        held.write_bars(before.tail(3).with_columns(pl.col("close") + len(told)), feed=FEED, symbol="SPY")

    assert_frame_equal(pl.concat([piece.rows for piece in export.pieces(correct)]), before)
    assert len(told) == 2
    assert export.snapshot.root_hash != held.snapshot("SPY", feed=FEED).root_hash


def test_an_earlier_state_is_exported_with_the_root_it_had(held: Lake) -> None:
    before, moment = held.bars("SPY", feed=FEED), held.manifest.last_commit_at()
    root = held.snapshot("SPY", feed=FEED).root_hash
    held.write_bars(before.tail(3).with_columns(pl.col("close") + 1), feed=FEED, symbol="SPY")
    export = BarExport(held, BarSelection(["SPY"], feed=FEED, as_of=moment))
    assert_frame_equal(exported(export), before)
    assert export.description()["root"] == root


def test_a_parquet_file_says_what_it_holds_and_of_which_state(held: Lake, tmp_path: Path) -> None:
    target = tmp_path / "bars.parquet"
    assert to_file(held, target, BarSelection(["SPY"], "2024-01-02", feed=FEED, timeframe="5min")) == 4
    assert_frame_equal(pl.read_parquet(target), held.bars("SPY", "2024-01-02", feed=FEED, timeframe="5Min"))
    metadata = pq.read_schema(target).metadata
    facts = {key.decode(): text.decode() for key, text in metadata.items() if key.startswith(b"barlake.")}
    snapshot = held.snapshot("SPY", "2024-01-02", feed=FEED)
    assert facts == {
        "barlake.export.root": snapshot.root_hash,
        "barlake.export.moment": snapshot.moment.isoformat(),
        "barlake.export.symbols": "SPY",
        "barlake.export.feed": FEED,
        "barlake.export.start": "2024-01-02T05:00:00+00:00",
        "barlake.export.timeframe": "5Min",
        "barlake.export.session": "all",
        "barlake.export.adjustment": "raw",
    }


def test_pandas_reads_a_csv_file_back_with_its_zone_and_every_digit(held: Lake, tmp_path: Path) -> None:
    target = tmp_path / "bars.csv"
    assert to_file(held, target, BarSelection(["SPY"], feed=FEED)) == 3 * MINUTES
    with target.open(newline="") as stream:
        first = next(csv.DictReader(stream))
    assert (first["timestamp"], first["session"]) == ("2023-12-29T14:30:00+00:00", "2023-12-29")
    read = pd.read_csv(target, parse_dates=["timestamp", "ingested_at"])
    wanted = held.bars("SPY", feed=FEED)
    for name in ("open", "high", "low", "close", "volume", "trade_count", "vwap"):
        assert read[name].tolist() == wanted[name].to_list()
    assert [stamp.to_pydatetime() for stamp in read["timestamp"]] == wanted["timestamp"].to_list()
    assert [stamp.to_pydatetime() for stamp in read["ingested_at"]] == wanted["ingested_at"].to_list()


def test_a_packed_csv_is_the_same_text_and_the_same_bytes_each_time(held: Lake, tmp_path: Path) -> None:
    plain, packed, again = (tmp_path / name for name in ("a.csv", "b.csv.gz", "c.csv.gz"))
    for target in (plain, packed, again):
        to_file(held, target)
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert packed.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("name", ["bars.parquet", "bars.csv", "bars.csv.gz"])
def test_a_range_without_bars_is_a_file_with_columns_and_no_rows(held: Lake, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    assert to_file(held, target, BarSelection(["SPY"], "2030-01-01", feed=FEED)) == 0
    read = pl.read_parquet(target) if name.endswith("parquet") else pl.read_csv(target)
    assert read.columns == held.bars("SPY", feed=FEED).columns
    assert read.is_empty()


def test_a_file_that_is_there_is_replaced_only_when_asked_for(held: Lake, tmp_path: Path) -> None:
    target = tmp_path / "bars.csv"
    target.write_text("mine")
    with pytest.raises(InvalidInputError, match="exists already: name a new file, or add --overwrite"):
        to_file(held, target)
    assert target.read_text() == "mine"
    write_export(BarExport(held, BarSelection()), target, writer_of(target), overwrite=True)
    assert target.read_text().startswith("feed,symbol")


@pytest.mark.parametrize("name", ["bars.parquet", "bars.csv.gz", "bars.lp"])
def test_an_interrupt_leaves_the_old_file_and_nothing_else(held: Lake, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    target.write_text("mine")

    def interrupt(_symbol: str, done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    write = write_lines if name.endswith(".lp") else writer_of(target)
    with pytest.raises(KeyboardInterrupt):
        write_export(BarExport(held, BarSelection()), target, write, overwrite=True, on_piece=interrupt)
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_text() == "mine"


def test_a_damaged_file_of_the_lake_stops_the_export_and_leaves_no_file(held: Lake, tmp_path: Path) -> None:
    (held.root / held.manifest.files(symbol="SPY")[-1].path).unlink()
    with pytest.raises(Exception, match="barlake repair"):
        to_file(held, tmp_path / "bars.csv")
    assert list(tmp_path.iterdir()) == []


def test_wrong_options_are_refused_before_anything_is_read(held: Lake, lake: Lake) -> None:
    for options in ({"timeframe": "7Min"}, {"session": "night"}, {"adjustment": "none"}, {"as_of": "2024-01-02"}):
        with pytest.raises(InvalidInputError):
            BarExport(held, BarSelection(**options))  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="Did you mean 'SPY'"):
        BarExport(held, BarSelection(["SPX"]))
    with pytest.raises(NotFoundError, match="no bars for feed 'sip'"):
        BarExport(lake, BarSelection(feed="sip"))


def test_an_empty_lake_has_nothing_to_export(lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="the lake has no bars"):
        BarExport(lake, BarSelection())
