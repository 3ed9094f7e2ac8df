"""After any series of writes, while months and years close, the lake agrees with a plain dict."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from barlake.keys import Period, PeriodLength
from barlake.lake import Lake
from barlake.partitions import content_hashes
from barlake.schemas import BAR_VALUES
from barlake.sessions import NEW_YORK
from barlake.settings import Settings
from barlake.vacuum import vacuum

SCHEMA = {
    "timestamp": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("open", "high", "low", "close"), pl.Float64),
    **dict.fromkeys(("volume", "trade_count"), pl.Int64),
    "vwap": pl.Float64,
}
DAYS = [dt.date(2023, 11, 30), dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 2, 1)]
STAMPS = st.builds(
    lambda day, minute: (
        dt.datetime.combine(day, dt.time(9, 30), NEW_YORK).astimezone(dt.UTC) + dt.timedelta(minutes=minute)
    ),
    st.sampled_from(DAYS),
    st.sampled_from([-30, 0, 1, 2, 389, 390, 629]),
)
VALUES = st.tuples(
    st.just(2.0), st.just(3.0), st.just(1.0), st.sampled_from([1.5, 2.5]), st.integers(0, 1),
    st.none() | st.just(1), st.none() | st.just(2.0),
)  # fmt: skip
ROWS = st.dictionaries(STAMPS, VALUES, min_size=1, max_size=8)
KEYS = st.tuples(st.sampled_from(["sip", "iex"]), st.sampled_from(["SPY", "BRK.B"]))
Rows = dict[dt.datetime, tuple[Any, ...]]


def session(stamp: dt.datetime) -> dt.date:
    return stamp.astimezone(NEW_YORK).date()


class LakeBesideADict(RuleBasedStateMachine):
    """The dict holds, by feed and symbol, what each minute is and since when."""

    @initialize()
    def open_an_empty_lake(self) -> None:
        self.now = dt.datetime(2023, 12, 1, 12, tzinfo=dt.UTC)
        self.root = Path(tempfile.mkdtemp(prefix="barlake-"))
        self.open()
        self.model: dict[tuple[str, str], Rows] = {}
        self.since: dict[tuple[str, str, dt.datetime], dt.datetime] = {}
        self.old_values = 0

    def open(self) -> None:
        self.lake = Lake(self.root, Settings(_env_file=None), now=lambda: self.now)

    def teardown(self) -> None:
        if hasattr(self, "lake"):
            self.lake.close()
            shutil.rmtree(self.root)

    @rule(key=KEYS, rows=ROWS, longest=st.sampled_from(list(PeriodLength)))
    def write(self, key: tuple[str, str], rows: Rows, longest: PeriodLength) -> None:
        self.now += dt.timedelta(seconds=1)  # no two commits have the same moment
        held = self.model.get(key, {})
        new = {stamp for stamp in rows if stamp not in held}
        changed = {stamp for stamp in rows if stamp in held and held[stamp] != rows[stamp]}
        frame = pl.DataFrame([(stamp, *values) for stamp, values in rows.items()], schema=SCHEMA, orient="row")
        report = self.lake.writer.write(frame, feed=key[0], symbol=key[1], source="test", longest=longest)
        assert (report.inserted, report.changed) == (len(new), len(changed))
        assert report.unchanged == len(rows) - len(new) - len(changed)
        assert (report.files_written == 0) == (not new and not changed)
        self.model[key] = held | rows
        self.since |= {(*key, stamp): self.now for stamp in new | changed}
        self.old_values += len(changed)

    @rule(days=st.sampled_from([1, 20, 40]))
    def wait(self, days: int) -> None:
        self.now += dt.timedelta(days=days)

    @rule()
    def open_again(self) -> None:
        self.lake.close()
        self.open()

    @rule()
    def vacuum(self) -> None:
        vacuum(self.root, self.lake.manifest, grace=dt.timedelta(seconds=-1))
        files = [self.lake.manifest.files(dataset=name) for name in ("bars", "revisions")]
        counting = {file.path for group in files for file in group}
        left = {path.relative_to(self.root).as_posix() for path in self.root.rglob("parquet/**/*") if path.is_file()}
        assert left == counting

    @rule(key=KEYS, start=st.sampled_from(DAYS), length=st.sampled_from([1, 3, 33, 400]))
    def read_a_range(self, key: tuple[str, str], start: dt.date, length: int) -> None:
        if key in self.model:
            end = start + dt.timedelta(days=length)
            found = self.lake.bars(key[1], start, end, feed=key[0])["timestamp"].to_list()
            assert found == [stamp for stamp in sorted(self.model[key]) if start <= session(stamp) < end]

    @invariant()
    def bars_are_the_rows_of_the_dict(self) -> None:
        for (feed, symbol), rows in self.model.items():
            found = self.lake.bars(symbol, feed=feed)
            expected = [
                (feed, symbol, session(stamp), stamp, *rows[stamp], self.since[feed, symbol, stamp])
                for stamp in sorted(rows)
            ]
            assert found.rows() == expected

    @invariant()
    def symbols_and_coverage_count_them(self) -> None:
        expected = [
            (feed, symbol, len({session(stamp) for stamp in rows}), len(rows), session(min(rows)), session(max(rows)))
            for (feed, symbol), rows in sorted(self.model.items())
        ]
        assert self.lake.symbols().rows() == expected
        covered = self.lake.coverage().select("feed", "symbol", "session", "bars", "first", "last").rows()
        sessions = []
        for (feed, symbol), rows in sorted(self.model.items()):
            for day in sorted({session(stamp) for stamp in rows}):
                stamps = [stamp for stamp in rows if session(stamp) == day]
                sessions.append((feed, symbol, day, len(stamps), min(stamps), max(stamps)))
        assert covered == sessions

    @invariant()
    def hashes_are_those_of_the_values(self) -> None:
        for (feed, symbol), rows in self.model.items():
            frame = pl.DataFrame([(stamp, *rows[stamp]) for stamp in sorted(rows)], schema=SCHEMA, orient="row")
            hashes = content_hashes(frame.select("timestamp", *BAR_VALUES))
            lines = [f"{day} {digest}" for day, digest in hashes.select("session", "content_hash").iter_rows()]
            expected = hashlib.sha256("\n".join([f"{feed} {symbol}", *lines]).encode()).hexdigest()
            snapshot = self.lake.snapshot(symbol, feed=feed)
            assert snapshot.symbols[0].content_hash == expected
            assert snapshot.symbols[0].rows == len(rows)

    @invariant()
    def files_that_count_never_overlap(self) -> None:
        for feed, symbol in self.model:
            periods: list[Period] = [file.key.period for file in self.lake.manifest.files(feed=feed, symbol=symbol)]
            assert all(one.end <= other.start for one, other in itertools.pairwise(periods))

    @invariant()
    def every_old_value_is_kept(self) -> None:
        assert sum(file.rows for file in self.lake.manifest.files(dataset="revisions")) == self.old_values


LakeBesideADict.TestCase.settings = settings(max_examples=15, stateful_step_count=12)
TestLakeBesideADict = LakeBesideADict.TestCase
