"""The whole loop by nothing but HTTP: bars, features, a model and a run, asked for and taken away, by real workers."""

from __future__ import annotations

import dataclasses
import io
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests

PATIENCE_S = 240
OVER = {"done", "failed", "cancelled"}
PARQUET = {"Accept": "application/vnd.apache.parquet"}


@dataclasses.dataclass(frozen=True)
class Service:
    """A running `barlake serve`, spoken to as any client would."""

    url: str

    def get(self, path: str, **parameters: object) -> Any:
        found = requests.get(f"{self.url}{path}", params=parameters, timeout=60)
        assert found.ok, found.text
        return found.json()

    def frame(self, path: str) -> pl.DataFrame:
        found = requests.get(f"{self.url}{path}", headers=PARQUET, timeout=60)
        assert found.ok, found.text
        return pl.read_parquet(io.BytesIO(found.content))

    def post(self, path: str, **body: object) -> Any:
        found = requests.post(f"{self.url}{path}", json=body or None, timeout=60)
        assert found.ok, found.text
        return found.json()

    def done(self, path: str, agent: str, **body: object) -> list[dict[str, Any]]:
        """The jobs of what is asked for, once a worker that is begun for them has done them all."""
        ids = [one["id"] for one in self.post(path, **body)["items"]]
        assert ids
        self.post(f"/agents/{agent}/start")
        jobs = [self.until(lambda one=one: self._over(one)) for one in ids]
        assert [(one["state"], one["error"]) for one in jobs] == [("done", None)] * len(ids)
        return jobs

    def _over(self, job_id: str) -> dict[str, Any] | None:
        job: dict[str, Any] = self.get(f"/jobs/{job_id.replace('#', '%23')}")
        return job if job["state"] in OVER else None

    @staticmethod
    def until(look: Callable[[], Any]) -> Any:
        """What a look gives as soon as it gives something."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := look()):
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.3)
        return found


@pytest.fixture
def service(barlake_command: Any, emulate: Any, tmp_path: Path) -> Iterator[Service]:
    with emulate("--symbol", "SYNA") as source:
        own = source.settings | {"ALPACA_FEED": "synthetic", "BARLAKE_HEARTBEAT_S": "0.5", "BARLAKE_ROOT": "lake"}
        command = dataclasses.replace(barlake_command, folder=tmp_path, environment=barlake_command.environment | own)
        with command.start("serve", "--port", 0) as process:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert found, said
            running = Service(found[0])
            try:
                yield running
            finally:
                for agent in ("backfill", "features", "research"):
                    requests.post(f"{running.url}/agents/{agent}/stop", timeout=60)
                Service.until(lambda: not any(one["workers"] for one in running.get("/agents")["items"]))
                process.terminate()
                process.communicate(timeout=60)
        assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_bars_features_a_model_and_a_run_come_by_http_alone(service: Service) -> None:
    assert service.get("/symbols")["items"] == []
    jobs = service.done("/ingest/SYNA", "backfill", start="2024-01-02", end="2024-02-10", feed="synthetic")
    bars = service.frame("/bars/SYNA?session=regular")
    assert bars["feed"].unique().to_list() == ["synthetic"]
    assert bars["timestamp"].dt.convert_time_zone("America/New_York").dt.date().n_unique() == 28
    assert sum(one["progress"]["rows"] for one in jobs) >= bars.height
    assert service.post("/ingest/SYNA", start="2024-01-02", end="2024-02-10", feed="synthetic")["items"] == []

    service.done("/features/SYNA/rebuild", "features")
    [latest] = service.get("/features/SYNA", limit=1)["items"]
    assert latest["timestamp"] == service.get("/bars/SYNA", session="regular", limit=1)["items"][0]["timestamp"]

    [trained] = service.done("/train", "research", symbols=["SYNA"], estimator="logistic", folds=3)
    model = service.get(f"/models/{trained['result']['model']}")
    assert model["is_synthetic"]
    assert "baseline" in model["verdict"]

    [simulated] = service.done("/simulate", "research", symbols=["SYNA"], model=model["id"])
    run = service.get(f"/runs/{simulated['result']['run']}")
    equity = service.frame(f"/runs/{run['id']}/equity")
    assert equity["equity_usd"][-1] == pytest.approx(run["results"]["account"]["final_value_usd"], abs=1e-4)
    [row] = service.post("/sql", sql="SELECT count(*) AS bars FROM bars WHERE symbol = 'SYNA'")["items"]
    assert row["bars"] == sum(one["bars"] for one in service.get("/symbols")["items"])
