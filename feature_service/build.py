"""Build feature tables: read the bars of one symbol, compute, write, next symbol. Memory holds one at a time."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from barlake import Lake
from barlake.artifacts import canonical_json
from barlake.errors import ConflictError, InvalidInputError
from barlake.feature_catalogue import publish_features
from barlake.feature_tables import FeatureTables
from barlake.keys import FeatureSetKey, SessionFilter
from barlake.sessions import NEW_YORK, Calendar
from feature_service.compute import check_bars, feature_table, on_sessions
from feature_service.inputs import FeatureInputs
from feature_service.sets import FeatureSet, find_feature_set
from feature_service.sources import BarSource, DuckDBBars, LakeBars, Target

__all__ = ["BuildReport", "Progress", "SymbolBuild", "build", "build_features", "current_inputs"]

Progress = Callable[[str, int, int], None]
"""Called as each symbol begins, with its name, how many are done and how many there are; and at the end."""

_ATTEMPTS = 3


@dataclass(frozen=True)
class SymbolBuild:
    """What came of one symbol. `files_written` is 0 when its bars were unchanged; `rows` are in the table."""

    symbol: str
    feed: str
    feature_set: str
    version: str
    rows: int
    files_written: int
    seconds: float


@dataclass(frozen=True)
class BuildReport:
    """What came of a build, symbol by symbol."""

    symbols: tuple[SymbolBuild, ...]

    @property
    def files_written(self) -> int:
        """Parquet files written in all; 0 when nothing had changed."""
        return sum(one.files_written for one in self.symbols)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {"files_written": self.files_written, "symbols": [asdict(one) for one in self.symbols]}


def build_features(
    lake: Lake,
    symbols: Sequence[str] = (),
    *,
    feed: str | None = None,
    session: str = "regular",
    set_name: str = "core",
    progress: Progress | None = None,
) -> BuildReport:
    """Build a feature set over the whole history of symbols and publish the catalogue that shows it.

    The lake's settings may name another source (`source_duckdb_path`), another folder for the tables
    (`dest_parquet_dir`) and another catalogue (`dest_duckdb_path`).

    Parameters
    ----------
    symbols
        Empty means all that the source holds.
    feed
        None takes `sip` before `iex` before the only other one.
    session
        `regular` or `all`: the hours whose bars make up the history.

    Raises
    ------
    NotFoundError
        If a symbol, or the set, is not there.
    InvalidInputError
        If bars cannot carry features; the other symbols are built all the same.
    ConflictError
        If the bars of a symbol kept changing while they were read.
    StorageError
        If the disk is full or refuses.
    """
    settings = lake.settings
    source = LakeBars(lake) if settings.source_duckdb_path is None else DuckDBBars(settings.source_duckdb_path)
    elsewhere = settings.dest_parquet_dir
    tables = lake.feature_tables if elsewhere is None else FeatureTables(elsewhere)
    try:
        return build(
            source,
            symbols,
            tables=tables,
            calendar=lake.calendar,
            feature_set=find_feature_set(set_name),
            feed=feed,
            session=SessionFilter.parse(session),
            progress=progress,
        )
    finally:
        _publish(lake, tables, settings.dest_duckdb_path)


def _publish(lake: Lake, tables: FeatureTables, elsewhere: Path | None) -> None:
    """Bring a catalogue up to the tables, unless it is newer than the last of them."""
    catalogue = lake.catalogue_path if elsewhere is None else elsewhere
    written = tables.last_written()
    if written is None or (catalogue.exists() and catalogue.stat().st_mtime >= written.timestamp()):
        return
    if elsewhere is None:
        lake.publish()
    else:
        publish_features(elsewhere, tables)


def build(
    source: BarSource,
    symbols: Sequence[str],
    *,
    tables: FeatureTables,
    calendar: Calendar,
    feature_set: FeatureSet,
    feed: str | None = None,
    session: SessionFilter = SessionFilter.REGULAR,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a feature set from a source into tables, one symbol at a time.

    Raises
    ------
    InvalidInputError
        At the end, for all symbols whose bars cannot carry features.
    """
    targets = source.targets(symbols, feed)
    told = progress or _silent
    done: list[SymbolBuild] = []
    faults: list[InvalidInputError] = []
    for index, target in enumerate(targets):
        told(target.symbol, index, len(targets))
        try:
            done.append(_build_symbol(source, target, tables, calendar, feature_set, session))
        except InvalidInputError as error:
            faults.append(error)
    told("", len(targets), len(targets))
    if faults:
        built = f" {len(done)} other symbols were built." if done else ""
        raise InvalidInputError(" ".join(map(str, faults)) + built) from faults[0]
    return BuildReport(tuple(done))


def _build_symbol(
    source: BarSource,
    target: Target,
    tables: FeatureTables,
    calendar: Calendar,
    feature_set: FeatureSet,
    session: SessionFilter,
) -> SymbolBuild:
    begun = time.perf_counter()
    key = feature_set.key(feed=target.feed, session=session)
    inputs = current_inputs(source, target, calendar)
    written = 0
    if not tables.is_current(key, target.symbol, inputs):
        bars, inputs = _read_unchanged(source, target, calendar, inputs)
        written = _write(tables, key, target, bars, inputs, calendar, feature_set, session)
    entry = tables.entry(key, target.symbol) or {"rows": 0}
    return SymbolBuild(
        symbol=target.symbol,
        feed=target.feed,
        feature_set=key.name,
        version=key.version,
        rows=entry["rows"],
        files_written=written,
        seconds=round(time.perf_counter() - begun, 3),
    )


def _read_unchanged(
    source: BarSource, target: Target, calendar: Calendar, inputs: dict[str, Any]
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Bars and what they are, for sure: an ingest may be writing while they are read."""
    for _ in range(_ATTEMPTS):
        bars = source.read(target)
        after = current_inputs(source, target, calendar)
        if after == inputs:
            return bars, inputs
        inputs = after
    raise ConflictError(
        f"the bars of {target.symbol} changed each of {_ATTEMPTS} times they were read: build again when the "
        "ingest has finished."
    )


def _write(
    tables: FeatureTables,
    key: FeatureSetKey,
    target: Target,
    bars: pl.DataFrame,
    inputs: dict[str, Any],
    calendar: Calendar,
    feature_set: FeatureSet,
    session: SessionFilter,
) -> int:
    history = on_sessions(bars, calendar, session, feed=target.feed)
    if history.is_empty():
        raise InvalidInputError(
            f"symbol {target.symbol!r} has {bars.height} bars but none of session {session.value!r}: build with "
            "--session all, or ingest its regular hours."
        )
    check_bars(history, target.symbol)
    table = feature_table(FeatureInputs(history), feature_set.features)
    definition = feature_set.definition(feed=target.feed, session=session)
    return tables.write(key, target.symbol, table, inputs=inputs, definition=definition)


def current_inputs(source: BarSource, target: Target, calendar: Calendar) -> dict[str, Any]:
    """What a table of a symbol would be made from now; equal for equal bars in equal hours.

    A hash of the sessions is part of it: an added early close changes features, too.
    """
    given = source.inputs(target)
    inputs = {name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in given.items()}
    first, last = (dt.datetime.fromisoformat(inputs[side]).astimezone(NEW_YORK).date() for side in ("first", "last"))
    sessions = calendar.frame.filter(pl.col("session").is_between(first, last)).select("session", "open", "close")
    text = canonical_json(sessions.rows())
    return {**inputs, "calendar_hash": hashlib.sha256(text.encode()).hexdigest()}


def _silent(symbol: str, done: int, total: int) -> None:
    del symbol, done, total
