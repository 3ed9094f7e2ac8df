"""Build feature tables: those that are not current, several symbols at a time, each in a process of its own."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from barlake import Lake
from barlake.adjust import parse_adjustment
from barlake.errors import BarlakeError, ConflictError, InvalidInputError, NotFoundError
from barlake.feature_catalogue import publish_features
from barlake.feature_tables import FeatureTables, feature_tables_of
from barlake.keys import Adjustment, SessionFilter
from barlake.memory import available_bytes
from barlake.parallel import plan_workers, run_parallel
from barlake.settings import Settings
from barlake.stores import Store
from feature_service.proof_on_build import proof_of
from feature_service.sets import FeatureSet, find_feature_set
from feature_service.sources import Target, source_of
from feature_service.symbol_build import SymbolBuild, SymbolBuilder

__all__ = ["BuildReport", "Progress", "SymbolBuild", "build_features", "builder_of", "symbol_bytes"]

Progress = Callable[[str, int, int], None]
"""Called as each symbol is finished, with its name, how many are done and how many there are."""

_WORTH_A_PROCESS = 300_000
"""Rows below which starting processes, a second each, takes longer than the work."""

_OWN_BYTES, _ROW_BYTES, _VALUE_BYTES = 250_000_000, 450, 6
"""What `symbol_bytes` is made of; half as much again as was measured over 978,000 rows of 37 and of 132 features."""


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
    adjustment: str = "raw",
    context: str | None = None,
    workers: int | None = None,
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
    set_name
        A set of the house, of an installed package, or the path of a module of your own.
    adjustment
        `raw`, or `split`, `dividend`, `all`: prices in the terms of the first session held, which no later
        action changes.
    context
        Symbol that features of other symbols' bars look at; None takes the set's own, `none` none.
    workers
        Symbols at a time. None takes `BARLAKE_WORKERS`, else one for each core; one where there is little to do,
        and never more than fit into memory.

    Raises
    ------
    NotFoundError
        If a symbol, or the set, is not there.
    InvalidInputError
        If bars cannot carry features; the other symbols are built all the same.
    LookAheadError
        If a feature of a set of your own looks ahead; nothing is built then.
    ConflictError
        If the bars of a symbol kept changing while they were read.
    StorageError
        If the disk is full or refuses.
    """
    request = _Request(set_name, context, SessionFilter.parse(session), parse_adjustment(adjustment))
    builder = request.builder(lake)
    try:
        return _build_all(builder, request, builder.source.targets(symbols, feed), workers, progress or _silent)
    finally:
        _publish(lake, builder.tables)


def builder_of(
    lake: Lake, *, set_name: str = "core", context: str | None = None, session: str = "regular", adjustment: str = "raw"
) -> SymbolBuilder:
    """What builds the tables of a set from a lake, and reads what they are made from; options as `build_features`."""
    request = _Request(set_name, context, SessionFilter.parse(session), parse_adjustment(adjustment))
    return request.builder(lake)


def symbol_bytes(rows: int, columns: int) -> int:
    """Bytes that building one symbol takes at its peak, in a process of its own."""
    return _OWN_BYTES + rows * (_ROW_BYTES + _VALUE_BYTES * columns)


@dataclass(frozen=True)
class _Request:
    """What is built, in a form that goes to another process."""

    set_name: str
    context: str | None
    session: SessionFilter
    adjustment: Adjustment

    def builder(self, lake: Lake, proof: Mapping[str, Any] | None = None) -> SymbolBuilder:
        return SymbolBuilder(
            lake=lake,
            source=source_of(lake),
            tables=feature_tables_of(lake),
            calendar=lake.calendar,
            feature_set=self._set(),
            session=self.session,
            adjustment=self.adjustment,
            proof=proof,
        )

    def _set(self) -> FeatureSet:
        found = find_feature_set(self.set_name)
        if self.context is None:
            return found
        if not found.needs_context:
            raise InvalidInputError(
                f"context {self.context!r} has nobody to read it: no feature of set {found.name!r} looks at another "
                "symbol. Leave --context out, or build a set that does, such as full."
            )
        return found.with_context(None if self.context.lower() == "none" else self.context)


