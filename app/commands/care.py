"""Care of the lake: is it whole, mend it, copy it and bring it back, free what is dead, give up what is old."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Root
from app.console import Advance, figures, notice, print_frame, print_json, progress, say
from barlake import layout
from barlake.database import Place
from barlake.errors import BarlakeError, CredentialsError, InvalidInputError, SourceError
from barlake.keys import parse_feed, parse_symbol
from barlake.lake_database import database_of, manifest_place
from barlake.manifest import Manifest
from barlake.records import utc_now
from barlake.sessions import NEW_YORK, Calendar
from barlake.settings import load_settings
from barlake.stores import folder_of, store_of
from barlake.vacuum import GRACE

if TYPE_CHECKING:
    from barlake.lake import Lake
    from barlake.repair import Mended
    from barlake.verify import Fault

__all__ = ["backup", "rebuild", "repair", "restore", "retention", "stats", "vacuum", "verify"]

OneFeed = Annotated[str | None, typer.Option("--feed", help="Default: every feed.")]
SymbolOption = Annotated[
    list[str] | None, typer.Option("--symbol", help="May be given several times. Default: all.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only what would happen is said.")]

_HOUR = dt.timedelta(hours=1)


def verify(feed: OneFeed = None, symbol: SymbolOption = None, root: Root = None, as_json: AsJson = False) -> None:
    """Read every file that counts and compare its values with the manifest; exit 1 when something is wrong."""
    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        advance = start("verify")
        report = lake.verify(_names(symbol), feed=_feed(feed), on_file=_files(advance))
    if as_json:
        print_json({**asdict(report), "is_sound": report.is_sound})
    else:
        say(
            f"{report.files:,} files, {report.bytes:,} bytes, {report.sessions:,} sessions: "
            + ("all as they were written" if report.is_sound else f"{len(report.faults)} wrong")
        )
        if not report.is_sound:
            print_frame(_fault_table(report.faults))
        if report.orphans:
            say(f"{len(report.orphans)} file(s) that never counted wait for the vacuum, such as {report.orphans[0]}")
        if report.leftovers:
            say(f"{len(report.leftovers)} temporary file(s) of a crash or of a writer, such as {report.leftovers[0]}")
    if not report.is_sound:
        notice("`barlake repair` keeps what is good and asks for the rest again")
        raise typer.Exit(1)


def repair(
    feed: OneFeed = None,
    symbol: SymbolOption = None,
    fetch: Annotated[bool, typer.Option("--fetch/--no-fetch", help="Ask the source for what is lost, now.")] = True,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Keep what is good of damaged files, set them aside, and fetch the sessions that are lost."""
    from barlake.repair import repair as mend

    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        found = lake.verify(_names(symbol), feed=_feed(feed), on_file=_files(start("verify")))
        mended = mend(lake.store, lake.manifest, found.faults, now=lake.now)
        if mended:
            lake.publish()
        lost = {
            (name, ticker): sorted({day for one in group for day in one.lost})
            for (name, ticker), group in groupby(mended, key=lambda one: (one.fault.feed, one.fault.symbol))
        }
        lost = {pair: days for pair, days in lost.items() if days}
        problems = _fetch(lake, lost, start("fetch")) if lost and fetch else []
        held = lake.manifest.held()
    missing = {pair: _absent(days, held, *pair) for pair, days in lost.items()}
    if as_json:
        still = [{"feed": pair[0], "symbol": pair[1], "sessions": days} for pair, days in missing.items() if days]
        print_json({"mended": [asdict(one) for one in mended], "still_missing": still, "problems": problems})
    else:
        _print_repair(mended, missing)
    for problem in problems:
        notice(f"error: {problem}")
    if problems:
        raise typer.Exit(1)


def _fetch(lake: Lake, lost: dict[tuple[str, str], list[dt.date]], advance: Advance) -> list[str]:
    """Ask the source for lost sessions; hands back what went wrong."""
    from ingest_service.backfill import backfill
    from ingest_service.gaps import request_windows
    from ingest_service.sources.choice import purpose_of, sources_for

    problems, has_no_key = [], False
    for done, ((feed, symbol), days) in enumerate(lost.items()):
        advance(symbol, done, len(lost))
        try:
            sources = sources_for(purpose_of(feed), lake.settings)
            sessions = lake.calendar.of(feed).frame
            known = set(sessions["session"])
            for window in request_windows([day for day in days if day in known], sessions):
                backfill(lake, sources, [symbol], window.start.isoformat(), window.end.isoformat(), feed=feed)
        except (SourceError, InvalidInputError) as error:
            if isinstance(error, CredentialsError) and lake.settings.alpaca_key_id is None:
                has_no_key = True  # nobody said that there is a source to ask
            else:
                problems.append(f"{feed}/{symbol} was not fetched again: {error}")
    if has_no_key:
        notice("no source is configured: set ALPACA_API_KEY_ID and its secret, then `barlake ingest`, or import again")
    return problems


