"""Alerts brought to people: what is due is claimed, sent, and tried again later when it did not arrive.

Of several processes one sends: it claims the row first. Only a process that dies between sending and saying so
makes a second one send again, under the same identifier.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import aliased

from app.operations.database import reading, writing
from app.operations.tables import alerts, deliveries
from barlake.records import utc_now

__all__ = ["Note", "Sender", "deliver_due"]

logger = logging.getLogger(__name__)

Note = Mapping[str, Any]
"""An alert's event in words that JSON knows; `id` is its own, also when it is sent twice."""

Sender = Callable[[Note], str | None]
"""Brings a note somewhere within some seconds; returns what went wrong."""

_CLAIM = dt.timedelta(minutes=2)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 5.0, 600.0
_GIVES_UP_AFTER = dt.timedelta(days=3)


def deliver_due(engine: Engine, senders: Mapping[str, Sender]) -> int:
    """Send every note whose time has come; how many arrived.

    A channel that fails is left alone until its next time, so that a dead one costs one timeout.

    Raises
    ------
    StorageError
        If the database refuses.
    """
    arrived = 0
    silent: set[str] = set()
    while found := _claim(engine, set(senders) - silent):
        channel = found["channel"]
        error = senders[channel](_note(found))
        if error is not None:
            silent.add(channel)
        arrived += error is None
        _settle(engine, found, error)
    return arrived


def _claim(engine: Engine, channels: Collection[str]) -> Mapping[str, Any] | None:
    """The next note that is due and nobody else sends, ours for a while."""
    earlier = aliased(deliveries)
    before = select(earlier.c.delivery_id).where(
        earlier.c.alert_id == deliveries.c.alert_id,
        earlier.c.channel == deliveries.c.channel,
        earlier.c.delivery_id < deliveries.c.delivery_id,
        earlier.c.ended_at.is_(None),
    )
    query = (
        select(deliveries, alerts)
        .join(alerts, alerts.c.alert_id == deliveries.c.alert_id)
        # Nobody hears that it is over before they heard that it began.
        .where(deliveries.c.ended_at.is_(None), deliveries.c.channel.in_(channels), ~before.exists())
        .order_by(deliveries.c.delivery_id)
        .limit(1)
    )
    while True:
        now = utc_now()
        with reading(engine) as connection:
            found = connection.execute(query.where(deliveries.c.due_at <= now)).mappings().first()
        if found is None:
            return None
        with writing(engine) as connection:
            ours = connection.execute(
                update(deliveries)
                .where(deliveries.c.delivery_id == found["delivery_id"], deliveries.c.due_at == found["due_at"])
                .where(deliveries.c.ended_at.is_(None))
                .values(due_at=now + _CLAIM, attempts=deliveries.c.attempts + 1)
            )
        if ours.rowcount:
            return dict(found)


def _settle(engine: Engine, found: Mapping[str, Any], error: str | None) -> None:
    now = utc_now()
    facts: dict[str, Any] = {"ended_at": now, "error": None}
    if error is not None:
        wait = min(_FIRST_WAIT_S * 2.0 ** min(found["attempts"], 10), _LONGEST_WAIT_S)
        gives_up = now - found["made_at"] > _GIVES_UP_AFTER
        facts = {"error": error, "ended_at": now if gives_up else None, "due_at": now + dt.timedelta(seconds=wait)}
        logger.log(
            logging.ERROR if gives_up else logging.WARNING,
            "an alert did not arrive by %s: %s",
            found["channel"],
            error,
            extra={"stage": "alert", "alert": found["key"], "gave_up": gives_up},
        )
    with writing(engine) as connection:
        connection.execute(update(deliveries).where(deliveries.c.delivery_id == found["delivery_id"]).values(**facts))


def _note(found: Mapping[str, Any]) -> Note:
    what = "cleared" if found["event"] == "cleared" else found["level"]
    ended = found["cleared_at"]
    return {
        "id": f"{found['alert_id']}-{found['event']}",
        "event": found["event"],
        "key": found["key"],
        "level": found["level"],
        "message": found["message"],
        "details": json.loads(found["details"]),
        "fired_at": found["fired_at"].isoformat(),
        "cleared_at": ended.isoformat() if ended and found["event"] == "cleared" else None,
        # The name by which the usual chat services want what is to be shown.
        "text": f"barlake {what}: {found['message']}",
    }
