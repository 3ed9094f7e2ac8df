"""Massive's own client, through our module, against a server that speaks its format."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import SecretStr

from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.receipts import Receipt
from barlake.settings import Settings
from barlake.source_settings import MassiveSettings, SourceSettings
from ingest_service.sources.courier import Courier
from ingest_service.sources.massive_source import from_settings
from tests.scripted_server import Answer, hang, serve, status, truncated

KEY = "KEY-OF-THE-TEST"
START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
END = dt.datetime(2024, 1, 2, 21, 0, tzinfo=dt.UTC)


def massive(url: str, **options: Any) -> Courier:
    own = MassiveSettings(api_key=SecretStr(KEY), base_url=url, rpm=60_000, timeout_s=2.0)
    settings = Settings(sources=SourceSettings(massive=own))
    return Courier(from_settings(settings), settings, backoff_seconds=0.01, **options)


def bar(minute: int = 0, **changes: Any) -> dict[str, Any]:
    moment = int((START + dt.timedelta(minutes=minute)).timestamp() * 1000)
    return {"t": moment, "o": 1.5, "h": 2, "l": 1, "c": 2, "v": 10, "n": 3, "vw": 1.6} | changes


def page(*rows: Any, then: str | None = None) -> Answer:
    body: dict[str, Any] = {
        "ticker": "SPY",
        "status": "OK",
        "adjusted": False,
        "queryCount": len(rows),
        "results": rows,
    }
    return status(200, body | ({"next_url": then} if then else {}), X_Request_Id="abc")


def fetch(courier: Courier, **options: Any) -> tuple[Any, list[Receipt]]:
    receipts: list[Receipt] = []
    found = courier.fetch_page("SPY", START, END, feed="sip", on_receipt=receipts.append, **options)
    return found, receipts


def test_minutes_are_asked_for_raw_with_both_ends_inside_and_the_key_in_a_header() -> None:
    with serve(page(bar(), bar(1))) as script:
        found, receipts = fetch(massive(script.url))
    first, last = int(START.timestamp() * 1000), int(END.timestamp() * 1000) - 60_000
    (seen,) = script.seen
    assert seen.path == f"/v2/aggs/ticker/SPY/range/1/minute/{first}/{last}"
    assert seen.params == {"adjusted": "false", "sort": "asc", "limit": "50000"}
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert found.rows.row(0, named=True) == {
        "timestamp": START, "open": 1.5, "high": 2.0, "low": 1.0, "close": 2.0,
        "volume": 10.0, "trade_count": 3, "vwap": 1.6,
    }  # fmt: skip
    assert found.next_page_token is None
    (receipt,) = receipts
    assert (receipt.source, receipt.status, receipt.rows, receipt.complete) == ("massive", 200, 2, True)
    assert (receipt.endpoint, receipt.request_id, receipt.attempt) == (seen.path, "abc", 1)


def test_the_next_page_is_where_its_address_says() -> None:
    then = "https://api.massive.com/v2/aggs/ticker/SPY/range/1/minute/1704205900000/1704229140000?cursor=bGltaXQ9MQ"
    with serve(page(bar(), then=then), page(bar(2))) as script:
        courier = massive(script.url)
        one, _ = fetch(courier)
        two, _ = fetch(courier, page_token=one.next_page_token)
    assert script.seen[1].path.split("/")[-2] == "1704205900000"
    assert script.seen[1].params["cursor"] == "bGltaXQ9MQ"
    assert two.next_page_token is None


def test_no_results_at_all_is_the_answer_that_there_are_none() -> None:
    with serve(status(200, {"ticker": "SPY", "status": "OK", "resultsCount": 0})) as script:
        found, receipts = fetch(massive(script.url))
    assert found.rows.is_empty()
    assert receipts[0].complete


@pytest.mark.parametrize(
    "fault",
    [
        status(429, {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}, Retry_After="0"),
        status(500, "oops"),
        status(200, '{"status": "OK", "resul'),
        status(200, {"message": "hello"}),
        status(200, []),
        truncated,
        hang,
    ],
    ids=["429", "500", "bad json", "no page", "a list", "truncated", "hang"],
)
def test_a_passing_fault_is_asked_again_with_a_receipt_for_each(fault: Answer) -> None:
    with serve(fault, page(bar())) as script:
        found, receipts = fetch(massive(script.url))
    assert found.rows.height == 1
    assert [one.attempt for one in receipts] == [1, 2]
    assert receipts[0].error
    assert not receipts[0].complete


def test_faults_without_end_are_an_outage() -> None:
    with serve(*[status(503)] * 3) as script, pytest.raises(SourceError, match="after 3 attempt"):
        fetch(massive(script.url, attempts=3))


def test_a_refused_key_is_said_without_showing_it() -> None:
    body = {"status": "ERROR", "error": f"Unknown API Key {KEY}"}
    with serve(status(401, body)) as script, pytest.raises(CredentialsError) as caught:
        fetch(massive(script.url))
    assert KEY not in str(caught.value)
    assert "MASSIVE_API_KEY" in str(caught.value)
    assert len(script.seen) == 1


def test_a_plan_without_the_window_is_a_matter_of_the_key() -> None:
    body = {"status": "NOT_AUTHORIZED", "message": "Your plan doesn't include this data timeframe."}
    with serve(status(403, body)) as script, pytest.raises(CredentialsError, match="plan doesn't include"):
        fetch(massive(script.url))


def test_a_wrong_request_is_not_made_again() -> None:
    refusal = status(400, {"status": "ERROR", "error": "bad ticker"})
    with serve(refusal) as script, pytest.raises(InvalidInputError, match="bad ticker"):
        fetch(massive(script.url))
    assert len(script.seen) == 1


def test_a_row_that_cannot_be_read_and_one_nobody_asked_for_are_told_apart() -> None:
    with serve(page(bar(), bar(1, c="x"), bar(-600))) as script:
        found, _ = fetch(massive(script.url))
    assert found.rows.height == 1
    assert [one.reason for one in found.strays] == [
        "timestamp is outside the window that was asked for",
        "c is no number: 'x'",
    ]


def test_days_carry_the_date_of_new_york() -> None:
    # Midnight of New York, 05:00 UTC in winter and 04:00 in summer.
    winter, summer = 1704171600000, 1718942400000
    with serve(page(bar(t=winter), bar(t=summer))) as script:
        (answer,) = massive(script.url).daily(
            "SPY", dt.date(2024, 1, 2), dt.date(2024, 6, 22), on_receipt=lambda _one: None
        )
    assert answer.rows["session"].to_list() == [dt.date(2024, 1, 2), dt.date(2024, 6, 21)]
    assert script.seen[0].path == "/v2/aggs/ticker/SPY/range/1/day/2024-01-02/2024-06-21"


def test_another_feed_is_refused_before_anything_is_asked() -> None:
    with serve() as script, pytest.raises(InvalidInputError, match="feed 'iex'"):
        massive(script.url).fetch_page("SPY", START, END, feed="iex", on_receipt=lambda _one: None)
    assert script.seen == []


def test_without_a_key_nothing_is_asked() -> None:
    with pytest.raises(CredentialsError, match="MASSIVE_API_KEY is not set"):
        from_settings(Settings())
