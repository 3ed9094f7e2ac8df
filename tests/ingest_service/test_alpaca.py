from __future__ import annotations

import datetime as dt
import gzip
import logging
import threading
import time
import traceback
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from alpaca.data.historical.stock import StockHistoricalDataClient

from barlake.clock import FileClock
from barlake.errors import BarlakeError, CredentialsError, InvalidInputError, SourceError
from barlake.receipts import Receipt
from barlake.settings import Settings
from ingest_service.alpaca import AlpacaSource, resolve_feed
from ingest_service.normalize import NAMES
from ingest_service.pages import BarsPage
from ingest_service.refusals import InvalidSymbolError
from ingest_service.throttle import Throttle
from tests.scripted_server import Answer, Scripted, hang, reply, serve, status

KEY, SECRET = "KEY-OF-THE-TEST", "SECRET/OF+THE-TEST"
START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
END = dt.datetime(2024, 1, 2, 21, 0, tzinfo=dt.UTC)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return serve


def bar(minute: int = 0, **changes: Any) -> dict[str, Any]:
    moment = START + dt.timedelta(minutes=minute)
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"t": text, "o": 1, "h": 2, "l": 1, "c": 2, "v": 10, "n": 3, "vw": 1.5} | changes


def raw(answer: BarsPage) -> list[Any]:
    """Rows of an answer as they were sent; a page without anything odd is a table."""
    if isinstance(answer.rows, list):
        return answer.rows
    stamp = pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    names = {column: key for key, column in NAMES.items()}
    return answer.rows.with_columns(stamp).rename(names).to_dicts()


def page(*rows: Any, then: object = None, symbol: str = "SPY", **headers: str) -> Answer:
    return status(200, {"bars": {symbol: list(rows)}, "next_page_token": then}, **headers)


def short_body(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, 200, b'{"bars": {"SPY"', Content_Length="5000")
    handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def two_lengths(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "2")
    handler.send_header("Content-Length", "3")
    handler.end_headers()
    handler.close_connection = True


def truncated_gzip(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, 200, b"no gzip at all" + gzip.compress(b"{}")[:9], Content_Encoding="gzip")


def source_for(url: str, *, stop: threading.Event | None = None, **options: Any) -> AlpacaSource:
    settings = Settings.model_validate(
        {
            "ALPACA_API_KEY_ID": KEY,
            "ALPACA_API_SECRET_KEY": SECRET,
            "ALPACA_DATA_URL": url,
            "ALPACA_RPM": 60_000,
        }
    )
    quick: dict[str, Any] = {"backoff_seconds": 1e-5, "timeout": (2.0, 2.0)}
    return AlpacaSource.from_settings(settings, stop=stop, **(quick | options))


def fetch(source: AlpacaSource, receipts: list[Receipt] | None = None, **changes: Any) -> BarsPage:
    arguments: dict[str, Any] = {"symbol": "SPY", "start": START, "end": END, "feed": "sip"} | changes
    arguments.setdefault("on_receipt", [].append if receipts is None else receipts.append)
    return source.fetch_page(**arguments)


def all_rows(source: AlpacaSource, receipts: list[Receipt], most_pages: int = 20) -> list[Any]:
    rows, token = [], None
    for _ in range(most_pages):
        answer = fetch(source, receipts, page_token=token)
        rows += raw(answer)
        token = answer.next_page_token
        if token is None:
            return rows
    pytest.fail("the pages do not end")


# What goes over the wire ----------------------------------------------------------------------------


def test_a_page_is_asked_for_raw_unmapped_ascending_and_with_an_inclusive_end(scripted: Scripted) -> None:
    with scripted(page(bar())) as server:
        fetch(source_for(server.url))
    assert [seen.path for seen in server.seen] == ["/v2/stocks/bars"]
    assert server.seen[0].params == {
        "symbols": "SPY",
        "timeframe": "1Min",
        "start": "2024-01-02T14:30:00Z",
        "end": "2024-01-02T20:59:00Z",
        "limit": "10000",
        "adjustment": "raw",
        "asof": "-",
        "feed": "sip",
        "sort": "asc",
    }


def test_key_and_secret_go_into_the_headers(scripted: Scripted) -> None:
    with scripted(page(bar())) as server:
        fetch(source_for(server.url))
    assert server.seen[0].headers["apca-api-key-id"] == KEY
    assert server.seen[0].headers["apca-api-secret-key"] == SECRET


