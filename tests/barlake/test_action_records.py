from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from barlake.action_files import STATEMENTS, statement
from barlake.action_records import ActionRecords, ActionReport
from barlake.actions import ACTIONS, ActionKind
from barlake.database import SCHEMA_VERSION, Place, make_engine, reading, upgrade
from barlake.tables import metadata

pytestmark = pytest.mark.both_databases

MONDAY, TUESDAY, FRIDAY = (dt.datetime(2024, 3, day, 12, tzinfo=dt.UTC) for day in (11, 12, 15))
EX_DATE = dt.date(2024, 3, 15)


@pytest.fixture
def records(place: Place) -> Iterator[ActionRecords]:
    engine = make_engine(place)
    upgrade(engine)
    yield ActionRecords(engine)
    engine.dispose()


def stated(cash_usd: float, **more: Any) -> pl.DataFrame:
    facts = {"source": "issuer", "symbol": "SPY", "ex_date": EX_DATE, "kind": ActionKind.DIVIDEND} | more
    return pl.DataFrame([statement(cash_usd=cash_usd, **facts)], schema=STATEMENTS)


def test_what_is_put_in_comes_out(records: ActionRecords) -> None:
    rows = pl.concat([stated(1.59, details="regular", close_before=500.0), stated(0.25, symbol="QQQ", source="desk")])
    assert records.put(rows, now=MONDAY) == ActionReport(inserted=2)
    found = records.statements()
    assert dict(found.schema) == ACTIONS
    assert found.select(*STATEMENTS).equals(rows.sort("symbol"))
    assert found["known_at"].to_list() == [MONDAY, MONDAY]
    assert found["superseded_at"].to_list() == [None, None]


def test_the_same_statement_again_changes_nothing(records: ActionRecords) -> None:
    records.put(stated(1.59), now=MONDAY)
    assert records.put(stated(1.59), now=TUESDAY) == ActionReport(unchanged=1)
    assert records.statements()["known_at"].to_list() == [MONDAY]


def test_a_later_statement_of_the_same_source_supersedes_the_earlier_and_both_are_kept(records: ActionRecords) -> None:
    records.put(stated(1.59), now=MONDAY)
    assert records.put(stated(1.60), now=TUESDAY) == ActionReport(replaced=1)
    assert records.statements().select("cash_usd", "known_at", "superseded_at").rows() == [
        (1.59, MONDAY, TUESDAY),
        (1.60, TUESDAY, None),
    ]


def test_an_action_keeps_its_name_when_its_source_moves_its_date(records: ActionRecords) -> None:
    records.put(stated(1.59, action_id="a7"), now=MONDAY)
    moved = stated(1.59, action_id="a7", ex_date=dt.date(2024, 3, 18))
    assert records.put(moved, now=TUESDAY) == ActionReport(replaced=1)
    standing = records.statements().filter(pl.col("superseded_at").is_null())
    assert standing["ex_date"].to_list() == [dt.date(2024, 3, 18)]


def test_a_statement_that_comes_back_stands_again(records: ActionRecords) -> None:
    for cash, now in ((1.59, MONDAY), (1.60, TUESDAY), (1.59, FRIDAY)):
        records.put(stated(cash), now=now)
    assert records.statements().select("cash_usd", "superseded_at").rows() == [
        (1.59, TUESDAY),
        (1.60, FRIDAY),
        (1.59, None),
    ]


def test_sources_that_disagree_stand_side_by_side(records: ActionRecords) -> None:
    records.put(stated(1.59), now=MONDAY)
    assert records.put(stated(1.60, source="desk"), now=MONDAY) == ActionReport(inserted=1)
    assert records.statements()["superseded_at"].to_list() == [None, None]


def test_statements_can_be_read_as_they_stood_at_an_instant(records: ActionRecords) -> None:
    records.put(stated(1.59), now=MONDAY)
    records.put(stated(1.60), now=FRIDAY)
    assert records.statements(as_of=MONDAY - dt.timedelta(seconds=1)).is_empty()
    between = records.statements(as_of=TUESDAY)
    assert between.select("cash_usd", "superseded_at").rows() == [(1.59, None)]
    after = records.statements(as_of=FRIDAY)
    assert after.select("cash_usd", "superseded_at").rows() == [(1.59, FRIDAY), (1.60, None)]


def test_only_the_symbols_asked_for_are_read(records: ActionRecords) -> None:
    records.put(pl.concat([stated(1.0), stated(2.0, symbol="QQQ")]), now=MONDAY)
    assert records.statements(["QQQ"])["cash_usd"].to_list() == [2.0]
    assert records.statements(["IWM"]).is_empty()


def test_nothing_to_put_is_no_write(records: ActionRecords) -> None:
    assert records.put(pl.DataFrame(schema=STATEMENTS), now=MONDAY) == ActionReport()


def test_reports_add_up() -> None:
    assert ActionReport(1, 2, 3) + ActionReport(10, 20, 30) == ActionReport(11, 22, 33)


def test_the_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "manifest.sqlite")
    upgrade(engine)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == SCHEMA_VERSION
        assert compare_metadata(context, metadata) == []
    engine.dispose()
