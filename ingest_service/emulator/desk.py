"""From a request to its answer: credentials, budget, validation, rows, faults."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

from fastapi import Request, Response

from ingest_service.emulator.answers import DroppedResponse, html_error, json_response, never_answer, packed
from ingest_service.emulator.faults import Fault
from ingest_service.emulator.market import calendar_answer, clock_answer
from ingest_service.emulator.pages import Page, collect_page, render_page, repeat_border
from ingest_service.emulator.query import BarsQuery, RefusedError, parse_bars_query
from ingest_service.emulator.state import EmulatorState

__all__ = ["Call", "Desk"]

_TOO_MANY: dict[str, dict[str, object]] = {
    "data": {"message": "too many requests."},
    "trading": {"code": 42910000, "message": "rate limit exceeded"},
}


class Call:
    """One request on its way: what was asked, the headers of its answer and its line in the log."""

    def __init__(self, request: Request, headers: dict[str, str], at: dt.datetime) -> None:
        self.request = request
        self.headers = headers
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


class Desk:
    """Answers requests from an emulator's state.

    Parameters
    ----------
    state
        What the emulator remembers.
    """

    def __init__(self, state: EmulatorState) -> None:
        self._state = state

    async def answer(self, request: Request, surface: str, handler: Callable[[Call], Awaitable[Response]]) -> Response:
        """Answer of a handler, if the key is right and has budget left; every call is logged.

        Parameters
        ----------
        request
            As received.
        surface
            `data` or `trading`: their budgets are counted apart.
        handler
            Makes the answer; may raise `RefusedError`.
        """
        call = Call(request, self._state.basic_headers(), self._state.clock.now())
        self._state.log.append(call.entry)
        try:
            keys = (request.headers.get(name) for name in ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY"))
            self._state.check_credentials(*keys)
            budget = self._state.take(surface)
            call.headers |= self._state.limit_headers(budget)
            if budget.allowed:
                response = await handler(call)
            else:
                response = json_response(429, _TOO_MANY[surface], call.headers)
        except RefusedError as refused:
            response = json_response(refused.status, refused.body, call.headers)
        call.entry["status"] = response.status_code
        return response

    async def calendar(self, call: Call) -> Response:
        """Sessions between two dates."""
        return json_response(200, calendar_answer(self._state.calendar(), call.parameters), call.headers)

    async def clock(self, call: Call) -> Response:
        """Now, and whether the exchange is open."""
        return json_response(200, clock_answer(self._state.calendar(), self._state.clock.now()), call.headers)

    async def actions(self, call: Call) -> Response:
        """A page of corporate actions; no fault strikes here."""
        answer = self._state.actions.answer(call.parameters, now=self._state.clock.now())
        call.entry["rows"] = sum(len(records) for records in answer["corporate_actions"].values())
        return json_response(200, answer, call.headers)

    async def bars(self, call: Call, single: str | None = None) -> Response:
        """A page of bars of many symbols, or of a single one; faults strike here."""
        config = self._state.config
        query = parse_bars_query(
            call.parameters, served_feed=config.served_feed, now=self._state.clock.now(), symbol=single
        )
        fault = self._state.faults.next(call.identity, continues=query.token is not None)
        call.entry["fault"] = fault
        match fault:
            case Fault.RATE_LIMIT:
                call.headers |= {
                    "X-RateLimit-Remaining": "0",
                    "X-RateLimit-Reset": str(int(self._state.clock.now().timestamp()) + 1),
                }
                return json_response(429, _TOO_MANY["data"], call.headers)
            case Fault.SERVER_ERROR:
                return self._server_error(call)
            case Fault.HANG:
                return await never_answer(call.request, call.headers, config.hang_seconds)
            case Fault.SLOW:
                await asyncio.sleep(config.slow_seconds)
        page = self._disturbed(collect_page(self._state.source, query), query, fault)
        call.entry["rows"] = page.height
        body = render_page(page, single=single, currency=query.currency)
        if fault is Fault.TRUNCATED_JSON:
            body = body[: len(body) // 2]
        body, more = packed(body, call.request, config.gzip_level)
        kind = DroppedResponse if fault is Fault.DROP else Response
        return kind(body, headers=call.headers | more, media_type="application/json")

    def _disturbed(self, page: Page, query: BarsQuery, fault: Fault | None) -> Page:
        faults = self._state.faults
        rows = {symbol: faults.withhold(symbol, frame) for symbol, frame in page.rows.items()}
        page = Page({symbol: frame for symbol, frame in rows.items() if frame.height}, page.next_token)
        if fault is Fault.DUPLICATE_BORDER:
            return repeat_border(self._state.source, query, page)
        if fault is Fault.OUT_OF_ORDER:
            shuffled = {symbol: faults.shuffled(frame) for symbol, frame in page.rows.items()}
            return Page(shuffled, page.next_token)
        return page

    def _server_error(self, call: Call) -> Response:
        if self._state.faults.turns_to_html():
            return html_error(call.headers)
        return json_response(500, {"code": 50010000, "message": "internal server error occurred"}, call.headers)
