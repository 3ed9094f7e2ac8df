"""What a set reads besides its symbol's bars comes out of the lake, is part of what it is made from, and goes stale."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import InvalidInputError, LookAheadError, NotFoundError
from barlake.testing import make_bars, temporary_lake
from feature_service.build import build_features, builder_of
from feature_service.sources import Target
from feature_service.staleness import stale_tables

SESSIONS = [dt.date(2024, 1, day) for day in (2, 3, 4)]
FEED = "sip"
QQQ = Target(FEED, "QQQ")
OWN_SET = """
from feature_service import cross, records, returns
from feature_service.feature_set import FeatureSet

MINE = FeatureSet(
    "mine",
    (
        returns.log_return.named("log_return_1", span_bars=1),
        cross.relative_strength.named("relative_return_5", span_bars=5),
        records.macro_level.named("rate", series="DFF"),
        records.news_count.named("news_60", window_minutes=60),
    ),
    context="SPY",
)
"""
LEAKY_SET = '''
import polars as pl
from feature_service.declare import feature
from feature_service.feature_set import FeatureSet
from feature_service.returns import log_return

@feature(unit="dollars")
def next_close() -> pl.Expr:
    """The close of the minute after. Formula: close[t + 1]. Source: a crystal ball."""
    return pl.col("close").shift(-1)

MINE = FeatureSet("leaky", (log_return.named("log_return_1", span_bars=1), next_close.named("oracle")))
'''


@pytest.fixture
def lake() -> Iterator[Lake]:
    with temporary_lake() as lake:
        for seed, symbol in enumerate(("SPY", "QQQ", "IWM")):
            lake.write_bars(make_bars(SESSIONS, seed=seed), feed=FEED, symbol=symbol)
        yield lake


@pytest.fixture
def own_set(tmp_path: Path) -> str:
    path = tmp_path / "own_set.py"
    path.write_text(OWN_SET)
    return str(path)


def utc(day: int, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2024, 1, day, hour, minute, tzinfo=dt.UTC)


def release(lake: Lake, day: int, value: float | None, known_at: dt.datetime, source: str = "fred") -> None:
    row = {"series": "DFF", "date": dt.date(2024, 1, day), "value": value, "known_at": known_at}
    lake.write_macro(pl.DataFrame([row]), source=source, publish=False)


def article(lake: Lake, number: int, created_at: dt.datetime, symbols: list[str], source: str = "alpaca") -> None:
    row = {"article_id": str(number), "created_at": created_at, "headline": "It rained.", "symbols": symbols}
    lake.write_news(pl.DataFrame([row]), source=source, publish=False)


def table(lake: Lake, set_name: str, symbol: str = "QQQ") -> pl.DataFrame:
    name = "mine" if set_name.endswith(".py") else set_name
    return lake.feature_tables.read(lake.feature_tables.latest(name, symbol), symbol)


def why_stale(lake: Lake, own_set: str) -> list[str]:
    return [one.why for one in stale_tables(lake, [own_set], ["QQQ"], feed=FEED)]


def test_context_macro_and_news_come_out_of_the_lake_as_known_at_the_minute(lake: Lake, own_set: str) -> None:
    release(lake, 2, 5.33, utc(3, 15))
    release(lake, 2, 5.31, utc(3, 16))  # a revision
    article(lake, 1, utc(3, 15, 30), ["QQQ", "TLT"])
    article(lake, 2, utc(3, 15, 45), ["TLT"])
    build_features(lake, ["QQQ"], set_name=own_set)
    found = table(lake, own_set).set_sorted("timestamp")
    known_at = pl.col("timestamp") + pl.duration(minutes=1)
    rate = pl.when(known_at < utc(3, 15)).then(None).when(known_at < utc(3, 16)).then(5.33).otherwise(5.31)
    news = pl.when(known_at >= utc(3, 15, 30)).then((known_at < utc(3, 16, 30)).cast(pl.Float64))
    wanted = found.select(rate.cast(pl.Float32).alias("rate"), news.cast(pl.Float32).alias("news_60"))
    assert found.select("rate", "news_60").equals(wanted)
    own, other = (lake.bars(name)["close"].log().diff(5) for name in ("QQQ", "SPY"))
    assert (found["relative_return_5"] - (own - other)).abs().max() < 1e-6  # type: ignore[operator] # numbers


def test_macro_columns_are_what_the_lake_says_was_known(lake: Lake, own_set: str) -> None:
    release(lake, 2, 5.33, utc(2, 20))
    release(lake, 3, 5.40, utc(3, 18))
    release(lake, 2, 5.30, utc(3, 19))  # of an observation that is not the newest any more
    release(lake, 4, None, utc(4, 16))
    build_features(lake, ["QQQ"], set_name=own_set)
    found = table(lake, own_set).with_columns((pl.col("timestamp") + pl.duration(minutes=1)).alias("known_at"))
    joined = lake.macro_known_at(found.select("known_at"), ["DFF"])
    assert found["rate"].equals(joined["DFF"].cast(pl.Float32).alias("rate"))


def test_of_several_sources_the_one_that_is_asked_first_counts(lake: Lake, own_set: str) -> None:
    release(lake, 2, 5.33, utc(2, 12), source="fred")
    release(lake, 2, 9.99, utc(2, 12), source="another")
    article(lake, 1, utc(2, 15), ["QQQ"], source="alpaca")
    article(lake, 1, utc(2, 15), ["QQQ"], source="aardvark")
    build_features(lake, ["QQQ"], set_name=own_set)
    found = table(lake, own_set)
    assert found["rate"].unique().to_list() == [pytest.approx(5.33)]
    assert found["news_60"].max() == 1


def test_where_the_lake_holds_no_records_their_columns_are_null(lake: Lake, own_set: str) -> None:
    build_features(lake, ["QQQ"], set_name=own_set)
    found = table(lake, own_set)
    assert found["rate"].null_count() == found["news_60"].null_count() == found.height
    assert found["relative_return_5"].null_count() == 5


def test_a_table_is_stale_when_something_it_reads_has_changed_and_only_then(lake: Lake, own_set: str) -> None:
    assert why_stale(lake, own_set) == ["never built"]
    build_features(lake, ["QQQ"], set_name=own_set)
    assert why_stale(lake, own_set) == []
    lake.write_bars(make_bars(SESSIONS, seed=9).tail(1), feed=FEED, symbol="IWM")
    article(lake, 3, utc(3, 15), ["TLT"])
    lake.write_macro(
        pl.DataFrame([{"series": "GDP", "date": dt.date(2023, 10, 1), "value": 1.0, "known_at": utc(2, 12)}]),
        source="fred",
    )
    assert why_stale(lake, own_set) == ["its news have changed"]  # the first article: there was no news at all before
    build_features(lake, ["QQQ"], set_name=own_set)
    article(lake, 4, utc(3, 15, 1), ["TLT"])
    assert why_stale(lake, own_set) == []
    changes = {
        "its news have changed": lambda: article(lake, 5, utc(3, 15, 2), ["QQQ"]),
        "macro values have changed": lambda: release(lake, 2, 5.33, utc(2, 12)),
        "the bars of its context symbol have changed": lambda: lake.write_bars(
            make_bars(SESSIONS, seed=9).tail(1), feed=FEED, symbol="SPY"
        ),
    }
    for why, change in changes.items():
        change()
        assert why_stale(lake, own_set) == [why]
        assert build_features(lake, ["QQQ"], set_name=own_set).files_written == 1
        assert why_stale(lake, own_set) == []


def test_a_set_that_reads_no_records_does_not_go_stale_with_them(lake: Lake) -> None:
    build_features(lake, ["QQQ"])
    release(lake, 2, 5.33, utc(2, 12))
    article(lake, 5, utc(3, 15, 2), ["QQQ"])
    lake.write_bars(make_bars(SESSIONS, seed=9).tail(1), feed=FEED, symbol="SPY")
    assert build_features(lake, ["QQQ"]).files_written == 0


def test_another_context_symbol_is_another_version(lake: Lake, own_set: str) -> None:
    versions = {
        context: build_features(lake, ["QQQ"], set_name=own_set, context=context).symbols[0].version
        for context in (None, "SPY", "IWM", "none")
    }
    assert versions[None] == versions["SPY"]
    assert len(set(versions.values())) == 3
    assert table(lake, own_set)["relative_return_5"].null_count() == 3 * 390


def test_a_table_whose_context_symbol_is_not_held_is_stale_and_says_so(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "own_set.py"
    path.write_text(OWN_SET.replace('"SPY"', '"DIA"'))
    assert why_stale(lake, str(path)) == ["its context symbol DIA is not held"]


def test_a_context_symbol_that_no_feature_reads_is_refused(lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match=r"context 'SPY' has nobody to read it.*Leave --context out"):
        build_features(lake, ["QQQ"], context="SPY")


def test_a_context_symbol_that_is_not_held_is_refused_with_the_ways_out(lake: Lake, own_set: str) -> None:
    with pytest.raises(NotFoundError, match=r"'mine' reads the context symbol DIA.*ingest them.*--context none"):
        build_features(lake, ["QQQ"], set_name=own_set, context="DIA")


# Several processes -----------------------------------------------------------------------------------


def test_two_processes_make_what_one_makes(lake: Lake, own_set: str) -> None:
    release(lake, 2, 5.33, utc(2, 12))
    told: list[tuple[str, int, int]] = []
    both = build_features(lake, set_name=own_set, workers=2, progress=lambda *step: told.append(step))
    assert {one.symbol for one in both.symbols} == {"SPY", "QQQ", "IWM"}
    assert [done for _, done, _ in told] == [0, 1, 2, 3]
    assert sorted(name for name, _, _ in told) == ["", "IWM", "QQQ", "SPY"]
    builder = builder_of(lake, set_name=own_set)
    for one in both.symbols:
        files = lake.feature_tables.paths(builder.key(FEED), one.symbol)
        hashes = [path.stem for path in files]
        for path in files:
            path.unlink()
        build_features(lake, [one.symbol], set_name=own_set, workers=1)
        assert [path.stem for path in lake.feature_tables.paths(builder.key(FEED), one.symbol)] == hashes


def test_what_is_wrong_with_one_symbol_is_said_when_the_others_are_built_in_other_processes(lake: Lake) -> None:
    early = make_bars(SESSIONS[:1], minutes=5).with_columns(pl.col("timestamp") - pl.duration(hours=2))
    lake.write_bars(early, feed=FEED, symbol="AAA")
    with pytest.raises(InvalidInputError, match=r"'AAA' has 5 bars but none of session 'regular'.*3 other symbols"):
        build_features(lake, workers=2)
    assert set(lake.feature_tables.versions()["symbol"]) == {"SPY", "QQQ", "IWM"}


# A set of one's own that looks ahead ---------------------------------------------------------------


def test_a_set_that_looks_ahead_is_refused_by_the_name_of_its_feature(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "leaky.py"
    path.write_text(LEAKY_SET)
    with pytest.raises(LookAheadError, match=r"feature set 'leaky' is not built: .*'oracle'"):
        build_features(lake, set_name=str(path))
    assert lake.feature_tables.versions().is_empty()


def test_a_version_is_proven_once(lake: Lake, own_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build_features(lake, ["SPY"], set_name=own_set)
    definition = lake.feature_tables.definition(builder_of(lake, set_name=own_set).key(FEED))
    assert definition["proof"]["symbol"] == "SPY"
    assert definition["proof"]["rows"] == 3 * 390
    monkeypatch.setattr("feature_service.proof_on_build.prove_features", lambda *_: pytest.fail("proven again"))
    build_features(lake, ["QQQ"], set_name=own_set)
    assert lake.feature_tables.definition(builder_of(lake, set_name=own_set).key(FEED)) == definition
