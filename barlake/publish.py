"""The read-only DuckDB catalogue: views over explicit file lists, and small tables.

A `.duckdb` file has one writer that locks everybody out, so nobody works in this one: it is built beside
its place and renamed over. A reader keeps the file it opened; the next to open meets the new one. This
is the only module that writes view SQL.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import duckdb
import polars as pl
import pyarrow as pa
from filelock import FileLock

from barlake.adjust import BUCKET_US
from barlake.catalogue_parts import Catalogue, Made, Minutes, ParquetView
from barlake.durable import fsync_folder, storage_errors
from barlake.errors import FormatError, InvalidInputError, StorageError
from barlake.keys import is_always_open
from barlake.layout import DAILY, MACRO, NEWS, RECORD_DATASETS, TEMPORARY_PREFIX, folder_names
from barlake.partitions import as_arrow
from barlake.record_kinds import DAILY_PREFERENCE, KINDS, empty_versions

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = [
    "Catalogue",
    "Made",
    "Minutes",
    "ParquetView",
    "connect",
    "publish",
    "publish_minutes",
    "publish_parts",
    "query",
    "relation",
    "view_name",
]

STORAGE_VERSION = "v1.0.0"
"""A file in DuckDB 2.0's own format cannot be opened by the 1.5 command line; this one opens in both."""

