"""What is due: jobs, from what the lake holds, what the watch list wants and what time it is. Nothing is asked here.

Arguments of the tasks planned here, all JSON, dates as ISO text:

- `bars`: feed, symbol, start, end (session dates of one month, half-open); fills what is missing in it.
- `session`: feed, symbol, session, again; asks for the whole of it; unless `again`, only while it is not final.
- `actions`: symbols (asked from 30 days ago), whole (asked from the beginning), today.
- `calendar`: start, end (session dates, half-open).
- `features`: set_name, symbol, feed.

`bars` and `session` have a `name` too where the source calls the symbol otherwise. Those of records stand in
`planning_records.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

from app.jobs.job import Agent, Job
from app.jobs.planning_records import daily_jobs, macro_jobs, news_jobs
from barlake.coverage import finished_sessions
from barlake.errors import CredentialsError, InvalidInputError
from barlake.keys import Period
from barlake.lake import Lake
from barlake.sessions import NEW_YORK
from feature_service.staleness import stale_tables
from ingest_service.alpaca import resolve_feed
from ingest_service.alpaca_actions import AHEAD, ENDPOINT
from ingest_service.sources.choice import Purpose, sources_for
from ingest_service.trading_calendar import CALENDAR_ENDPOINT
from ingest_service.watch_list import Security, WatchList

__all__ = ["RECHECKED_SESSIONS", "Due", "Note", "Part", "Plan", "plan", "plan_features"]

SOURCE = "alpaca"

RECHECKED_SESSIONS = 2
"""So many finished sessions are asked for again: sources mend the newest days."""

RECHECK_AFTER = dt.timedelta(hours=4)
"""An answer younger than that is not asked for again."""

ACTIONS_AGAIN_AFTER = dt.timedelta(days=30)
"""A symbol's whole history of corporate actions is asked for that often; between, its last 30 days are, every day."""

CALENDAR_WINDOW = dt.timedelta(days=30)
_FIRST_OF_BARS = dt.date(2016, 1, 4)
"""Alpaca has no minute bars before: https://docs.alpaca.markets/docs/market-data-faq."""

_NO_INDEX = f"no minute bars: {SOURCE} has no indices, and `names` names none of its symbols"

_FINAL_PRIORITY, _RECHECK_PRIORITY = 15, 25


class Part(StrEnum):
    """Kinds of work that can be due."""

    BARS = "bars"
    SESSIONS = "sessions"
    RECHECK = "recheck"
    ACTIONS = "actions"
    CALENDAR = "calendar"
    FEATURES = "features"
    DAILY = "daily"
    NEWS = "news"
    MACRO = "macro"


@dataclass(frozen=True)
class Due:
    """A job, and why it is due."""

    job: Job
    why: str
    symbol: str | None = None


@dataclass(frozen=True)
class Note:
    """What is not done for a symbol, and why."""

    symbol: str
    text: str


