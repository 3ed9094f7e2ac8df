"""The schedules of a lake: kept in the operations database, told to pause, resume and go, and seen with their state."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, insert, or_, select, update

from app.operations import tables
from app.operations.database import reading, writing
from app.schedules.triggers import Cron, SessionBound, Trigger, parse_trigger
from barlake.database import upsert
from barlake.errors import ConflictError, InvalidInputError, NotFoundError, did_you_mean

__all__ = ["DAILY", "DEFAULTS", "WATCH_LIST", "Schedule", "Schedules"]

DAILY, AFTER_SESSION, WATCH_LIST = "daily", "after-session", "watch-list"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Schedule:
    """One schedule.

    Parameters
    ----------
    trigger
        None for the one that watches the watch list's file.
    work
        What the `update` task is told: parts, categories, only, skip.
    seen_until
        Market time up to which every time of its trigger was judged.
    last_due
        The last time it fired for, market time.
    mark, changes
        Of what is watched: what it was when it was last seen, and how often it had changed.
    """

    name: str
    trigger: Trigger | None
    work: Mapping[str, Any] = field(default_factory=dict)
    paused: bool = False
    seen_until: dt.datetime | None = None
    last_due: dt.datetime | None = None
    last_job: str | None = None
    mark: str | None = None
    changes: int = 0

    @property
    def when(self) -> str:
        """The trigger in words."""
        return "when the watch list changes" if self.trigger is None else str(self.trigger)


DEFAULTS = (
    Schedule(DAILY, Cron("30 6 * * 2-6")),
    Schedule(AFTER_SESSION, SessionBound("post_close", dt.timedelta(minutes=20)), {"parts": ["bars", "sessions"]}),
    Schedule(WATCH_LIST, None, {"parts": ["bars", "sessions", "actions", "daily", "news", "macro"]}),
)
"""Every lake begins with these."""


class Schedules:
    """The table of schedules."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, now: dt.datetime) -> None:
        """Make the default schedules of a lake that never had them; their times count from now on."""
        rows = [_row(one, now) for one in DEFAULTS]
        with writing(self._engine) as connection:
            connection.execute(upsert(connection, tables.schedules).on_conflict_do_nothing(), rows)

    def all(self) -> list[Schedule]:
        """Every schedule, by name."""
        table = tables.schedules
        query = select(table).where(table.c.removed.is_(False)).order_by(table.c.name)
        with reading(self._engine) as connection:
            return [_schedule(row) for row in connection.execute(query).mappings()]

    def get(self, name: str) -> Schedule:
        """The schedule of that name.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        known = {one.name: one for one in self.all()}
        if name not in known:
            raise NotFoundError(
                f"no schedule {name!r}: there are {', '.join(known) or 'none'}.{did_you_mean(name, known)}"
            )
        return known[name]

    def add(self, schedule: Schedule, now: dt.datetime) -> None:
        """Keep a new schedule; its times count from now on.

        Raises
        ------
        ConflictError
            If there is one of that name.
        InvalidInputError
            If the name is none.
        """
        if not _NAME.fullmatch(schedule.name):
            raise InvalidInputError(
                f"schedule name {schedule.name!r} is none: use 1 to 64 of a-z, 0-9, '-' and '_', a letter first."
            )
        table = tables.schedules
        row = _row(schedule, now)
        with writing(self._engine) as connection:
            known = connection.execute(select(table.c.removed).where(table.c.name == schedule.name)).scalar()
            if known is False:
                raise ConflictError(f"schedule {schedule.name!r} is there already: remove it first, or name another.")
            if known is None:
                connection.execute(insert(table), row)
            else:
                connection.execute(update(table).where(table.c.name == schedule.name), row)

    def remove(self, name: str) -> None:
        """Have no schedule of that name any more."""
        self._set(name, removed=True)

    def pause(self, name: str) -> None:
        """Let its times pass until it is resumed."""
        self._set(name, paused=True)

    def resume(self, name: str, now: dt.datetime) -> None:
        """Let it fire again; times that passed in the pause are not caught up, for they were not wanted."""
        if self.get(name).paused:
            self._set(name, paused=False, seen_until=now)

    def judged(self, schedule: Schedule, until: dt.datetime, *, due: dt.datetime | None, job: str | None) -> bool:
        """Record that all its times up to an instant are seen to; true for the one of several who did it."""
        table = tables.schedules
        changes: dict[str, Any] = {"seen_until": until}
        if job is not None:
            changes |= {"last_due": due, "last_job": job}
        with writing(self._engine) as connection:
            ours = (table.c.name == schedule.name) & (table.c.seen_until == schedule.seen_until)
            return connection.execute(update(table).where(ours).values(**changes)).rowcount == 1

    def fired_now(self, name: str, now: dt.datetime, job: str) -> None:
        """Record that it was told to go by hand."""
        self._set(name, last_due=now, last_job=job)

    def changed(self, schedule: Schedule, mark: str, now: dt.datetime, job: str) -> bool:
        """Record a change of what is watched; true for the one of several who did it."""
        table = tables.schedules
        unseen = or_(table.c.mark.is_(None), table.c.mark != mark)
        ours = (table.c.name == schedule.name) & (table.c.changes == schedule.changes) & unseen
        values = {"mark": mark, "changes": schedule.changes + 1, "last_due": now, "last_job": job}
        with writing(self._engine) as connection:
            return connection.execute(update(table).where(ours).values(**values)).rowcount == 1

    def _set(self, name: str, **values: Any) -> None:
        self.get(name)
        with writing(self._engine) as connection:
            connection.execute(update(tables.schedules).where(tables.schedules.c.name == name).values(**values))


def _row(schedule: Schedule, now: dt.datetime) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "trigger": json.dumps(_trigger_facts(schedule.trigger)),
        "work": json.dumps(dict(schedule.work)),
        "paused": False,
        "removed": False,
        "seen_until": now,
        "last_due": None,
        "last_job": None,
        "mark": None,
        "changes": 0,
    }


def _trigger_facts(trigger: Trigger | None) -> dict[str, Any]:
    if trigger is None:
        return {}
    if isinstance(trigger, SessionBound):
        return {"text": str(trigger)}
    return {"text": trigger.expression, "zone": trigger.zone, "sessions_only": trigger.sessions_only}


def _schedule(row: Any) -> Schedule:
    facts = json.loads(row["trigger"])
    trigger = parse_trigger(facts.pop("text"), **facts) if facts else None
    kept = ("name", "paused", "seen_until", "last_due", "last_job", "mark", "changes")
    return Schedule(trigger=trigger, work=json.loads(row["work"]), **{name: row[name] for name in kept})
