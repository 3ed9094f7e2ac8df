"""What the checks found is kept by session and replaced whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl
import pytest
from sqlalchemy import Engine, insert

from barlake import tables
from barlake.checks import FINDINGS
from barlake.database import Place, make_engine, upgrade, writing
from barlake.quality_records import QualityRecords

pytestmark = pytest.mark.both_databases

NOW = dt.datetime(2024, 3, 15, 12, tzinfo=dt.UTC)
MONDAY, TUESDAY = dt.date(2024, 3, 11), dt.date(2024, 3, 12)


@pytest.fixture
def engine(place: Place) -> Iterator[Engine]:
    engine = make_engine(place)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def records(engine: Engine) -> QualityRecords:
    """Records beside a manifest that holds two sessions of two symbols of two feeds, with content hash `a`."""
    rows = [
        {
            "feed": feed, "symbol": symbol, "session": session, "rows": 390, "regular_rows": 390,
            "first_timestamp": NOW, "last_timestamp": NOW, "content_hash": "a", "commit_id": "c",
        }
        for feed in ("iex", "sip") for symbol in ("QQQ", "SPY") for session in (MONDAY, TUESDAY)
    ]  # fmt: skip
    with writing(engine) as connection:
        connection.execute(insert(tables.held_sessions), rows)
    return QualityRecords(engine)


def checked(*sessions: dt.date, input_hash: str = "a", content_hash: str = "a") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "session": list(sessions),
            "input_hash": [input_hash] * len(sessions),
            "content_hash": [content_hash] * len(sessions),
            "regular_bars": [390] * len(sessions),
            "regular_volume": [10**12] * len(sessions),
        }
    )


def found(session: dt.date, check_name: str = "spike", symbol: str = "SPY") -> pl.DataFrame:
    stamp = dt.datetime.combine(session, dt.time(15), tzinfo=dt.UTC)
    row = ("sip", symbol, session, stamp, check_name, "warning", 1.5, None, "a detail")
    return pl.DataFrame([row], schema=FINDINGS, orient="row")


def of(frame: pl.DataFrame) -> list[tuple[dt.date, str]]:
    return sorted(frame.select("session", "check_name").rows())


def test_what_was_kept_comes_back(records: QualityRecords) -> None:
    records.replace("sip", "SPY", checked(MONDAY), found(MONDAY), now=NOW)
    assert records.findings().equals(found(MONDAY))
    assert records.checked(feed="sip", symbol="SPY").row(0) == ("sip", "SPY", MONDAY, "a", "a", 390, 10**12)


def test_a_session_checked_again_keeps_only_what_was_found_last(records: QualityRecords) -> None:
    both = pl.concat([found(MONDAY), found(TUESDAY)])
    records.replace("sip", "SPY", checked(MONDAY, TUESDAY), both, now=NOW)
    records.replace("sip", "SPY", checked(MONDAY, input_hash="b"), found(MONDAY, "stale_run"), now=NOW)
    assert of(records.findings()) == [(MONDAY, "stale_run"), (TUESDAY, "spike")]
    assert records.checked(feed="sip", symbol="SPY")["input_hash"].to_list() == ["b", "a"]


def test_what_was_found_in_other_contents_than_those_held_is_left_out(records: QualityRecords) -> None:
    records.replace("sip", "SPY", checked(MONDAY, content_hash="old"), found(MONDAY), now=NOW)
    assert records.findings().is_empty()


def test_findings_are_of_sessions_from_start_up_to_end(records: QualityRecords) -> None:
    both = pl.concat([found(MONDAY), found(TUESDAY)])
    records.replace("sip", "SPY", checked(MONDAY, TUESDAY), both, now=NOW)
    assert of(records.findings(start=TUESDAY)) == [(TUESDAY, "spike")]
    assert of(records.findings(end=TUESDAY)) == [(MONDAY, "spike")]


def test_what_was_found_among_all_sessions_is_replaced_together(records: QualityRecords) -> None:
    records.replace("sip", "SPY", checked(MONDAY), found(MONDAY, "volume_scale"), now=NOW)
    records.replace("sip", "SPY", checked(TUESDAY), found(TUESDAY, "volume_scale"), now=NOW)
    assert of(records.findings()) == [(TUESDAY, "volume_scale")]


def test_other_symbols_and_feeds_keep_theirs(records: QualityRecords) -> None:
    records.replace("sip", "QQQ", checked(MONDAY), found(MONDAY, symbol="QQQ"), now=NOW)
    records.replace("sip", "SPY", checked(MONDAY), found(MONDAY).clear(), now=NOW)
    records.replace("iex", "QQQ", checked(MONDAY), found(MONDAY).clear(), now=NOW)
    assert records.findings()["symbol"].to_list() == ["QQQ"]
    assert records.checked(feed="iex", symbol="QQQ").height == 1


def test_the_tables_name_what_a_finding_is() -> None:
    assert set(FINDINGS) <= set(tables.quality_findings.columns.keys())
