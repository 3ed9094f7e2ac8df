"""After any series of commits and of care, while months and years close, the lake agrees with a plain model."""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from barlake.backup import backup
from barlake.errors import NotFoundError
from barlake.keys import Period, PeriodLength
from barlake.lake import Lake
from barlake.layout import DATASETS
from barlake.records import RowRank
from barlake.restore import restore
from barlake.retention import retain
from barlake.rollup import plan_rollup
from barlake.schemas import BAR_VALUES
from barlake.sessions import NEW_YORK
from barlake.settings import Settings
from barlake.snapshots import symbol_root
from barlake.stores import LocalStore
from tests.campaign.plain_lake import Key, PlainLake, Rows, frame_of, root_of, session

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
RANKS = st.sampled_from([RowRank.FINAL, *RowRank])
SPANS = st.tuples(st.sampled_from(DAYS), st.sampled_from([1, 3, 33, 400]))
TICK = dt.timedelta(microseconds=1)


class LakeBesideAModel(RuleBasedStateMachine):
    """Every change is made in both; every answer of the lake is compared with the model's."""

    @initialize()
    def open_an_empty_lake(self) -> None:
        self.now = dt.datetime(2023, 12, 1, 12, tzinfo=dt.UTC)
        self.folder = Path(tempfile.mkdtemp(prefix="barlake-"))
        self.lake = self.open("lake")
        self.model = PlainLake()
        self.shown: PlainLake | None = None
        self.moments: list[tuple[dt.datetime, PlainLake]] = []
        self.roots: dict[str, dict[Key, Rows]] = {}
        self.restored = 0

    def open(self, name: str) -> Lake:
        return Lake(self.folder / name, Settings(_env_file=None), now=lambda: self.now)

    def teardown(self) -> None:
        if hasattr(self, "lake"):
            self.lake.close()
            shutil.rmtree(self.folder)

    def committed(self) -> None:
        """Remember what is held at this instant."""
        self.moments.append((self.lake.snapshot().moment, self.model.copy()))

    # --- changes ------------------------------------------------------------------------------

    @rule(key=KEYS, rows=ROWS, longest=st.sampled_from(list(PeriodLength)), rank=RANKS)
    def write(self, key: Key, rows: Rows, longest: PeriodLength, rank: RowRank) -> None:
        self.now += dt.timedelta(seconds=1)  # no two commits have the same moment
        known = len(self.model.old.get(key, []))
        told = self.model.write(key, rows, rank, self.now)
        report = self.lake.writer.write(
            frame_of(rows), feed=key[0], symbol=key[1], source="test", longest=longest, rank=rank
        )
        assert (report.inserted, report.changed) == (told.inserted, told.changed)
        assert (report.unchanged, report.outranked) == (told.unchanged, told.outranked)
        assert (report.files_written == 0) == (not told.inserted and len(self.model.old[key]) == known)
        self.committed()

    @rule(key=KEYS, days=st.sets(st.sampled_from(DAYS), min_size=1))
    def finalise(self, key: Key, days: set[dt.date]) -> None:
        self.now += dt.timedelta(seconds=1)
        told = self.model.finalise(key, days, self.now)
        assert self.lake.writer.finalise(days, feed=key[0], symbol=key[1], source="test").removed == told.removed
        self.committed()

    @rule(cut=st.sampled_from(DAYS[1:]))
    def give_up_old_sessions(self, cut: dt.date) -> None:
        self.now += dt.timedelta(seconds=1)
        retain(self.lake.store, self.lake.manifest, cut, now=lambda: self.now)
        for model in (self.model, *(model for _, model in self.moments)):
            model.give_up(cut)
        self.committed()

    # --- care ---------------------------------------------------------------------------------

    @rule(days=st.sampled_from([1, 20, 40]))
    def wait(self, days: int) -> None:
        self.now += dt.timedelta(days=days)

    @rule()
    def open_again(self) -> None:
        self.lake.close()
        self.lake = self.open("lake")

    @rule()
    def roll_up(self) -> None:
        self.lake.rollup()
        assert plan_rollup(self.counting(), today=self.now.astimezone(NEW_YORK).date()) == []
        self.shown = self.model.copy()

    @rule()
    def vacuum(self) -> None:
        self.lake.vacuum(grace=dt.timedelta(seconds=-1))
        left = {path.relative_to(self.lake.root).as_posix() for path in self.lake.root.rglob("parquet/**/*.parquet")}
        assert left == {file.path for file in self.counting()}
        if self.shown is not None:
            self.shown = self.model.copy()

    @rule()
    def publish(self) -> None:
        self.lake.publish()
        self.shown = self.model.copy()

    @rule()
    def save_and_bring_back(self) -> None:
        """The copy is the lake, with all it ever held."""
        self.now += dt.timedelta(seconds=1)
        copies = self.folder / "copies"
        made = backup(self.lake.store, self.lake.root, self.lake.manifest, copies, now=lambda: self.now)
        self.restored += 1
        folder = self.folder / f"again-{self.restored}"
        report = restore(copies, LocalStore(folder), folder)
        assert report.root_hash == made.root_hash == self.model.root()
        with self.open(f"again-{self.restored}") as again:
            assert again.verify().is_sound
            for key in self.model.held():
                assert again.bars(key[1], feed=key[0]).equals(self.lake.bars(key[1], feed=key[0]))
                assert again.revisions(key[1], feed=key[0]).equals(self.lake.revisions(key[1], feed=key[0]))

    # --- answers ------------------------------------------------------------------------------

    @rule(key=KEYS, span=SPANS)
    def read_a_range(self, key: Key, span: tuple[dt.date, int]) -> None:
        if self.model.rows(key):
            start, end = span[0], span[0] + dt.timedelta(days=span[1])
            found = self.lake.bars(key[1], start, end, feed=key[0]).rows()
            assert found == [row for row in self.expected(self.model, key) if start <= row[2] < end]

    @precondition(lambda self: self.moments)
    @rule(which=st.integers(0, 999), offset=st.sampled_from([-TICK, dt.timedelta(0), TICK]))
    def read_as_of(self, which: int, offset: dt.timedelta) -> None:
        instant = self.moments[which % len(self.moments)][0] + offset
        then = next((model for moment, model in reversed(self.moments) if moment <= instant), PlainLake())
        for key in self.model.held():
            assert self.lake.bars(key[1], feed=key[0], as_of=instant).rows() == self.expected(then, key)
        assert self.lake.snapshot(as_of=instant).root_hash == then.root()

    @rule(key=KEYS, span=SPANS)
    def ask_by_sql(self, key: Key, span: tuple[dt.date, int]) -> None:
        """What was published last, whatever was written since."""
        if self.shown is None:
            self.shown = self.model.copy()
        start, end = span[0], span[0] + dt.timedelta(days=span[1])
        everything = sorted(row for one in self.shown.held() for row in self.expected(self.shown, one))
        order = "ORDER BY feed, symbol, timestamp"
        assert self.lake.sql(f"SELECT * FROM bars {order}").rows() == everything
        own = [row for row in everything if row[1] == key[1]]
        assert self.lake.sql(f"SELECT * FROM bars_of('{key[1].lower()}') {order}").rows() == own
        between = self.lake.sql(f"SELECT * FROM bars_between('{key[1]}', '{start}', '{end}') {order}")
        assert between.rows() == [row for row in own if start <= row[2] < end]
        counted = self.lake.sql("SELECT feed, symbol, session, bars FROM coverage ORDER BY ALL").rows()
        assert counted == [row[:4] for row in self.covered(self.shown)]
        old = self.lake.sql("SELECT count(*) AS n FROM revisions").item()
        assert old == sum(len(values) for values in self.shown.old.values())

    @staticmethod
    def expected(model: PlainLake, key: Key) -> list[tuple[object, ...]]:
        held = model.bars.get(key, {})
        return [(*key, session(stamp), stamp, *held[stamp].values, held[stamp].since) for stamp in sorted(held)]

    @staticmethod
    def covered(model: PlainLake) -> list[tuple[object, ...]]:
        return [
            (*key, day, len(stamps), stamps[0], stamps[-1])
            for key in model.held()
            for day, group in itertools.groupby(sorted(model.rows(key)), key=session)
            if (stamps := list(group))
        ]

    def counting(self) -> list:
        return [file for name in DATASETS for file in self.lake.manifest.files(dataset=name)]

    # --- what always holds --------------------------------------------------------------------

    @invariant()
    def bars_are_those_of_the_model(self) -> None:
        for key in self.model.held():
            assert self.lake.bars(key[1], feed=key[0]).rows() == self.expected(self.model, key)

    @invariant()
    def what_is_not_held_is_not_found(self) -> None:
        for feed, symbol in self.model.bars:
            if not self.model.rows((feed, symbol)):
                with pytest.raises(NotFoundError):
                    self.lake.bars(symbol, feed=feed)

    @invariant()
    def symbols_and_coverage_count_them(self) -> None:
        covered = self.covered(self.model)
        assert self.lake.coverage().select("feed", "symbol", "session", "bars", "first", "last").rows() == covered
        expected = []
        for key in self.model.held():
            days = [row for row in covered if row[:2] == key]
            expected.append((*key, len(days), sum(row[3] for row in days), days[0][2], days[-1][2], "XNYS"))
        assert self.lake.symbols().rows() == expected

    @invariant()
    def equal_roots_are_equal_bars(self) -> None:
        root, content = self.lake.snapshot().root_hash, self.model.content()
        assert root == root_of(content)
        assert self.roots.setdefault(root, content) == content
        for feed, symbol in content:
            snapshot = self.lake.snapshot(symbol, feed=feed)
            own = self.lake.coverage(symbol, feed=feed)
            assert snapshot.symbols[0].content_hash == symbol_root(feed, symbol, own)
            assert snapshot.symbols[0].rows == len(content[feed, symbol])

    @invariant()
    def old_values_are_kept_with_what_became_of_them(self) -> None:
        columns = ["timestamp", "kind", "known_from", "known_until", *(f"{name}_old" for name in BAR_VALUES)]
        for key in self.model.held():
            old = sorted(self.model.old.get(key, []), key=lambda one: (one.stamp, one.until))
            found = self.lake.revisions(key[1], feed=key[0]).select(columns).rows()
            assert found == [(one.stamp, one.kind, one.since, one.until, *one.values) for one in old]

    @invariant()
    def provisional_bars_are_known(self) -> None:
        for key, held in self.model.bars.items():
            found = self.lake.manifest.provisional(feed=key[0], symbol=key[1]).rows()
            assert found == [(stamp, held[stamp].rank) for stamp in sorted(held) if held[stamp].rank < RowRank.FINAL]

    @invariant()
    def files_that_count_are_whole_and_never_overlap(self) -> None:
        assert self.lake.verify().is_sound
        for feed, symbol in self.model.bars:
            periods: list[Period] = [file.key.period for file in self.lake.manifest.files(feed=feed, symbol=symbol)]
            assert all(one.end <= other.start for one, other in itertools.pairwise(periods))


class LakeBesideAModelForLong(LakeBesideAModel):
    """The same, with many more and longer series."""


LakeBesideAModel.TestCase.settings = settings(max_examples=12, stateful_step_count=15)
LakeBesideAModelForLong.TestCase.settings = settings(max_examples=500, stateful_step_count=40)

TestLakeBesideAModel = LakeBesideAModel.TestCase


@pytest.mark.slow
@pytest.mark.timeout(7200)
class TestLakeBesideAModelForLong(LakeBesideAModelForLong.TestCase):
    pass
