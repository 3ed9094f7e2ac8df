"""The published catalogue: the same rows in plain SQL, for DuckDB 2.0 and for the 1.5 command line."""

from __future__ import annotations

import csv
import datetime as dt
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import polars.testing
import pytest

import barlake
from barlake.errors import FormatError, InvalidInputError, StorageError
from barlake.lake import Lake
from barlake.publish import query, view_name
from barlake.settings import Settings
from barlake.testing import make_bars

SYMBOLS = ["SPY", "BRK.B", "BTC/USD", "^GSPC", "ES=F"]
SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 2, 1)]
TABLES = {
    "adjustment_buckets", "adjustment_factors", "bars", "bars_15m", "bars_1d", "bars_1h", "bars_5m", "bars_adjusted",
    "bars_daily", "bars_daily_versions", "bars_in_parts", "bars_with_source", "catalogue_info", "commits",
    "corporate_actions", "coverage", "equity",
    "feature_drift", "feature_nulls", "feature_quality", "feature_versions",
    "gaps", "macro", "macro_versions", "models", "news", "news_versions", "quality", "quarantine",
    "receipts", "revisions", "runs", "sessions", "strategies", "sweeps", "symbols", "trades", "trials",
}  # fmt: skip
COMMAND = Path(sys.executable).with_name("duckdb")

PUBLISHER = """
import datetime as dt, sys
from pathlib import Path
import barlake
from barlake.settings import Settings
from barlake.testing import make_bars

with barlake.open(Path(sys.argv[1]), settings=Settings(_env_file=None)) as lake:
    print("ready", flush=True)
    for number in range(2, 200):
        lake.write_bars(make_bars([dt.date(2024, 1, 2)], minutes=number), feed="sip", symbol="SPY")
"""


def open_at(root: Path) -> Lake:
    return barlake.open(root, settings=Settings(_env_file=None))


