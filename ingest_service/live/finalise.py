"""The end of a session's provisional time: one request for the whole of it, after which its bars are final."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import polars as pl

from barlake.coverage import SOURCE_DELAY
from barlake.errors import InvalidInputError
from barlake.keys import parse_feed, parse_symbol
from barlake.lake import Lake
from barlake.records import Answer, AnswerStatus
from barlake.sessions import session_bounds
from barlake.writer import Progress
from ingest_service.live.polling import LiveSource
from ingest_service.normalize import normalize_bars
from ingest_service.watch_list import Security

__all__ = ["final_from", "finalise_session", "is_final", "provenance"]


def final_from(lake: Lake, session: dt.date) -> dt.datetime:
    """The instant from which a session may be made final: when its extended hours are over and no embargo is left.

    Raises
    ------
    InvalidInputError
        If the exchange has no session on that date.
    """
    row = lake.calendar.in_range(session, session + dt.timedelta(days=1))
    if row.is_empty():
        raise InvalidInputError(f"{session} is no session of XNYS: name a date on which the exchange was open.")
    post_close = row.item(0, "post_close")
    assert isinstance(post_close, dt.datetime)  # noqa: S101 - narrows polars' Any
    return post_close + SOURCE_DELAY


def is_final(lake: Lake, symbol: str, session: dt.date, feed: str) -> bool:
    """Whether a source answered for the whole session and no bar of it is provisional."""
    span: dict[str, Any] = {"start": session, "end": session + dt.timedelta(days=1)}
    answers = lake.manifest.answers(feed=feed, symbol=symbol, **span)
    answered = not answers.filter(pl.col("status") != AnswerStatus.IMPORTED.value).is_empty()
    return answered and lake.manifest.provisional(feed=feed, symbol=symbol, **span).is_empty()


def finalise_session(
    lake: Lake, source: LiveSource, symbol: str, session: dt.date, feed: str, *, asked_as: str | None = None
) -> bool:
    """Ask for the whole of a session once more and make its bars final; false when they are already.

    A bar that was heard of during the session and is not in the answer is a bar no more: it moves to the revisions.
    What was stored when this is interrupted stays, and the next call asks again. The catalogue is not published.

    Parameters
    ----------
    asked_as
        What the source calls the symbol, where it is another name.

    Raises
    ------
    InvalidInputError
        If there is no such session, it is not over for long enough, or the source cannot read the symbol.
    SourceError
        If the source gives no usable page after all retries.
    StorageError
        If the disk is full or refuses.
    """
    feed, symbol = parse_feed(feed), parse_symbol(symbol)
    due, now = final_from(lake, session), source.server_now()
    if now < due:
        raise InvalidInputError(f"session {session} cannot be final before {due:%Y-%m-%dT%H:%MZ}: wait until then.")
    if is_final(lake, symbol, session, feed):
        return False
    span: dict[str, Any] = {"start": session, "end": session + dt.timedelta(days=1)}
    said = lake.manifest.answers(feed=feed, symbol=symbol, **span)
    _fetch(lake, source, symbol, session, feed, asked_as or symbol)
    held = lake.manifest.held(feed=feed, symbol=symbol, **span)
    ranks = lake.manifest.provisional(feed=feed, symbol=symbol, **span)
    stays = not held.is_empty() and held.item(0, "rows") > ranks.height
    status = AnswerStatus.COMPLETE if stays else AnswerStatus.EMPTY
    attempts = 0 if said.is_empty() else int(said.item(0, "attempts"))
    lake.writer.finalise(
        [session],
        feed=feed,
        symbol=symbol,
        source=provenance(source.source, symbol, asked_as or symbol),
        progress=Progress(answers=[Answer(session, status, attempts + 1)]),
    )
    return True


def provenance(source: str, symbol: str, asked_as: str) -> str:
    """What the source of a symbol's rows is called where it is asked by this name."""
    return source if asked_as == symbol else Security(symbol, names={source: asked_as}).provenance(source)


def _fetch(lake: Lake, source: LiveSource, symbol: str, session: dt.date, feed: str, asked_as: str) -> None:
    start, end = session_bounds(session, session + dt.timedelta(days=1))
    # New York's midnight after a session just over lies ahead, where no source answers for.
    end = min(end, source.latest_allowed_end(feed))
    token: str | None = None
    while True:
        page = source.fetch_page(
            asked_as, start, end, feed=feed, page_token=token, on_receipt=lambda one: lake.manifest.add_receipts([one])
        )
        rows = normalize_bars(page.rows)
        strays = pl.DataFrame(
            [(number, stray.reason, json.dumps(stray.row, default=str)) for number, stray in enumerate(page.strays)],
            schema=rows.bad.schema,
            orient="row",
        )
        lake.writer.write(
            rows.good,
            feed=feed,
            symbol=symbol,
            source=provenance(source.source, symbol, asked_as),
            origin=f"{source.source} {asked_as} {session}",
            refused=pl.concat([rows.bad, strays]),
        )
        token = page.next_page_token
        if token is None:
            return
