from __future__ import annotations

from starlette.testclient import TestClient

from app.api.house import House
from app.operations.database import operations_place
from barlake.settings import Settings


def test_a_service_over_an_empty_lake_lives_and_is_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"live": True}
    for path in ("/health", "/health/ready"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"live": True, "ready": True, "reasons": {}})


def test_an_unknown_path_is_told_as_a_problem(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["instance"] == "/nowhere"


def test_a_part_that_cannot_be_asked_is_named_and_why_only_to_those_who_may_ask(
    client: TestClient, settings: Settings
) -> None:
    house: House = client.app.state.house  # type: ignore[attr-defined]
    house.operations.engine.dispose()
    for left in operations_place(settings).parent.glob("operations.sqlite*"):  # type: ignore[union-attr]
        left.write_bytes(b"no database" * 1_000)
    told = client.get("/health")
    assert (told.status_code, told.json()["ready"]) == (503, False)
    assert set(told.json()["reasons"]) == {"operations"}
    assert "damaged" in told.json()["reasons"]["operations"]
    elsewhere = client.get("/health/ready", headers={"X-Forwarded-For": "192.0.2.7"})
    assert elsewhere.status_code == 503
    assert elsewhere.json()["reasons"] == {"operations": "a key is needed to read why"}
    assert client.get("/health/live").status_code == 200
    refused = client.get("/logs")
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
