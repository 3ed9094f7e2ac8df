"""What is asked for anew every day: corporate actions of a trailing window, and the exchange's calendar."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import Any

from app.jobs.context import JobContext
from app.jobs.registry import task
from barlake.errors import InvalidInputError
from ingest_service.alpaca import AlpacaSource, account_throttle
from ingest_service.alpaca_actions import SymbolActions, fetch_actions, refresh_actions
from ingest_service.trading_calendar import compare_calendar

__all__ = ["actions", "calendar"]

logger = logging.getLogger(__name__)


@task("actions", agent="backfill", account="alpaca")
def actions(context: JobContext, *, symbols: Sequence[str], whole: Sequence[str], today: str) -> dict[str, Any]:
    """Corporate actions: of the trailing window for `symbols`, of all their history for `whole`."""
    throttle = account_throttle(context.settings)
    source = AlpacaSource.from_settings(context.settings, stop=context.stop, throttle=throttle)
    total = len(symbols) + len(whole)
    done: list[SymbolActions] = []
    refused: list[str] = []
    for number, symbol in enumerate(whole):
        if context.stop.is_set():
            return {"status": "partial"}
        context.progress(number, total, unit="symbols", pages=len(done), next_step=f"actions of {symbol}")
        try:
            done += fetch_actions(context.lake, source, [symbol])
        except InvalidInputError as error:
            logger.warning("%s was not asked about: %s", symbol, error, extra={"symbol": symbol, "stage": "fetch"})
            refused.append(symbol)
    if symbols:
        done += refresh_actions(context.lake, source, symbols, dt.date.fromisoformat(today), stop=context.stop)
    counts = {name: sum(getattr(one.written, name) for one in done) for name in ("inserted", "replaced", "unchanged")}
    unreadable = sum(len(one.unreadable) for one in done)
    status = "partial" if refused or unreadable else "done"
    return {"status": status, "symbols": total, **counts, "unreadable": unreadable, "refused": refused}


@task("calendar", agent="backfill", account="alpaca")
def calendar(context: JobContext, *, start: str, end: str) -> dict[str, Any]:
    """Comparison of the lake's sessions with the exchange's as Alpaca tells them; a difference is an alert."""
    first, beyond = dt.date.fromisoformat(start), dt.date.fromisoformat(end)
    source = AlpacaSource.trading_from_settings(context.settings, stop=context.stop)
    differences = compare_calendar(
        source, context.lake.calendar, first, beyond, on_receipt=lambda one: context.lake.manifest.add_receipts([one])
    )
    if not differences:
        context.operations.alerts.clear("calendar")
        return {"status": "done", "differences": []}
    said = [str(one) for one in differences]
    for one in said:
        logger.warning("the calendars differ on %s", one, extra={"stage": "calendar"})
    context.operations.alerts.fire(
        "calendar",
        level="warning",
        message=f"the exchange's calendar differs from Alpaca's on {len(said)} dates, first {said[0]}. The lake's "
        "own table counts; look which is right, and update exchange_calendars if it is Alpaca's.",
        details={"differences": said},
    )
    return {"status": "done", "differences": said}