def test_instants_of_any_zone_are_sent_as_utc(scripted: Scripted) -> None:
    new_york = dt.timezone(dt.timedelta(hours=-5))
    with scripted(page(bar())) as server:
        fetch(source_for(server.url), start=START.astimezone(new_york), end=END.astimezone(new_york))
    assert server.seen[0].params["start"] == "2024-01-02T14:30:00Z"
    assert server.seen[0].params["end"] == "2024-01-02T20:59:00Z"


def test_pages_follow_the_token_to_the_end(scripted: Scripted) -> None:
    receipts: list[Receipt] = []
    with scripted(page(bar(0), then="A"), page(bar(1), then="B"), page(bar(2))) as server:
        rows = all_rows(source_for(server.url), receipts)
    assert rows == [bar(0), bar(1), bar(2)]
    assert [seen.params.get("page_token") for seen in server.seen] == [None, "A", "B"]
    assert [(r.page_token, r.next_page_token, r.complete) for r in receipts] == [
        (None, "A", False),
        ("A", "B", False),
        ("B", None, True),
    ]


# What an answer may hold ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"bars": {}, "next_page_token": None},
        {"bars": None, "next_page_token": None},
        {"bars": {"SPY": None}, "next_page_token": None},
        {"bars": {"SPY": []}, "next_page_token": ""},
        {"bars": {}, "next_page_token": ""},
        {"next_page_token": None},
        {"bars": {}},
    ],
    ids=str,
)
def test_no_bars_is_an_empty_final_page(scripted: Scripted, body: dict[str, Any]) -> None:
    receipts: list[Receipt] = []
    with scripted(status(200, body)) as server:
        assert fetch(source_for(server.url), receipts) == BarsPage([], None)
    assert [(r.rows, r.complete, r.error) for r in receipts] == [(0, True, None)]


def test_an_empty_page_with_a_token_is_not_the_end(scripted: Scripted) -> None:
    receipts: list[Receipt] = []
    with scripted(status(200, {"bars": {}, "next_page_token": "A"}), page(bar())) as server:
        assert all_rows(source_for(server.url), receipts) == [bar()]
    assert [r.complete for r in receipts] == [False, True]


@pytest.mark.parametrize(
    "answer",
    [
        status(200, {}),
        status(200, []),
        status(200, ""),
        status(204),
        status(200, {"message": "ok"}),
        status(200, {"bars": [1], "next_page_token": None}),
        status(200, {"bars": {"SPY": {"t": 1}}, "next_page_token": None}),
        status(200, {"bars": {}, "next_page_token": 7}),
    ],
)
def test_a_body_that_says_nothing_about_bars_never_passes_for_no_bars(scripted: Scripted, answer: Answer) -> None:
    receipts: list[Receipt] = []
    with scripted(answer, page(bar())) as server:
        assert raw(fetch(source_for(server.url), receipts)) == [bar()]
    assert [r.complete for r in receipts] == [False, True]
    assert receipts[0].error is not None


def test_an_empty_token_in_mid_window_loses_no_bar(scripted: Scripted) -> None:
    receipts: list[Receipt] = []
    empty = status(200, {"bars": {}, "next_page_token": ""})
    with scripted(page(bar(0), bar(5), then=""), page(bar(6), then=""), empty) as server:
        rows = all_rows(source_for(server.url), receipts)
    assert rows == [bar(0), bar(5), bar(6)]
    assert [seen.params["start"] for seen in server.seen] == [
        "2024-01-02T14:30:00Z",
        "2024-01-02T14:36:00Z",
        "2024-01-02T14:37:00Z",
    ]
    assert all("page_token" not in seen.params for seen in server.seen)
    assert [r.complete for r in receipts] == [False, False, True]


def test_an_empty_token_after_the_last_minute_is_the_end(scripted: Scripted) -> None:
    with scripted(page(bar(0), bar(389), then="")) as server:
        assert fetch(source_for(server.url)).next_page_token is None