@dataclass(frozen=True)
class _Place:
    """A lake, in a form that goes to another process."""

    root: Path
    settings: Settings
    store: Store


@dataclass(frozen=True)
class _Task:
    target: Target
    inputs: dict[str, Any]
    version: str


def _build_all(
    builder: SymbolBuilder, request: _Request, targets: Sequence[Target], workers: int | None, progress: Progress
) -> BuildReport:
    done: dict[Target, SymbolBuild | BarlakeError] = {}
    tasks = []
    for target in targets:
        inputs = builder.inputs_now(target)
        if builder.is_current(target, inputs):
            done[target] = builder.report(target)
        else:
            tasks.append(_Task(target, inputs, builder.key(target.feed).version))
    progress("", len(done), len(targets))
    builder = dataclasses.replace(builder, proof=proof_of(builder, [task.target for task in tasks]))
    count = _workers_for(tasks, len(builder.feature_set.features), workers)
    place = _Place(builder.lake.root, builder.lake.settings, builder.lake.store)
    work = (
        functools.partial(_attempt, builder)
        if count == 1
        else functools.partial(_build_elsewhere, place, request, builder.proof)
    )
    current = len(done)
    made = run_parallel(
        work,
        tasks,
        workers=count,
        progress=lambda name, finished, _: progress(name, current + finished, len(targets)),
        name_of=lambda task: task.target.symbol,
    )
    done |= zip((task.target for task in tasks), made, strict=True)
    return _report([done[target] for target in targets])


def _workers_for(tasks: Sequence[_Task], columns: int, workers: int | None) -> int:
    if not tasks:
        return 1
    rows = [task.inputs["rows"] for task in tasks]
    if workers is None and sum(rows) < _WORTH_A_PROCESS:
        return 1
    count = plan_workers(workers, items=len(tasks)).count
    fitting = available_bytes() // symbol_bytes(max(rows), columns)
    return max(1, min(count, fitting))


def _attempt(builder: SymbolBuilder, task: _Task) -> SymbolBuild | BarlakeError:
    """One symbol; what is wrong with its bars does not keep the others from being built."""
    try:
        return builder.build(task.target, task.inputs)
    except (InvalidInputError, NotFoundError) as error:
        return error


def _build_elsewhere(
    place: _Place, request: _Request, proof: Mapping[str, Any] | None, task: _Task
) -> SymbolBuild | BarlakeError:
    with Lake(place.root, place.settings, store=place.store) as lake:
        builder = request.builder(lake, proof)
        if builder.key(task.target.feed).version != task.version:
            raise ConflictError(
                f"feature set {request.set_name!r} is other code here than where the build was begun: build again when "
                "its file has come to rest, with the same release on every machine."
            )
        return _attempt(builder, task)


def _report(found: Sequence[SymbolBuild | BarlakeError]) -> BuildReport:
    faults = [one for one in found if isinstance(one, BarlakeError)]
    built = tuple(one for one in found if isinstance(one, SymbolBuild))
    if faults:
        others = f" {len(built)} other symbols were built." if built else ""
        raise InvalidInputError(" ".join(map(str, faults)) + others) from faults[0]
    return BuildReport(built)


def _publish(lake: Lake, tables: FeatureTables) -> None:
    """Bring a catalogue up to the tables, unless it is newer than the last of them."""
    elsewhere = lake.settings.dest_duckdb_path
    catalogue = lake.catalogue_path if elsewhere is None else elsewhere
    written = tables.last_written()
    if written is None or (catalogue.exists() and catalogue.stat().st_mtime >= written.timestamp()):
        return
    if elsewhere is None:
        lake.publish()
    else:
        publish_features(elsewhere, tables)


def _silent(symbol: str, done: int, total: int) -> None:
    del symbol, done, total
