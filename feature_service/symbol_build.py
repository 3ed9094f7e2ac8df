"""One feature table: what it would be made from now, whether it is that already, and making it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from barlake import Lake
from barlake.errors import ConflictError, InvalidInputError, NotFoundError
from barlake.feature_tables import FeatureTables
from barlake.keys import Adjustment, FeatureSetKey, SessionFilter
from barlake.sessions import NEW_YORK, Calendar
from feature_service.compute import check_bars, feature_table, on_sessions
from feature_service.inputs import FeatureInputs
from feature_service.record_inputs import macro_versions, news_articles
from feature_service.sets import FeatureSet
from feature_service.sources import BarSource, Target, hash_of_rows

__all__ = ["SymbolBuild", "SymbolBuilder"]

_ATTEMPTS = 3


@dataclass(frozen=True)
class SymbolBuild:
    """What came of one symbol. `files_written` is 0 when its inputs were unchanged; `rows` are in the table."""

    symbol: str
    feed: str
    feature_set: str
    version: str
    rows: int
    files_written: int
    seconds: float


@dataclass(frozen=True)
class SymbolBuilder:
    """Builds the tables of one feature set, symbol by symbol.

    Parameters
    ----------
    lake
        Its macro values, news and calendar; its bars only where `source` says so.
    session
        `regular` or `all`: the hours whose bars make up the history.
    adjustment
        Of prices and volumes; anything but `raw` is in the terms of the first session held.
    proof
        What the leak proof of a set of one's own tried: part of what a manifest says of the version.
    """

    lake: Lake
    source: BarSource
    tables: FeatureTables
    calendar: Calendar
    feature_set: FeatureSet
    session: SessionFilter = SessionFilter.REGULAR
    adjustment: Adjustment = Adjustment.RAW
    proof: Mapping[str, Any] | None = None

    def key(self, feed: str) -> FeatureSetKey:
        """Name and version of the tables over one feed's bars."""
        return self.feature_set.key(feed=feed, session=self.session, adjustment=self.adjustment)

    def inputs_now(self, target: Target) -> dict[str, Any]:
        """What the table of a symbol would be made from now, as JSON can hold it; equal for equal inputs.

        feed, rows, first, last, content_hash of its bars; calendar_hash, because an added early close changes
        features, too; where prices are adjusted actions_hash; and where the set reads them `context` (the same
        of the other symbol), macro_hash and news_hash.

        Raises
        ------
        NotFoundError
            If the context symbol is not held.
        """
        found = self.source.inputs(target, self.adjustment)
        spans = [found]
        if (other := self._context(target)) is not None:
            found["context"] = {"symbol": other.symbol, **self._context_inputs(other)}
            spans.append(found["context"])
        found["calendar_hash"] = self._calendar_hash(spans)
        for name, frame in (("macro", self._macro()), ("news", self._news(target))):
            if frame is not None:
                found[f"{name}_hash"] = hash_of_rows(frame)
        return found

    def is_current(self, target: Target, inputs: dict[str, Any]) -> bool:
        """Whether the table was made from exactly these inputs and all its files are on disk."""
        return self.tables.is_current(self.key(target.feed), target.symbol, inputs)

    def read(self, target: Target) -> FeatureInputs:
        """Everything the features of a symbol are computed from, gated.

        Raises
        ------
        InvalidInputError
            If there is no bar in these hours, or a price or volume that no indicator can be computed over.
        """
        other = self._context(target)
        return FeatureInputs(
            bars=self._history(target),
            context=None if other is None else self._history(other),
            macro=self._macro(),
            news=self._news(target),
        )

    def build(self, target: Target, inputs: dict[str, Any] | None = None) -> SymbolBuild:
        """Make the table of a symbol, unless it is current.

        Parameters
        ----------
        inputs
            What `inputs_now` gave, when it is at hand.

        Raises
        ------
        InvalidInputError
            If its bars cannot carry features.
        ConflictError
            If its bars kept changing while they were read.
        """
        begun = time.perf_counter()
        inputs = self.inputs_now(target) if inputs is None else inputs
        written = 0
        if not self.is_current(target, inputs):
            read, inputs = self._read_unchanged(target, inputs)
            table = feature_table(read, self.feature_set.features)
            key, definition = self.key(target.feed), self._definition(target.feed)
            written = self.tables.write(key, target.symbol, table, inputs=inputs, definition=definition)
        return self.report(target, files_written=written, seconds=time.perf_counter() - begun)

    def report(self, target: Target, *, files_written: int = 0, seconds: float = 0.0) -> SymbolBuild:
        """What is to be said of the table of a symbol."""
        key = self.key(target.feed)
        entry = self.tables.entry(key, target.symbol) or {"rows": 0}
        return SymbolBuild(
            target.symbol, target.feed, key.name, key.version, entry["rows"], files_written, round(seconds, 3)
        )

    def _definition(self, feed: str) -> dict[str, Any]:
        stated = self.feature_set.definition(feed=feed, session=self.session, adjustment=self.adjustment)
        return stated if self.proof is None else {**stated, "proof": dict(self.proof)}

    # --- what it is made from ------------------------------------------------------------------

    def _read_unchanged(self, target: Target, inputs: dict[str, Any]) -> tuple[FeatureInputs, dict[str, Any]]:
        """Inputs and what they are, for sure: an ingest may be writing while they are read."""
        for _ in range(_ATTEMPTS):
            read = self.read(target)
            after = self.inputs_now(target)
            if after == inputs:
                return read, inputs
            inputs = after
        raise ConflictError(
            f"what the features of {target.symbol} are made from changed each of {_ATTEMPTS} times it was read: build "
            "again when the ingest has finished."
        )

    def _context(self, target: Target) -> Target | None:
        symbol = self.feature_set.context if self.feature_set.needs_context else None
        return None if symbol is None else Target(target.feed, symbol)

    def _context_inputs(self, other: Target) -> dict[str, Any]:
        try:
            return self.source.inputs(other, self.adjustment)
        except NotFoundError as error:
            raise NotFoundError(
                f"feature set {self.feature_set.name!r} reads the context symbol {other.symbol}, of which feed "
                f"{other.feed!r} has no bars: ingest them, or name another symbol with --context, or none with "
                "--context none (its columns are null then)."
            ) from error

    def _history(self, target: Target) -> pl.DataFrame:
        bars = self.source.read(target, self.adjustment)
        history = on_sessions(bars, self.calendar, self.session, feed=target.feed)
        if history.is_empty():
            raise InvalidInputError(
                f"symbol {target.symbol!r} has {bars.height} bars but none of session {self.session.value!r}: build "
                "with --session all, or ingest its regular hours."
            )
        check_bars(history, target.symbol)
        return history

    def _macro(self) -> pl.DataFrame | None:
        return macro_versions(self.lake, self.feature_set.macro_series) if self.feature_set.needs_macro else None

    def _news(self, target: Target) -> pl.DataFrame | None:
        return news_articles(self.lake, target.symbol) if self.feature_set.needs_news else None

    def _calendar_hash(self, spans: list[dict[str, Any]]) -> str:
        dates = [_session_of(span[side]) for span in spans for side in ("first", "last")]
        sessions = self.calendar.frame.filter(pl.col("session").is_between(min(dates), max(dates)))
        return hash_of_rows(sessions.select("session", "open", "close"))


def _session_of(instant: str) -> dt.date:
    return dt.datetime.fromisoformat(instant).astimezone(NEW_YORK).date()