def _absent(days: list[dt.date], held: pl.DataFrame, feed: str, symbol: str) -> list[dt.date]:
    own = held.filter((pl.col("feed") == feed) & (pl.col("symbol") == symbol))
    return [day for day in days if day not in set(own["session"])]


def _print_repair(mended: list[Mended], missing: dict[tuple[str, str], list[dt.date]]) -> None:
    if not mended:
        say("nothing is damaged")
        return
    rows = [
        {
            "feed": one.fault.feed, "symbol": one.fault.symbol, "period": one.fault.period, "fault": one.fault.kind,
            "sessions_saved": len(one.saved), "sessions_lost": len(one.lost), "rows_saved": one.rows_saved,
            "rows_lost": one.rows_lost, "kept_in": one.aside,
        }
        for one in mended
    ]  # fmt: skip
    print_frame(pl.DataFrame(rows, infer_schema_length=None))
    left = {pair: days for pair, days in missing.items() if days}
    if any(one.lost for one in mended):
        fetched = sum(len(one.lost) for one in mended) - sum(len(days) for days in left.values())
        say(f"{fetched} lost session(s) were fetched again")
    for (feed, symbol), days in left.items():
        say(f"{feed}/{symbol}: {len(days)} session(s) from {days[0]} to {days[-1]} are missing: ingest or import them")


def rebuild(yes: Yes = False, root: Root = None, as_json: AsJson = False) -> None:
    """Make a new manifest from the files, when the old one is lost or damaged."""
    from barlake.rebuild import rebuild as make

    settings = load_settings(root)
    place = folder_of(settings)
    url = database_of(settings)
    if not yes and _is_manifest_sound(manifest_place(store_of(settings), place, url)):
        raise InvalidInputError(
            f"the manifest of {place} can be read and is not empty; a new one would lack its answers, receipts and "
            "models. If it must be made all the same, say --yes."
        )
    with progress(shown=not as_json) as start:
        calendar = Calendar.cached(place / layout.CALENDAR_FILE)
        report = make(store_of(settings), place, calendar, now=utc_now, url=url, on_file=_files(start("rebuild")))
    with barlake.open(root) as lake:
        lake.publish()
        root_hash = lake.snapshot().root_hash
    if as_json:
        print_json({**asdict(report), "root_hash": root_hash})
        return
    figures(
        {
            "files that count": report.files, "sessions": report.sessions, "bars": report.bars,
            "replaced files": report.replaced, "root hash": root_hash, "old manifest": report.kept or "there was none",
        },
        title="new manifest",
    )  # fmt: skip
    for what, paths in (("cannot be read", report.unreadable), ("lost to a later file", report.disputed)):
        for path in paths:
            say(f"{path} {what}: it is kept below {layout.DAMAGED_FOLDER}/")
    if report.unanswered:
        say(f"{report.unanswered:,} session(s) look unfinished: the next `barlake ingest` of their dates asks again")
    if report.artifacts:
        say(f"{report.artifacts} model(s) and run(s) on disk are not trusted any more: make them again")
    if not report.has_ledger:
        say(f"the ledger of trials could not be read: what was tried before is in {report.kept}/ only")
    say("corporate actions, receipts and the quarantine were in the old manifest only: import the actions again")


def _is_manifest_sound(place: Place) -> bool:
    if isinstance(place, Path) and not place.exists():
        return False
    with contextlib.suppress(BarlakeError), contextlib.closing(Manifest(place)) as manifest:
        return bool(manifest.known_paths())
    return False


