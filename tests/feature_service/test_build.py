"""From a lake, or a DuckDB file, to tables: whole, versioned, and only when something changed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from barlake import Lake
from barlake.errors import ConflictError, InvalidInputError, NotFoundError, StorageError
from barlake.feature_tables import FeatureTables
from barlake.keys import Adjustment, FeatureSetKey, SessionFilter
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars, temporary_lake
from feature_service.build import build_features
from feature_service.compute import feature_table, on_sessions
from feature_service.inputs import FeatureInputs
from feature_service.sets import CORE
from feature_service.sources import LakeBars, Target
from feature_service.symbol_build import SymbolBuilder

SESSIONS = [dt.date(2023, 12, 28), dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
FEED = "synthetic"
SPY = Target(FEED, "SPY")


@pytest.fixture
def lake() -> Iterator[Lake]:
    """SPY and QQQ, four sessions over a new year."""
    with temporary_lake() as lake:
        for seed, symbol in enumerate(("SPY", "QQQ")):
            lake.write_bars(make_bars(SESSIONS, seed=seed), feed=FEED, symbol=symbol)
        yield lake


def key_of(lake: Lake, symbol: str = "SPY") -> FeatureSetKey:
    return lake.feature_tables.latest("core", symbol)


def parquet_files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


def test_a_build_writes_one_file_per_symbol_and_year(lake: Lake) -> None:
    report = build_features(lake, ["SPY", "QQQ"])
    assert [(one.symbol, one.rows, one.files_written) for one in report.symbols] == [
        ("SPY", 1560, 2),
        ("QQQ", 1560, 2),
    ]
    version = report.symbols[0].version
    found = {str(Path(name).parent) for name in parquet_files(lake.root / "features")}
    assert found == {
        f"core/v={version}/symbol={symbol}/dt={year}" for symbol in ("SPY", "QQQ") for year in (2023, 2024)
    }


def test_the_table_holds_what_the_pure_functions_give(lake: Lake) -> None:
    build_features(lake, ["SPY"])
    bars = on_sessions(lake.bars("SPY"), lake.calendar, SessionFilter.REGULAR)
    assert lake.feature_tables.read(key_of(lake), "SPY").equals(feature_table(FeatureInputs(bars), CORE.features))


def test_no_symbol_means_all_in_the_lake(lake: Lake) -> None:
    assert {one.symbol for one in build_features(lake).symbols} == {"SPY", "QQQ"}


def test_a_second_build_writes_nothing(lake: Lake) -> None:
    build_features(lake)
    before = parquet_files(lake.root)
    catalogue = lake.catalogue_path.stat().st_mtime_ns
    manifests = {path: path.read_bytes() for path in lake.root.glob("features/core/*/manifest.json")}
    report = build_features(lake)
    assert report.files_written == 0
    assert [one.rows for one in report.symbols] == [1560, 1560]
    assert parquet_files(lake.root) == before
    assert {path: path.read_bytes() for path in manifests} == manifests
    assert lake.catalogue_path.stat().st_mtime_ns == catalogue


def test_a_new_session_rewrites_its_year_alone(lake: Lake) -> None:
    build_features(lake, ["SPY"])
    whole = [*SESSIONS, dt.date(2024, 1, 4)]
    lake.write_bars(make_bars(whole, seed=0).tail(390), feed=FEED, symbol="SPY")
    report = build_features(lake, ["SPY"])
    assert report.files_written == 1
    assert report.symbols[0].rows == 1950


def test_a_corrected_bar_is_seen(lake: Lake) -> None:
    build_features(lake, ["SPY"])
    corrected = make_bars(SESSIONS, seed=0).tail(10).with_columns(volume=pl.lit(7), trade_count=pl.lit(1))
    lake.write_bars(corrected, feed=FEED, symbol="SPY")
    assert build_features(lake, ["SPY"]).files_written == 1
    assert lake.feature_tables.read(key_of(lake), "SPY", columns=["volume"])["volume"].tail(10).to_list() == [7] * 10


def test_a_deleted_file_is_made_again(lake: Lake) -> None:
    build_features(lake, ["SPY"])
    lost = lake.feature_tables.paths(key_of(lake), "SPY")[0]
    lost.unlink()
    assert build_features(lake, ["SPY"]).files_written == 1
    assert lost.exists()


def test_the_manifest_names_inputs_files_and_definition(lake: Lake) -> None:
    build_features(lake, ["SPY"])
    key = key_of(lake)
    manifest = json.loads((lake.root / f"features/core/v={key.version}/manifest.json").read_text())
    entry = manifest["symbols"]["SPY"]
    snapshot = lake.snapshot("SPY").as_dict()
    assert entry["inputs"]["content_hash"] == snapshot["symbols"][0]["content_hash"]
    assert (entry["inputs"]["feed"], entry["inputs"]["rows"]) == (FEED, 1560)
    assert {"first", "last", "calendar_hash"} <= set(entry["inputs"])
    assert [file["rows"] for file in entry["files"]] == [780, 780]
    assert all(len(file["sha256"]) == 64 for file in entry["files"])
    assert manifest["definition"]["session"] == "regular"
    assert {one["name"] for one in manifest["definition"]["features"]} == {one.name for one in CORE.features}
    assert "polars" in entry["libraries"]


def test_all_hours_are_another_version_with_more_rows(lake: Lake) -> None:
    early = make_bars([SESSIONS[0]], minutes=30).with_columns(pl.col("timestamp") - pl.duration(hours=2))
    lake.write_bars(early, feed=FEED, symbol="SPY")
    regular, everything = (build_features(lake, ["SPY"], session=name) for name in ("regular", "all"))
    assert (regular.symbols[0].rows, everything.symbols[0].rows) == (1560, 1590)
    assert regular.symbols[0].version != everything.symbols[0].version


def test_symbols_of_other_feeds_do_not_mix(lake: Lake) -> None:
    lake.write_bars(make_bars(SESSIONS[:1], seed=5), feed="iex", symbol="SPY")
    report = build_features(lake, ["SPY"])
    assert (report.symbols[0].feed, report.symbols[0].rows) == ("iex", 390)
    other = build_features(lake, ["SPY"], feed=FEED)
    assert other.symbols[0].version != report.symbols[0].version
    assert {(one.symbol, one.feed) for one in build_features(lake).symbols} == {("SPY", "iex"), ("QQQ", FEED)}


def test_progress_is_told_from_first_to_last(lake: Lake) -> None:
    told: list[tuple[str, int, int]] = []
    build_features(lake, ["SPY", "QQQ"], progress=lambda *step: told.append(step))
    assert told == [("", 0, 2), ("SPY", 1, 2), ("QQQ", 2, 2)]
    build_features(lake, ["SPY", "QQQ"], progress=lambda *step: told.append(step))
    assert told[3:] == [("", 2, 2)]


def test_the_catalogue_shows_the_features(lake: Lake) -> None:
    build_features(lake)
    found = lake.sql("select symbol, count(*) as bars, count(sma_200) as warm from features_core group by 1 order by 1")
    assert found.rows() == [("QQQ", 1560, 1361), ("SPY", 1560, 1361)]
    assert lake.sql("select count(*) from feature_versions").item() == 2


def test_a_catalogue_older_than_the_tables_is_published_again(lake: Lake) -> None:
    build_features(lake)
    lake.catalogue_path.unlink()
    assert build_features(lake).files_written == 0
    assert lake.catalogue_path.exists()


# What is refused -------------------------------------------------------------------------------------


def test_an_unknown_symbol_is_refused_before_anything_is_built(lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'SPY'"):
        build_features(lake, ["QQQ", "SPYY"])
    assert parquet_files(lake.root / "features") == {}


def test_an_empty_lake_is_refused_with_the_next_step() -> None:
    with temporary_lake() as lake, pytest.raises(NotFoundError, match="holds no bars: `barlake ingest SPY`"):
        build_features(lake)


@pytest.mark.parametrize(
    ("option", "message"),
    [({"session": "pre"}, "use regular or all"), ({"session": "x"}, "session 'x'"), ({"set_name": "x"}, "set 'x'")],
)
def test_an_unknown_option_is_refused(option: dict[str, str], message: str, lake: Lake) -> None:
    with pytest.raises((InvalidInputError, NotFoundError), match=message):
        build_features(lake, ["SPY"], **option)  # type: ignore[arg-type] # each option is a str


def test_a_symbol_without_regular_hours_does_not_keep_the_others_from_being_built(lake: Lake) -> None:
    early = make_bars(SESSIONS[:1], minutes=5).with_columns(pl.col("timestamp") - pl.duration(hours=2))
    lake.write_bars(early, feed=FEED, symbol="AAA")
    with pytest.raises(InvalidInputError, match=r"'AAA' has 5 bars but none of session 'regular'.*2 other symbols"):
        build_features(lake)
    assert set(lake.feature_tables.versions()["symbol"]) == {"SPY", "QQQ"}


class ChangingBars(LakeBars):
    """A lake that another process keeps writing into while it is read."""

    def read(self, target: Target, adjustment: Adjustment) -> pl.DataFrame:
        bars = super().read(target, adjustment)
        volume = self.lake.snapshot(target.symbol).moment.microsecond
        changed = make_bars(SESSIONS, seed=0).tail(1).with_columns(volume=pl.lit(volume, pl.Int64))
        self.lake.write_bars(changed, feed=FEED, symbol=target.symbol)
        return bars


def test_bars_that_keep_changing_are_not_given_the_wrong_name(lake: Lake) -> None:
    with pytest.raises(ConflictError, match="build again when the ingest has finished"):
        SymbolBuilder(lake, ChangingBars(lake), lake.feature_tables, lake.calendar, CORE).build(SPY)
    assert lake.feature_tables.versions().is_empty()


def test_a_folder_that_cannot_be_written_leaves_nothing(lake: Lake, tmp_path: Path) -> None:
    in_the_way = tmp_path / "features"
    in_the_way.write_text("a file, not a folder")
    tables = FeatureTables(in_the_way)
    with pytest.raises(StorageError, match="cannot write"):
        SymbolBuilder(lake, LakeBars(lake), tables, lake.calendar, CORE).build(SPY)


def test_an_added_early_close_is_an_input_too(lake: Lake) -> None:
    build_features(lake, ["SPY"])
    shorter = lake.calendar.frame.with_columns(
        pl.when(pl.col("session") == SESSIONS[-1])
        .then(pl.col("close") - pl.duration(hours=3))
        .otherwise("close")
        .alias("close")
    )
    built = SymbolBuilder(lake, LakeBars(lake), lake.feature_tables, Calendar(shorter), CORE).build(SPY)
    assert (built.files_written, built.rows) == (1, 1380)


# Another source, other destinations ------------------------------------------------------------------


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Path:
    """A file of somebody else's making, with three symbols from no named feed."""
    path = tmp_path / "theirs.duckdb"
    frames = [
        make_bars(SESSIONS, seed=seed).with_columns(symbol=pl.lit(symbol))
        for seed, symbol in enumerate(("SPY", "QQQ", "BRK.B"))
    ]
    incoming = pl.concat(frames).to_arrow()
    with duckdb.connect(path) as connection:
        connection.register("incoming", incoming)
        connection.execute("CREATE TABLE bars AS SELECT * FROM incoming")
    return path