def test_a_repeated_token_is_asked_again_and_then_an_error(scripted: Scripted) -> None:
    receipts: list[Receipt] = []
    answers = [page(bar(0), then="A"), page(bar(1), then="A"), page(bar(1), then="A")]
    with scripted(*answers) as server:
        source = source_for(server.url, attempts=2)
        token = fetch(source, receipts).next_page_token
        with pytest.raises(SourceError, match="token came before"):
            fetch(source, receipts, page_token=token)
    assert [(r.rows, r.complete, r.error is None) for r in receipts] == [
        (1, False, True),
        (0, False, False),
        (0, False, False),
    ]


def test_tokens_that_go_round_in_a_circle_are_an_error(scripted: Scripted) -> None:
    answers = [page(bar(n), then=token) for n, token in enumerate("ABA")]
    with scripted(*answers) as server, pytest.raises(SourceError, match="token came before"):
        all_rows(source_for(server.url, attempts=1), [])


def test_a_token_of_another_window_is_not_a_repetition(scripted: Scripted) -> None:
    with scripted(page(bar(0), then="A"), page(bar(1), then="B"), page(bar(1), then="B")) as server:
        source = source_for(server.url)
        token = fetch(source).next_page_token
        for end in (END, END - dt.timedelta(hours=1)):
            assert raw(fetch(source, end=end, page_token=token)) == [bar(1)]


def test_rows_nobody_asked_for_are_told_apart(scripted: Scripted) -> None:
    receipts: list[Receipt] = []
    inside = [bar(0, t="2024-01-02T14:30:00.000000000Z"), bar(1, t="2024-01-02T09:31:00-05:00"), bar(389)]
    outside = [bar(-1), bar(390), bar(2, t="2024-01-02T14:32:00+05:00")]
    body = {"bars": {"SPY": [*inside, *outside], "QQQ": [bar(3)]}, "next_page_token": None}
    with scripted(status(200, body)) as server:
        answer = fetch(source_for(server.url), receipts)
    assert raw(answer) == inside
    assert [(stray.symbol, stray.row) for stray in answer.strays] == [
        ("QQQ", bar(3)),
        *(("SPY", row) for row in outside),
    ]
    assert {stray.reason for stray in answer.strays} == {
        "symbol 'QQQ' was not asked for",
        "timestamp is outside the window that was asked for",
    }
    assert receipts[0].rows == 3


def test_rows_that_cannot_be_read_are_handed_on(scripted: Scripted) -> None:
    rows = [bar(0), None, 5, {"o": 1}, bar(1, t="soon"), bar(2, t="2024-01-02T14:32"), bar(3, t=9)]
    with scripted(page(*rows)) as server:
        answer = fetch(source_for(server.url))
    assert raw(answer) == rows
    assert answer.strays == []


# Failures -------------------------------------------------------------------------------------------


def test_every_transient_failure_is_survived_and_leaves_a_receipt(scripted: Scripted) -> None:
    receipts: list[Receipt] = []
    past = str(int(time.time()) - 100)
    failures = [
        status(500, "<html><h1>Server Error</h1></html>"),
        status(200, '{"bars": {"SPY": [{"t": "2024'),
        short_body,
        hang,
        hang_up,
        truncated_gzip,
        two_lengths,
        status(408),
        status(502),
        status(503),
        status(504),
        status(425),
    ]
    good = page(bar(), X_Request_ID="abc-1", X_RateLimit_Remaining="173", X_RateLimit_Reset=past)
    with scripted(*failures, good) as server:
        answer = fetch(source_for(server.url, attempts=20), receipts)
    assert raw(answer) == [bar()]
    assert len(server.seen) == len(receipts) == 13
    assert [r.status for r in receipts] == [
        *(500, 200, 200, None, None, 200),
        *(None, 408, 502, 503, 504, 425, 200),
    ]
    assert [r.attempt for r in receipts] == list(range(1, 14))
    assert all(r.error for r in receipts[:-1])
    assert not any(r.complete or r.rows for r in receipts[:-1])
    assert "Server Error" in str(receipts[0].error)
    last = receipts[-1]
    assert (last.rows, last.complete, last.error) == (1, True, None)
    assert (last.request_id, last.rate_limit_remaining) == ("abc-1", 173)
    assert (last.source, last.endpoint, last.feed, last.symbol) == ("alpaca", "/v2/stocks/bars", "sip", "SPY")
    assert (last.start, last.end) == (START, END)
    assert 0 < last.duration_ms < 2000
    assert abs(dt.datetime.now(dt.UTC) - last.requested_at) < dt.timedelta(minutes=1)


