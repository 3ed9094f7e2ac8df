from __future__ import annotations

from starlette.testclient import TestClient


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
