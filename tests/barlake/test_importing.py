"""Bars from files that people have: what is read, what is put aside, what is refused and how it is said."""

from __future__ import annotations

import datetime as dt
import gzip
import random
from pathlib import Path
from typing import Any

import polars as pl
import polars.testing
import pytest

from barlake.errors import BarlakeError, InvalidInputError
from barlake.importing import ImportReport, import_bars
from barlake.lake import Lake
from barlake.schemas import BAR_VALUES
from barlake.testing import make_bars

HEADER = "timestamp,open,high,low,close,volume"
VALUES = "10,11,9,10.5,100"
SESSION = dt.date(2024, 1, 2)


def minute(number: int, zone: str = "Z") -> str:
    return f"2024-01-02T14:{30 + number}:00{zone}"


def a_csv(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def bring(lake: Lake, path: Path, **options: Any) -> ImportReport:
    return lake.import_bars(path, feed="file", **options)


def reasons(lake: Lake) -> list[tuple[int, str]]:
    return lake.manifest.quarantine().select("row_number", "reason").rows()


def held_symbols(lake: Lake) -> list[str]:
    return lake.symbols()["symbol"].to_list()


def test_a_bad_row_is_counted_once_however_its_file_is_named(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_csv(tmp_path / "SPY.csv", f"{minute(0)},{VALUES}", f"{minute(1)},10,8,9,9,100")
    bring(lake, path)
    monkeypatch.chdir(tmp_path)
    bring(lake, Path("SPY.csv"))
    assert lake.manifest.quarantine().height == 1


@pytest.mark.parametrize("name", ["SPY.parquet", "SPY.csv", "SPY.csv.gz"])
def test_a_file_comes_back_as_it_was(lake: Lake, tmp_path: Path, name: str) -> None:
    bars, path = make_bars([SESSION]), tmp_path / name
    if name.endswith("parquet"):
        bars.write_parquet(path)
    else:
        text = bars.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ").encode()
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert bring(lake, path).total.inserted == bars.height
    pl.testing.assert_frame_equal(lake.bars("SPY").select("timestamp", *BAR_VALUES), bars)


def test_importing_again_changes_nothing_and_counts_a_bad_row_once(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "SPY.csv", f"{minute(0)},{VALUES}", f"{minute(1)},10,11,9,10.5,-5", f"{minute(2)},{VALUES}")
    first, second = bring(lake, path).total, bring(lake, path).total
    assert (first.inserted, first.quarantined, first.files_written) == (2, 1, 1)
    assert (second.inserted, second.unchanged, second.quarantined, second.files_written) == (0, 2, 1, 0)
    assert reasons(lake) == [(1, "volume is below 0")]


def test_bad_rows_are_put_aside_with_their_reason_and_text(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(
        tmp_path / "SPY.csv",
        f"{minute(0)},{VALUES}",
        f"{minute(1)},10,8,9,9,100",
        f"{minute(2)},-10,11,9,10,100",
        f"{minute(3)},10,11,9,NaN,100",
        f"{minute(4)},ten,11,9,10,100",
        f"{minute(5)},10,11,9,10,12.5",
        f"{minute(0)},10,11,9,10,999",
        f"{minute(0)},{VALUES}",
        "noon,10,11,9,10,100",
        f"{minute(6)},,11,9,10,100",
    )
    report = bring(lake, path).total
    assert (report.inserted, report.quarantined, report.duplicates) == (1, 8, 1)
    assert reasons(lake) == [
        (1, "high is below low"),
        (2, "open is not above 0"),
        (3, "close is not a finite number"),
        (4, "open ten cannot be read"),
        (5, "volume 12.5 cannot be read"),
        (6, "duplicate minute with values other than row 0"),
        (8, "timestamp noon cannot be read"),
        (9, "open is missing or not a number"),
    ]
    assert '"open":"ten"' in lake.manifest.quarantine()["raw"].to_list()[3]


def test_a_missing_column_is_named_with_those_there_are(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "SPY.csv", "2024-01-02T14:30:00Z,1,2,1", header="timestamp,open,high,low")
    with pytest.raises(InvalidInputError, match="lacks the columns close, volume; it has timestamp, open, high, low"):
        bring(lake, path)


def test_instants_without_zone_need_one_by_option(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "SPY.csv", f"2024-01-02 09:30:00,{VALUES}", f"2024-07-02T09:30,{VALUES}")
    with pytest.raises(InvalidInputError, match="no time zone: say which with --timezone"):
        bring(lake, path)
    bring(lake, path, timezone="America/New_York")
    stamps = [stamp.isoformat() for stamp in lake.bars("SPY")["timestamp"]]
    assert stamps == ["2024-01-02T14:30:00+00:00", "2024-07-02T13:30:00+00:00"]


def test_a_wall_time_that_happens_twice_or_never_is_put_aside(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(
        tmp_path / "SPY.csv",
        f"2024-11-03 01:30:00,{VALUES}", f"2024-03-10 02:30:00,{VALUES}", f"2024-11-04 09:30:00,{VALUES}",
    )  # fmt: skip
    assert bring(lake, path, timezone="America/New_York").total.inserted == 1
    assert reasons(lake) == [
        (0, "timestamp 2024-11-03 01:30:00 cannot be read"),
        (1, "timestamp 2024-03-10 02:30:00 cannot be read"),
    ]


def test_an_unknown_zone_and_mixed_zones_are_refused(lake: Lake, tmp_path: Path) -> None:
    naive = a_csv(tmp_path / "SPY.csv", f"2024-01-02 09:30:00,{VALUES}")
    with pytest.raises(InvalidInputError, match="timezone 'Mars/Base' is not known"):
        bring(lake, naive, timezone="Mars/Base")
    mixed = a_csv(tmp_path / "QQQ.csv", f"2024-01-02 09:30:00,{VALUES}", f"{minute(0)},{VALUES}")
    with pytest.raises(InvalidInputError, match="some timestamps carry a zone and some do not"):
        bring(lake, mixed)


@pytest.mark.parametrize(
    "stamps",
    [
        ["2024-01-02T14:30:00Z", "2024-01-02T14:31:00.000Z"],
        ["2024-01-02 14:30:00+00:00", "2024-01-02 14:31:00+0000"],
        ["2024-01-02 14:30:00+00", "2024-01-02 14:31:00+00"],
        ["2024-01-02T09:30:00-05:00", "2024-01-02T15:31:00+01:00"],
        ["2024-01-02T14:30Z", "2024-01-02T14:31Z"],
    ],
)
def test_zoned_instants_are_read_in_every_usual_spelling(lake: Lake, tmp_path: Path, stamps: list[str]) -> None:
    bring(lake, a_csv(tmp_path / "SPY.csv", *(f"{stamp},{VALUES}" for stamp in stamps)))
    found = [stamp.strftime("%H:%M") for stamp in lake.bars("SPY")["timestamp"]]
    assert found == ["14:30", "14:31"]


def test_offsets_on_both_sides_of_a_clock_change_are_read(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "SPY.csv", f"2024-03-08T09:30:00-05:00,{VALUES}", f"2024-03-11T09:30:00-04:00,{VALUES}")
    assert bring(lake, path).total.inserted == 2
    assert lake.bars("SPY")["timestamp"].dt.hour().to_list() == [14, 13]


def test_hourly_bars_are_refused(lake: Lake, tmp_path: Path) -> None:
    lines = [f"2024-01-{day:02}T{hour}:00:00Z,{VALUES}" for day in range(2, 8) for hour in range(14, 21)]
    with pytest.raises(InvalidInputError, match="at least 60 minutes apart, so they are not 1-minute bars"):
        bring(lake, a_csv(tmp_path / "SPY.csv", *lines))
    assert held_symbols(lake) == []


def test_daily_bars_are_refused(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"of SPY is a bar\. Row 0: timestamp 2024-01-02 cannot be read"):
        bring(lake, a_csv(tmp_path / "SPY.csv", f"2024-01-02,{VALUES}", f"2024-01-03,{VALUES}"))


def test_a_stamp_in_a_wrong_unit_is_refused_with_the_rule(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="outside the years 1900 to 2199"):
        bring(lake, a_csv(tmp_path / "SPY.csv", f"9999-12-31T14:30:00Z,{VALUES}"))


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, HEADER.encode() + b"\n"])
def test_an_empty_file_is_refused(lake: Lake, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "SPY.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"SPY\.csv (cannot be read|holds no rows)"):
        bring(lake, path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SPY.parquet", b""),
        ("SPY.parquet", b"PAR1 is how it starts, PAR1"),
        ("SPY.csv.gz", b"\x1f\x8bnot gzip"),
        ("SPY.csv", f"{HEADER}\n{minute(0)},10,11,9,10,caf\xe9\n".encode("latin1")),
        ("SPY.csv", f"{HEADER}\n{minute(0)},{VALUES},one,more\n".encode()),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    lake: Lake, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        bring(lake, tmp_path / name)


def test_a_damaged_parquet_file_never_ends_in_anything_but_a_refusal_or_bars(lake: Lake, tmp_path: Path) -> None:
    make_bars([SESSION], minutes=60).write_parquet(tmp_path / "whole.parquet")
    whole, generator = (tmp_path / "whole.parquet").read_bytes(), random.Random(1)  # noqa: S311 - the same damage on every run
    path = tmp_path / "SPY.parquet"
    for _ in range(60):
        damaged = bytearray(whole[: generator.randrange(1, len(whole) + 1)])
        for _ in range(generator.randrange(20)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            import_bars(lake.writer, path, feed="file")
        except BarlakeError as error:
            assert str(path) in str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("kind", [pl.Int64, pl.Date, pl.Float64])
def test_stamps_that_are_no_instants_are_refused(lake: Lake, tmp_path: Path, kind: Any) -> None:
    bars = make_bars([SESSION], minutes=3)
    stamp = pl.col("timestamp").dt.date() if kind == pl.Date else pl.col("timestamp").dt.epoch("s").cast(kind)
    bars.with_columns(stamp).write_parquet(tmp_path / "SPY.parquet")
    with pytest.raises(InvalidInputError, match="column timestamp is"):
        bring(lake, tmp_path / "SPY.parquet")


@pytest.mark.parametrize("value", [pl.struct("high", "low"), pl.concat_list("high", "low"), pl.lit(value=True)])
def test_prices_that_are_no_numbers_are_refused(lake: Lake, tmp_path: Path, value: pl.Expr) -> None:
    make_bars([SESSION], minutes=3).with_columns(value.alias("open")).write_parquet(tmp_path / "SPY.parquet")
    with pytest.raises(InvalidInputError, match=r"column open is .*: give numbers"):
        bring(lake, tmp_path / "SPY.parquet")


@pytest.mark.parametrize("kind", [pl.Float32, pl.Decimal(12, 4), pl.String])
def test_numbers_of_any_kind_are_read(lake: Lake, tmp_path: Path, kind: Any) -> None:
    bars = make_bars([SESSION], minutes=3).with_columns(pl.lit(10.5).alias("vwap"))
    bars.with_columns(pl.col("vwap").cast(kind)).write_parquet(tmp_path / "SPY.parquet")
    bring(lake, tmp_path / "SPY.parquet")
    assert lake.bars("SPY")["vwap"].to_list() == [10.5] * 3


def test_what_may_be_missing_may_be_nan(lake: Lake, tmp_path: Path) -> None:
    header = f"{HEADER},trade_count,vwap"
    bring(lake, a_csv(tmp_path / "SPY.csv", f"{minute(0)},{VALUES},NaN,nan", f"{minute(1)},{VALUES},,", header=header))
    make_bars([SESSION], minutes=1).with_columns(
        trade_count=pl.lit(float("nan")), vwap=pl.lit(float("nan"))
    ).write_parquet(tmp_path / "QQQ.parquet")
    bring(lake, tmp_path / "QQQ.parquet")
    found = lake.bars(["SPY", "QQQ"])
    assert found["trade_count"].null_count() == found["vwap"].null_count() == 3
    assert reasons(lake) == []


def test_a_column_is_known_by_its_short_name_and_in_capitals(lake: Lake, tmp_path: Path) -> None:
    header = "T,O,H,L,C,V,N,VW"
    bring(lake, a_csv(tmp_path / "SPY.csv", f"{minute(0)},{VALUES},7,10.2", header=header))
    assert lake.bars("SPY").select(BAR_VALUES).rows() == [(10.0, 11.0, 9.0, 10.5, 100, 7, 10.2)]


def test_two_columns_for_one_thing_are_refused(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "SPY.csv", f"{minute(0)},{VALUES},5", header=f"{HEADER},V")
    with pytest.raises(InvalidInputError, match="more than one column can be read as volume"):
        bring(lake, path)


def test_the_symbol_comes_from_the_column_for_each_row(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "any name.csv", f"spy,{minute(0)},{VALUES}", f"BRK.B,{minute(0)},{VALUES}",
                 header=f"Ticker,{HEADER}")  # fmt: skip
    assert [one.symbol for one in bring(lake, path).imported] == ["BRK.B", "SPY"]


def test_a_row_without_symbol_is_refused_beside_others_that_have_one(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "x.csv", f"SPY,{minute(0)},{VALUES}", f",{minute(1)},{VALUES}", header=f"symbol,{HEADER}")
    with pytest.raises(InvalidInputError, match="some rows have no symbol"):
        bring(lake, path)


@pytest.mark.parametrize(
    ("place", "symbol"),
    [
        ("SPY.csv", "SPY"),
        ("spy.CSV", "SPY"),
        ("BRK.B.csv", "BRK.B"),
        ("BTC%2FUSD.csv", "BTC/USD"),
        ("symbol=QQQ/part-0.csv", "QQQ"),
        ("feed=x/symbol=BTC%2FUSD/dt=2024/part-0.csv", "BTC/USD"),
    ],
)
def test_the_symbol_comes_from_the_folder_or_the_whole_name(
    lake: Lake, tmp_path: Path, place: str, symbol: str
) -> None:
    bring(lake, a_csv(tmp_path / place, f"{minute(0)},{VALUES}"))
    assert held_symbols(lake) == [symbol]


def test_a_symbol_by_option_wins_and_a_name_that_is_none_is_refused(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "my bars.csv", f"{minute(0)},{VALUES}")
    with pytest.raises(InvalidInputError, match="the file's name is no symbol: give --symbol"):
        bring(lake, path)
    bring(lake, path, symbol="dia")
    assert held_symbols(lake) == ["DIA"]


def test_of_a_folder_with_one_malformed_file_the_others_are_imported(lake: Lake, tmp_path: Path) -> None:
    a_csv(tmp_path / "bars" / "SPY.csv", f"{minute(0)},{VALUES}")
    bad = a_csv(tmp_path / "bars" / "QQQ.csv", "1,2", header="open,high")
    a_csv(tmp_path / "bars" / "deep" / "IWM.csv", f"{minute(0)},{VALUES}")
    (tmp_path / "bars" / "README.txt").write_text("not bars")
    seen: list[tuple[str, int, int]] = []
    report = bring(lake, tmp_path / "bars", on_file=lambda path, done, total: seen.append((path.name, done, total)))
    assert held_symbols(lake) == ["IWM", "SPY"]
    assert [(path, "lacks the columns" in why) for path, why in report.failures] == [(bad, True)]
    assert seen == [("QQQ.csv", 0, 3), ("SPY.csv", 1, 3), ("IWM.csv", 2, 3)]


def test_a_file_with_one_hopeless_symbol_is_refused_whole(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "x.csv", f"SPY,{minute(0)},{VALUES}", f"XLE,{minute(0)},10,11,9,10,-1",
                 header=f"symbol,{HEADER}")  # fmt: skip
    with pytest.raises(InvalidInputError, match=r"none of the 1 rows of XLE is a bar\. Row 1: volume is below 0"):
        bring(lake, path)
    assert held_symbols(lake) == []
    assert reasons(lake) == []


@pytest.mark.parametrize("place", ["nowhere", "nowhere.csv"])
def test_a_path_that_is_not_there_is_refused(lake: Lake, tmp_path: Path, place: str) -> None:
    with pytest.raises(InvalidInputError, match="does not exist"):
        bring(lake, tmp_path / place)


def test_a_folder_or_file_without_bars_is_refused_with_what_is_read(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InvalidInputError, match=r"is not a bar file: \.parquet, \.csv, \.csv\.gz are read"):
        bring(lake, tmp_path / "notes.txt")
    with pytest.raises(InvalidInputError, match=r"holds no \.parquet"):
        bring(lake, tmp_path)


def test_a_corrected_file_changes_rows_and_keeps_their_old_values(lake: Lake, tmp_path: Path) -> None:
    path = a_csv(tmp_path / "SPY.csv", f"{minute(0)},{VALUES}", f"{minute(1)},{VALUES}")
    bring(lake, path)
    report = bring(lake, a_csv(path, f"{minute(0)},{VALUES}", f"{minute(1)},10,11,9,10.75,100")).total
    assert (report.unchanged, report.changed) == (1, 1)
    assert lake.bars("SPY")["close"].to_list() == [10.5, 10.75]
    [old] = lake.manifest.files(dataset="revisions")
    assert pl.read_parquet(lake.root / old.path)["close"].to_list() == [10.5]