def test_a_hanging_server_is_cut_by_the_timeout(scripted: Scripted) -> None:
    receipts: list[Receipt] = []
    with scripted(hang) as server, pytest.raises(SourceError, match="no answer in time"):
        fetch(source_for(server.url, attempts=1, timeout=(2.0, 0.2)), receipts)
    assert 150 < receipts[0].duration_ms < 900


@pytest.mark.parametrize("by", ["retry-after", "reset"])
def test_too_many_requests_waits_as_long_as_the_server_says(scripted: Scripted, by: str) -> None:
    def refuse(handler: BaseHTTPRequestHandler) -> None:
        now = time.time()
        headers = {"Retry-After": "1"} if by == "retry-after" else {"X-RateLimit-Remaining": "0"}
        if by == "reset":
            headers["X-RateLimit-Reset"] = str(int(now) + 2)
        reply(handler, 429, b'{"message": "too many requests."}', **headers)

    receipts: list[Receipt] = []
    with scripted(refuse, page(bar())) as server:
        assert raw(fetch(source_for(server.url), receipts)) == [bar()]
    waited = server.seen[1].at - server.seen[0].at
    assert 1.0 <= waited <= 3.2
    assert [r.status for r in receipts] == [429, 200]


def test_attempts_are_bounded_and_the_error_says_what_to_do(scripted: Scripted) -> None:
    receipts: list[Receipt] = []
    with scripted(*[status(503, "busy")] * 9) as server, pytest.raises(SourceError) as caught:
        fetch(source_for(server.url, attempts=3), receipts)
    assert len(server.seen) == len(receipts) == 3
    message = str(caught.value)
    assert "SPY [2024-01-02T14:30:00Z, 2024-01-02T21:00:00Z) of feed 'sip'" in message
    assert server.url in message
    assert "3 attempt" in message
    assert "HTTP 503: 'busy'" in message
    assert "run the same command again" in message


