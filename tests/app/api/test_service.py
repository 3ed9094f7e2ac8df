"""The service in figures: what Prometheus reads, what was logged, when workers act, what checks found."""

from __future__ import annotations

import datetime as dt
import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app.api.house import House
from app.operations.api_keys import ApiKeys
from barlake.records import utc_now
from barlake.testing import make_bars


@pytest.fixture
def house(client: TestClient) -> House:
    found: House = client.app.state.house  # type: ignore[attr-defined]
    return found


def test_metrics_are_those_of_the_lake_and_of_the_service(client: TestClient) -> None:
    client.get("/stats")
    client.get("/stats")
    client.get("/nowhere")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }
    asked = "barlake_api_requests_total"
    assert samples[asked, (("method", "GET"), ("route", "/stats"), ("status", "200"))] == 2
    assert samples[asked, (("method", "GET"), ("route", ""), ("status", "404"))] == 1
    assert samples["barlake_api_request_seconds_count", (("route", "/stats"),)] == 2
    assert samples["barlake_up", (("part", "queue"),)] == 1


def test_an_empty_lake_has_figures_and_no_symbols(still: TestClient) -> None:
    stats = still.get("/stats").json()
    assert (stats["bars"], stats["bytes_per_bar"], stats["symbols"], stats["feeds"]) == (0, None, [], [])


def test_a_lake_tells_what_it_holds_and_how_far_that_is_behind(client: TestClient, house: House) -> None:
    day = dt.date(2024, 1, 2)
    house.lake.write_bars(make_bars([day], minutes=30), feed="synthetic", symbol="SPY", source="made")
    client.post("/schedule/daily/run")
    stats = client.get("/stats").json()
    [feed], [symbol] = stats["feeds"], stats["symbols"]
    assert (feed["feed"], feed["bars"], feed["newest"]) == ("synthetic", 30, "2024-01-02T14:59:00Z")
    assert feed["lag_s"] > 24 * 3600
    assert (symbol["symbol"], symbol["sessions"], symbol["bars"], stats["bars"]) == ("SPY", 1, 30, 30)
    assert stats["jobs"]["queued"] == 1
    assert stats["last_commit"] <= stats["at"]


def fill_log(house: House, count: int) -> None:
    same = {"agent": "backfill", "symbol": "SPY", "stage": None, "logged_at": utc_now()}
    rows = [
        {**same, "level": logging.WARNING if n % 2 else logging.INFO, "job": f"bars/sip/SPY/{n}",
         "message": f"line {n}", "fields": json.dumps({"n": n})}
        for n in range(count)
    ]  # fmt: skip
    house.operations.logs.append(rows)


def messages(answer: object) -> list[str]:
    return [one["message"] for one in answer["items"]]  # type: ignore[index]


def test_the_log_is_read_page_by_page_the_newest_first(client: TestClient, house: House) -> None:
    fill_log(house, 5)
    pages, cursor = [], None
    for _ in range(3):
        page = client.get("/logs", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        pages.append(messages(page))
        cursor = page["next_cursor"]
        fill_log(house, 1)  # what comes meanwhile moves no page
    assert pages == [["line 4", "line 3"], ["line 2", "line 1"], ["line 0"]]
    assert cursor is None


def test_the_log_is_followed_from_a_record_on(client: TestClient, house: House) -> None:
    fill_log(house, 2)
    newest = client.get("/logs?limit=1").json()["items"][0]
    assert client.get("/logs", params={"after": newest["record_id"]}).json() == {"items": [], "next_cursor": None}
    fill_log(house, 3)
    later = client.get("/logs", params={"after": newest["record_id"], "limit": 2}).json()
    assert messages(later) == ["line 0", "line 1"]
    assert later["items"][0]["fields"] == {"n": 0}


def test_the_log_is_narrowed_by_what_it_is_about(client: TestClient, house: House) -> None:
    fill_log(house, 4)
    assert messages(client.get("/logs?level=warning&since=1h&symbol=spy").json()) == ["line 3", "line 1"]
    assert messages(client.get("/logs?job=bars/sip/SPY/2").json()) == ["line 2"]
    assert messages(client.get("/logs?agent=live").json()) == []


@pytest.mark.parametrize(
    "query",
    [
        "level=loud", "since=yesterday", "since=999999999d", "since=2024-01-02", "since=9999-99-99T00:00Z", "cursor=x",
        "cursor=99999999999999999999", "cursor=1&after=1", "limit=0", "limit=1001", "limit=1e9", "after=-1",
        "after=9223372036854775808", "symbol=%00", "job=%00", "agent=" + "a" * 65,
    ],
)  # fmt: skip
def test_a_bad_question_to_the_log_is_told_as_a_problem(still: TestClient, query: str) -> None:
    answer = still.get(f"/logs?{query}")
    assert answer.status_code in {400, 422}, answer.text
    name = query.partition("=")[0]
    assert name in answer.json()["detail"] or "%00" in query


def test_schedules_are_listed_paused_resumed_and_told_to_go(client: TestClient) -> None:
    listed = {one["name"]: one for one in client.get("/schedule").json()["items"]}
    assert set(listed) == {"after-session", "daily", "watch-list"}
    assert listed["daily"]["next_due"].endswith("Z")
    assert listed["watch-list"]["next_due"] is None
    client.post("/schedule/daily/pause")
    paused = client.get("/schedule").json()["items"][1]
    assert (paused["name"], paused["paused"], paused["next_due"]) == ("daily", True, None)
    assert client.post("/schedule/daily/resume").json() == {"name": "daily", "paused": False}
    fired = client.post("/schedule/daily/run")
    assert fired.status_code == 202
    after = client.get("/schedule").json()["items"][1]
    assert (after["last_job"], after["last_state"]) == (fired.json()["job"], "queued")
    unknown = client.post("/schedule/dayly/run")
    assert unknown.status_code == 404
    assert "Did you mean 'daily'?" in unknown.json()["detail"]


def test_no_findings_are_an_empty_page_in_every_form(still: TestClient) -> None:
    assert still.get("/quality").json() == {"items": [], "next_cursor": None}
    assert still.get("/quality/checks").json() == {"items": []}
    header = still.get("/quality", headers={"Accept": "text/csv"}).text.splitlines()
    assert header == ["feed,symbol,session,timestamp,check_name,severity,value,expected,detail"]


@pytest.mark.parametrize(
    "query", ["check=spikes", "severity=bad", "start=x", "start=2024-02-01&end=2024-01-01", "cursor=1", "symbol=../x"]
)
def test_a_bad_question_about_quality_is_told_as_a_problem(still: TestClient, query: str) -> None:
    assert still.get(f"/quality?{query}").status_code == 400


def test_an_app_of_its_own_has_keys_of_its_own(house: House) -> None:
    assert isinstance(house.operations.api_keys, ApiKeys)
    assert not house.operations.api_keys.is_any()
