"""FRED's client, through our module, against a server that speaks its XML."""

from __future__ import annotations

import datetime as dt
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from pydantic import SecretStr

from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.receipts import Receipt
from barlake.settings import Settings
from barlake.source_settings import FredSettings, SourceSettings
from ingest_service.sources.courier import Courier
from ingest_service.sources.fred import from_settings
from ingest_service.sources.interface import SourcePage
from tests.scripted_server import Answer, hang, reply, serve, status

KEY = "0123456789abcdef0123456789abcdef"
START, END = dt.date(2014, 1, 1), dt.date(2014, 12, 31)


def fred(url: str, **options: Any) -> Courier:
    own = FredSettings(api_key=SecretStr(KEY), base_url=f"{url}/fred", rpm=60_000, timeout_s=2.0)
    settings = Settings(sources=SourceSettings(fred=own))
    return Courier(from_settings(settings), settings, backoff_seconds=0.01, **options)


def observations(*rows: tuple[str, str, str]) -> Answer:
    """Rows of release date, observation date, value."""
    inner = "".join(
        f'<observation realtime_start="{released}" realtime_end="9999-12-31" date="{date}" value="{value}"/>'
        for released, date, value in rows
    )
    return xml(200, f'<?xml version="1.0" encoding="utf-8" ?><observations count="{len(rows)}">{inner}</observations>')


def refusal(code: int, message: str) -> Answer:
    return xml(code, f'<?xml version="1.0" encoding="utf-8" ?><error code="{code}" message="{message}"/>')


def xml(code: int, text: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, code, text.encode(), Content_Type="text/xml")

    return answer


def fetch(courier: Courier, start: dt.date = START, end: dt.date = END) -> tuple[list[SourcePage], list[Receipt]]:
    receipts: list[Receipt] = []
    return list(courier.macro("GDP", start, end, on_receipt=receipts.append)), receipts


def test_every_release_is_known_from_the_new_york_midnight_after_it() -> None:
    rows = observations(("2014-01-30", "2013-10-01", "17102.5"), ("2014-07-30", "2013-10-01", "17080.7"))
    with serve(rows) as script:
        (page,), (receipt,) = fetch(fred(script.url))
    assert page.rows.rows() == [
        (dt.date(2013, 10, 1), 17102.5, dt.datetime(2014, 1, 31, 5, tzinfo=dt.UTC)),  # winter
        (dt.date(2013, 10, 1), 17080.7, dt.datetime(2014, 7, 31, 4, tzinfo=dt.UTC)),  # summer
    ]
    assert script.seen[0].path == "/fred/series/observations"
    assert script.seen[0].params["series_id"] == "GDP"
    assert (receipt.status, receipt.rows, receipt.symbol, receipt.endpoint) == (200, 2, "GDP", script.seen[0].path)


def test_a_value_that_was_valid_before_the_window_is_not_taken_for_a_release() -> None:
    # FRED dates a value that was valid before the asked period to that period's first day.
    with serve(observations(("2013-12-31", "2013-07-01", "1.0"), ("2014-01-01", "2013-10-01", "2.0"))) as script:
        (page,), _ = fetch(fred(script.url))
    assert script.seen[0].params["realtime_start"] == "2013-12-31"
    assert script.seen[0].params["realtime_end"] == "2014-12-30"
    assert page.rows["value"].to_list() == [2.0]


def test_a_point_is_no_value() -> None:
    with serve(observations(("2014-01-30", "2014-01-01", "."))) as script:
        (page,), _ = fetch(fred(script.url))
    assert page.rows["value"].to_list() == [None]


def test_a_series_without_a_release_in_the_window_is_empty() -> None:
    with serve(observations()) as script:
        (page,), _ = fetch(fred(script.url))
    assert page.rows.is_empty()


def test_a_long_history_is_asked_for_in_parts_that_stay_below_the_limit_of_releases() -> None:
    with serve(*[observations()] * 4) as script:
        pages, _ = fetch(fred(script.url), dt.date(1700, 1, 1), dt.date(2003, 6, 1))
    assert len(pages) == 4
    assert [(one.params["realtime_start"], one.params["realtime_end"]) for one in script.seen] == [
        ("1776-07-04", "1989-12-31"),
        ("1989-12-31", "1994-12-31"),
        ("1994-12-31", "1999-12-31"),
        ("1999-12-31", "2003-05-31"),
    ]


@pytest.mark.parametrize(
    "fault",
    [refusal(429, "Too Many Requests"), status(500, "<html>"), xml(200, "<observations><obs"), xml(200, "<a/>"), hang],
    ids=["429", "500", "bad xml", "other xml", "hang"],
)
def test_a_passing_fault_is_asked_again(fault: Answer) -> None:
    with serve(fault, observations(("2014-01-30", "2014-01-01", "1"))) as script:
        (page,), receipts = fetch(fred(script.url))
    assert page.rows.height == 1
    assert [one.attempt for one in receipts] == [1, 2]


def test_a_refused_key_is_said_without_showing_it() -> None:
    told = f"Bad Request. The value for variable api_key {KEY} is not registered."
    with serve(refusal(400, told)) as script, pytest.raises(CredentialsError, match="FRED_API_KEY") as caught:
        fetch(fred(script.url))
    assert KEY not in str(caught.value)


def test_an_outage_names_neither_the_key_nor_the_query_that_holds_it() -> None:
    receipts: list[Receipt] = []
    with serve(*[hang] * 2) as script, pytest.raises(SourceError) as caught:
        list(fred(script.url, attempts=2).macro("GDP", START, END, on_receipt=receipts.append))
    assert KEY not in str(caught.value)
    assert KEY not in str(receipts)


def test_an_unknown_series_is_a_wrong_request() -> None:
    told = "Bad Request. The series does not exist."
    with serve(refusal(400, told)) as script, pytest.raises(InvalidInputError, match="does not exist"):
        fetch(fred(script.url))
