"""Work over HTTP: asked for once, listed page by page, cancelled and done again; agents told and shown."""

from __future__ import annotations

import datetime as dt

import pytest
from starlette.testclient import TestClient

from app.jobs.job import Job
from app.jobs.queue import open_queue
from barlake.lake import open_lake
from barlake.settings import Settings, load_settings
from barlake.testing import make_bars

RANGE = {"start": "2024-01-02", "end": "2024-03-01", "feed": "sip"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """None begins a worker."""
    return settings.model_copy(update={"starts_workers": False})


def test_bars_that_are_missing_become_a_job_for_each_month_however_often_they_are_asked_for(client: TestClient) -> None:
    first = client.post("/ingest/SPY", json=RANGE)
    assert first.status_code == 202
    assert first.headers["Location"] == "/jobs/bars/sip/SPY/2024-02"
    assert [one["id"] for one in first.json()["items"]] == ["bars/sip/SPY/2024-02", "bars/sip/SPY/2024-01"]
    assert first.json()["is_served"] is False
    again = client.post("/ingest/spy", json=RANGE).json()
    assert [one["id"] for one in again["items"]] == [one["id"] for one in first.json()["items"]]
    assert client.get(first.headers["Location"]).json() == again["items"][0]


def test_a_symbol_and_an_id_may_hold_a_slash(client: TestClient) -> None:
    found = client.post("/ingest/BTC/USD", json={**RANGE, "feed": "binance"}).json()["items"][0]
    assert found["arguments"]["symbol"] == "BTC/USD"
    assert client.get(f"/jobs/{found['id']}").json()["id"] == "bars/binance/BTC/USD/2024-02"
    assert client.post(f"/jobs/{found['id']}/cancel").json()["state"] == "cancelled"


def test_a_job_is_cancelled_done_again_paused_and_resumed(client: TestClient) -> None:
    (job,) = client.post("/ingest/SPY", json={**RANGE, "end": "2024-02-01"}).json()["items"]
    acts = ("pause", "resume", "cancel", "retry")
    states = [client.post(f"/jobs/{job['id']}/{act}").json()["state"] for act in acts]
    assert states == ["paused", "queued", "cancelled", "queued"]
    refused = client.post(f"/jobs/{job['id']}/retry")
    assert (refused.status_code, refused.json()["title"]) == (400, "Bad Request")
    assert "queued, and only one that failed or was cancelled" in refused.json()["detail"]


def test_pages_of_jobs_miss_none_while_more_are_asked_for(client: TestClient, settings: Settings) -> None:
    with open_queue(settings) as queue:
        wanted = queue.put_all(Job(f"bars/sip/SPY/{number:04}", "bars") for number in range(25))
        queue.put_all([Job("features/core/SPY/1", "features", agent="features")])
        for one in wanted[::2]:
            queue.cancel(one)
        found: list[str] = []
        for status in ("queued", "cancelled"):
            cursor = None
            while True:
                page = client.get(
                    "/jobs", params={"status": status, "agent": "backfill", "limit": 4, "cursor": cursor} if cursor
                    else {"status": status, "agent": "backfill", "limit": 4},
                ).json()  # fmt: skip
                found += [one["id"] for one in page["items"]]
                queue.put(Job(f"bars/sip/QQQ/{len(found):04}", "bars"))
                if (cursor := page["next_cursor"]) is None:
                    break
    assert sorted(one for one in found if "SPY" in one) == wanted
    assert len(found) == len(set(found))
    assert [one["id"] for one in client.get("/jobs", params={"prefix": "features"}).json()["items"]] == [
        "features/core/SPY/1"
    ]


@pytest.mark.parametrize("prefix", ["%", "_", "bars%2F..%2F..%2Fetc", "\x00"])
def test_a_prefix_is_only_ever_the_beginning_of_an_id(client: TestClient, settings: Settings, prefix: str) -> None:
    with open_queue(settings) as queue:
        queue.put(Job("bars/sip/SPY/2024-01", "bars"))
    found = client.get("/jobs", params={"prefix": prefix})
    assert found.status_code in {400, 422} or found.json()["items"] == []


def test_a_cursor_of_another_list_is_refused(client: TestClient, settings: Settings) -> None:
    with open_queue(settings) as queue:
        queue.put_all(Job(f"bars/sip/SPY/{number}", "bars") for number in range(3))
    cursor = client.get("/jobs", params={"limit": 1}).json()["next_cursor"]
    assert client.get("/jobs", params={"cursor": cursor}).status_code == 200
    for wrong in ({"cursor": cursor, "status": "queued"}, {"cursor": "x"}, {"cursor": "eyJ9"}, {"cursor": "é" * 9}):
        assert client.get("/jobs", params=wrong).status_code == 400


def test_feature_tables_are_asked_for_where_they_are_not_current(client: TestClient, settings: Settings) -> None:
    assert client.post("/features/SPY/rebuild").status_code == 404
    with open_lake(settings=settings) as lake:
        lake.write_bars(make_bars([dt.date(2024, 1, 2)], minutes=30), feed="synthetic", symbol="SPY")
    found = client.post("/features/SPY/rebuild").json()["items"]
    assert [(one["agent"], one["arguments"]["symbol"]) for one in found] == [("features", "SPY")]
    assert client.post("/features/SPY/rebuild", json={"sets": ["nonsense"]}).status_code == 404
    assert client.post("/features/SPY/rebuild", json={"set": "core"}).status_code == 422


def test_agents_are_told_and_shown(client: TestClient) -> None:
    assert [one["name"] for one in client.get("/agents").json()["items"]] == [
        "live",
        "backfill",
        "features",
        "research",
    ]
    for act, desired in (("pause", "paused"), ("stop", "stopped"), ("start", "running")):
        assert client.post(f"/agents/research/{act}").json()["desired"] == desired
        assert client.get("/agents/research").json()["desired"] == desired
    assert client.get("/agents/research").json()["state"] == "absent"
    assert client.post("/agents/..%2Fjobs/start").status_code == 404


def test_who_may_only_read_starts_and_asks_for_nothing(settings: Settings) -> None:
    from app.api.main import create_app
    from app.operations import open_operations
    from app.operations.api_keys import Role

    with open_operations(settings) as operations:
        key = operations.api_keys.create("eyes", Role.READER)
    text = key if isinstance(key, str) else key[-1]
    with TestClient(create_app(settings), base_url="http://example.com") as client:
        client.headers["Authorization"] = f"Bearer {text}"
        assert client.get("/agents").status_code == 200
        for path in (
            "/agents/live/start",
            "/ingest/SPY",
            "/features/SPY/rebuild",
            "/train",
            "/simulate",
            "/jobs/a/cancel",
        ):
            assert client.post(path, json={"symbols": ["SPY"]}).status_code == 403
    assert load_settings(settings.root).root == settings.root