def lake_with(root: Path, **settings: Path) -> Lake:
    return Lake(root, Settings(_env_file=None).model_copy(update=settings))


def test_bars_come_from_a_duckdb_file_and_results_go_where_settings_say(duckdb_file: Path, tmp_path: Path) -> None:
    tables, catalogue = tmp_path / "tables", tmp_path / "out" / "features.duckdb"
    with lake_with(
        tmp_path / "lake",
        source_duckdb_path=duckdb_file,
        dest_parquet_dir=tables,
        dest_duckdb_path=catalogue,
    ) as lake:
        report = build_features(lake)
        assert {(one.symbol, one.feed, one.rows) for one in report.symbols} == {
            (symbol, "external", 1560) for symbol in ("SPY", "QQQ", "BRK.B")
        }
        assert build_features(lake).files_written == 0
        assert not (lake.root / "features").exists()
    with duckdb.connect(catalogue, read_only=True) as connection:
        found = connection.sql("select symbol, count(*) from features_core group by 1 order by 1").fetchall()
    assert found == [("BRK.B", 1560), ("QQQ", 1560), ("SPY", 1560)]
    assert len(parquet_files(tables)) == 6


def test_a_lakes_own_catalogue_is_a_source_that_gives_the_same_features(lake: Lake, tmp_path: Path) -> None:
    build_features(lake, ["SPY"])
    lake.publish()
    with lake_with(tmp_path / "second", source_duckdb_path=lake.catalogue_path) as second:
        report = build_features(second, ["SPY"])
        key = FeatureSetKey("core", report.symbols[0].version)
        assert key == key_of(lake)
        assert second.feature_tables.read(key, "SPY").equals(lake.feature_tables.read(key, "SPY"))


def test_a_hole_in_a_duckdb_file_is_refused_with_its_minute(tmp_path: Path) -> None:
    path = tmp_path / "holes.duckdb"
    holes = make_bars(SESSIONS).with_columns(
        pl.when(pl.int_range(pl.len()) == 77).then(None).otherwise("close").alias("close"), symbol=pl.lit("SPY")
    )
    with duckdb.connect(path) as connection:
        connection.register("incoming", holes.to_arrow())
        connection.execute("CREATE TABLE bars AS SELECT * FROM incoming")
    with lake_with(tmp_path / "lake", source_duckdb_path=path) as lake:
        with pytest.raises(InvalidInputError, match=r"close of symbol 'SPY' is None at 2023-12-28 15:47"):
            build_features(lake)
        assert lake.feature_tables.versions().is_empty()


def test_a_symbol_missing_in_a_duckdb_file_is_refused(duckdb_file: Path, tmp_path: Path) -> None:
    with (
        lake_with(tmp_path / "lake", source_duckdb_path=duckdb_file) as lake,
        pytest.raises(NotFoundError, match=r"symbol 'SPX' has no bars in .*Did you mean 'SPY'"),
    ):
        build_features(lake, ["SPX"])
