"""Alerts: what somebody should know, once an episode, however many look.

An episode begins with the first `fire` of a key and ends with its `clear`; one row in the database stands for it,
and whoever made that row is the one who tells. What is told to whom is a row too, so that a mail host or webhook
that is down is told later.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, insert, or_, select, update

from app.operations.database import reading, writing
from app.operations.deliveries import Sender, deliver_due
from app.operations.log_records import level_number
from app.operations.redaction import Redactor
from app.operations.tables import alerts, deliveries
from barlake.database import upsert
from barlake.records import utc_now

__all__ = ["Alert", "Alerts"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One episode; `cleared_at` None means it lasts.

    Parameters
    ----------
    key
        What it is about: `disk`, `stalled/<worker>`, `late/<feed>/<session>`.
    level
        `warning`, `error` or `critical`.
    """

    alert_id: int
    key: str
    level: str
    message: str
    details: Mapping[str, Any]
    fired_at: dt.datetime
    cleared_at: dt.datetime | None


class Alerts:
    """The table of alerts.

    Parameters
    ----------
    senders
        Who is told beside the log, by channel: `webhook`, `email`.
    redactor
        Takes secrets out of messages and details.
    """

    def __init__(self, engine: Engine, senders: Mapping[str, Sender], redactor: Redactor) -> None:
        self._engine = engine
        self._senders = dict(senders)
        self._redactor = redactor

    @property
    def channels(self) -> tuple[str, ...]:
        """Who is told beside the log."""
        return tuple(self._senders)

    def fire(self, key: str, *, level: str, message: str, details: Mapping[str, Any] | None = None) -> bool:
        """Raise an alert; true for the one who began the episode.

        During an episode the words may change with the state of things, and nobody is told again.

        Raises
        ------
        StorageError
            If the database refuses.
        InvalidInputError
            If there is no such level.
        """
        number = level_number(level)
        message, facts = self._redactor.text(message), self._redactor.value(details or {})
        text = json.dumps(facts)
        row = {"key": key, "level": level.lower(), "message": message, "details": text}
        active = (alerts.c.key == key) & alerts.c.cleared_at.is_(None)
        with writing(self._engine) as connection:
            now = utc_now()
            begun = upsert(connection, alerts).values(**row, fired_at=now)
            # Of several who see the same thing at once, the database lets one begin the episode.
            begun = begun.on_conflict_do_nothing(index_elements=["key"], index_where=alerts.c.cleared_at.is_(None))
            alert_id = connection.execute(begun.returning(alerts.c.alert_id)).scalar()
            if alert_id is not None:
                self._promise(connection, alert_id, "fired", now)
            else:
                changed = or_(*(alerts.c[name] != value for name, value in row.items()))
                connection.execute(update(alerts).where(active, changed).values(**row))
        if alert_id is not None:
            logger.log(number, "alert: %s", message, extra={"stage": "alert", "alert": key, "details": facts})
        return alert_id is not None

    def clear(self, key: str) -> bool:
        """End the episode of a key, if one lasts; true for the one who ended it.

        Raises
        ------
        StorageError
            If the database refuses.
        """
        active = (alerts.c.key == key) & alerts.c.cleared_at.is_(None)
        with writing(self._engine) as connection:
            now = utc_now()
            ended = update(alerts).where(active).values(cleared_at=now)
            found = connection.execute(ended.returning(alerts.c.alert_id, alerts.c.message)).first()
            if found is not None:
                self._promise(connection, found.alert_id, "cleared", now)
        if found is not None:
            logger.info("alert cleared: %s", found.message, extra={"stage": "alert", "alert": key})
        return found is not None

    def deliver(self) -> int:
        """Send the notes that are due, also those that did not arrive before; how many arrived.

        May take seconds: for a thread that nobody waits for.

        Raises
        ------
        StorageError
            If the database refuses.
        """
        return deliver_due(self._engine, self._senders) if self._senders else 0

    def active(self) -> list[Alert]:
        """Episodes that last, oldest first.

        Raises
        ------
        StorageError
            If the database cannot be read.
        """
        return self._read(select(alerts).where(alerts.c.cleared_at.is_(None)).order_by(alerts.c.alert_id))

    def history(self, *, limit: int = 100) -> list[Alert]:
        """The newest episodes, newest first.

        Raises
        ------
        StorageError
            If the database cannot be read.
        """
        return self._read(select(alerts).order_by(alerts.c.alert_id.desc()).limit(limit))

    def _read(self, query: Select[Any]) -> list[Alert]:
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [Alert(**{**row, "details": json.loads(row["details"])}) for row in rows]

    def _promise(self, connection: Connection, alert_id: int, event: str, now: dt.datetime) -> None:
        rows = [
            {"alert_id": alert_id, "event": event, "channel": channel, "attempts": 0, "due_at": now, "made_at": now}
            for channel in self._senders
        ]
        if rows:
            connection.execute(insert(deliveries), rows)