@dataclass(frozen=True)
class Plan:
    """What is due at one instant; `feed` is where bars go."""

    now: dt.datetime
    feed: str
    due: tuple[Due, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def jobs(self) -> list[Job]:
        """The jobs. They are due whatever became of them before: put them with `force=True`."""
        return [one.job for one in self.due]


@dataclass
class _Sight:
    """What planning looks at, read once for all symbols."""

    lake: Lake
    now: dt.datetime
    feed: str
    source: str = SOURCE
    answers: dict[str, pl.DataFrame] = field(default_factory=dict)
    provisional: dict[str, set[dt.date]] = field(default_factory=dict)

    @property
    def today(self) -> dt.date:
        return self.now.astimezone(NEW_YORK).date()


def plan(
    lake: Lake,
    watch_list: WatchList,
    now: dt.datetime,
    *,
    securities: Sequence[Security] | None = None,
    parts: Collection[Part] = tuple(Part),
    feed: str | None = None,
) -> Plan:
    """What is due at an instant of market time, most urgent first.

    Parameters
    ----------
    securities
        Of the watch list; None takes every enabled one.
    feed
        Where bars go; None takes what `ALPACA_FEED` says.

    Raises
    ------
    InvalidInputError
        If nothing on the watch list is enabled.
    """
    chosen = watch_list.select() if securities is None else securities
    sight = _look(lake, now, feed or resolve_feed(lake.settings.alpaca_feed))
    fetched = [one for one in chosen if one.category != "crypto" and one.name_at(SOURCE) is not None]
    due: list[Due] = []
    if Part.SESSIONS in parts or Part.BARS in parts or Part.RECHECK in parts:
        due += _bars(sight, fetched, set(parts))
    coins = [one for one in chosen if one.category == "crypto"]
    notes: list[Note] = []
    if Part.BARS in parts and coins:
        try:
            due += _coin_bars(lake, coins, now)
        except (InvalidInputError, CredentialsError) as error:
            notes += [Note(one.symbol, f"no minute bars: {error}") for one in coins]
    if Part.ACTIONS in parts:
        due += _actions(sight, [one for one in fetched if not one.is_renamed(SOURCE)])
    if Part.CALENDAR in parts:
        due += _calendar(sight)
    if Part.FEATURES in parts:
        due += plan_features(lake, watch_list.features, [one.symbol for one in chosen], feed=sight.feed)
    if Part.DAILY in parts:
        due += [Due(*want) for want in daily_jobs(lake, watch_list, chosen, sight.today)]
    if Part.NEWS in parts:
        due += [Due(*want) for want in news_jobs(lake, watch_list, chosen, sight.today)]
    if Part.MACRO in parts:
        due += [Due(*want) for want in macro_jobs(lake, watch_list, sight.today)]
    notes += [Note(one.symbol, _NO_INDEX) for one in chosen if one not in fetched and one not in coins]
    notes += [Note(one.symbol, f"begins on {one.start}") for one in fetched if one.start and one.start > sight.today]
    return Plan(now, sight.feed, tuple(due), tuple(notes))


def _coin_bars(lake: Lake, coins: Sequence[Security], now: dt.datetime) -> list[Due]:
    """The months that lack something in the feed of the first source of coins."""
    sources = sources_for(Purpose.CRYPTO, lake.settings)
    sight = _look(lake, now, sources.feeds[0])
    sight.source = sources.names[0]
    return _bars(sight, coins, {Part.BARS})


def plan_features(lake: Lake, sets: Iterable[str], symbols: Iterable[str], *, feed: str) -> list[Due]:
    """Feature tables whose bars are others than they were made from.

    The key names those bars, so the same ones are never built twice.
    """
    return [
        Due(
            Job(
                f"features/{one.set_name}/{one.symbol}/{one.version}-{one.inputs_hash[:12]}",
                "features",
                {"set_name": one.set_name, "symbol": one.symbol, "feed": one.feed},
                Agent.FEATURES,
            ),
            one.why,
            one.symbol,
        )
        for one in stale_tables(lake, sets, symbols, feed=feed)
    ]


def _look(lake: Lake, now: dt.datetime, feed: str) -> _Sight:
    sight = _Sight(lake, now, feed)
    sight.answers = _by_symbol(lake.manifest.answers(feed=feed))
    for symbol, session in lake.manifest.provisional_sessions(feed=feed):
        sight.provisional.setdefault(symbol, set()).add(session)
    return sight


def _by_symbol(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {str(symbol): rows for (symbol,), rows in frame.group_by("symbol")}


# --- bars ------------------------------------------------------------------------------------------


def _bars(sight: _Sight, securities: Sequence[Security], parts: set[Part]) -> list[Due]:
    """Sessions to make final, then those to look at again, then the months that lack something, newest first."""
    final: list[Due] = []
    again: list[Due] = []
    months: list[tuple[dt.date, Due]] = []
    calendar = sight.lake.calendar.of(sight.feed)
    beyond = min(sight.today + dt.timedelta(days=1), calendar.last + dt.timedelta(days=1))
    finished = finished_sessions(calendar.in_range(max(_FIRST_OF_BARS, calendar.first), beyond), sight.now)
    nothing = sight.lake.manifest.answers(feed=sight.feed, symbol="").clear()
    for one in securities:
        first = one.first_session(sight.today)
        expected = finished.filter(pl.col("session") >= first)["session"].to_list()
        answers = sight.answers.get(one.symbol, nothing)
        answered = dict(answers.select("session", "answered_at").iter_rows())
        live = sight.provisional.get(one.symbol, set()) & set(expected)
        missing = [day for day in expected if day not in answered and day not in live]
        if Part.SESSIONS in parts:
            final += [
                _session(sight, one, day, "to be made final", _FINAL_PRIORITY, again=False) for day in sorted(live)
            ]
        if Part.RECHECK in parts:
            old = [day for day in expected[-RECHECKED_SESSIONS:] if day in answered and day not in live]
            old = [day for day in old if sight.now - answered[day] >= RECHECK_AFTER]
            again += [_session(sight, one, day, "looked at again", _RECHECK_PRIORITY, again=True) for day in old]
        if Part.BARS in parts:
            months += _months(sight, one, missing)
    months.sort(key=lambda pair: pair[0], reverse=True)
    return [*final, *again, *(due for _, due in months)]


def _months(sight: _Sight, security: Security, missing: Sequence[dt.date]) -> Iterator[tuple[dt.date, Due]]:
    grouped: dict[Period, list[dt.date]] = {}
    for day in missing:
        grouped.setdefault(Period.of_month(day), []).append(day)
    for month, days in grouped.items():
        arguments = _arguments(sight, security) | {
            "start": days[0].isoformat(),
            "end": (days[-1] + dt.timedelta(days=1)).isoformat(),
        }
        key = f"bars/{sight.feed}/{security.symbol}/{month.label}"
        sessions = "1 session is" if len(days) == 1 else f"{len(days)} sessions are"
        yield month.start, Due(Job(key, "bars", arguments), f"{sessions} missing", security.symbol)


def _session(sight: _Sight, security: Security, day: dt.date, why: str, priority: int, *, again: bool) -> Due:
    key = f"session/{sight.feed}/{security.symbol}/{day}"
    arguments = _arguments(sight, security) | {"session": day.isoformat(), "again": again}
    return Due(Job(key, "session", arguments, priority=priority), f"{day} is {why}", security.symbol)


def _arguments(sight: _Sight, security: Security) -> dict[str, str]:
    own = {"feed": sight.feed, "symbol": security.symbol}
    name = security.name_at(sight.source)
    return own if name in {None, security.symbol} else own | {"name": str(name)}


# --- corporate actions and the calendar ------------------------------------------------------------


def _actions(sight: _Sight, securities: Sequence[Security]) -> list[Due]:
    """One job a day for all symbols; a symbol that was not asked about for long is asked about from the beginning."""
    asked = sight.lake.manifest.asked(ENDPOINT)
    whole_until = {symbol: end.date() - AHEAD for symbol, (_, end) in asked.items()}
    recent_until = whole_until.pop("*", None)
    whole = [
        one.symbol
        for one in securities
        if sight.today - whole_until.get(one.symbol, dt.date.min) >= ACTIONS_AGAIN_AFTER
    ]
    done_today = recent_until is not None and recent_until >= sight.today
    recent = [
        one.symbol
        for one in securities
        if not done_today and one.symbol not in whole and whole_until[one.symbol] < sight.today
    ]
    if not whole and not recent:
        return []
    arguments = {"symbols": recent, "whole": whole, "today": sight.today.isoformat()}
    told = [f"{len(recent)} symbols over the last 30 days"] if recent else []
    told += [f"{len(whole)} from the beginning"] if whole else []
    return [Due(Job(f"actions/{sight.today}", "actions", arguments), " and ".join(told))]


def _calendar(sight: _Sight) -> list[Due]:
    """The exchange's hours, once a day, where there is a key to ask with."""
    settings = sight.lake.settings
    if settings.alpaca_key_id is None or settings.alpaca_secret_key is None:
        return []
    start, end = sight.today - CALENDAR_WINDOW, min(sight.today + CALENDAR_WINDOW, sight.lake.calendar.last)
    asked = sight.lake.manifest.asked(CALENDAR_ENDPOINT).get("*")
    if asked is not None and asked[1].date() >= end:
        return []
    arguments = {"start": start.isoformat(), "end": end.isoformat()}
    return [Due(Job(f"calendar/{sight.today}", "calendar", arguments), "sessions compared with Alpaca's")]
