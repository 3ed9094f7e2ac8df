"""What every answer has, whatever was asked: an id, headers that keep browsers out, a line in the log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from app.api.envelope import MOST_BODY_BYTES
from app.api.main import create_app
from barlake import errors
from barlake.errors import StorageError
from barlake.settings import Settings, load_settings
from tests.app.api.conftest import LOCAL


def faulty_app(settings: Settings) -> FastAPI:
    """A service with routes that fail in every way."""
    app = create_app(settings)

    @app.get("/raise/{name}")
    def fail(name: str) -> None:
        kind = getattr(errors, name, None) or {"boom": RuntimeError}[name]
        raise kind("the secret place is /etc/passwd" if name == "boom" else "parameter, value, rule")

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @app.post("/typed")
    def typed(body: dict[str, int]) -> int:
        return len(body)

    return app


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(
        faulty_app(load_settings(tmp_path_factory.mktemp("faulty"))),
        base_url="http://127.0.0.1",
        client=LOCAL,
        raise_server_exceptions=False,
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("InvalidInputError", 400),
        ("NotFoundError", 404),
        ("ConflictError", 409),
        ("LookAheadError", 422),
        ("FormatError", 500),
        ("SourceError", 502),
        ("CredentialsError", 502),
        ("StorageError", 503),
    ],
)
def test_what_is_raised_on_purpose_is_told_with_its_words(faulty: TestClient, name: str, status: int) -> None:
    answer = faulty.get(f"/raise/{name}")
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["detail"]) == (status, status, "parameter, value, rule")
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_a_fault_of_the_service_tells_its_request_and_nothing_of_what_is_inside(
    faulty: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = faulty.get("/raise/boom", headers={"X-Request-ID": "trace-me.1"})
    assert answer.status_code == 500
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "trace-me.1"
    assert "passwd" not in answer.text
    assert "RuntimeError" not in answer.text
    assert "passwd" in caplog.text


@pytest.mark.parametrize("given", ["a b", "x" * 65, "line\tbreak", "é", ""])
def test_an_id_that_is_none_is_replaced(still: TestClient, given: str) -> None:
    told = still.get("/health/live", headers={"X-Request-ID": given.encode()}).headers["x-request-id"]
    assert told != given
    assert len(told) == 16


def test_every_answer_keeps_browsers_from_using_it(still: TestClient) -> None:
    for answer in (still.get("/stats"), still.get("/nowhere"), still.post("/stats"), still.get("/openapi.json")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "cache-control" in answer.headers
        assert len(answer.headers["x-request-id"]) == 16


def test_a_body_that_is_too_large_is_refused_also_when_it_does_not_say_so(faulty: TestClient) -> None:
    assert faulty.post("/echo", content=b"x" * MOST_BODY_BYTES).json() == MOST_BODY_BYTES
    parts = (b"x" * 65_536 for _ in range(17))
    for path in ("/echo", "/typed"):
        for content in (b"x" * (MOST_BODY_BYTES + 1), parts):
            answer = faulty.post(path, content=content, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.headers["connection"]) == (413, "close"), answer.text
            parts = (b"x" * 65_536 for _ in range(17))


def test_a_body_of_two_lengths_is_refused_and_ends_the_connection(still: TestClient) -> None:
    answer = still.post("/sql", content=b"0\r\n", headers={"Transfer-Encoding": "chunked", "Content-Length": "3"})
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")
    assert "one length" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/logs?symbol=%00", "/logs?symbol=a%00b", "/nowhere%00", "/schedule/%00/run"])
def test_a_character_that_no_database_stores_is_refused_at_the_door(still: TestClient, path: str) -> None:
    answer = still.get(path)
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[" * 100_000, b"null", b'{"a": "\\ud800"}', b'{"a": 1e400}', b""]
)
def test_a_body_that_is_no_json_is_told_as_a_problem(faulty: TestClient, body: bytes) -> None:
    answer = faulty.post("/typed", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.text)["status"] == answer.status_code


def test_a_request_that_changes_something_leaves_a_line_with_its_id_and_a_read_does_not(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="app.api.envelope"):
        client.get("/stats")
        client.post("/schedule/daily/run")
        client.get("/stats%0aforged", headers={"X-API-Key": "no"})
    told = [(one.message, one.caller) for one in caplog.records if one.name == "app.api.envelope"]  # type: ignore[attr-defined]
    assert told == [("POST /schedule/daily/run 202", "local"), ("GET /stats%0aforged 404", None)]


def test_the_page_for_people_names_every_path_and_loads_nothing(still: TestClient) -> None:
    page = still.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert all(path in page.text for path in still.get("/openapi.json").json()["paths"])
    assert not re.findall(r"<(?:script|link|img|iframe)|https?://|url\(|@import| on\w+=", page.text)
    assert re.search(r"default-src 'none'; style-src 'sha256-[\w+/]+=*'", page.headers["content-security-policy"])
    assert still.get("/").url.path == "/docs"


def test_a_problem_names_files_from_the_lakes_folder_on(settings: Settings) -> None:
    app = create_app(settings)

    @app.get("/gone")
    def gone() -> None:
        raise StorageError(f"{app.state.house.lake.store.name}/parquet/x cannot be read")

    with TestClient(app) as client:
        assert client.get("/gone").json()["detail"] == "parquet/x cannot be read"
