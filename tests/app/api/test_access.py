"""Who is let in: programs on this machine without a key, others with one that counts, nobody by another's trust."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api import access
from app.api.main import OPEN_ROUTERS, create_app
from app.api.rates import WRONG_KEYS_PER_MINUTE
from app.operations.api_keys import ApiKeys, Role
from barlake.records import utc_now
from barlake.settings import Settings
from tests.app.api.conftest import LOCAL

ELSEWHERE = ("192.0.2.7", 50_000)


@pytest.fixture
def remote(api: FastAPI) -> Iterator[TestClient]:
    """A program on another machine."""
    with TestClient(api, base_url="http://192.0.2.1:8000", client=ELSEWHERE) as client:
        yield client


@pytest.fixture
def keys(remote: TestClient) -> ApiKeys:
    """The keys of the service that `remote` asks."""
    found: ApiKeys = remote.app.state.house.operations.api_keys  # type: ignore[attr-defined]
    return found


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_a_program_on_this_machine_needs_no_key(client: TestClient) -> None:
    assert client.get("/stats").status_code == 200
    assert client.post("/schedule/daily/pause").json() == {"name": "daily", "paused": True}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"X-Forwarded-Port": "443"},
        {"CF-Connecting-IP": "203.0.113.9"},
        {"Host": "attacker.example"},
        {"Host": "attacker.example:8000"},
        {"Host": "127.0.0.1.attacker.example"},
        {"Host": "127.0.0.1:80@attacker.example"},
        {"Host": "[::1]attacker.example"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_the_trust_in_this_machine_is_lent_to_nobody(still: TestClient, headers: dict[str, str]) -> None:
    answer = still.post("/schedule/daily/pause", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert still.get("/schedule").json()["items"][1]["paused"] is False


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8000"},
        {"Host": "[::1]:8000"},
        {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_page_of_the_service_itself_and_an_address_typed_by_hand_are_local(
    still: TestClient, headers: dict[str, str]
) -> None:
    assert still.get("/stats", headers=headers).status_code == 200


def test_from_elsewhere_nothing_but_health_is_told_without_a_key(remote: TestClient) -> None:
    assert remote.get("/health").status_code == 200
    for path in ("/stats", "/metrics", "/logs", "/schedule", "/quality"):
        assert remote.get(path).status_code == 401


def test_every_route_is_guarded_but_those_that_say_they_are_open(remote: TestClient) -> None:
    """Asked of each route there is, whoever wrote it: one that answers without a key is found here."""
    routes = guarded_routes(remote)
    assert len(routes) >= 30
    for method, path in routes:
        answer = remote.request(method, path, json={})
        assert answer.status_code == 401, (method, path, answer.text)


def test_a_readers_key_changes_nothing_whatever_the_route(remote: TestClient, keys: ApiKeys) -> None:
    _, text = keys.create("grafana", "reader")
    changing = [path for method, path in guarded_routes(remote) if method != "get" and path != "/sql"]
    assert len(changing) >= 10
    for path in changing:
        answer = remote.post(path, headers=bearer(text), json={})
        assert answer.status_code == 403, (path, answer.text)


def guarded_routes(remote: TestClient) -> list[tuple[str, str]]:
    """Method and path of each route that is not said to be open."""
    open_paths = {route.path for router in OPEN_ROUTERS for route in router.routes}  # type: ignore[attr-defined]
    described = remote.get("/openapi.json").json()["paths"]
    return [
        (method, path.format_map(Anything()))
        for path, methods in described.items()
        if path not in open_paths
        for method in methods
    ]


class Anything(dict[str, str]):
    """Some value of every parameter."""

    def __missing__(self, name: str) -> str:
        return "SPY"


def test_a_readers_key_reads_and_an_operators_also_changes(remote: TestClient, keys: ApiKeys) -> None:
    _, reader = keys.create("grafana", "reader")
    _, operator = keys.create("me", "operator")
    assert remote.get("/stats", headers=bearer(reader)).status_code == 200
    assert remote.get("/stats", headers={"X-API-Key": reader}).status_code == 200
    refused = remote.post("/schedule/daily/pause", headers=bearer(reader))
    assert refused.status_code == 403
    assert "grafana" in refused.json()["detail"]
    assert remote.post("/schedule/daily/pause", headers=bearer(operator)).status_code == 200


@pytest.mark.parametrize(
    "text",
    ["", "x", "blk_000000000000_" + "0" * 64, "Basic abc", "blk_" + "é" * 12, "'; drop table keys; --", "a" * 5000],
)
def test_a_key_that_is_none_opens_nothing_also_on_this_machine(still: TestClient, text: str) -> None:
    for headers in ({"Authorization": f"Bearer {text}".encode()}, {"X-API-Key": text.encode()}):
        answer = still.get("/stats", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert not text or text not in answer.text or len(text) < 3


def test_a_key_with_one_other_digit_opens_nothing(remote: TestClient, keys: ApiKeys) -> None:
    _, text = keys.create("a", "reader")
    for changed in (text[:-1] + ("0" if text[-1] != "0" else "1"), text[:-1], text + "0", text.upper()):
        assert remote.get("/stats", headers=bearer(changed)).status_code == 401
    assert remote.get("/stats", headers=bearer(text)).status_code == 200


def test_a_revoked_key_opens_nothing_once_its_second_is_over(
    remote: TestClient, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = keys.create("a", "reader")
    assert remote.get("/stats", headers=bearer(text)).status_code == 200
    keys.revoke("a")
    later = access.time.monotonic() + access.KEY_LIVES_S
    monkeypatch.setattr(access.time, "monotonic", lambda: later)
    assert remote.get("/stats", headers=bearer(text)).status_code == 401


def test_a_key_whose_time_has_come_opens_nothing(remote: TestClient, keys: ApiKeys) -> None:
    _, text = keys.create("a", "reader", expires_at=utc_now() - dt.timedelta(seconds=1))
    assert remote.get("/stats", headers=bearer(text)).status_code == 401


def test_each_key_asks_so_often_and_is_told_when_to_go_on(remote: TestClient, keys: ApiKeys) -> None:
    _, text = keys.create("a", "reader", requests_per_minute=3)
    _, other = keys.create("b", "reader")
    answers = [remote.get("/quality", headers=bearer(text)) for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["ratelimit"].split(";")[1] for one in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[0].headers["ratelimit-policy"] == '"minute";q=3;w=60'
    assert 1 <= int(answers[3].headers["retry-after"]) <= 60
    assert remote.get("/quality", headers=bearer(other)).status_code == 200


def test_who_tries_many_keys_is_slowed_down_and_others_behind_the_address_are_served(
    remote: TestClient, keys: ApiKeys
) -> None:
    _, text = keys.create("a", "reader")
    wrong = [remote.get("/stats", headers=bearer(f"wrong-{n}")).status_code for n in range(WRONG_KEYS_PER_MINUTE + 2)]
    assert wrong == [401] * WRONG_KEYS_PER_MINUTE + [429] * 2
    assert remote.get("/stats", headers=bearer(text)).status_code == 200


def test_a_service_behind_a_proxy_on_its_machine_can_ask_everybody_for_a_key(settings: Settings) -> None:
    closed = create_app(settings.model_copy(update={"api_open_on_loopback": False}))
    with TestClient(closed, base_url="http://127.0.0.1", client=LOCAL) as client:
        assert client.get("/stats").status_code == 401
        assert client.get("/health").status_code == 200


def test_no_page_of_another_site_is_given_leave_to_read(still: TestClient) -> None:
    asked = {"Origin": "https://attacker.example", "Access-Control-Request-Method": "GET"}
    for answer in (still.options("/stats", headers=asked), still.get("/health", headers=asked)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_readers_see_the_log_without_traces(remote: TestClient, keys: ApiKeys) -> None:
    fields = json.dumps({"exception": "Traceback ...", "request_id": "1"})
    line = dict.fromkeys(("agent", "symbol", "stage", "job"))
    house = remote.app.state.house  # type: ignore[attr-defined]
    house.operations.logs.append([{**line, "logged_at": utc_now(), "level": 40, "message": "broke", "fields": fields}])
    told = {}
    for role in Role:
        _, text = keys.create(str(role), role)
        told[role] = remote.get("/logs?level=error", headers=bearer(text)).json()["items"][0]["fields"]
    assert told[Role.READER] == {"request_id": "1"}
    assert told[Role.OPERATOR]["exception"] == "Traceback ..."