def backup(
    destination: Annotated[Path, typer.Argument(help="Folder of the backups; made when missing.", show_default=False)],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Copy what is new to a folder of backups; the lake may be written meanwhile."""
    from barlake.backup import backup as copy

    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        report = copy(lake.store, lake.root, lake.manifest, destination, now=utc_now, on_file=_files(start("backup")))
    _print_facts(asdict(report), as_json=as_json, title=f"backup in {destination}")


def restore(
    source: Annotated[Path, typer.Argument(help="Folder of the backups.", show_default=False)],
    generation: Annotated[
        str | None, typer.Option("--generation", help="Name of a backup, or how it begins. Default: the newest.")
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into an empty folder, and read all of it back."""
    from barlake.restore import restore as bring_back

    settings = load_settings(root)
    place, url = folder_of(settings), database_of(settings)
    with progress(shown=not as_json) as start:
        store, advance = store_of(settings), _files(start("restore"))
        report = bring_back(source, store, place, generation=generation, url=url, on_file=advance)
    with barlake.open(root) as lake:
        lake.publish()
    _print_facts(asdict(report), as_json=as_json, title=f"restored into {settings.root}")


def vacuum(
    grace: Annotated[
        float, typer.Option("--grace", min=0, help="Hours a file stays after it was replaced; readers may need it.")
    ] = GRACE / _HOUR,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Delete files that were replaced, or left behind by a crash, longer ago than the grace."""
    with barlake.open(root) as lake:
        report = lake.vacuum(grace=grace * _HOUR)
    if as_json:
        print_json(asdict(report))
    else:
        say(f"{report.files:,} file(s) deleted, {report.bytes:,} bytes freed")


def retention(
    older_than: Annotated[
        str,
        typer.Option("--older-than", help="First session that stays, or an age: 90d, 8w, 18m, 5y.", show_default=False),
    ],
    feed: OneFeed = None,
    symbol: SymbolOption = None,
    yes: Yes = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Give up sessions older than a date or an age; the vacuum frees their bytes after its grace."""
    from barlake.retention import parse_cut, plan_retention, retain

    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        cut = parse_cut(older_than, today=lake.now().astimezone(NEW_YORK).date())
        chosen: dict[str, Any] = {"feed": _feed(feed), "symbols": _names(symbol)}
        if yes:
            plan = retain(lake.store, lake.manifest, cut, now=lake.now, on_symbol=start("retention"), **chosen)
            lake.publish()
        else:
            plan = plan_retention(lake.manifest, cut, **chosen)
    rows = [
        {
            "feed": one.feed,
            "symbol": one.symbol,
            "sessions": len(one.sessions),
            "bars": one.bars,
            "files": len(one.files),
        }
        for one in plan
    ]
    if as_json:
        print_json({"first_session_that_stays": cut, "removed": yes, "symbols": rows})
    elif rows:
        print_frame(pl.DataFrame(rows), title=f"sessions before {cut}")
    else:
        say(f"nothing is older than {cut}")
    if rows and not yes:
        notice("nothing was removed: say --yes to give these sessions up, with their old values and answers")
        raise typer.Exit(1)


def stats(root: Root = None, as_json: AsJson = False) -> None:
    """Files, bytes, bytes a bar, by feed and symbol; the symbols that are slowest to read come first."""
    from barlake.stats import lake_stats

    with barlake.open(root) as lake:
        report = lake_stats(lake.store, lake.manifest)
    facts = {name: value for name, value in vars(report).items() if name != "symbols"}
    if as_json:
        print_json({**facts, "symbols": report.symbols.to_dicts()})
        return
    figures(facts, title=f"lake in {lake.store.name}")
    if report.symbols.height:
        print_frame(report.symbols, title="most files first: `barlake rollup` makes one of many")


def _print_facts(facts: dict[str, Any], *, as_json: bool, title: str) -> None:
    if as_json:
        print_json(facts)
    else:
        figures(facts, title=title)


def _files(advance: Advance) -> Any:
    return lambda path, done, total: advance(Path(path).parent.name, done, total)


def _fault_table(faults: tuple[Fault, ...]) -> pl.DataFrame:
    rows = [
        {
            "feed": one.feed, "symbol": one.symbol, "period": one.period, "dataset": one.dataset, "fault": one.kind,
            "sessions": _span(one.sessions), "file": one.path, "detail": one.detail,
        }
        for one in faults
    ]  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


def _span(days: tuple[dt.date, ...]) -> str:
    if len(days) <= 1:
        return "".join(str(day) for day in days)
    return f"{len(days)} from {days[0]} to {days[-1]}"


def _names(symbols: list[str] | None) -> list[str] | None:
    return [parse_symbol(name) for name in symbols] if symbols else None


def _feed(feed: str | None) -> str | None:
    return None if feed is None else parse_feed(feed)
