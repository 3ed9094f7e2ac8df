"""Kill whatever changes a lake, again and again at random moments, and hold what is left against a plain model.

    python -m tests.campaign.campaign FOLDER --kills 100 --seed 1 [--chapter 3]

Prints a report as JSON, and ends with 1 and a description when the lake is in a state it must not be in.
A chapter is one lake from its beginning to its end, and depends on the seed and its own number only; how
long a deed takes decides where a random delay falls, so a repeated chapter meets the same orders, and
kills at the same shares of their duration.

In the chapters with watchers, others read all the while, and the vacuum leaves them a grace longer than
they hold a connection: that is what it promises. In the others nobody reads while a deed is done, the
vacuum has no grace, and the manifest is also made anew from the tree.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing
import os
import pickle
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from barlake import layout
from barlake.backup import generations
from barlake.keys import Period, PeriodLength
from barlake.lake import Lake
from barlake.layout import DATASETS
from barlake.records import RowRank, utc_now
from barlake.rollup import plan_rollup
from barlake.sessions import NEW_YORK, Calendar
from ingest_service.emulator import EmulatorConfig, serve
from tests.campaign import watchers
from tests.campaign.deeds import PAGE_ROWS, Kill, Order, Outcome, nursery, open_at
from tests.campaign.plain_lake import Content, Key, PlainLake, Rows, frame_of, root_of, session
from tests.campaign.times import Times, WrongError
from tests.campaign.watchers import PROMISED_S, Log, Sight, print_of

NO_GRACE, GRACE = dt.timedelta(0), dt.timedelta(seconds=PROMISED_S + 2)
KILLS_PER_CHAPTER = 60
KEYS: list[Key] = [("sip", "SPY"), ("iex", "SPY"), ("sip", "BRK.B")]
SERVED = [f"I{letter}" for letter in "ABCDEFGHIJKL"]
SERVED_SESSIONS = [dt.date(2024, 1, 30), dt.date(2024, 1, 31), dt.date(2024, 2, 1), dt.date(2024, 2, 2)]
SERVED_MINUTES = 25
EVENTS = ("merge", "ingest", "rollup", "vacuum", "publish", "backup", "restore")


def rows_of(generator: random.Random, sessions: list[dt.date], minutes: int) -> Rows:
    """Made-up bars in whole cents, from 09:30 of each session."""
    rows: Rows = {}
    for day in sessions:
        start = dt.datetime.combine(day, dt.time(9, 30), NEW_YORK).astimezone(dt.UTC)
        for minute in range(minutes):
            rows[start + dt.timedelta(minutes=minute)] = values_of(generator)
    return rows


def values_of(generator: random.Random) -> tuple[Any, ...]:
    close, volume = generator.randint(10_000, 20_000) / 100, generator.randint(100, 1_000_000)
    return (close, close + 1, close - 1, close, volume, generator.choice([None, volume // 50]), close)


def served_rows(symbol: str) -> Rows:
    return rows_of(random.Random(f"served/{symbol}"), SERVED_SESSIONS, SERVED_MINUTES)  # noqa: S311 - made-up bars


def serve_bars(folder: Path, pipe: Connection) -> None:
    """A process of its own: the emulator, until whoever started it is gone."""
    parent = os.getppid()
    for symbol in SERVED:
        frame_of(served_rows(symbol)).write_parquet(folder / f"{symbol}.parquet")
    config = EmulatorConfig(bars=folder, requests_per_window=10_000_000)
    with serve(config, calendar=Calendar.default()) as url:
        pipe.send(url)
        while os.getppid() == parent and not pipe.poll(0.5):
            pass


@dataclass
class Tally:
    """What happened to one kind of deed."""

    kills: int = 0
    by_delay: int = 0
    by_step: int = 0
    before: int = 0
    between: int = 0
    after: int = 0
    ended_first: int = 0


@dataclass
class Report:
    """What a campaign did."""

    deeds: dict[str, Tally] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    chapters: int = 0

    @property
    def kills(self) -> int:
        return sum(tally.kills for tally in self.deeds.values())


@dataclass(frozen=True)
class Deed:
    """One order with the contents it leads through, and how much of it is left to do."""

    name: str
    order: Order
    contents: list[Content]
    after: PlainLake
    left: Callable[[Lake], int]


class Chapter:
    """One lake, from its beginning to its end."""

    def __init__(
        self, folder: Path, ask: Callable[..., Any], *, seed: str, url: str, watched: bool, report: Report
    ) -> None:
        self.folder, self.ask, self.url, self.report = folder, ask, url, report
        self.random = random.Random(seed)  # noqa: S311 - moments to kill at, no secret
        self.watched = watched
        self.grace = GRACE if watched else NO_GRACE
        self.model = PlainLake()
        self.times = Times()
        self.announced: Deed | None = None
        self.places: list[dict[Key, int]] = []
        self.moments: list[tuple[dt.datetime, Content]] = []
        self.tallies = {name: Tally() for name in (*EVENTS, *([] if watched else ["rebuild"]))}
        self.last: dict[str, Outcome] = {}
        self.served = list(SERVED)
        self.year = 2000
        self.number = 0
        self.doing = ""

    # --- the course of it ---------------------------------------------------------------------

    def run(self, kills: int) -> None:
        """Everything, with so many kills."""
        self.folder.mkdir()
        with open_at(self.folder / "lake") as lake:
            self.calendar = lake.calendar
        for _ in range(3):
            self.prepare(self.merge())
        self.finish(self.publish())
        self.finish(self.backup())
        started = self.start_watchers() if self.watched else []
        a_deed = max(1, kills // 12)
        while (done := sum(tally.kills for tally in self.tallies.values())) < kills:
            self.kill(self.next_deed(), min(a_deed, kills - done))
        self.stop_watchers(started)
        self.close()

    def next_deed(self) -> Deed:
        """Of the deeds that can be done now, one that was killed least often."""
        makers: dict[str, Callable[[], Deed | None]] = {
            "merge": self.merge, "ingest": self.ingest, "rollup": self.rollup, "vacuum": self.vacuum,
            "publish": self.publish, "backup": self.backup, "restore": self.restore, "rebuild": self.rebuild,
        }  # fmt: skip
        order = sorted(self.tallies, key=lambda name: (self.tallies[name].kills, self.random.random()))
        return next(deed for name in order if (deed := makers[name]()) is not None)

    def kill(self, deed: Deed, kills: int) -> None:
        """Kill a deed a few times, looking at what is left after each, then let it end."""
        tally, ended = self.tallies[deed.name], None
        for _ in range(kills if deed.name in self.last else 0):
            kill = self.plan(self.last[deed.name])
            whole, files = self.left(deed), self.tree()
            outcome = self.carry_out(deed, kill)
            if not outcome.killed:
                tally.ended_first, ended = tally.ended_first + 1, outcome
                break
            tally.kills += 1
            tally.by_step += kill.step is not None
            tally.by_delay += kill.delay is not None
            began = self.tree()
            index = self.look(deed)
            rest = self.left(deed)
            if rest == 0:
                tally.after += 1
                break
            if rest == whole and index == 0 and began == files:
                tally.before += 1
            else:
                tally.between += 1
        self.finish(deed, ended)

    def plan(self, usual: Outcome) -> Kill:
        """A moment of the usual duration, or one of the usual steps; most deeds take effect at their last ones."""
        how = self.random.random()
        if how < 0.4 or not usual.steps:
            return Kill(delay=self.random.uniform(0, usual.seconds))
        first = 1 if how < 0.7 else 1 + usual.steps * 2 // 3
        return Kill(step=self.random.randint(first, usual.steps))

    def carry_out(self, deed: Deed, kill: Kill) -> Outcome:
        self.number += 1
        self.doing = f"order {self.number}: {deed.name} {kill}"
        if deed is not self.announced:
            self.announced, self.places = deed, self.times.announce(deed.contents)
        outcome: Outcome = self.ask("carry out", deed.order, kill)
        if outcome.error:
            raise WrongError(f"{deed.name} failed:\n{outcome.error}")
        return outcome

    def prepare(self, deed: Deed) -> None:
        """Let a deed end that is only there for another."""
        self.finish(deed, thorough=False)

    def finish(self, deed: Deed, ended: Outcome | None = None, *, thorough: bool = True) -> None:
        """Let it end, unless it did, and hold everything against the model."""
        self.last[deed.name] = ended or self.carry_out(deed, Kill())
        if self.look(deed, thorough=thorough) != len(deed.contents) - 1 or self.left(deed):
            raise WrongError("a deed that ended is not done")
        self.model = deed.after
        if deed.name in {"publish", "ingest", "rollup"}:
            self.times.publish()
        with open_at(self.folder / "lake") as lake:
            moment = lake.snapshot().moment
            if deed.name == "vacuum" and not self.watched:
                self.sweep(lake)
        if deed.name == "restore":
            shutil.rmtree(self.folder / deed.order.arguments["name"])
        if deed.name == "rebuild":
            self.moments = []  # commits have other instants now
        if not self.moments or self.moments[-1][0] != moment:
            self.moments.append((moment, self.model.content()))

    def close(self) -> None:
        """What must hold at the end: each moment reads back, nothing is left over, a backup is the lake."""
        self.doing = "the end of the chapter"
        self.finish(self.publish())
        with open_at(self.folder / "lake") as lake:
            for moment, content in self.moments:
                self.check_moment(lake, moment, content)
        self.finish(self.backup())
        self.finish(self.restore())
        shutil.rmtree(self.folder)

    # --- deeds --------------------------------------------------------------------------------

    def merge(self) -> Deed:
        """New rows, rows that change held ones, provisional rows, or a session made final."""
        key, after = self.random.choice(KEYS), self.model.copy()
        kind = self.random.choice(["new", "new", "correct", "stream", "finalise"])
        held = self.model.bars.get(key, {})
        open_days = {session(stamp) for stamp, bar in held.items() if bar.rank < RowRank.FINAL}
        if kind == "finalise" and open_days:
            after.finalise(key, open_days, utc_now())
            return self.writing("finalise", after, key=key, sessions=open_days)
        if kind == "correct" and held:
            stamps = self.random.sample(sorted(held), k=min(len(held), 5))
            rows = {stamp: values_of(self.random) for stamp in stamps}
        else:
            rows = rows_of(self.random, self.some_sessions(), self.random.randint(2, 12))
        rank = self.random.choice([RowRank.BAR, RowRank.REST]) if kind == "stream" and held else RowRank.FINAL
        after.write(key, rows, rank, utc_now())
        longest = PeriodLength.SESSION if kind != "correct" else PeriodLength.MONTH
        return self.writing("merge", after, key=key, rows=rows, rank=rank, longest=longest)

    def some_sessions(self) -> list[dt.date]:
        """A few sessions of the running year; after a rollup, of the next."""
        days = self.calendar.in_range(dt.date(self.year, 1, 1), dt.date(self.year, 4, 1))["session"].to_list()
        return sorted(self.random.sample(days, k=self.random.randint(1, 4)))

    def writing(self, name: str, after: PlainLake, **arguments: Any) -> Deed:
        contents = [self.model.content()]
        if after.content() != contents[0]:  # else all of it was refused
            contents.append(after.content())
        key = arguments["key"]

        def left(lake: Lake) -> int:
            held = {name for name, symbols in lake.manifest.feeds().items() if key[1] in symbols}
            now = print_of(after.rows(key))
            return int(key[0] not in held or watchers.print_of_frame(lake.bars(key[1], feed=key[0])) != now)

        return Deed("merge", Order(name, self.folder, arguments), contents, after, left)

    def ingest(self) -> Deed | None:
        """A symbol that is not held yet, in several pages and commits."""
        if not self.served:
            return None
        symbol = self.served.pop()
        key, rows, after = ("sip", symbol), served_rows(symbol), self.model.copy()
        contents = [self.model.content()]
        for month in sorted({Period.of_month(session(stamp)) for stamp in rows}):
            own = [stamp for stamp in sorted(rows) if month.start <= session(stamp) < month.end]
            for first in range(0, len(own), PAGE_ROWS):
                page = {stamp: rows[stamp] for stamp in own[first : first + PAGE_ROWS]}
                after.write(key, page, RowRank.FINAL, utc_now())
                contents.append(self.model.content() | {key: after.rows(key)})
        arguments = {"symbol": symbol, "url": self.url, "start": "2024-01-30", "end": "2024-02-03"}

        def left(lake: Lake) -> int:
            held = lake.manifest.answers(feed="sip", symbol=symbol).height
            return len(SERVED_SESSIONS) - held + len(plan_rollup(lake.manifest.files(symbol=symbol), today=today()))

        return Deed("ingest", Order("ingest", self.folder, arguments), contents, after, left)

    def rollup(self) -> Deed | None:
        for _ in range(6):
            if self.steps_of_rollup() > 2:
                self.year += 1
                return self.neutral("rollup", lambda lake: len(plan_rollup(counting(lake), today=today())))
            self.prepare(self.merge())
        return None

    def steps_of_rollup(self) -> int:
        with open_at(self.folder / "lake") as lake:
            return len(plan_rollup(counting(lake), today=today()))

    def vacuum(self) -> Deed | None:
        horizon = utc_now()

        def left(lake: Lake) -> int:
            return len(lake.manifest.removed_files(before=horizon - self.grace))

        for _ in range(3):
            deed = self.neutral("vacuum", left, grace=self.grace)
            if self.left(deed) > 2:
                return deed
            if self.watched:
                return None
            self.prepare(self.merge())
            horizon = utc_now()
        return None

    def publish(self) -> Deed:
        place = self.folder / "lake" / layout.CATALOGUE_FILE
        before = place.stat().st_ino if place.exists() else 0
        return self.neutral("publish", lambda _lake: int(not place.exists() or place.stat().st_ino == before))

    def backup(self) -> Deed:
        self.prepare(self.merge())
        number = len(generations(self.folder / "copies"))
        return self.neutral("backup", lambda _lake: int(len(generations(self.folder / "copies")) == number))

    def restore(self) -> Deed:
        """The newest generation into an empty folder, compared with the lake it was made from."""
        newest = generations(self.folder / "copies")[-1]
        again = self.folder / f"again-{self.number}"

        def left(_lake: Lake) -> int:
            if not (again / layout.MANIFEST_FILE).exists() or (again / layout.RESTORING_FILE).exists():
                return 1
            with open_at(again) as other:
                if other.snapshot().root_hash != newest.root_hash or not other.verify().is_sound:
                    raise WrongError("what came back is not what was saved")
                self.report.checks["restored lakes"] += 1
            return 0

        return self.neutral("restore", left, name=again.name, generation=newest.name)

    def rebuild(self) -> Deed:
        """A manifest from the tree; afterwards nobody knows what was provisional."""
        with open_at(self.folder / "lake") as lake:
            before = lake.manifest.last_commit_at()
        # A manifest made anew commits every file again. Its inode says nothing: a freed one may come back.
        deed = self.neutral("rebuild", lambda lake: int(lake.manifest.last_commit_at() == before))
        for key, rows in self.model.content().items():
            deed.after.write(key, rows, RowRank.FINAL, utc_now())
        return deed

    def neutral(self, deed: str, left: Callable[[Lake], int], **arguments: Any) -> Deed:
        """A deed that changes no bar."""
        return Deed(deed, Order(deed, self.folder, arguments), [self.model.content()], self.model.copy(), left)

    # --- what is left -------------------------------------------------------------------------

    def left(self, deed: Deed) -> int:
        with open_at(self.folder / "lake") as lake:
            return deed.left(lake)

    def tree(self) -> set[str]:
        """Files of bars, copies and drafts: what shows that a deed had begun."""
        kinds = ("*.parquet", ".tmp-*", "backup.json")
        return {str(path) for kind in kinds for path in self.folder.rglob(kind)}

    def look(self, deed: Deed, *, thorough: bool = True) -> int:
        """Hold the lake against the model; which of the contents of the deed it has."""
        with open_at(self.folder / "lake") as lake:
            roots = [root_of(content) for content in deed.contents]
            found = lake.snapshot().root_hash
            if found not in roots:
                raise WrongError(f"the root is {found[:12]}, none of {[root[:12] for root in roots]}")
            index = roots.index(found)
            self.times.reached(self.places[index])
            if thorough:
                self.look_closely(lake, deed.contents[index])
            self.report.checks["roots"] += 1
        return index

    def look_closely(self, lake: Lake, content: Content) -> None:
        """Every file that counts, the bars of some symbols, an earlier moment, and the catalogue."""
        report = lake.verify()
        if not report.is_sound:
            raise WrongError(f"files are not as they were written: {report.faults}")
        for key in self.random.sample(sorted(content), k=min(3, len(content))):
            if plain_rows(lake.bars(key[1], feed=key[0])) != content[key]:
                raise WrongError(f"bars of {key} are not those of the model")
        for moment, then in self.random.sample(self.moments, k=min(1, len(self.moments))):
            self.check_moment(lake, moment, then)
        self.look_by_sql(lake)
        self.report.checks["files verified"] += report.files

    def look_by_sql(self, lake: Lake) -> None:
        """The catalogue opens and shows one state of each symbol, not older than the last that was published."""
        if lake.catalogue_path.exists():
            opened = time.monotonic()
            rows = lake.sql(watchers.BY_SQL).rows()
            until = time.monotonic()
            for row in rows:
                self.times.judge(Sight("look", (row[0], row[1]), tuple(row[2:]), opened, until, 0))

    def check_moment(self, lake: Lake, moment: dt.datetime, content: Content) -> None:
        """Every symbol as it was at an instant."""
        for feed, symbol in lake.symbols().select("feed", "symbol").rows():
            found = plain_rows(lake.bars(symbol, feed=feed, as_of=moment))
            if found != content.get((feed, symbol), {}):
                raise WrongError(f"{feed}/{symbol} as of {moment} is not what was held then")
            self.report.checks["reads as of an instant"] += 1

    def sweep(self, lake: Lake) -> None:
        """After a vacuum without grace, exactly the files that count are there."""
        lake.vacuum(grace=NO_GRACE)
        counted = {file.path for file in counting(lake)}
        parquet = lake.root / "parquet"
        there = {path.relative_to(lake.root).as_posix() for path in parquet.rglob("*") if path.is_file()}
        if there != counted:
            raise WrongError(f"after the vacuum these are left or gone: {sorted(there ^ counted)}")

    # --- watchers -----------------------------------------------------------------------------

    def start_watchers(self) -> list[tuple[int, Path]]:
        looks = [watchers.by_python, watchers.by_duckdb]
        if watchers.SHELL.exists():
            looks.append(watchers.by_shell)
        started = []
        for look in looks:
            place = self.folder / f"{look.__name__}.log"
            pid = self.ask("start", watchers.watch, look, self.folder, self.folder / "stop", place)
            started.append((pid, place))
        return started

    def stop_watchers(self, started: list[tuple[int, Path]]) -> None:
        """End them, and judge what they saw."""
        (self.folder / "stop").touch()
        for pid, place in started:
            self.doing = f"watching, {place.stem}"
            code = self.ask("wait", pid)
            if not place.exists():
                raise WrongError(f"a watcher ended with {code} and left no log")
            log: Log = pickle.loads(place.read_bytes())  # noqa: S301 - from our own child
            if log.errors:
                raise WrongError(f"a reader met an error:\n{log.errors[0]}")
            self.times.judge_all(log)
            self.report.reads[f"{place.stem} reads"] += log.looks
            self.report.reads[f"{place.stem} connections"] += log.connections
            self.report.reads["overdue"] += log.overdue
            place.unlink()


def today() -> dt.date:
    return utc_now().astimezone(NEW_YORK).date()


def counting(lake: Lake) -> list[Any]:
    return [file for name in DATASETS for file in lake.manifest.files(dataset=name)]


def plain_rows(bars: Any) -> Rows:
    columns = ("timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap")
    rows = bars.select(columns).rows()
    if len({row[0] for row in rows}) != len(rows):
        raise WrongError("a bar is there twice")
    return {row[0]: tuple(row[1:]) for row in rows}


def listing(folder: Path) -> str:
    """The tree as it lies there, for the description of a failure."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return "\n".join(f"{path.stat().st_size:>9} {path.relative_to(folder)}" for path in paths[:400])