def test_a_server_that_is_not_there_is_named(scripted: Scripted) -> None:
    with scripted() as server:
        url = server.url
    receipts: list[Receipt] = []
    with pytest.raises(SourceError, match="Connection refused") as caught:
        fetch(source_for(url, attempts=2), receipts)
    assert url in str(caught.value)
    assert [r.status for r in receipts] == [None, None]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (status(401, "<html>Unauthorized</html>"), CredentialsError, "ALPACA_API_SECRET_KEY"),
        (status(403, {"message": "forbidden."}), CredentialsError, "'forbidden.'"),
        (
            status(403, {"code": 42210000, "message": "subscription does not permit querying recent SIP data"}),
            SourceError,
            "feed 'iex'",
        ),
        (
            status(422, {"code": 1, "message": "end is too late for subscription"}),
            SourceError,
            "16 minutes ago",
        ),
        (
            status(400, {"message": "code=400, message=invalid symbol: BRK-B"}),
            InvalidSymbolError,
            "symbol 'BRK-B'",
        ),
        (status(400, {"message": "invalid limit"}), InvalidInputError, "'invalid limit'"),
        (status(404, "not here"), InvalidInputError, "ALPACA_DATA_URL"),
        (status(301, "", Location="http://127.0.0.1:1/"), InvalidInputError, "redirects"),
        (status(302, "<html>", Location="http://127.0.0.1:1/"), InvalidInputError, "redirects"),
        (status(501, "no"), SourceError, "HTTP 501"),
    ],
)
def test_what_will_not_get_better_is_not_tried_again(
    scripted: Scripted, answer: Answer, error: type[BarlakeError], words: str
) -> None:
    receipts: list[Receipt] = []
    with scripted(answer, page(bar())) as server, pytest.raises(BarlakeError) as caught:
        fetch(source_for(server.url), receipts)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert len(server.seen) == len(receipts) == 1
    assert receipts[0].error == str(caught.value)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "answer", [status(403, f"bad key {KEY} {SECRET}"), status(500, SECRET), hang, short_body, hang_up]
)
def test_no_error_and_no_receipt_carries_a_secret(
    scripted: Scripted, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receipts: list[Receipt] = []
    with scripted(*[answer] * 2) as server, pytest.raises(BarlakeError) as caught:
        fetch(source_for(server.url, attempts=2), receipts)
    for error in causes(caught.value):
        assert not hasattr(error, "request"), "requests' exceptions hold the secret headers"
    told = "".join(traceback.format_exception(caught.value)) + repr(receipts) + caplog.text
    assert SECRET not in told
    assert KEY not in told


def test_a_failing_receipt_ends_the_fetch(scripted: Scripted) -> None:
    def full(_: Receipt) -> None:
        raise OSError("no space left")

    with scripted(page(bar())) as server, pytest.raises(OSError, match="no space left"):
        fetch(source_for(server.url), on_receipt=full)
    assert len(server.seen) == 1


# Stopping -------------------------------------------------------------------------------------------


def test_a_set_stop_sends_nothing(scripted: Scripted) -> None:
    stop = threading.Event()
    stop.set()
    with scripted(page(bar())) as server, pytest.raises(SourceError, match="stopped"):
        fetch(source_for(server.url, stop=stop))
    assert server.seen == []


@pytest.mark.parametrize(
    "first",
    [status(429, "", Retry_After="60"), status(500), page(bar(), then="A", X_RateLimit_Remaining="0")],
    ids=["refused", "backing off", "no request left"],
)
def test_stop_ends_a_long_wait_at_once(scripted: Scripted, first: Answer) -> None:
    stop = threading.Event()

    def with_reset(handler: BaseHTTPRequestHandler) -> None:
        send = handler.send_response

        def send_response(code: int, message: str | None = None) -> None:
            send(code, message)
            handler.send_header("X-RateLimit-Reset", str(int(time.time()) + 60))

        cast("Any", handler).send_response = send_response
        first(handler)

    with scripted(with_reset, page(bar())) as server:
        source = source_for(server.url, stop=stop, backoff_seconds=30.0)
        threading.Timer(0.2, stop.set).start()
        began = time.monotonic()
        with pytest.raises(SourceError):
            all_rows(source, [])
    assert time.monotonic() - began < 2.0
    assert len(server.seen) == 1


# Before the first request ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": START.replace(tzinfo=None)}, "start .* has no time zone"),
        ({"end": END.replace(tzinfo=None)}, "end .* has no time zone"),
        ({"start": START.replace(second=1)}, "start .* is not a whole minute"),
        ({"end": END.replace(microsecond=1)}, "end .* is not a whole minute"),
        ({"start": END, "end": START}, "empty or reversed"),
        ({"end": START}, "empty or reversed"),
    ],
)
def test_a_window_that_is_none_is_refused_before_anything_is_sent(
    scripted: Scripted, changes: dict[str, Any], words: str
) -> None:
    with scripted(page(bar())) as server, pytest.raises(InvalidInputError, match=words):
        fetch(source_for(server.url), **changes)
    assert server.seen == []


