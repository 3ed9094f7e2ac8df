"""Daily bars, news and macro values of a lake: in, out, as they were, and through every care that a lake is given."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import polars.testing
import pytest

import barlake
from barlake.backup import backup
from barlake.errors import InvalidInputError, NotFoundError, StorageError
from barlake.lake import Lake
from barlake.layout import RECORD_DATASETS
from barlake.rebuild import rebuild
from barlake.record_kinds import KINDS, as_rows
from barlake.records import Commit
from barlake.repair import repair
from barlake.restore import restore
from barlake.settings import Settings
from barlake.stats import lake_stats
from barlake.stores import LocalStore
from barlake.testing import make_bars
from tests.barlake.conftest import Clock

CLOSE = dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def daily(close: float, symbol: str = "SPY", day: dt.date = dt.date(2024, 1, 2), **more: object) -> pl.DataFrame:
    bar = {"symbol": symbol, "session": day, "open": 100.0, "high": 105.0, "low": 95.0, "close": close}
    return pl.DataFrame([bar | {"volume": 1000.0} | more])


def gdp(*releases: tuple[dt.date, float | None, dt.datetime]) -> pl.DataFrame:
    schema = {"date": pl.Date(), "value": pl.Float64(), "known_at": pl.Datetime("us", "UTC")}
    return pl.DataFrame(releases, schema=schema, orient="row").with_columns(series=pl.lit("GDP"))


def article(number: int, created: dt.datetime, headline: str = "Up", **more: object) -> pl.DataFrame:
    row = {"article_id": number, "created_at": created, "headline": headline, "symbols": ["SPY", "AAPL"]}
    return pl.DataFrame([row | more])


QUARTER = dt.date(2023, 10, 1)
FIRST, SECOND = dt.datetime(2024, 1, 25, 13, 30, tzinfo=dt.UTC), dt.datetime(2024, 2, 28, 13, 30, tzinfo=dt.UTC)


@pytest.fixture
def full(lake: Lake) -> Lake:
    lake.write_daily(daily(101.0), source="yahoo")
    lake.write_daily(daily(102.0), source="yahoo")
    lake.write_daily(daily(103.0, "QQQ"), source="alpaca")
    lake.write_news(article(1, CLOSE), source="alpaca")
    lake.write_news(article(1, CLOSE, "Down", updated_at=CLOSE + DAY), source="alpaca")
    lake.write_news(article(2, dt.datetime(2024, 3, 14, 15, tzinfo=dt.UTC), symbols=[]), source="alpaca")
    lake.write_macro(gdp((QUARTER, 3.3, FIRST), (QUARTER, 3.2, SECOND)), source="fred")
    return lake


def everything(lake: Lake) -> dict[str, pl.DataFrame]:
    frames = {
        "daily": lake.daily(["SPY", "QQQ"], source="all"),
        "news": lake.news(),
        "macro": lake.macro("GDP"),
        "before": lake.daily("SPY", known_by=CLOSE),
        "released": lake.macro("GDP", known_by=FIRST),
    }
    for name in ("bars_daily", "news", "macro"):
        found = lake.sql(f"SELECT * FROM {name}_versions")
        frames[name + "_versions"] = found.sort([one for one in found.columns if one != "symbols"])
    return frames


def assert_same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for name, frame in one.items():
        polars.testing.assert_frame_equal(frame, other[name])


# --- in and out --------------------------------------------------------------------------------------


@pytest.mark.both_databases
def test_the_same_rows_again_write_nothing(full: Lake) -> None:
    before, paths = everything(full), full.manifest.known_paths()
    again = full.write_daily(daily(102.0), source="yahoo")
    assert (again.unchanged, again.files_written) == (1, 0)
    assert full.write_macro(gdp((QUARTER, 3.3, FIRST), (QUARTER, 3.2, SECOND)), source="fred").files_written == 0
    assert full.write_news(article(1, CLOSE, symbols=["AAPL", "SPY"]), source="alpaca").files_written == 0
    assert full.manifest.known_paths() == paths
    assert_same(everything(full), before)


@pytest.mark.both_databases
def test_as_of_gives_what_the_lake_held(lake: Lake, clock: Clock) -> None:
    instants, states = [], []
    for number in range(4):
        lake.write_daily(daily(101.0 + number // 2), source="yahoo")
        lake.write_macro(gdp((QUARTER, 3.3 + number, FIRST)), source="fred")
        instants.append(lake.manifest.last_commit_at())
        states.append((lake.daily("SPY"), lake.macro("GDP")))
        clock.moment += dt.timedelta(minutes=number)  # the clock may stand still between two commits
    for instant, (bars, values) in zip(instants, states, strict=True):
        polars.testing.assert_frame_equal(lake.daily("SPY", as_of=instant), bars)
        polars.testing.assert_frame_equal(lake.macro("GDP", as_of=instant), values)
        for name, frame in (("bars_daily", bars), ("macro", values)):
            found = lake.sql(f"SELECT * FROM {name}_as_of('{instant}')")
            polars.testing.assert_frame_equal(found.select(frame.columns), frame)
    assert lake.daily("SPY", as_of=instants[0] - DAY).is_empty()


def test_a_daily_bar_may_be_used_from_the_close_and_a_changed_one_since_it_was_stored(full: Lake, clock: Clock) -> None:
    assert full.daily("SPY", known_by=CLOSE - dt.timedelta(microseconds=1)).is_empty()
    assert full.daily("SPY", known_by=CLOSE)["close"].to_list() == [101.0]
    stored = clock.moment + dt.timedelta(microseconds=1)
    assert full.daily("SPY", known_by=stored)["close"].to_list() == [102.0]
    assert full.daily("SPY")["known_at"].to_list() == [stored]


def test_a_daily_bar_of_a_pair_or_of_a_day_without_a_session_ends_with_the_utc_date(lake: Lake) -> None:
    saturday = dt.date(2024, 1, 6)
    lake.write_daily(pl.concat([daily(101.0, "BTC/USD"), daily(101.0, "^N225", saturday)]), source="yahoo")
    found = lake.daily(["BTC/USD", "^N225"])["known_at"].to_list()
    assert found == [dt.datetime(2024, 1, 3, tzinfo=dt.UTC), dt.datetime(2024, 1, 7, tzinfo=dt.UTC)]


def test_a_daily_bar_of_a_session_that_is_on_is_left_out(lake: Lake, clock: Clock) -> None:
    today = daily(101.0, day=clock.moment.date())
    assert lake.write_daily(today, source="yahoo").early == 1
    clock.moment += DAY
    assert lake.write_daily(today, source="yahoo").inserted == 1


def test_of_several_sources_one_is_preferred_and_all_can_be_had(lake: Lake) -> None:
    for source in ("yahoo", "other", "alpaca"):
        lake.write_daily(daily(101.0), source=source)
    lake.write_daily(daily(101.0, day=dt.date(2024, 1, 3)), source="other")
    assert lake.daily("SPY")["source"].to_list() == ["alpaca", "other"]
    assert lake.daily("SPY", source="yahoo").height == 1
    assert lake.daily("SPY", source="all")["source"].to_list() == ["alpaca", "other", "yahoo", "other"]
    view = lake.sql("SELECT source FROM bars_daily WHERE preferred ORDER BY session")
    assert view["source"].to_list() == ["alpaca", "other"]


def test_news_of_a_symbol_in_a_range(full: Lake) -> None:
    assert full.news("AAPL")["headline"].to_list() == ["Down"]
    assert full.news("AAPL", known_by=CLOSE)["headline"].to_list() == ["Up"]
    assert full.news(start="2024-03-01")["article_id"].to_list() == ["2"]
    assert full.news(["QQQ", "SPY"], end="2024-03-01")["article_id"].to_list() == ["1"]
    assert full.news()["symbols"].to_list() == [["AAPL", "SPY"], []]
    assert full.sql("SELECT article_id FROM news WHERE list_contains(symbols, 'SPY')").item() == "1"
    assert full.sql(f"SELECT headline FROM news_known_by('{CLOSE}')").item() == "Up"


def test_a_feature_meets_only_what_was_released(full: Lake) -> None:
    instants = [FIRST - dt.timedelta(minutes=1), FIRST, SECOND - dt.timedelta(minutes=1), SECOND]
    found = full.macro_known_at(pl.DataFrame({"known_at": instants}), "GDP")
    assert found["GDP"].to_list() == [None, 3.3, 3.3, 3.2]
    full.write_macro(gdp((QUARTER, 9.9, FIRST)), source="other")
    with pytest.raises(InvalidInputError, match="fred, other"):
        full.macro_known_at(pl.DataFrame({"known_at": instants}), "GDP")
    assert full.macro_known_at(pl.DataFrame({"known_at": instants}), "GDP", source="other")["GDP"][1] == 9.9


def test_rows_that_are_no_records_are_quarantined_with_the_reason(lake: Lake) -> None:
    bad = pl.concat([daily(101.0), daily(101.0, high=1.0), daily(float("nan"))])
    report = lake.write_daily(bad, source="yahoo")
    assert (report.inserted, report.quarantined) == (1, 2)
    assert lake.manifest.quarantine()["reason"].to_list() == ["high is below low", "close is missing or unreadable"]


def test_a_name_that_is_none_is_refused_before_anything_is_kept(lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="not a symbol"):
        lake.write_daily(pl.concat([daily(101.0), daily(101.0, "S P Y")]), source="yahoo")
    assert lake.manifest.known_paths() == set()


def test_what_a_table_lacks_is_said(lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="lack close"):
        lake.write_daily(daily(101.0).drop("close"), source="yahoo")
    with pytest.raises(InvalidInputError, match="lack known_at"):
        lake.write_macro(gdp((QUARTER, 1.0, FIRST)).drop("known_at"), source="fred")
    with pytest.raises(InvalidInputError, match="without a time zone"):
        lake.write_news(article(1, CLOSE.replace(tzinfo=None)), source="alpaca")
    lake.write_macro(gdp((QUARTER, 1.0, FIRST)), source="fred")
    with pytest.raises(NotFoundError, match="Did you mean 'GDP'"):
        lake.macro("GPD")


def test_a_lake_without_records_has_their_views(lake: Lake) -> None:
    lake.publish()
    for name in ("bars_daily", "news", "macro"):
        assert lake.sql(f"SELECT * FROM {name}").is_empty()
        assert lake.sql(f"SELECT * FROM {name}_as_of('2024-01-01T00:00:00Z')").is_empty()
    assert lake.news().is_empty()


# --- care ----------------------------------------------------------------------------------------------


def test_records_survive_vacuum_and_rollup_and_verify_reads_them(full: Lake, clock: Clock) -> None:
    full.write_bars(make_bars([dt.date(2024, 1, 2)]), feed="yahoo", symbol="SPY")
    before = everything(full)
    clock.moment += 60 * DAY
    full.rollup()
    assert full.vacuum(grace=dt.timedelta(0)).files > 0
    report = full.verify()
    assert report.is_sound
    assert report.files == sum(len(full.manifest.files(dataset=name)) for name in (*RECORD_DATASETS, "bars"))
    stats = lake_stats(full.store, full.manifest)
    assert (stats.records, stats.dead_files) == (8, 0)
    assert_same(everything(full), before)


def test_records_come_back_from_a_backup(full: Lake, tmp_path: Path) -> None:
    before = everything(full)
    backup(full.store, full.root, full.manifest, tmp_path / "backup", now=full.now)
    root = tmp_path / "again"
    restore(tmp_path / "backup", LocalStore(root), root)
    with barlake.open(root, settings=Settings(_env_file=None)) as again:
        assert_same(everything(again), before)


def test_records_come_back_by_a_rebuild(full: Lake) -> None:
    full.write_bars(make_bars([dt.date(2024, 1, 2)]), feed="yahoo", symbol="SPY")
    before, bars = everything(full), full.bars("SPY")
    report = rebuild(full.store, full.root, full.calendar, now=full.now)
    assert (report.unreadable, report.disputed) == ((), ())
    with barlake.open(full.root, settings=Settings(_env_file=None)) as again:
        again.publish()
        assert_same(everything(again), before)
        polars.testing.assert_frame_equal(again.bars("SPY"), bars)
        assert again.verify().is_sound


@pytest.mark.parametrize("dataset", RECORD_DATASETS)
def test_a_damaged_file_is_found_and_mended_from_the_one_it_replaced(full: Lake, dataset: str) -> None:
    file = full.manifest.files(dataset=dataset)[-1]
    path = full.root / file.path
    data = bytearray(path.read_bytes())
    data[4:40] = bytes(36)
    path.write_bytes(data)
    faults = full.verify().faults
    assert [(fault.dataset, fault.path) for fault in faults] == [(dataset, file.path)]
    mended = repair(full.store, full.manifest, faults, now=full.now)
    assert len(mended) == 1
    assert full.verify().is_sound
    assert (full.root / "damaged" / file.path).exists()


# --- several writers, and one that dies -----------------------------------------------------------------


@pytest.mark.both_databases
def test_writers_at_once_lose_nothing_of_each_other(lake: Lake) -> None:
    lake.write_daily(daily(100.0), source="yahoo")
    days = [dt.date(2024, 1, number) for number in range(3, 11)]

    def write(day: dt.date) -> None:
        lake.records.write(
            KINDS["daily"], as_rows(KINDS["daily"], daily(101.0, day=day, known_at=CLOSE)), source="yahoo"
        )
        lake.write_news(article(day.day, CLOSE), source="alpaca", publish=False)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, days))
    assert lake.daily("SPY")["session"].to_list() == [CLOSE.date(), *days]
    assert lake.news()["article_id"].cast(pl.Int64).sort().to_list() == [day.day for day in days]
    assert lake.verify().orphans == ()


def test_a_write_that_is_refused_leaves_nothing(full: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before, paths = everything(full), {file.path for file in full.store.files()}

    def refuse(_commit: Commit) -> None:
        raise StorageError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(full.manifest, "commit", refuse)
        with pytest.raises(StorageError):
            full.write_macro(gdp((QUARTER, 9.9, SECOND + DAY)), source="fred")
    assert {file.path for file in full.store.files()} == paths
    assert_same(everything(full), before)