def chapters(folder: Path, *, kills: int, seed: int, only: int | None, report: Report) -> None:
    """As many chapters as the kills need, each second one with watchers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "served").mkdir()
    ours, theirs = multiprocessing.Pipe()
    here, there = multiprocessing.Pipe()
    fork = multiprocessing.get_context("fork")
    nurse = fork.Process(target=nursery, args=(theirs,))
    nurse.start()
    emulator = fork.Process(target=serve_bars, args=(folder / "served", there))
    emulator.start()

    def ask(*question: Any) -> Any:
        ours.send(question)
        return ours.recv()

    try:
        url = here.recv()
        for number, size in portions(kills):
            if only in {None, number}:
                watched = number % 2 == 0
                chapter = Chapter(
                    folder / f"chapter-{number}", ask, seed=f"{seed}/{number}", url=url, watched=watched, report=report
                )
                try:
                    chapter.run(size)
                except BaseException as error:
                    error.add_note(
                        f"seed {seed}, kills {kills}, chapter {number}, {chapter.doing}\n{listing(chapter.folder)}"
                    )
                    raise
                finally:
                    count(chapter, report)
                    sys.stderr.write(f"seed {seed}, chapter {number}: {report.kills} kills so far\n")
    finally:
        ours.send(("end",))
        here.send("end")
        nurse.join()
        emulator.join()


def portions(kills: int) -> Iterator[tuple[int, int]]:
    number = max(2, -(-kills // KILLS_PER_CHAPTER))
    for index in range(number):
        yield index, kills * (index + 1) // number - kills * index // number


def count(chapter: Chapter, report: Report) -> None:
    report.chapters += 1
    for name, tally in chapter.tallies.items():
        total = report.deeds.setdefault(name, Tally())
        for field_name, value in vars(tally).items():
            setattr(total, field_name, getattr(total, field_name) + value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chapter", type=int)
    options = parser.parse_args()
    report, began, fault = Report(), time.monotonic(), ""
    try:
        chapters(options.folder, kills=options.kills, seed=options.seed, only=options.chapter, report=report)
    except (Exception, KeyboardInterrupt):  # noqa: BLE001 - whatever it is belongs into the report
        fault = traceback.format_exc()
    facts = {
        "seed": options.seed, "kills": report.kills, "chapters": report.chapters,
        "seconds": round(time.monotonic() - began, 1),
        "deeds": {name: vars(tally) for name, tally in report.deeds.items()},
        "reads": dict(report.reads), "checks": dict(report.checks), "fault": fault,
    }  # fmt: skip
    sys.stdout.write(json.dumps(facts, indent=1) + "\n")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
