"""Models and runs over HTTP: as the lake holds them; trainings and simulations checked before they wait."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from starlette.testclient import TestClient

from app.api.main import create_app
from app.api.research_requests import SimulateRequest, TrainRequest
from barlake.keys import ArtifactKind
from barlake.lake import Lake, open_lake
from barlake.settings import load_settings
from tests.app.api.conftest import LOCAL
from tests.small_lake import SmallLake


@pytest.fixture(scope="module")
def root(small_lake: SmallLake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, because what is asked for here waits in its queue."""
    return Path(shutil.copytree(small_lake.root, tmp_path_factory.mktemp("asked") / "lake"))


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[TestClient]:
    app = create_app(load_settings(root))
    with TestClient(app, base_url="http://127.0.0.1", client=LOCAL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def lake(root: Path) -> Iterator[Lake]:
    with open_lake(root) as lake:
        yield lake


def test_a_model_is_told_as_it_was_registered_without_where_it_lies(
    client: TestClient, lake: Lake, small_lake: SmallLake, root: Path
) -> None:
    (row,) = client.get("/models").json()["items"]
    assert row["model"] == small_lake.model_id
    assert client.get("/models", params={"symbol": small_lake.symbols[1]}).json()["items"] == []
    found = client.get(f"/models/{small_lake.model_id[:6]}")
    model = lake.artifacts.find(ArtifactKind.MODEL, small_lake.model_id)
    assert found.json()["results"]["overall"] == model.results["overall"]
    assert (found.json()["verdict"], found.json()["feed"]) == (model.results["verdict"], small_lake.feed)
    assert str(root) not in found.text
    card = client.get(f"/models/{small_lake.model_id}/card")
    assert card.headers["Content-Type"].startswith("text/html")
    assert card.content == (model.path / "card.html").read_bytes()


def test_a_run_is_told_with_its_tables_and_its_page(client: TestClient, lake: Lake, small_lake: SmallLake) -> None:
    run = lake.artifacts.find(ArtifactKind.RUN, small_lake.run_id)
    (row,) = client.get("/runs").json()["items"]
    assert (row["run"], row["final_value"]) == (run.id, run.results["account"]["final_value"])
    assert client.get(f"/runs/{run.id}").json()["results"]["account"] == run.results["account"]
    assert client.get(f"/runs/{run.id}/report").content == (run.path / "report.html").read_bytes()
    for name in ("trades", "equity"):
        arrow = client.get(f"/runs/{run.id}/{name}", headers={"Accept": "application/vnd.apache.arrow.stream"})
        assert pl.read_ipc_stream(arrow.content).equals(pl.read_parquet(run.path / f"{name}.parquet").head(10_000))


def test_pages_of_the_account_are_the_account(client: TestClient, lake: Lake, small_lake: SmallLake) -> None:
    run = lake.artifacts.find(ArtifactKind.RUN, small_lake.run_id)
    found: list[float] = []
    query: dict[str, str | int] = {"limit": 2_000}
    while True:
        page = client.get(f"/runs/{run.id}/equity", params=query).json()
        found += [one["equity_usd"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == pl.read_parquet(run.path / "equity.parquet")["equity_usd"].to_list()


def test_an_answer_that_is_known_is_not_sent_again(client: TestClient, small_lake: SmallLake) -> None:
    first = client.get(f"/runs/{small_lake.run_id}/trades")
    again = client.get(f"/runs/{small_lake.run_id}/trades", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_training_and_a_simulation_wait_under_one_key_for_one_question(
    client: TestClient, small_lake: SmallLake
) -> None:
    symbol = small_lake.symbols[0]
    asked = {"symbols": [symbol], "estimator": "logistic", "folds": 2, "parameter": {"C": 0.5}, "feed": small_lake.feed}
    first, again = (client.post("/train", json=asked).json()["items"][0] for _ in range(2))
    assert first["id"] == again["id"]
    assert (first["task"], first["agent"], first["state"]) == ("train", "research", "queued")
    assert first["arguments"]["options"]["parameter"] == ["C=0.5"]
    run = client.post(
        "/simulate",
        json={"symbols": [symbol], "strategy": "moving_average_cross", "settings": {"fast_bars": 5}, "cash": "5000"},
    )
    assert run.status_code == 202
    assert run.json()["items"][0]["arguments"]["options"]["settings"] == ["fast_bars=5"]


@pytest.mark.parametrize(
    ("path", "asked", "status", "said"),
    [
        ("/train", {"estimator": "os:system"}, 400, "command line only"),
        ("/train", {"target": "fortune"}, 400, "target 'fortune'"),
        ("/train", {"folds": 10**9}, 422, "folds"),
        ("/train", {"parameter": {"no_such": 1}}, 400, "no_such"),
        ("/train", {"feature_set": "nonsense"}, 404, "nonsense"),
        ("/train", {"symbols": ["NONE"]}, 404, "NONE"),
        ("/train", {"signals": "/etc/passwd"}, 422, "signals"),
        ("/simulate", {}, 400, "source"),
        ("/simulate", {"strategy": "mine.py:Mine"}, 400, "command line only"),
        (
            "/simulate",
            {"strategy": "time_of_day", "settings": {"strategy": "os:system", "start": "10:00"}},
            400,
            "os:system",
        ),
        ("/simulate", {"signals": "/etc/passwd"}, 422, "signals"),
        ("/simulate", {"model": "ffffffffffffffff"}, 404, "ffff"),
        ("/simulate", {"strategy": "buy_and_hold", "cash": "-1"}, 400, "cash"),
        ("/simulate", {"strategy": "buy_and_hold", "start": "2024-13-45"}, 400, "2024-13-45"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused_before_it_waits(
    client: TestClient, small_lake: SmallLake, path: str, asked: dict[str, object], status: int, said: str
) -> None:
    before = client.get("/jobs", params={"agent": "research"}).json()["items"]
    found = client.post(path, json={"symbols": [small_lake.symbols[0]], **asked})
    assert (found.status_code, said in found.text) == (status, True), found.text
    assert client.get("/jobs", params={"agent": "research"}).json()["items"] == before


def test_the_requests_name_every_option_that_may_wait_and_no_other() -> None:
    from app.use_cases import simulation, training

    assert {*TrainRequest.model_fields} - {"symbols"} == training._KNOWN
    assert {*SimulateRequest.model_fields} - {"symbols"} == simulation._KNOWN
    assert "signals" not in inspect.signature(SimulateRequest).parameters
