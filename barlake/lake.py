"""Lake: the one object that services, the command line and notebooks hold."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

import duckdb
import polars as pl
import pyarrow as pa

from barlake import layout, publish
from barlake.action_files import BadRow, read_actions
from barlake.action_records import ActionReport
from barlake.artifacts import ArtifactStore
from barlake.bars import BarOptions, BarQuery, Output
from barlake.catalogue import action_table, is_current, publish_lake, publish_made, publish_session, refresh
from barlake.clock import clock_of
from barlake.coverage import coverage, gaps
from barlake.durable import storage_errors
from barlake.errors import StorageError
from barlake.feature_tables import FeatureTables
from barlake.feeds import chosen_feed, require_held
from barlake.importing import ImportReport, import_bars
from barlake.inspection import Symbols, absent_minutes, check_changed, inspect
from barlake.keys import Adjustment, Names, SessionFilter, Timeframe, parse_feed, parse_symbols
from barlake.lake_database import database_of, open_manifest
from barlake.latest import latest_bars
from barlake.partition_write import WriteReport
from barlake.past import held_as_of, symbols_of, with_calendar
from barlake.published import published
from barlake.ranges import Boundary, parse_instant, time_range
from barlake.reader import read_revisions
from barlake.record_faces import RecordFaces
from barlake.records import utc_now
from barlake.rollup import RollupReport, RollupStep, rollup
from barlake.sessions import NEW_YORK, Calendar
from barlake.settings import Settings, load_settings
from barlake.snapshots import Snapshot, lake_root, take_snapshot
from barlake.stores import LocalStore, Store, folder_of, store_of
from barlake.strategy_records import StrategyRecords
from barlake.trials import TrialLedger
from barlake.vacuum import GRACE, VacuumReport, vacuum, vacuum_drafts
from barlake.verify import OnFile, VerifyReport, tell_nobody, verify
from barlake.writer import BarWriter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Lake", "open_lake"]


def open_lake(path: Path | str | None = None, *, settings: Settings | None = None) -> Lake:
    """The lake in a folder, which is made when missing.

    Parameters
    ----------
    path
        None takes `BARLAKE_ROOT` or `./data`.

    Raises
    ------
    StorageError
        If the folder cannot be made or written, or a newer release wrote it.
    InvalidInputError
        If the folder's path cannot hold a lake.
    """
    settings = settings or load_settings()
    if path is not None:
        settings = settings.model_copy(update={"root": str(path)})
    root = folder_of(settings)
    if (root / layout.RESTORING_FILE).exists():
        raise StorageError(f"{root} is being restored, or that was interrupted: run the same `barlake restore` again.")
    return Lake(root, settings, store=store_of(settings), now=clock_of(settings).now)


class Lake(RecordFaces):
    """Bars, daily bars, news and macro values, their coverage, what was made from them, trials and strategies.

    Parameters
    ----------
    root
        The folder of everything local, made when missing.
    store
        Where the bar files lie; None means the same folder.
    now
        The clock; tests hand in their own.
    """

    def __init__(
        self, root: Path, settings: Settings, *, store: Store | None = None, now: Callable[[], dt.datetime] = utc_now
    ) -> None:
        self.root = root
        self.settings = settings
        self.store = store or LocalStore(root)
        self.now = now
        try:
            root.mkdir(parents=True, exist_ok=True)
            self.manifest = open_manifest(self.store, root, database_of(settings), now=now)
        except OSError as error:
            raise StorageError(
                f"the lake's folder {root} cannot be used: {error.strerror or error}. Name another with --root "
                "or BARLAKE_ROOT."
            ) from error
        self.artifacts = ArtifactStore(root, self.manifest.artifacts)
        self.feature_tables = FeatureTables(root / "features")
        self.trials = TrialLedger(self.manifest.engine, now=now)
        self.strategies = StrategyRecords(self.manifest.engine, now=now)
        self.writer = BarWriter(self.store, self.manifest, lambda: self.calendar, now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the manifest database."""
        self.manifest.close()

    @functools.cached_property
    def calendar(self) -> Calendar:
        """The sessions of XNYS."""
        path = self.root / layout.CALENDAR_FILE
        with storage_errors(path):
            return Calendar.cached(path)

    @property
    def catalogue_path(self) -> Path:
        """The published DuckDB file."""
        return self.root / layout.CATALOGUE_FILE

    # --- bars out ------------------------------------------------------------------------------

    @overload
    def bars(
        self, symbols: Names, start: Boundary = ..., end: Boundary = ..., *,
        output: Literal["polars"] = ..., **options: Unpack[BarOptions],
    ) -> pl.DataFrame: ...  # fmt: skip
    @overload
    def bars(
        self, symbols: Names, start: Boundary = ..., end: Boundary = ..., *,
        output: Literal["lazy"], **options: Unpack[BarOptions],
    ) -> pl.LazyFrame: ...  # fmt: skip
    @overload
    def bars(
        self, symbols: Names, start: Boundary = ..., end: Boundary = ..., *,
        output: Literal["arrow"], **options: Unpack[BarOptions],
    ) -> pa.Table: ...  # fmt: skip
    @overload
    def bars(
        self, symbols: Names, start: Boundary = ..., end: Boundary = ..., *,
        output: Literal["pandas"], **options: Unpack[BarOptions],
    ) -> pd.DataFrame: ...  # fmt: skip
    @overload
    def bars(
        self, symbols: Names, start: Boundary = ..., end: Boundary = ..., *,
        output: Literal["duckdb"], **options: Unpack[BarOptions],
    ) -> duckdb.DuckDBPyRelation: ...  # fmt: skip
    def bars(
        self,
        symbols: Names,
        start: Boundary = None,
        end: Boundary = None,
        *,
        timeframe: str = Timeframe.MINUTE,
        session: str = SessionFilter.ALL,
        feed: str | None = None,
        as_of: dt.datetime | str | None = None,
        adjustment: str = Adjustment.RAW,
        with_source: bool = False,
        output: Output = "polars",
    ) -> Any:
        """Bars with start <= timestamp < end, by symbol in the order given, then by timestamp.

        Parameters
        ----------
        start, end
            Session dates (`"2024-01-02"`, New York) or aware instants; None leaves that side open.
        timeframe
            `1Min`, or `5Min`, `15Min`, `1Hour`, `1Day` made from minute bars.
        session
            `regular`, `pre`, `post` or `all`.
        feed
            None takes `sip` before `iex` before the only other feed that holds every symbol.
        as_of
            An instant with its zone: exactly the bars the lake held then. None means now.
        adjustment
            `raw`, or `split`, `dividend`, `all`: in the terms of the last session held; volume is then a float.
        with_source
            With a column `source`: who delivered each minute bar; null where that is not known any more.
        output
            `polars`; `lazy` (a `LazyFrame`: nothing is read until it is collected, and then only the files,
            rows and columns it needs); `arrow`; `pandas`, numbered from 0; `duckdb` (a relation).

        Returns
        -------
        feed, symbol, session (New York date), timestamp (opening instant, UTC), open, high, low, close
        (dollars, raw unless adjusted), volume (shares), trade_count, vwap, and ingested_at; in place of the
        last, longer timeframes have minutes (how many minute bars) and derived (true).

        Raises
        ------
        NotFoundError
            If a symbol is not held, or a dividend to adjust by has no close to be measured by.
        InvalidInputError
            If the range is reversed or lacks its zone, or an option is not known.

        Notes
        -----
        All rows are in memory at once, about 100 bytes each, unless the output is `lazy`. A lazy frame shows the
        lake of the moment it was made, and polars itself speaks when a file is damaged.
        """
        options = BarOptions(
            timeframe=timeframe, session=session, feed=feed, as_of=as_of, adjustment=adjustment, with_source=with_source
        )
        return BarQuery.parse(self, symbols, start, end, **options).answer(output)

    def latest(self, symbols: Names, bars: int = 1, *, feed: str | None = None) -> pl.DataFrame:
        """The last `bars` minute bars of each symbol, with the columns of `bars`; only the end of a file is read."""
        names = parse_symbols(symbols)
        return latest_bars(self, names, bars=bars, feed=self.feed_of(names, feed))

    def feed_of(self, symbols: Names, feed: str | None = None) -> str:
        """The feed meant for these symbols: the one named, or `sip` before `iex` before the only other.

        Raises
        ------
        NotFoundError
            If no single feed holds every symbol.
        InvalidInputError
            If several feeds do and none of them goes first.
        """
        names = parse_symbols(symbols)
        feed = None if feed is None else parse_feed(feed)
        feeds = self.manifest.feeds(names)
        if not (feeds.get(feed, set()) if feed else set().union(*feeds.values())).issuperset(names):
            feeds = self.manifest.feeds()  # all there are, for what may have been meant
        return chosen_feed(names, feeds, feed)

    def sql(self, query: str) -> pl.DataFrame:
        """Rows of one SQL query on the published catalogue; instants are UTC.

        Raises
        ------
        InvalidInputError
            If DuckDB refuses the query.
        FormatError
            If a file behind it is missing or damaged.
        """
        found = published(self.catalogue_path)
        if found is None or found.root != self.store.name:
            self.publish()
        return publish.query(self.catalogue_path, query, self.store.filesystem())

    # --- what is here --------------------------------------------------------------------------

    def symbols(self, feed: str | None = None, *, as_of: dt.datetime | str | None = None) -> pl.DataFrame:
        """One row per feed and symbol: feed, symbol, sessions, bars, first, last (session dates), calendar.

        The calendar is `XNYS`, or `24/7` where a session is a UTC date; the feed's name says which.

        Parameters
        ----------
        as_of
            An instant with its zone: what the lake held then. None means now.
        """
        feed, moment = None if feed is None else parse_feed(feed), parse_instant(as_of, "as_of")
        return with_calendar(
            self.manifest.symbols(feed=feed) if moment is None else symbols_of(self.held(moment, feed=feed))
        )

    def coverage(
        self,
        symbols: Names | None = None,
        start: Boundary = None,
        end: Boundary = None,
        *,
        feed: str | None = None,
        as_of: dt.datetime | str | None = None,
    ) -> pl.DataFrame:
        """One row per session held, now or at an instant; columns as in `barlake.coverage.coverage`."""
        span, moment = time_range(start, end), parse_instant(as_of, "as_of")
        first, last = span.first_session, span.end_session
        names = [] if symbols is None else parse_symbols(symbols)
        only = names[0] if len(names) == 1 else None  # of one symbol, nothing else is read
        held = self._asked_for(self.held(moment, symbol=only, start=first, end=last), symbols, feed)
        answers = self.manifest.answers(symbol=only, start=first, end=last, as_of=moment)
        return coverage(held, answers, self.calendar)

    def gaps(
        self,
        symbols: Names | None = None,
        start: Boundary = None,
        end: Boundary = None,
        *,
        feed: str | None = None,
        as_of: dt.datetime | str | None = None,
    ) -> pl.DataFrame:
        """One row per session with absent regular minutes; columns as in `barlake.coverage.gaps`.

        Sessions are expected from `start`, or the first session that the feed holds of any symbol asked for, up
        to `end`, or the last one it holds; with `as_of`, of those held then.
        """
        span, moment = time_range(start, end), parse_instant(as_of, "as_of")
        names, now = [] if symbols is None else parse_symbols(symbols), moment or self.now()
        only = names[0] if len(names) == 1 else None  # of one symbol, nothing else is read
        held, answers = self.held(moment, symbol=only), self.manifest.answers(symbol=only, as_of=moment)
        asked = self._asked_for(held, names or None, feed).sort("feed")
        pairs = asked.select("feed", "symbol").unique()
        found = [gaps(pairs.clear(), held, answers, self.calendar.frame.clear(), now=now)]
        for (name,), own in asked.group_by("feed", maintain_order=True):
            days = own["session"].sort()
            first, end_session = span.first_session or days[0], span.end_session or days[-1] + dt.timedelta(days=1)
            expected = self.calendar.of(str(name)).in_range(first, end_session)
            found.append(gaps(pairs.filter(pl.col("feed") == name), held, answers, expected, now=now))
        return pl.concat(found)

    def missing_minutes(
        self, symbol: str, start: Boundary = None, end: Boundary = None, *, feed: str | None = None
    ) -> pl.DataFrame:
        """Runs of absent minutes, each with its class and evidence; see `barlake.inspection.absent_minutes`."""
        return absent_minutes(self, symbol, time_range(start, end, self.feed_of(symbol, feed)), feed=feed)

    def quality(
        self, symbols: Symbols = None, start: Boundary = None, end: Boundary = None, *, feed: str | None = None
    ) -> pl.DataFrame:
        """What the checks find in regular bars, checked now where they changed; see `barlake.inspection.inspect`."""
        return inspect(self, self._pairs(symbols, feed), time_range(start, end))

    def held(
        self,
        as_of: dt.datetime | None = None,
        *,
        feed: str | None = None,
        symbol: str | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> pl.DataFrame:
        """Sessions as on record now, or as they were at an instant; columns as in `Manifest.held`."""
        if as_of is None:
            return self.manifest.held(feed=feed, symbol=symbol, start=start, end=end)
        found = held_as_of(self.store, self.manifest, self.calendar, as_of, feed=feed, start=start, end=end)
        return found if symbol is None else found.filter(pl.col("symbol") == symbol)

    def _pairs(self, symbols: Names | None, feed: str | None) -> pl.DataFrame:
        """Feed and symbol of everything asked for; every feed that holds a symbol, when none is named."""
        return self._asked_for(self.symbols(feed), symbols, feed).select("feed", "symbol")

    def _asked_for(self, rows: pl.DataFrame, symbols: Names | None, feed: str | None) -> pl.DataFrame:
        """Rows of these symbols and this feed; a symbol must be held now, or be among the rows."""
        if feed is not None:
            rows = rows.filter(pl.col("feed") == parse_feed(feed))
        if symbols is None:
            return rows
        names = parse_symbols(symbols)
        if not set(rows["symbol"]).issuperset(names):
            require_held(names, {*self.symbols(feed)["symbol"], *rows["symbol"]}, feed)
        return rows.filter(pl.col("symbol").is_in(names))

    def snapshot(
        self,
        symbols: Names | None = None,
        start: Boundary = None,
        end: Boundary = None,
        *,
        feed: str | None = None,
        as_of: dt.datetime | str | None = None,
    ) -> Snapshot:
        """The moment and the root hash of all sessions held, of these symbols in a range of session dates.

        Equal roots mean equal bars, however they are laid out in files. Without symbols the root covers
        the whole lake, every feed of it.

        Parameters
        ----------
        as_of
            An instant with its zone: what a snapshot gave then. None means now.

        Raises
        ------
        NotFoundError
            If a symbol is not held.
        """
        span, instant = time_range(start, end), parse_instant(as_of, "as_of")
        names = None if symbols is None else parse_symbols(symbols)
        feed = None if names is None else self.feed_of(names, feed)
        first, last = span.first_session, span.end_session
        if instant is None:
            held, moment = self.manifest.held_now(feed=feed, start=first, end=last)
        else:
            held = self.held(instant, feed=feed, start=first, end=last)
            moment = self.manifest.last_commit_at(by=instant)
        moment = moment or instant or self.now()
        if names is None or feed is None:
            return Snapshot(moment, "*", lake_root(held), ())
        return take_snapshot(held, feed=feed, symbols=names, moment=moment)

    def revisions(
        self,
        symbols: Names,
        start: Boundary = None,
        end: Boundary = None,
        *,
        feed: str | None = None,
    ) -> pl.DataFrame:
        """One row per value that a bar once had; columns as in `barlake.reader.read_revisions`."""
        names = parse_symbols(symbols)
        feed = self.feed_of(names, feed)
        span = time_range(start, end, feed)
        return pl.concat(read_revisions(self.store, self.manifest, feed=feed, symbol=name, span=span) for name in names)

    # --- corporate actions ---------------------------------------------------------------------

    def corporate_actions(
        self, symbols: Names | None = None, *, as_of: dt.datetime | str | None = None
    ) -> pl.DataFrame:
        """One row per statement of a source: `barlake.actions.ACTIONS`, and `counts` where it is the one believed."""
        names = None if symbols is None else parse_symbols(symbols)
        return action_table(self.manifest.actions.statements(names, as_of=parse_instant(as_of, "as_of")))

    def import_actions(self, path: Path | str, *, source: str | None = None) -> tuple[ActionReport, list[BadRow]]:
        """Keep the corporate actions of a CSV file, but for rows that state none; see `action_files.read_actions`."""
        parsed = read_actions(Path(path), source=source)
        report = self.manifest.actions.put(parsed.statements, now=self.now())
        if report.changed:
            self.publish()
        return report, parsed.bad

    # --- bars in -------------------------------------------------------------------------------

    def write_bars(self, frame: pl.DataFrame, *, feed: str, symbol: str, source: str = "python") -> WriteReport:
        """Merge minute bars into the lake; see `BarWriter.write`. The catalogue is published afterwards."""
        report = self.writer.write(frame, feed=feed, symbol=symbol, source=source)
        if report.files_written or not is_current(self):
            self.publish()
        return report

    def import_bars(
        self,
        path: Path | str,
        *,
        feed: str,
        symbol: str | None = None,
        timezone: str | None = None,
        on_file: Callable[[Path, int, int], None] = lambda _path, _done, _total: None,
    ) -> ImportReport:
        """Merge Parquet and CSV files into the lake; see `barlake.importing.import_bars`."""
        try:
            report = import_bars(self.writer, Path(path), feed=feed, symbol=symbol, timezone=timezone, on_file=on_file)
            check_changed(self, parse_feed(feed), {one.symbol for one in report.imported})
            return report
        finally:
            self.publish()
            self.vacuum()

    def rollup(
        self,
        symbols: Iterable[str] | None = None,
        *,
        feed: str | None = None,
        on_step: Callable[[RollupStep, int, int], None] = lambda _step, _done, _total: None,
    ) -> RollupReport:
        """Make one file of each closed month and year, and publish the catalogue; see `barlake.rollup`."""
        names = None if symbols is None else parse_symbols(symbols)
        today = self.now().astimezone(NEW_YORK).date()
        report = rollup(self.store, self.manifest, today=today, feed=feed, symbols=names, on_step=on_step)
        if not is_current(self):
            self.publish()
        return report

    def vacuum(self, *, grace: dt.timedelta = GRACE) -> VacuumReport:
        """Delete bar files that were replaced, and what a crash left behind, longer than `grace` ago; see `vacuum`."""
        bars = vacuum(self.store, self.manifest, grace=grace, shown=refresh(self), now=self.now())
        return bars + vacuum_drafts(self.root, grace=grace)

    def verify(
        self, symbols: Iterable[str] | None = None, *, feed: str | None = None, on_file: OnFile = tell_nobody
    ) -> VerifyReport:
        """Compare every file that counts with the manifest; see `barlake.verify`."""
        return verify(self.store, self.manifest, symbols=symbols, feed=feed, on_file=on_file)

    def publish(self) -> None:
        """Bring the DuckDB catalogue up to the manifest."""
        publish_lake(self)

    def publish_made(self) -> None:
        """Show artifacts, runs, trials and strategies as they are now; see `catalogue.publish_made`."""
        publish_made(self)

    def publish_session(self, feed: str, session: dt.date) -> None:
        """Show all bars of now, and the rest only as far as it is of one session; see `catalogue.publish_session`."""
        publish_session(self, parse_feed(feed), session)