_BAR_KEYS = ("feed", "symbol", "dt")

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""Nothing is fetched from the network, whatever a query says."""

_SESSION = """
    CASE WHEN (epoch_us("timestamp") - 14400000000) % 86400000000 < 3600000000
         THEN ("timestamp" AT TIME ZONE 'America/New_York')::DATE
         ELSE DATE '1970-01-01' + ((epoch_us("timestamp") - 18000000000) // 86400000000)::INTEGER END
"""
"""New York is five hours behind UTC, or four in summer: only in the hour after four has the calendar to be asked.
Whole-number division is several times faster; before 1970 the remainder is negative, and it is always asked."""

_NO_BARS = """
    SELECT ''::VARCHAR AS feed, ''::VARCHAR AS symbol, NULL::DATE AS session, NULL::TIMESTAMPTZ AS "timestamp",
           0.0::DOUBLE AS open, 0.0::DOUBLE AS high, 0.0::DOUBLE AS low, 0.0::DOUBLE AS close,
           0::BIGINT AS volume, 0::BIGINT AS trade_count, 0.0::DOUBLE AS vwap, NULL::TIMESTAMPTZ AS ingested_at
    WHERE false
"""
_UTC_DATE = """DATE '1970-01-01' + (epoch_us("timestamp") // 86400000000)::INTEGER"""
"""The session of a market that never closes."""

_BARS = """
    SELECT feed, symbol, {session} AS session, "timestamp",
           open, high, low, close, volume, trade_count, vwap, ingested_at
    FROM {source}
"""

_BARS_ADJUSTED = f"""
    SELECT feed, symbol, session, "timestamp", open * price_by AS open, high * price_by AS high, low * price_by AS low,
           close * price_by AS close, volume * volume_by AS volume, trade_count, vwap * price_by AS vwap, ingested_at
    FROM (
        SELECT b.*, CASE WHEN k.bucket IS NULL THEN 1.0::DOUBLE ELSE k.price_factor END AS price_by,
               CASE WHEN k.bucket IS NULL THEN 1.0::DOUBLE ELSE k.volume_factor END AS volume_by
        FROM bars AS b
        LEFT JOIN adjustment_buckets AS k
          ON b.feed = k.feed AND b.symbol = k.symbol AND epoch_us(b."timestamp") // {BUCKET_US} = k.bucket
         AND b."timestamp" >= k.since AND b."timestamp" < k.until
    )
"""
"""Prices by splits and dividends; null where a dividend after the bar could not be measured."""


_AGGREGATES = """
           arg_min(open, "timestamp") AS open, max(high) AS high, min(low) AS low,
           arg_max(close, "timestamp") AS close, sum(volume)::{volume} AS volume,
           CASE WHEN count(trade_count) = count(*) THEN sum(trade_count)::BIGINT END AS trade_count,
           sum(vwap * volume) / nullif(sum(volume) FILTER (vwap IS NOT NULL), 0) AS vwap,
           count(*)::BIGINT AS minutes, true AS derived
"""
_BARS_LONGER = """
    SELECT feed, symbol, session, part, make_timestamptz(bucket) AS "timestamp", {aggregates}
    FROM (
        SELECT p.*, greatest(epoch_us("timestamp") // {width} * {width}, epoch_us(part_start)) AS bucket
        FROM bars_in_parts AS p
    )
    GROUP BY feed, symbol, session, part, bucket
"""
"""Integer division of the epoch is clock-aligned, and several times faster than `time_bucket` on TIMESTAMPTZ."""

_BARS_IN_PARTS = """
    SELECT b.*,
           CASE WHEN b."timestamp" < s.open THEN 'pre' WHEN b."timestamp" < s.close THEN 'regular'
                WHEN s.close IS NOT NULL THEN 'post' END AS part,
           CASE WHEN b."timestamp" < s.pre_open THEN NULL WHEN b."timestamp" < s.open THEN s.pre_open
                WHEN b."timestamp" < s.close THEN s.open ELSE s.close END AS part_start
    FROM bars AS b LEFT JOIN sessions AS s ON b.session = s.session
"""
_IN_PARTS_ALWAYS = """
    {closing} WHERE b.feed NOT IN ({feeds}) UNION ALL
    SELECT *, 'regular' AS part, session::TIMESTAMP AT TIME ZONE 'UTC' AS part_start FROM bars WHERE feed IN ({feeds})
"""
_BARS_DAILY = """
    SELECT feed, symbol, session, min(part_start) AS "timestamp", {aggregates}
    FROM bars_in_parts WHERE part = 'regular' GROUP BY feed, symbol, session
"""
_LONGER_VIEWS = {"bars_5m": 300_000_000, "bars_15m": 900_000_000, "bars_1h": 3_600_000_000}

_BARS_WITH_SOURCE = """
    WITH delivered AS (
        SELECT feed, symbol, moment, any_value(source) AS source FROM commits WHERE dataset = 'bars' GROUP BY ALL
    )
    SELECT b.*, coalesce(own.source, common.source) AS source
    FROM bars AS b
    LEFT JOIN delivered AS own ON b.feed = own.feed AND b.symbol = own.symbol AND b.ingested_at = own.moment
    LEFT JOIN (FROM delivered WHERE symbol IS NULL) AS common ON b.feed = common.feed AND b.ingested_at = common.moment
"""

_NO_REVISIONS = _NO_BARS.replace("AS ingested_at", "AS ingested_at, NULL::TIMESTAMPTZ AS superseded_at")
_REVISIONS = _BARS.replace("ingested_at", "ingested_at, superseded_at")

_SYMBOLS_OF_COVERAGE = """
    INSERT INTO symbols BY NAME
    SELECT feed, symbol, count(*) AS sessions, sum(bars)::BIGINT AS bars, min(session) AS first, max(session) AS last,
           $calendar AS calendar
    FROM coverage WHERE feed = $feed GROUP BY feed, symbol ORDER BY feed, symbol
"""

_EDGE = """
    CASE WHEN length({side}::VARCHAR) = 10 THEN {side}::VARCHAR::TIMESTAMP AT TIME ZONE '{zone}'
         ELSE {side}::VARCHAR::TIMESTAMPTZ END
"""
"""A date means a session: its midnight. Anything longer is an instant."""

_MACROS = (
    "CREATE MACRO bars_of(wanted) AS TABLE SELECT * FROM bars WHERE symbol = upper(wanted)",
    # A row may carry a moment before the instant and still have been committed after it.
    """CREATE MACRO bars_as_of(instant) AS TABLE
        WITH late AS MATERIALIZED (
            SELECT feed, symbol, moment FROM commits
            WHERE dataset = 'bars' AND moment <= instant::TIMESTAMPTZ AND committed_at > instant::TIMESTAMPTZ
        )
        SELECT b.* FROM bars AS b
        ANTI JOIN late AS l ON b.feed = l.feed AND b.symbol = coalesce(l.symbol, b.symbol) AND b.ingested_at = l.moment
        WHERE b.ingested_at <= instant::TIMESTAMPTZ
        UNION ALL
        SELECT r.* EXCLUDE (superseded_at) FROM revisions AS r
        ANTI JOIN late AS l ON r.feed = l.feed AND r.symbol = coalesce(l.symbol, r.symbol) AND r.ingested_at = l.moment
        WHERE r.ingested_at <= instant::TIMESTAMPTZ AND (r.superseded_at > instant::TIMESTAMPTZ
            OR EXISTS (SELECT 1 FROM late AS l WHERE l.feed = r.feed AND l.moment = r.superseded_at
                       AND coalesce(l.symbol, r.symbol) = r.symbol))""",
)


_RECORD_VIEWS = {DAILY: "bars_daily", NEWS: "news", MACRO: "macro"}
_SYMBOLS = "CASE WHEN symbols = '' THEN []::VARCHAR[] ELSE string_split(symbols, ' ') END AS symbols"
_PREFERRED = f""", row_number() OVER (
        PARTITION BY symbol, session ORDER BY CASE source
            {" ".join(f"WHEN '{name}' THEN {place}" for place, name in enumerate(DAILY_PREFERENCE))}
            ELSE {len(DAILY_PREFERENCE)} END, source) = 1 AS preferred"""
"""Whether a bar is the one meant when no source is named."""

_OF_A_FILE = re.compile(r"No files found that match|Failed to read file|corrupt|TProtocolException|magic bytes")
"""What DuckDB says of files that are missing or damaged, in errors of several kinds."""


def publish(path: Path, gather: Callable[[], Catalogue]) -> None:
    """Build the catalogue and put it in place of the old one.

    Parameters
    ----------
    gather
        Called while no other process publishes, so a slower publisher never puts older contents in
        place of newer ones.

    Raises
    ------
    StorageError
        If the disk is full or refuses, or a file to show is gone; the old catalogue stays.
    """
    with _replacing(path) as built:
        _build(built, gather())


def publish_minutes(path: Path, gather: Callable[[], Minutes]) -> None:
    """Put a copy of the catalogue in its place that shows more minutes, and everything else as it did.

    What hangs on a session being there (factors, gaps, findings) waits for `publish`: the copy says of itself that
    it is not whole.

    Raises
    ------
    StorageError
        As `publish`.
    """
    with _replacing(path) as built:
        minutes = gather()
        shutil.copyfile(path, built)
        _bring_up(built, minutes)


def publish_parts(path: Path, gather: Callable[[], Made]) -> None:
    """Put a copy of the catalogue in its place whose tables and views of these names are new.

    Raises
    ------
    StorageError
        As `publish`.
    """
    with _replacing(path) as built:
        made = gather()
        shutil.copyfile(path, built)
        with contextlib.closing(_open()) as connection:
            connection.execute(f"ATTACH {_text(str(built))} AS market")
            connection.execute("USE market")
            old = dict(connection.execute("SELECT table_name, table_type FROM information_schema.tables").fetchall())
            for name in {*made.tables, *(view.name for view in made.views)} & set(old):
                connection.execute(f"DROP {'VIEW' if old[name] == 'VIEW' else 'TABLE'} {_name(name)}")
            _add_made(connection, made.views, made.tables)
            connection.execute("USE memory")
            connection.execute("DETACH market")


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Where to build a catalogue that takes the place of the one at a path when the block ends."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            temporary = f"{TEMPORARY_PREFIX}{path.name}-"
            # Nobody else publishes here now: whatever is there was left behind by a crash.
            for left in path.parent.glob(f"{temporary}*"):
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=temporary) as folder:
                built = Path(folder) / "catalogue.duckdb"
                try:
                    yield built
                except duckdb.Error as error:
                    raise StorageError(
                        f"the catalogue {path} cannot be built: {str(error).splitlines()[0]}. The old one stays: free "
                        "space, or restore the file it names, then run the same command again."
                    ) from error
                built.replace(path)
            fsync_folder(path.parent)


def _bring_up(path: Path, minutes: Minutes) -> None:
    with contextlib.closing(_open(minutes.filesystem)) as connection:
        connection.execute(f"ATTACH {_text(str(path))} AS market")
        connection.execute("USE market")
        connection.execute(f"CREATE OR REPLACE VIEW bars AS {_over(minutes.bars, _BARS, empty=_NO_BARS)}")
        old = _over(minutes.revisions, _REVISIONS, empty=_NO_REVISIONS)
        connection.execute(f"CREATE OR REPLACE VIEW revisions AS {old}")
        connection.execute("DELETE FROM coverage WHERE feed = ? AND session = ?", [minutes.feed, minutes.session])
        for name, frame in {"coverage": minutes.coverage, "commits": minutes.commits}.items():
            connection.register("incoming", as_arrow(frame))
            connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")
            connection.unregister("incoming")
        connection.execute("DELETE FROM symbols WHERE feed = ?", [minutes.feed])
        connection.execute(_SYMBOLS_OF_COVERAGE, {"calendar": minutes.calendar, "feed": minutes.feed})
        connection.execute("UPDATE catalogue_info SET last_commit = ?, is_whole = false", [minutes.last_commit])
        connection.execute("USE memory")
        connection.execute("DETACH market")


def _open(filesystem: AbstractFileSystem | None = None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=_CONFIG)
    if filesystem is not None:
        connection.register_filesystem(filesystem)
    connection.execute("SET TimeZone = 'UTC'")
    # DuckDB draws progress on the standard output of a program without a file: `python -c`, a notebook.
    connection.execute("SET enable_progress_bar = false")
    return connection


def _build(path: Path, catalogue: Catalogue) -> None:
    with contextlib.closing(_open(catalogue.filesystem)) as connection:
        connection.execute(f"ATTACH {_text(str(path))} AS market (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("USE market")
        connection.begin()  # by themselves, each of some sixty statements would be synced to disk
        if catalogue.with_bars:
            connection.execute(f"CREATE VIEW bars AS {_over(catalogue.bars, _BARS, empty=_NO_BARS)}")
        schema = {"root": pl.String(), "last_commit": pl.Datetime("us", "UTC"), "is_whole": pl.Boolean()}
        info = pl.DataFrame([(catalogue.root, catalogue.last_commit, True)], schema=schema, orient="row")
        _add_made(connection, catalogue.views, {**catalogue.tables, "catalogue_info": info})
        if catalogue.with_bars:
            _add_faces_of_bars(connection, catalogue)
        connection.commit()
        connection.execute("USE memory")
        connection.execute("DETACH market")


def _add_made(
    connection: duckdb.DuckDBPyConnection, views: Sequence[ParquetView], tables: Mapping[str, pl.DataFrame]
) -> None:
    for view in views:
        if view.paths:
            connection.execute(f"CREATE VIEW {_name(view.name)} AS {_over_files(view)}")
    for name, frame in tables.items():
        connection.register("incoming", as_arrow(frame))
        connection.execute(f"CREATE TABLE {_name(name)} AS SELECT * FROM incoming")
        connection.unregister("incoming")


def _over_files(view: ParquetView) -> str:
    if view.folder is None:
        hidden = ", ".join(map(_name, view.hidden))
        return f"SELECT * EXCLUDE ({hidden}) FROM {_read_parquet(view.paths, view.keys)}"
    files = ", ".join(_text(str(path)) for path in view.paths)
    return f"""SELECT parse_path(filename)[-2] AS {_name(view.folder)}, * EXCLUDE (filename)
               FROM read_parquet([{files}], filename = true, hive_partitioning = false)"""


def _add_faces_of_bars(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Views and macros that stand on `bars` and the small tables."""
    connection.execute(f"CREATE VIEW bars_adjusted AS {_BARS_ADJUSTED}")
    always = ", ".join(sorted({_text(_feed_of(path)) for path in catalogue.bars if is_always_open(_feed_of(path))}))
    in_parts = _IN_PARTS_ALWAYS.format(closing=_BARS_IN_PARTS, feeds=always) if always else _BARS_IN_PARTS
    connection.execute(f"CREATE VIEW bars_in_parts AS {in_parts}")
    between = _between("America/New_York") + (f" AND feed NOT IN ({always})" if always else "")
    if always:
        between += f" UNION ALL {_between('UTC')} AND feed IN ({always})"
    connection.execute(f"CREATE MACRO bars_between(wanted, since, until) AS TABLE {between}")
    aggregates = _AGGREGATES.format(volume="DOUBLE" if always else "BIGINT")
    for name, width in _LONGER_VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {_BARS_LONGER.format(width=width, aggregates=aggregates)}")
    connection.execute(f"CREATE VIEW bars_1d AS {_BARS_DAILY.format(aggregates=aggregates)}")
    connection.execute(f"CREATE VIEW revisions AS {_over(catalogue.revisions, _REVISIONS, empty=_NO_REVISIONS)}")
    connection.execute(f"CREATE VIEW bars_with_source AS {_BARS_WITH_SOURCE}")
    for macro in _MACROS:
        connection.execute(macro)
    for dataset in RECORD_DATASETS:
        _add_faces_of_records(connection, dataset, catalogue.records.get(dataset, ()))


def _add_faces_of_records(connection: duckdb.DuckDBPyConnection, dataset: str, paths: Sequence[str]) -> None:
    """The versions of one dataset, those that stand, and macros for those that stood at an instant."""
    kind, name = KINDS[dataset], _RECORD_VIEWS[dataset]
    if paths:
        chosen = ", ".join(_SYMBOLS if column == "symbols" else _name(column) for column in kind.columns)
        versions = f"SELECT {chosen} FROM {_read_parquet(paths, folder_names(dataset))}"
    else:
        connection.register("incoming", as_arrow(empty_versions(kind)))
        types = connection.sql("SELECT * FROM incoming").types
        connection.unregister("incoming")
        nothing = ", ".join(f"NULL::{'VARCHAR[]' if column == 'symbols' else type_} AS {_name(column)}"
                            for column, type_ in zip(kind.columns, types, strict=True))  # fmt: skip
        versions = f"SELECT {nothing} WHERE false"
    connection.execute(f"CREATE VIEW {name}_versions AS {versions}")
    keys = ", ".join(("source", *kind.keys))
    preferred = _PREFERRED if dataset == DAILY else ""
    standing = f"""
        SELECT * EXCLUDE (published_at){preferred} FROM (
            SELECT * FROM {{versions}}
            QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY published_at DESC, ingested_at DESC) = 1)
    """
    connection.execute(f"CREATE VIEW {name} AS {standing.format(versions=f'{name}_versions')}")
    known = f"{name}_versions WHERE known_at <= instant::TIMESTAMPTZ"
    connection.execute(f"CREATE MACRO {name}_known_by(instant) AS TABLE {standing.format(versions=known)}")
    part = f" AND c.symbol = v.{kind.part}" if kind.part else ""
    held = f"""{name}_versions AS v WHERE ingested_at <= instant::TIMESTAMPTZ AND NOT EXISTS (
        FROM commits AS c WHERE c.dataset = '{dataset}' AND c.feed = v.source{part} AND c.moment = v.ingested_at
         AND c.committed_at > instant::TIMESTAMPTZ)"""
    connection.execute(f"CREATE MACRO {name}_as_of(instant) AS TABLE {standing.format(versions=held)}")


def _over(paths: Sequence[str], select: str, *, empty: str) -> str:
    """A select over bar files, or the one without rows where there are no files."""
    groups = [(_SESSION, [path for path in paths if not is_always_open(_feed_of(path))])]
    groups.append((_UTC_DATE, [path for path in paths if is_always_open(_feed_of(path))]))
    parts = [select.format(session=session, source=_read_parquet(own, _BAR_KEYS)) for session, own in groups if own]
    return " UNION ALL ".join(parts) or empty


def _feed_of(path: str) -> str:
    """The feed of a bar file, from its folder's name."""
    return path.rsplit("/feed=", 1)[-1].split("/", 1)[0]


def _between(zone: str) -> str:
    """Bars of a symbol between two edges, of which a date is midnight in a zone."""
    since, until = (_EDGE.format(side=side, zone=zone) for side in ("since", "until"))
    return f"""SELECT * FROM bars WHERE symbol = upper(wanted) AND "timestamp" >= {since} AND "timestamp" < {until}"""


def _read_parquet(paths: Sequence[Path | str], keys: Sequence[str]) -> str:
    files = ", ".join(_text(str(path)) for path in paths)
    types = ", ".join(f"{_text(key)}: VARCHAR" for key in keys)
    return f"read_parquet([{files}], hive_partitioning = true, hive_types = {{{types}}})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def view_name(value: str) -> str:
    """A name as part of a view's name: letters, digits and `_`; anything else is spelled in hex."""
    return quote(value, safe="").replace("%", "_").replace("-", "_").replace(".", "_")


@contextlib.contextmanager
def connect(path: Path, filesystem: AbstractFileSystem | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Read-only connection to a published catalogue, as it lies on disk now.

    Raises
    ------
    FormatError
        If the file cannot be opened; publishing again makes a new one.
    """
    with contextlib.closing(_open(filesystem)) as connection:
        try:
            # Attached, not opened: by one path a process gets one database, so while anybody in it keeps
            # an older catalogue open, opening would meet that one, or a quarrel about its settings.
            connection.execute(f"ATTACH {_text(str(path))} AS market (READ_ONLY)")
            connection.execute("USE market")
        except duckdb.Error as error:
            raise FormatError(f"the catalogue {path} cannot be opened: {error}. Publish it again.") from error
        yield connection


def query(path: Path, sql: str, filesystem: AbstractFileSystem | None = None) -> pl.DataFrame:
    """Rows of one query on a catalogue; instants are UTC.

    The catalogue is trusted ground: whoever may call this may also read the disk.

    Raises
    ------
    InvalidInputError
        If DuckDB refuses the query; the message is DuckDB's own.
    FormatError
        If a file behind it is missing or damaged.
    """
    with connect(path, filesystem) as connection:
        try:
            relation = connection.sql(sql)
            frame = relation.pl() if relation is not None else pl.DataFrame()
        except duckdb.Error as error:
            if _OF_A_FILE.search(str(error)):
                raise FormatError(
                    f"a file behind the query cannot be read: {str(error).splitlines()[0]}. `barlake verify` names it, "
                    "`barlake repair` keeps what is good of it and fetches the rest again."
                ) from error
            raise InvalidInputError(f"DuckDB refused the query: {error}") from error
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - narrows polars' lazy option
    return frame


def relation(table: pa.Table) -> duckdb.DuckDBPyRelation:
    """An Arrow table as a DuckDB relation on a connection of its own, with instants shown in UTC."""
    return _open().from_arrow(table)
