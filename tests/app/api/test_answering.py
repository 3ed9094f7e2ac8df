"""Rows over HTTP: every form holds the same rows, the client's wish is followed, nothing known is sent twice."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

from app.api.answering import BATCH_ROWS, Rows, _ahead, answer
from app.api.formats import Media
from app.api.negotiation import preferred_media
from app.api.paging import number_of
from barlake.errors import InvalidInputError

START = dt.datetime(2025, 1, 2, 14, 30, tzinfo=dt.UTC)
OFFERED = [media.value for media in Media]


def bars(count: int) -> pl.DataFrame:
    stamps = [START + dt.timedelta(minutes=minute) for minute in range(count)]
    return pl.DataFrame(
        {
            "symbol": ["BTC/USD"] * count, "session": [START.date()] * count, "timestamp": stamps,
            "close": [0.1 * number for number in range(count)], "volume": list(range(count)),
        },
        schema={
            "symbol": pl.String(), "session": pl.Date(), "timestamp": pl.Datetime("us", "UTC"),
            "close": pl.Float64(), "volume": pl.Int64(),
        },
    )  # fmt: skip


def as_lazy(frame: pl.DataFrame) -> Rows:
    return frame.lazy()


def as_reader(frame: pl.DataFrame) -> Rows:
    return frame.to_arrow().to_reader(max_chunksize=1_000)


def as_iterator(frame: pl.DataFrame) -> Rows:
    return iter([frame.clear(), *frame.iter_slices(700)])


SHAPES: dict[str, Callable[[pl.DataFrame], Rows]] = {
    "frame": lambda frame: frame,
    "lazy": lambda frame: frame.lazy(),
    "reader": lambda frame: frame.to_arrow().to_reader(max_chunksize=1_000),
    "iterator": lambda frame: iter([frame.clear(), *frame.iter_slices(700)]),
}


def client_of(make: Callable[[], Rows], **options: Any) -> TestClient:
    app = FastAPI()

    @app.get("/rows")
    def rows(request: Request) -> Response:
        return answer(request, make(), name="BTC/USD", facts={"feed": "synthetic"}, **options)

    return TestClient(app, headers={"Accept-Encoding": "identity"})


def read_back(media: Media, content: bytes) -> pl.DataFrame:
    if media is Media.JSON:
        return pl.DataFrame(json.loads(content)["items"], schema=bars(0).schema if content.count(b"{") == 1 else None)
    if media is Media.CSV:
        return pl.read_csv(content)
    if media is Media.PARQUET:
        return pl.read_parquet(io.BytesIO(content))
    found = pl.from_arrow(pa.ipc.open_stream(content).read_all())
    assert isinstance(found, pl.DataFrame)
    return found


@pytest.mark.parametrize("media", list(Media))
@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("count", [0, 1, 3_000, 2 * BATCH_ROWS + 1])
def test_every_form_of_every_shape_holds_the_same_rows(media: Media, shape: str, count: int) -> None:
    frame = bars(count)
    response = client_of(lambda: SHAPES[shape](frame)).get("/rows", headers={"Accept": media.value})
    assert response.status_code == 200
    assert response.headers["content-type"].split(";")[0] == media.value
    found = read_back(media, response.content)
    assert found.columns == frame.columns
    assert found["close"].to_list() == frame["close"].to_list()
    if media in {Media.ARROW, Media.PARQUET}:
        assert found.equals(frame)
    else:
        assert [dt.datetime.fromisoformat(text) for text in found["timestamp"]] == frame["timestamp"].to_list()


def test_json_says_beside_the_rows_which_feed_they_are_of_and_where_the_next_page_is() -> None:
    response = client_of(lambda: bars(2), next_cursor="abc").get("/rows?limit=2")
    assert {name: value for name, value in response.json().items() if name != "items"} == {
        "feed": "synthetic",
        "next_cursor": "abc",
    }
    assert response.headers["link"] == '</rows?limit=2&cursor=abc>; rel="next"'
    assert response.headers["x-barlake-feed"] == "synthetic"


def test_numbers_that_are_none_are_null_in_json_and_nothing_in_csv() -> None:
    client = client_of(lambda: pl.DataFrame({"a": [float("nan"), float("inf"), 1.5], "b": 1}))
    assert [row["a"] for row in client.get("/rows").json()["items"]] == [None, None, 1.5]
    assert client.get("/rows", headers={"Accept": "text/csv"}).text == "a,b\n,1\n,1\n1.5,1\n"


def test_a_whole_answer_is_not_sent_again_to_those_who_hold_it() -> None:
    client = client_of(lambda: bars(5))
    tag = client.get("/rows").headers["etag"]
    for given in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
        again = client.get("/rows", headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get("/rows", headers={"If-None-Match": '"x"'}).status_code == 200
    assert client.get("/rows", headers={"If-None-Match": tag, "Accept": "text/csv"}).status_code == 200


@pytest.mark.parametrize("count", [200, 2 * BATCH_ROWS])
@pytest.mark.parametrize("media", list(Media))
def test_text_is_packed_for_those_who_can_unpack_it(count: int, media: Media) -> None:
    client = client_of(lambda: bars(count))
    plain = client.get("/rows", headers={"Accept": media.value})
    with client.stream("GET", "/rows", headers={"Accept": media.value, "Accept-Encoding": "br, gzip;q=0.1"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert (packed.headers.get("content-encoding") == "gzip") is media.is_text
    assert (gzip.decompress(raw) if media.is_text else raw) == plain.content
    assert "Accept-Encoding" in packed.headers["vary"]


def test_a_fault_in_the_first_batch_is_an_error_and_one_in_a_later_batch_ends_the_answer_unfinished() -> None:
    def failing(after: int) -> Iterator[pl.DataFrame]:
        for _ in range(after):
            yield bars(10)
        raise ValueError("damaged")

    for batches in (0, 2):
        client = client_of(partial(failing, batches))
        with pytest.raises(ValueError, match="damaged"):
            client.get("/rows")


def test_names_of_files_cannot_leave_their_header() -> None:
    disposition = client_of(lambda: bars(1)).get("/rows").headers["content-disposition"]
    assert disposition == "inline; filename=\"BTC_USD.json\"; filename*=UTF-8''BTC%2FUSD.json"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Media.JSON),
        ("", Media.JSON),
        ("*/*", Media.JSON),
        ("text/html, */*;q=0.8", Media.JSON),
        ("text/csv", Media.CSV),
        ("text/*", Media.CSV),
        ("TEXT/CSV; charset=utf-8", Media.CSV),
        ("application/json;q=0.2, text/csv;q=0.9", Media.CSV),
        ("application/json;q=0, */*", Media.CSV),
        ("application/vnd.apache.arrow.stream, application/json;q=0.9", Media.ARROW),
        ("application/vnd.apache.parquet", Media.PARQUET),
    ],
)
def test_the_form_is_the_one_the_client_would_rather_have(accept: str | None, expected: Media) -> None:
    assert preferred_media(accept, OFFERED) == expected


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "application/json;q=much", "nonsense"])
def test_a_client_that_takes_none_of_the_forms_is_told_which_there_are(accept: str) -> None:
    response = client_of(lambda: bars(1)).get("/rows", headers={"Accept": accept})
    assert response.status_code == 406
    assert all(name in response.json()["detail"] for name in OFFERED)


@pytest.mark.parametrize("number", ["0" * 20 + "9" * 30, "9" * 18, "-1", "\u0663", ""])
def test_a_number_in_a_cursor_that_no_page_gave_is_refused(number: str) -> None:
    with pytest.raises(InvalidInputError, match="cursor was changed"):
        number_of({"row": number}, "row")


def test_chunks_are_made_ahead_in_their_order_and_a_fault_comes_at_its_place() -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"a", b"b", b"c")
        raise OSError("the disk")

    coming = _ahead(chunks())
    assert [next(coming) for _ in range(3)] == [b"a", b"b", b"c"]
    with pytest.raises(OSError, match="the disk"):
        next(coming)
    assert list(_ahead(iter([]))) == []


def test_a_client_that_goes_away_waits_for_no_chunk() -> None:
    is_let_go = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"a"
        is_let_go.wait(30)
        yield b"b"

    coming = _ahead(chunks())
    assert next(coming) == b"a"
    began = time.monotonic()
    coming.close()
    assert time.monotonic() - began < 10
    is_let_go.set()
