"""Bars in a table of a real PostgreSQL server: exactly those exported, in one transaction, again for nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import SecretStr

from barlake.errors import InvalidInputError, StorageError
from barlake.exporting import BarExport, BarSelection, OnPiece, tell_nobody
from barlake.lake import Lake
from barlake.postgres import PostgresReport, export_to_postgres, has_password
from barlake.testing import make_bars

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
pytest.importorskip("adbc_driver_postgresql", reason="the extra barlake[postgres] is not installed")

FEED = "synthetic"
OLD_YEAR, TUESDAY = dt.date(2023, 12, 29), dt.date(2024, 1, 2)
MINUTES = 10


@pytest.fixture
def held(lake: Lake) -> Lake:
    lake.write_bars(make_bars([OLD_YEAR, TUESDAY], minutes=MINUTES), feed=FEED, symbol="SPY")
    lake.write_bars(make_bars([OLD_YEAR, TUESDAY], minutes=MINUTES, seed=1), feed=FEED, symbol="BTC/USD")
    return lake


@pytest.fixture
def client(postgres: str) -> Iterator[Any]:
    with psycopg.connect(postgres, autocommit=True) as connection:
        yield connection


def send(
    lake: Lake, url: str, *, table: str | None = None, on_piece: OnPiece = tell_nobody, **options: Any
) -> PostgresReport:
    export = BarExport(lake, BarSelection(**options))
    return export_to_postgres(export, SecretStr(url), table=table, on_piece=on_piece)


def counts(report: PostgresReport) -> tuple[int, int, int, int]:
    return astuple(report)[1:]


def table(client: Any, name: str = "bars") -> pl.DataFrame:
    cursor = client.execute(f"select * from {name} order by feed, symbol, timestamp")
    return pl.DataFrame(cursor.fetchall(), schema=[column.name for column in cursor.description], orient="row")


def same_bars(found: pl.DataFrame, wanted: pl.DataFrame) -> None:
    utc = [pl.col(name).dt.convert_time_zone("UTC") for name, kind in found.schema.items() if kind == pl.Datetime]
    assert_frame_equal(found.with_columns(utc), wanted.sort("feed", "symbol", "timestamp"), check_dtypes=False)


def correct(lake: Lake, symbol: str, rows: int) -> None:
    changed = lake.bars(symbol).tail(rows).with_columns(pl.col("close") + 1, pl.col("high") + 1)
    lake.write_bars(changed, feed=FEED, symbol=symbol)


def test_a_missing_table_is_made_with_its_key_and_holds_the_bars(held: Lake, postgres: str, client: Any) -> None:
    assert counts(send(held, postgres)) == (4 * MINUTES, 0, 0, 0)
    same_bars(table(client), held.bars(["BTC/USD", "SPY"]))
    key = client.execute(
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'bars'::regclass"
    ).fetchone()[0]
    assert key == 'PRIMARY KEY (feed, symbol, "timestamp")'


def test_exporting_again_changes_nothing(held: Lake, postgres: str, client: Any) -> None:
    send(held, postgres)
    written = client.execute("select xmin::text, ctid::text from bars order by ctid").fetchall()
    assert counts(send(held, postgres)) == (0, 0, 4 * MINUTES, 0)
    assert client.execute("select xmin::text, ctid::text from bars order by ctid").fetchall() == written


def test_corrections_and_new_bars_arrive(held: Lake, postgres: str, client: Any) -> None:
    send(held, postgres)
    correct(held, "SPY", 3)
    held.write_bars(make_bars([dt.date(2024, 1, 3)], minutes=5), feed=FEED, symbol="SPY")
    assert counts(send(held, postgres)) == (5, 3, 4 * MINUTES - 3, 0)
    same_bars(table(client), held.bars(["BTC/USD", "SPY"]))


def test_a_bar_the_lake_does_not_have_goes_and_what_was_not_asked_about_stays(
    held: Lake, postgres: str, client: Any
) -> None:
    send(held, postgres)
    client.execute("insert into bars select 'sip', symbol, session, timestamp, 1, 1, 1, 1, 1, 1, 1, now() from bars")
    client.execute(
        "insert into bars select feed, symbol, session, timestamp + '1 second', 1, 1, 1, 1, 1, 1, 1, now() "
        f"from bars where feed = '{FEED}'"
    )
    assert counts(send(held, postgres, symbols=["SPY"], start="2024-01-01", end="2024-01-03")) == (
        0,
        0,
        MINUTES,
        MINUTES,
    )
    left = table(client).group_by("feed", "symbol").len().sort("feed", "symbol").rows()
    assert left == [
        ("sip", "BTC/USD", 2 * MINUTES), ("sip", "SPY", 2 * MINUTES),
        (FEED, "BTC/USD", 4 * MINUTES), (FEED, "SPY", 3 * MINUTES),
    ]  # fmt: skip


def test_a_range_that_the_lake_no_longer_holds_is_emptied(held: Lake, postgres: str, client: Any) -> None:
    send(held, postgres, session="regular")
    assert counts(send(held, postgres, session="pre")) == (0, 0, 0, 4 * MINUTES)
    assert table(client).is_empty()


@pytest.mark.parametrize(
    ("options", "name"),
    [({"timeframe": "5Min"}, "bars_5m"), ({"timeframe": "1Day"}, "bars_1d"), ({"adjustment": "split"}, "bars_split")],
)
def test_longer_and_adjusted_bars_have_tables_of_their_own(
    held: Lake, postgres: str, client: Any, options: dict[str, str], name: str
) -> None:
    assert send(held, postgres, **options).table == name
    same_bars(table(client, name), held.bars(["BTC/USD", "SPY"], **options))


def test_a_table_of_another_name_and_schema_is_taken(held: Lake, postgres: str, client: Any) -> None:
    client.execute("create schema market")
    assert send(held, postgres, table="market.minute_bars").table == "market.minute_bars"
    assert table(client, "market.minute_bars").height == 4 * MINUTES


def test_further_columns_of_a_table_are_left_alone(held: Lake, postgres: str, client: Any) -> None:
    send(held, postgres)
    client.execute("alter table bars add note text default 'mine'")
    correct(held, "SPY", 1)
    assert counts(send(held, postgres)) == (0, 1, 4 * MINUTES - 1, 0)
    assert table(client)["note"].unique().to_list() == ["mine"]


def test_an_interrupt_leaves_the_table_as_it_was(held: Lake, postgres: str, client: Any) -> None:
    send(held, postgres, symbols=["SPY"])
    before = table(client)
    correct(held, "SPY", 3)

    def interrupt(_symbol: str, done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(held, postgres, on_piece=interrupt)
    assert_frame_equal(table(client), before)


def test_two_exports_at_once_take_turns_and_readers_do_not_wait(held: Lake, postgres: str, client: Any) -> None:
    send(held, postgres, symbols=["SPY"])
    seen: list[int] = []
    with ThreadPoolExecutor() as pool:
        others: list[Future[PostgresReport]] = []

        def meanwhile(_symbol: str, done: int, _total: int) -> None:
            seen.append(table(client).height)
            if done == 0:
                others.append(pool.submit(send, held, postgres))

        assert counts(send(held, postgres, on_piece=meanwhile)) == (2 * MINUTES, 0, 2 * MINUTES, 0)
        assert counts(others[0].result()) == (0, 0, 4 * MINUTES, 0)
    assert set(seen) == {2 * MINUTES}


@pytest.mark.parametrize(
    ("statement", "lacking"),
    [
        ("create table bars (symbol text, close numeric)", "feed text"),
        ("create table bars (feed text, symbol text, timestamp timestamptz)", "PRIMARY KEY"),
    ],
)
def test_a_table_that_cannot_hold_bars_is_named_with_what_it_lacks(
    held: Lake, postgres: str, client: Any, statement: str, lacking: str
) -> None:
    client.execute(statement)
    with pytest.raises(InvalidInputError, match=lacking):
        send(held, postgres)


def test_what_the_server_refuses_is_said_and_nothing_changed(held: Lake, postgres: str, client: Any) -> None:
    send(held, postgres)
    client.execute("alter table bars add check (close < 0) not valid")
    correct(held, "SPY", 3)
    before = table(client)
    with pytest.raises(StorageError, match="violates check constraint"):
        send(held, postgres)
    assert_frame_equal(table(client), before)


def test_a_name_that_is_none_is_refused(held: Lake, postgres: str) -> None:
    for name in ('bars"; drop table bars; --', "Bars", "a.b.c", ""):
        with pytest.raises(InvalidInputError, match="is not a name"):
            send(held, postgres, table=name or '"')


# --- addresses and passwords ----------------------------------------------------------------------


def test_a_wrong_password_is_said_without_showing_it(held: Lake, postgres_server: Any) -> None:
    with pytest.raises(StorageError, match="password authentication failed") as caught:
        send(held, postgres_server.url("postgres", password="nobody-knows"))  # noqa: S106
    assert "nobody-knows" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_server_that_is_not_there_is_named(held: Lake) -> None:
    with pytest.raises(StorageError, match=r"PostgreSQL at 127\.0\.0\.1 cannot be reached: Connection refused"):
        send(held, "postgresql://me:hush@127.0.0.1:1/market")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hush hush@127.0.0.1/market",
        "postgresql://me:hush/hush@127.0.0.1/market",
        "postgresql://me:hush@[::1/market",
        "postgresql://me:hu@sh@nowhere.invalid/market",
        "mysql://me:hush@127.0.0.1/market",
    ],
)
def test_an_address_that_is_none_is_not_repeated(held: Lake, url: str) -> None:
    with pytest.raises((InvalidInputError, StorageError)) as caught:
        send(held, url)
    assert "hu" not in str(caught.value).replace("BARLAKE", "")
    assert "sh@" not in str(caught.value)


def test_a_password_is_found_wherever_an_address_may_carry_it() -> None:
    assert not has_password("postgresql://me@127.0.0.1:5432/market?sslmode=require")
    for url in ("postgresql://me:x@h/d", "postgresql://h/d?password=x", "host=h password=x", "postgresql://[me:x@h"):
        assert has_password(url)