def command_line(path: Path, sql: str) -> list[dict[str, str]]:
    """Rows of a query by the DuckDB command line, opened read-only."""
    if not COMMAND.exists():
        pytest.skip("the DuckDB command line is not installed")
    done = subprocess.run(
        [COMMAND, "-readonly", "-csv", "-init", "/dev/null", str(path), "-c", sql],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


@pytest.fixture
def full(lake: Lake) -> Lake:
    for symbol in SYMBOLS:
        lake.writer.write(make_bars(SESSIONS, minutes=20), feed="sip", symbol=symbol, source="test")
    lake.writer.write(make_bars(SESSIONS, minutes=5), feed="iex", symbol="SPY", source="test")
    lake.publish()
    return lake


def test_the_view_gives_the_rows_of_the_lake(full: Lake) -> None:
    for symbol in SYMBOLS:
        found = full.sql(f"SELECT * FROM bars WHERE feed = 'sip' AND symbol = '{symbol}' ORDER BY timestamp")
        pl.testing.assert_frame_equal(found, full.bars(symbol, feed="sip"))


def test_tables_show_what_the_lake_holds(full: Lake) -> None:
    tables = full.sql("SELECT table_name FROM information_schema.tables")["table_name"]
    assert set(tables) == TABLES
    pl.testing.assert_frame_equal(full.sql("SELECT * FROM symbols ORDER BY ALL"), full.symbols())
    pl.testing.assert_frame_equal(full.sql("SELECT * FROM sessions ORDER BY session"), full.calendar.frame)
    pl.testing.assert_frame_equal(
        full.sql("SELECT * FROM coverage ORDER BY feed, symbol, session"), full.coverage(), check_row_order=True
    )


def test_the_command_line_of_duckdb_1_5_reads_the_same_rows(full: Lake) -> None:
    rows = command_line(
        full.catalogue_path, "SELECT feed, symbol, count(*) AS n, sum(volume) AS v FROM bars GROUP BY ALL ORDER BY ALL"
    )
    expected = full.sql(
        "SELECT feed, symbol, count(*) AS n, sum(volume)::BIGINT AS v FROM bars GROUP BY ALL ORDER BY ALL"
    )
    assert [tuple(row.values()) for row in rows] == [tuple(map(str, row)) for row in expected.rows()]
    for table in sorted(TABLES):
        command_line(full.catalogue_path, f"SELECT * FROM {table} LIMIT 1")


def test_both_duckdbs_read_while_a_writer_publishes(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    with open_at(root) as lake:
        lake.write_bars(make_bars(SESSIONS[:1], minutes=1), feed="sip", symbol="SPY")
        writer = subprocess.Popen([sys.executable, "-c", PUBLISHER, str(root)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        seen: list[int] = []
        with duckdb.connect(lake.catalogue_path, read_only=True) as kept:
            first = kept.sql("SELECT count(*) FROM bars").fetchall()
            while len(set(seen)) < 4:
                assert writer.poll() is None, "the writer ended before its catalogues were met"
                seen.append(int(command_line(lake.catalogue_path, "SELECT count(*) AS n FROM bars")[0]["n"]))
                seen.append(lake.sql("SELECT count(*) AS n FROM bars").item())
            assert kept.sql("SELECT count(*) FROM bars").fetchall() == first
            writer.kill()
            writer.communicate()
        assert seen == sorted(seen)


def test_a_connection_of_ones_own_hides_no_newer_catalogue(full: Lake) -> None:
    with duckdb.connect(full.catalogue_path, read_only=True) as before:
        count = "SELECT count(*) AS n FROM bars"
        [(held,)] = before.sql(count).fetchall()
        assert full.sql(count).item() == held
        full.write_bars(make_bars([dt.date(2024, 2, 2)], minutes=7), feed="sip", symbol="SPY")
        assert full.sql(count).item() == held + 7
        assert before.sql(count).fetchall() == [(held,)]


def test_instants_are_shown_in_utc_and_sessions_are_new_yorks(lake: Lake) -> None:
    late = make_bars([dt.date(2024, 1, 2)], minutes=1).with_columns(
        pl.lit(dt.datetime(2024, 1, 3, 0, 59, tzinfo=dt.UTC)).alias("timestamp")
    )
    lake.write_bars(late, feed="sip", symbol="SPY")
    found = lake.sql("SELECT session, timestamp, timestamp::VARCHAR AS shown FROM bars")
    assert found.rows() == [
        (dt.date(2024, 1, 2), dt.datetime(2024, 1, 3, 0, 59, tzinfo=dt.UTC), "2024-01-03 00:59:00+00")
    ]


def test_no_progress_is_drawn_on_the_standard_output_of_a_program_without_a_file(full: Lake) -> None:
    asks = "import sys, barlake; print(barlake.open(sys.argv[1]).sql(sys.argv[2]).item())"
    setting = "SELECT current_setting('enable_progress_bar')"
    order = [sys.executable, "-c", asks, str(full.root), setting]
    done = subprocess.run(order, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_an_empty_lake_has_every_table_and_no_rows(lake: Lake) -> None:
    lake.publish()
    assert lake.sql("SELECT * FROM bars").is_empty()
    assert lake.sql("SELECT * FROM symbols").is_empty()
    assert command_line(lake.catalogue_path, "SELECT * FROM bars") == []
    lake.write_bars(make_bars(SESSIONS, minutes=1), feed="sip", symbol="SPY")
    some = lake.sql("SELECT * FROM bars")
    assert some.schema == lake.bars("SPY").schema


def test_a_copied_lake_publishes_its_own_files(full: Lake, tmp_path: Path) -> None:
    shutil.copytree(full.root, tmp_path / "copy")
    with open_at(tmp_path / "copy") as copy:
        assert copy.sql("SELECT root FROM catalogue_info").item() == str(tmp_path / "copy")
        shutil.rmtree(full.root / "parquet")
        assert copy.sql("SELECT count(*) AS n FROM bars").item() == 40 * len(SYMBOLS) + 10


def test_a_query_duckdb_refuses_is_the_callers_to_mend(full: Lake) -> None:
    for sql in (
        "SELECT nothing FROM bars",
        "SELEC",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW bars",
        "DELETE FROM symbols",
    ):
        with pytest.raises(InvalidInputError, match="DuckDB refused the query"):
            full.sql(sql)
    assert full.sql("SELECT count(*) AS n FROM symbols").item() == len(SYMBOLS) + 1


def test_a_damaged_catalogue_says_so_and_can_be_published_again(full: Lake) -> None:
    full.catalogue_path.write_bytes(b"no database" * 100)
    with pytest.raises(FormatError, match=r"cannot be opened: .* Publish it again"):
        full.sql("SELECT 1")
    full.publish()
    assert full.sql("SELECT 1 AS one").item() == 1
    with pytest.raises(FormatError, match="cannot be opened"):
        query(full.root / "nowhere.duckdb", "SELECT 1")


def test_a_catalogue_of_a_file_that_is_gone_is_not_published(full: Lake) -> None:
    before = full.sql("SELECT count(*) AS n FROM symbols").item()
    shutil.rmtree(full.root / "parquet")
    with pytest.raises(StorageError, match=r"cannot be built: .*The old one stays: .* restore the file it names"):
        full.publish()
    assert full.sql("SELECT count(*) AS n FROM symbols").item() == before


def test_what_a_crash_left_behind_goes_with_the_next_publication(full: Lake) -> None:
    folder = full.catalogue_path.parent
    (folder / ".tmp-market.duckdb-dead").mkdir()
    (folder / ".tmp-market.duckdb-dead" / "catalogue.duckdb").write_bytes(b"half")
    (folder / ".tmp-other").mkdir()
    full.publish()
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".tmp-")) == [".tmp-other"]


@pytest.mark.parametrize(
    ("given", "name"), [("core", "core"), ("my-set.1", "my_set_1"), ("a/b c", "a_2Fb_20c"), ("x;--", "x_3B__")]
)
def test_view_names_are_letters_digits_and_underscores(given: Any, name: str) -> None:
    assert view_name(given) == name