@pytest.mark.parametrize("missing", ["ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_key_is_named_with_where_to_put_it(missing: str, value: str | None) -> None:
    names = {"ALPACA_API_KEY_ID": KEY, "ALPACA_API_SECRET_KEY": SECRET} | {missing: value}
    with pytest.raises(CredentialsError) as caught:
        AlpacaSource.from_settings(Settings.model_validate(names))
    message = str(caught.value)
    assert message.startswith(f"{missing} is not set")
    for part in ("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY", ".env", "`barlake demo` needs none"):
        assert part in message


def test_a_key_that_cannot_be_one_is_refused_without_showing_it() -> None:
    names = {"ALPACA_API_KEY_ID": KEY, "ALPACA_API_SECRET_KEY": "sec\nret"}
    with pytest.raises(CredentialsError) as caught:
        AlpacaSource.from_settings(Settings.model_validate(names))
    assert "ALPACA_API_SECRET_KEY holds" in str(caught.value)
    assert "sec\nret" not in str(caught.value)


def test_blanks_around_a_key_are_not_part_of_it(scripted: Scripted) -> None:
    with scripted(page(bar())) as server:
        names = {"ALPACA_API_KEY_ID": f" {KEY}\r\n", "ALPACA_API_SECRET_KEY": f"{SECRET} "}
        settings = Settings.model_validate(names | {"ALPACA_DATA_URL": server.url})
        fetch(AlpacaSource.from_settings(settings))
    assert server.seen[0].headers["apca-api-key-id"] == KEY
    assert server.seen[0].headers["apca-api-secret-key"] == SECRET


@pytest.mark.parametrize("ending", ["", "/", "/v2", "/v2/"])
def test_a_trailing_slash_or_version_in_the_address_is_harmless(scripted: Scripted, ending: str) -> None:
    with scripted(page(bar())) as server:
        fetch(source_for(server.url + ending))
    assert server.seen[0].path == "/v2/stocks/bars"


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        ("https://paper-api.alpaca.markets/v2", "is Alpaca's trading API"),
        ("https://api.alpaca.markets", "is Alpaca's trading API"),
        ("http://data.alpaca.markets", "would send the key unencrypted"),
    ],
)
def test_an_address_people_copy_by_mistake_is_replaced_aloud(
    url: str, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert source_for(url).base_url == "https://data.alpaca.markets"
    assert warning in caplog.text


@pytest.mark.parametrize("url", ["https://data.sandbox.alpaca.markets", "http://emulator:8000"])
def test_any_other_address_is_taken_as_it_is(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert source_for(url).base_url == url
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["_session", "_retry", "get"])
def test_a_client_library_that_changed_is_refused(name: str) -> None:
    client = StockHistoricalDataClient(KEY, SECRET, raw_data=True)

    class Changed:
        def __getattr__(self, asked: str) -> Any:
            if asked == name:
                raise AttributeError(asked)
            return getattr(client, asked)

    changed = cast("StockHistoricalDataClient", Changed())
    with pytest.raises(SourceError, match=f"has no {name}"):
        AlpacaSource(changed, base_url="http://127.0.0.1:1", throttle=Throttle())


def test_the_installed_client_library_has_what_is_relied_on() -> None:
    client = StockHistoricalDataClient(KEY, SECRET, raw_data=True)
    AlpacaSource(client, base_url="http://127.0.0.1:1", throttle=Throttle())
    assert client._retry == 0


# Clock and feed -------------------------------------------------------------------------------------


def test_the_present_is_the_server_s_once_it_has_answered(scripted: Scripted) -> None:
    ahead = 7200

    def answer(handler: BaseHTTPRequestHandler) -> None:
        shifted = formatdate(time.time() + ahead, usegmt=True)
        cast("Any", handler).date_time_string = lambda: shifted
        page(bar())(handler)

    with scripted(answer) as server:
        source = source_for(server.url)
        local = dt.datetime.now(dt.UTC)
        assert abs(source.server_now() - local) < dt.timedelta(seconds=2)
        fetch(source)
        assert abs(source.server_now() - local - dt.timedelta(seconds=ahead)) < dt.timedelta(seconds=3)


def test_history_of_all_exchanges_ends_sixteen_minutes_ago() -> None:
    source = source_for("http://127.0.0.1:1")
    end = source.latest_allowed_end("sip")
    distance = source.server_now() - end
    assert dt.timedelta(minutes=16) <= distance < dt.timedelta(minutes=17, seconds=1)
    assert (end.second, end.microsecond, end.tzinfo) == (0, 0, dt.UTC)


def test_history_of_iex_ends_with_the_running_minute() -> None:
    source = source_for("http://127.0.0.1:1")
    assert source.server_now() - source.latest_allowed_end("iex") < dt.timedelta(minutes=1, seconds=1)


@pytest.mark.parametrize(
    ("setting", "feed"), [("auto", "sip"), ("AUTO", "sip"), ("sip", "sip"), ("IEX", "iex"), (" iex ", "iex")]
)
def test_the_feed_for_history_is_sip_unless_iex_is_asked_for(setting: str, feed: str) -> None:
    assert resolve_feed(setting) == feed


def test_an_unknown_feed_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InvalidInputError, match=r"'otc' .* auto, sip or iex"):
        resolve_feed("otc")


def test_where_market_time_is_made_up_the_server_lives_by_it_before_it_has_said_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = dt.datetime(2024, 7, 3, 16, 0, tzinfo=dt.UTC)
    FileClock.set(tmp_path / "clock.json", noon, speed=0)
    for name, value in (("KEY_ID", "your-key-id"), ("SECRET_KEY", "your-secret-key")):
        monkeypatch.setenv(f"ALPACA_API_{name}", value)
    monkeypatch.setenv("BARLAKE_CLOCK", str(tmp_path / "clock.json"))
    settings = Settings(_env_file=None)
    source = AlpacaSource.from_settings(settings)
    assert source.server_now() == noon
    assert source.latest_allowed_end("sip") == noon - dt.timedelta(minutes=16)
