"""SQL over HTTP: what may be asked is listed, a query is answered in every form, a bad one is told as a problem."""

from __future__ import annotations

import io
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from app.api.main import create_app
from barlake.lake import open_lake
from barlake.settings import load_settings
from barlake.testing import make_bars
from tests.app.sandbox.conftest import SESSIONS


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("lake")
    with open_lake(root) as lake:
        lake.write_bars(make_bars(SESSIONS), feed="synthetic", symbol="SPY")
    with TestClient(
        create_app(load_settings(root)),
        base_url="http://127.0.0.1",
        client=("127.0.0.1", 50_000),
        raise_server_exceptions=False,
    ) as client:
        yield client


def test_the_schema_lists_views_with_their_columns_and_what_they_show(client: TestClient) -> None:
    views = {view["name"]: view for view in client.get("/schema").json()["views"]}
    assert {"name": "close", "type": "DOUBLE"} in views["bars"]["columns"]
    assert views["bars_of"]["parameters"] == ["wanted"]
    assert all(view["note"] for view in views.values())
    assert not {"catalogue_info", "receipts", "quarantine", "strategies"} & set(views)


def test_a_query_is_answered_with_what_made_it(client: TestClient) -> None:
    answer = client.post("/sql", json={"sql": "SELECT session, minutes FROM bars_1d ORDER BY session"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["items"] == [{"session": str(one), "minutes": 390} for one in SESSIONS]
    assert (body["truncated"], body["feeds"]) == (False, ["synthetic"])
    assert body["mode"] in {"landlock", "weaker"}


def test_rows_come_as_csv_arrow_and_parquet_too_and_say_that_there_are_more(client: TestClient) -> None:
    wanted = {"sql": "SELECT timestamp, close FROM bars ORDER BY timestamp", "max_rows": 3}
    readers = {
        "text/csv": pl.read_csv,
        "application/vnd.apache.arrow.stream": lambda content: pl.from_arrow(pa.ipc.open_stream(content).read_all()),
        "application/vnd.apache.parquet": lambda content: pl.read_parquet(io.BytesIO(content)),
    }
    for media, read in readers.items():
        answer = client.post("/sql", json=wanted, headers={"Accept": media})
        assert answer.headers["x-barlake-truncated"] == "true"
        assert read(answer.content).height == 3


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"sql": "SELECT * FROM read_csv('/etc/passwd')"}, 400, "table function read_csv is not offered"),
        ({"sql": "SELEC 1"}, 400, "syntax error"),
        ({"sql": "SELECT nothing FROM bars"}, 400, "nothing"),
        ({"sql": ""}, 422, "at least 1 character"),
        ({"sql": "SELECT 1", "max_rows": 10**9}, 422, "100000"),
        ({"sql": "SELECT 1", "timeout_s": 31}, 422, "30"),
        ({}, 422, "required"),
    ],
)
def test_a_bad_query_is_a_problem_that_names_its_fault(
    client: TestClient, body: dict[str, object], status: int, said: str
) -> None:
    answer = client.post("/sql", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]
