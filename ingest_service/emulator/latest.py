"""The newest that is known of a symbol: its last bar, or a snapshot.

Both follow the clock, and both need a plan with recent SIP where that feed is asked for: unlike history they
cannot be had a quarter of an hour late.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ingest_service.emulator.accounts import Plan
from ingest_service.emulator.pages import json_rows
from ingest_service.emulator.query import RECENT_SIP, RefusedError, check_feed, parse_symbols
from ingest_service.emulator.resampled import DailyBars
from ingest_service.emulator.source import BarSource

if TYPE_CHECKING:
    from ingest_service.emulator.state import EmulatorState

__all__ = ["latest_bars", "snapshots"]

_EPOCH_US, _FOREVER_US = -(2**62), 2**62


def latest_bars(
    state: EmulatorState, parameters: Mapping[str, str], plan: Plan, now: dt.datetime
) -> dict[str, dict[str, Any]]:
    """The last finished bar of each symbol that has one."""
    symbols = _asked(state, parameters, plan)
    source = state.views.minutes(now)
    return {"bars": {symbol: found[0] for symbol in symbols if (found := _newest(source, symbol, 1))}}


def snapshots(
    state: EmulatorState, parameters: Mapping[str, str], plan: Plan, now: dt.datetime
) -> dict[str, dict[str, Any] | None]:
    """The newest trade, quote, minute and two days of each symbol; null for one that has never traded."""
    symbols = _asked(state, parameters, plan)
    minutes = state.views.minutes(now)
    days = DailyBars(minutes, state.views.hours())
    return {symbol: _snapshot(minutes, days, symbol) for symbol in symbols}


def _snapshot(minutes: BarSource, days: BarSource, symbol: str) -> dict[str, Any] | None:
    newest = _newest(minutes, symbol, 1)
    if not newest:
        return None
    minute = newest[0]
    latest_day = [*_newest(days, symbol, 2), None, None]
    bid, ask = minute["c"] - 0.01, minute["c"] + 0.01
    return {
        "latestTrade": {"t": minute["t"], "x": "V", "p": minute["c"], "s": 100, "c": ["@"], "i": 1, "z": "C"},
        "latestQuote": {
            "t": minute["t"], "ax": "V", "ap": round(ask, 4), "as": 100,
            "bx": "V", "bp": round(bid, 4), "bs": 100, "c": ["R"], "z": "C",
        },
        "minuteBar": minute,
        "dailyBar": latest_day[0],
        "prevDailyBar": latest_day[1],
    }  # fmt: skip


def _asked(state: EmulatorState, parameters: Mapping[str, str], plan: Plan) -> tuple[str, ...]:
    symbols = parse_symbols(parameters)
    if check_feed(parameters, state.config.served_feeds) == "sip" and not plan.has_recent_sip:
        raise RefusedError(403, RECENT_SIP)
    return symbols


def _newest(source: BarSource, symbol: str, count: int) -> list[dict[str, Any]]:
    return json_rows({symbol: source.rows(symbol, _EPOCH_US, _FOREVER_US, limit=count, descending=True)})[symbol]
