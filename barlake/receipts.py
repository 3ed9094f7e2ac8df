"""What a request to a data source left behind: one frozen record per HTTP request, whatever came of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

__all__ = ["Receipt"]


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """One HTTP request for bars and what came of it. It never holds a key, a secret or a header with one.

    An empty answer with `complete=True` is evidence that there was nothing in the window; a failed request
    is evidence of nothing.

    Parameters
    ----------
    requested_at
        When the request left, UTC, by the local clock.
    source, endpoint, feed, symbol
        Whom was asked for what: `alpaca`, `/v2/stocks/bars`, `sip`, `SPY`.
    start, end
        The window asked for, half-open [start, end), UTC, whatever the source's own kind of boundary.
    page_token, next_page_token
        Token sent, None for the first page; token to continue with, None when there is no further page or
        when the request failed.
    rows
        Rows of the asked symbol in the asked window; 0 for a failed request.
    status
        HTTP status, None when no answer came.
    complete
        Whether this answer was usable and ended the window: no page follows it.
    attempt
        1 for the first try of this page.
    duration_ms
        From the request's departure, after any wait for the rate limit, to the parsed answer.
    request_id
        The source's own name for the request, to quote to its support.
    rate_limit_remaining
        Requests left in the source's current window, by its headers; None when it did not say.
    error
        None when the answer was usable, else one sentence.
    """

    requested_at: dt.datetime
    source: str
    endpoint: str
    feed: str
    symbol: str
    start: dt.datetime
    end: dt.datetime
    page_token: str | None
    next_page_token: str | None
    rows: int
    status: int | None
    complete: bool
    attempt: int
    duration_ms: float
    request_id: str | None
    rate_limit_remaining: int | None
    error: str | None
