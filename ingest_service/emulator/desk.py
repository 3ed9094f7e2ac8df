"""From a request to its answer: credentials, budget, faults, validation, rows."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from email.utils import format_datetime
from typing import cast

from fastapi import Request, Response

from ingest_service.emulator.accounts import Account, Plan
from ingest_service.emulator.answers import (
    DroppedResponse,
    compressed,
    error_response,
    json_bytes,
    json_response,
    never_answer,
    packed,
    takes_gzip,
)
from ingest_service.emulator.assets import assets_answer
from ingest_service.emulator.damage import Circumstances, damaged, spoils_the_page
from ingest_service.emulator.fault_rules import FaultRule
from ingest_service.emulator.faults import Fault
from ingest_service.emulator.latest import latest_bars, snapshots
from ingest_service.emulator.market import calendar_answer, clock_answer
from ingest_service.emulator.page_cache import KeptPage, is_settled
from ingest_service.emulator.pages import collect_page, json_rows, render_page, rows_before, running_minute
from ingest_service.emulator.query import BarsQuery, RefusedError, parse_bars_query, parse_crypto_query
from ingest_service.emulator.source import BarSource
from ingest_service.emulator.state import EmulatorState

__all__ = ["Call", "Desk"]

_TOO_MANY: dict[str, dict[str, object]] = {
    "data": {"message": "too many requests."},
    "trading": {"code": 42910000, "message": "rate limit exceeded"},
}
_SKEW_SECONDS = 300.0


class Call:
    """One request on its way: what was asked, the headers of its answer and its line in the log."""

    def __init__(self, request: Request, headers: dict[str, str], at: dt.datetime) -> None:
        self.request = request
        self.headers = headers
        self.now = at
        self.account: Account | None = None
        self.rule: FaultRule | None = None
        self.parameters = dict(request.query_params)
        self.entry: dict[str, object] = {
            "at": at,
            "method": request.method,
            "path": request.url.path,
            "query": self.parameters,
            "status": None,
            "fault": None,
            "rows": None,
        }

    @property
    def identity(self) -> str:
        """Path and query: the same text asks for the same page."""
        return f"{self.request.url.path}?{self.request.url.query}"

    @property
    def plan(self) -> Plan:
        """What the key may ask for."""
        return Plan.BASIC if self.account is None else self.account.plan


class Desk:
    """Answers requests from an emulator's state.

    Parameters
    ----------
    state
        What the emulator remembers.
    """

    def __init__(self, state: EmulatorState) -> None:
        self._state = state

    async def answer(self, request: Request, surface: str, handler: Callable[[Call], bytes]) -> Response:
        """Answer of a handler, if the key is right and has budget left; every call is logged.

        Parameters
        ----------
        request
            As received.
        surface
            `data` or `trading`: their budgets are counted apart.
        handler
            Makes the JSON; may raise `RefusedError`.
        """
        now = self._state.clock.now()
        call = Call(request, self._state.basic_headers(now), now)
        self._state.log.append(call.entry)
        try:
            keys = (request.headers.get(name) for name in ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY"))
            call.account = self._state.account(*keys)
            budget = self._state.take(surface, call.account)
            call.headers |= self._state.limit_headers(budget, now)
            if budget.allowed:
                response = await self._answer_under_fault(call, surface, handler)
            else:
                response = json_response(429, _TOO_MANY[surface], call.headers)
        except RefusedError as refused:
            response = json_response(refused.status, refused.body, call.headers)
        call.entry["status"] = response.status_code
        return response

    async def _answer_under_fault(self, call: Call, surface: str, handler: Callable[[Call], bytes]) -> Response:
        rule = call.rule = self._state.fault_of(call.request.url.path, call.identity, call.parameters)
        if rule is None:
            return self._good(call, handler(call))
        call.entry["fault"] = rule.fault.value
        match rule.fault:
            case Fault.RATE_LIMIT:
                return self._refused_early(call, surface, rule)
            case Fault.STATUS | Fault.SERVER_ERROR:
                return error_response(rule.status, rule.body, call.headers)
            case Fault.HANG:
                return await never_answer(call.request, call.headers, rule.seconds or self._state.config.hang_seconds)
            case Fault.DROP if rule.before_head:
                return DroppedResponse(b"", before_head=True)
            case Fault.SLOW:
                await asyncio.sleep(self._state.config.slow_seconds if rule.seconds is None else rule.seconds)
            case Fault.CLOCK_SKEW:
                wrong = call.now + dt.timedelta(seconds=_SKEW_SECONDS if rule.seconds is None else rule.seconds)
                call.headers["Date"] = format_datetime(wrong.replace(microsecond=0), usegmt=True)
        return self._broken(call, rule, handler(call))

    def _good(self, call: Call, body: bytes) -> Response:
        body, more = packed(body, call.request, self._state.config.gzip_level)
        return Response(body, headers=call.headers | more, media_type="application/json")

    def _broken(self, call: Call, rule: FaultRule, body: bytes) -> Response:
        match rule.fault:
            case Fault.TRUNCATED_JSON:
                return self._good(call, body[: len(body) // 2])
            case Fault.CORRUPT_GZIP:
                return Response(
                    b"\x1f\x8b\x08\x00" + body[:200],
                    headers=call.headers | {"Content-Encoding": "gzip"},
                    media_type="application/json",
                )
            case Fault.DROP:
                good = self._good(call, body)
                return DroppedResponse(bytes(good.body), headers=dict(good.headers))
        return self._good(call, body)

    def _refused_early(self, call: Call, surface: str, rule: FaultRule) -> Response:
        for name in ("Limit", "Remaining", "Reset"):
            call.headers.pop(f"X-RateLimit-{name}")
        if rule.headers:
            reset = call.now.timestamp() // 1 + (1 if rule.seconds is None else rule.seconds)
            call.headers |= {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(reset))}
        return json_response(429, _TOO_MANY[surface], call.headers)

    # --- bars ----------------------------------------------------------------------------------

    def bars(self, call: Call, single: str | None = None) -> bytes:
        """A page of bars of many symbols, or of a single one."""
        feeds = self._state.config.served_feeds
        query = parse_bars_query(call.parameters, served_feeds=feeds, plan=call.plan, now=call.now, symbol=single)
        return self._page(call, self._state.views.stocks(query, call.now), query, single)

    def crypto_bars(self, call: Call) -> bytes:
        """A page of bars of crypto pairs."""
        query = parse_crypto_query(call.parameters, now=call.now)
        return self._page(call, self._state.views.crypto(query, call.now), query, None)

    def _page(self, call: Call, source: BarSource, query: BarsQuery, single: str | None) -> bytes:
        may_keep = self._may_keep(call, query)
        kept = self._state.pages.get(call.identity) if may_keep else None
        if kept is None:
            body = self._made_page(call, source, query, single)
            if not may_keep:
                return body
            kept = KeptPage(compressed(body, self._state.config.gzip_level), cast("int", call.entry["rows"]))
            self._state.pages.put(call.identity, kept)
        call.entry["rows"] = kept.rows
        return kept.body

    def _may_keep(self, call: Call, query: BarsQuery) -> bool:
        is_packed = self._state.config.gzip_level > 0 and takes_gzip(call.request)
        is_right = call.rule is None and Fault.MISSING_MINUTES not in self._state.faults.faults
        has_one_name = query.asof is None or not self._state.actions.renames()
        return is_packed and is_right and has_one_name and is_settled(query, call.now)

    def _made_page(self, call: Call, source: BarSource, query: BarsQuery, single: str | None) -> bytes:
        config = self._state.config
        page = collect_page(source, query, short=config.short_pages, trailing_token=config.trailing_token)
        page = self._state.faults.withhold_from(page)
        call.entry["rows"] = page.height
        body = render_page(page, single=single, currency=query.currency)
        if call.rule is None or not spoils_the_page(call.rule):
            return body
        circumstances = Circumstances(
            single=single,
            token=call.parameters.get("page_token"),
            start=dt.datetime.fromtimestamp(query.start_us / 1e6, dt.UTC),
            before=lambda count: json_rows(rows_before(source, query, count)),
            running=lambda: json_rows(running_minute(self._state.source, query, call.now)),
        )
        return damaged(body, call.rule, circumstances)

    def latest(self, call: Call) -> bytes:
        """The newest bar of each symbol."""
        return json_bytes(latest_bars(self._state, call.parameters, call.plan, call.now))

    def snapshots(self, call: Call) -> bytes:
        """The newest trade, quote, minute and days of each symbol."""
        return json_bytes(snapshots(self._state, call.parameters, call.plan, call.now))

    # --- what else there is --------------------------------------------------------------------

    def calendar(self, call: Call) -> bytes:
        """Sessions between two dates."""
        return json_bytes(calendar_answer(self._state.calendar(), call.parameters))

    def clock(self, call: Call) -> bytes:
        """Now, and whether the exchange is open."""
        return json_bytes(clock_answer(self._state.calendar(), call.now))

    def assets(self, call: Call) -> bytes:
        """Everything that is listed."""
        return json_bytes(assets_answer(self._state.symbols, self._state.crypto_symbols, call.parameters))

    def actions(self, call: Call) -> bytes:
        """A page of corporate actions."""
        answer = self._state.actions.answer(call.parameters, now=call.now)
        call.entry["rows"] = sum(len(records) for records in answer["corporate_actions"].values())
        return json_bytes(answer)

    def news(self, call: Call) -> bytes:
        """A page of news."""
        answer = self._state.news.answer(call.parameters, now=call.now)
        call.entry["rows"] = len(answer["news"])
        return json_bytes(answer)
