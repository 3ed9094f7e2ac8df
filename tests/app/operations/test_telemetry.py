"""OpenTelemetry: a collector gets logs, metrics and spans over HTTP; one that is away costs nothing."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import barlake
from app.operations import open_operations
from app.operations.logs import configure_logging, log_context
from app.operations.metrics import FAMILIES
from app.operations.observer import Observer
from app.operations.telemetry import exporting_metrics, span
from barlake.clock import clock_of
from barlake.settings import Settings
from tests.servers import _free_port

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otel is not installed")

KEY = "AK-for-nobody-s-eyes"


class Collector:
    """What an OpenTelemetry collector was sent, decoded from its protobuf."""

    def __init__(self) -> None:
        self.logs: list[Any] = []
        self.metrics: dict[str, list[Any]] = {}
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []

    def take(self, path: str, body: bytes) -> None:
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        if path == "/v1/logs":
            for part in ExportLogsServiceRequest.FromString(body).resource_logs:
                self.resources.append({one.key: one.value.string_value for one in part.resource.attributes})
                self.logs += [record for scope in part.scope_logs for record in scope.log_records]
        elif path == "/v1/metrics":
            for part in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (one for scope in part.scope_metrics for one in scope.metrics):
                    self.metrics[metric.name] = list(metric.gauge.data_points or metric.sum.data_points)
        elif path == "/v1/traces":
            for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [found for scope in part.scope_spans for found in scope.spans]


@contextlib.contextmanager
def running_collector() -> Iterator[tuple[Collector, str]]:
    collector = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector, f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settings_for(endpoint: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("ALPACA_API_KEY_ID", KEY)
    monkeypatch.setenv("BARLAKE_ROOT", str(folder / "lake"))
    return Settings(_env_file=None)


def plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}


def test_a_collector_gets_the_log_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_collector() as (collector, endpoint):
        log = configure_logging(settings_for(endpoint, tmp_path, monkeypatch), agent="backfill")
        with log_context(job="bars/sip/SPY/2024-01"), span("bars", job="bars/sip/SPY/2024-01"):
            logging.getLogger("own").warning("a hole at %s", KEY, extra={"symbol": "SPY", "rows": 3, "of": ["a", 1]})
        log.close()
    (record,) = collector.logs
    assert (record.body.string_value, record.severity_text, record.severity_number) == ("a hole at ***", "WARNING", 13)
    assert plain(record.attributes) == {
        "agent": "backfill", "job": "bars/sip/SPY/2024-01", "symbol": "SPY", "rows": 3, "of": '["a", 1]',
        "logger": "own",
    }  # fmt: skip
    assert abs(record.time_unix_nano / 1e9 - time.time()) < 3600
    assert collector.resources[0]["service.name"] == "barlake"
    assert [(one.name, plain(one.attributes)) for one in collector.spans] == [("bars", {"job": "bars/sip/SPY/2024-01"})]


def test_a_collector_gets_the_metrics_that_prometheus_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_collector() as (collector, endpoint):
        settings = settings_for(endpoint, tmp_path, monkeypatch)
        with barlake.open(settings=settings) as lake, open_operations(settings) as operations:
            operations.heartbeats.beat(worker="w1", agent="live", state="streaming")
            observer = Observer(lake, operations, None, clock_of(settings))
            with exporting_metrics(settings, observer, agent="live", every_s=600):
                pass  # the last export comes with the end
    assert set(collector.metrics) <= {family.name for family in FAMILIES}
    (beat,) = collector.metrics["barlake_heartbeat_age_seconds"]
    assert plain(beat.attributes) == {"worker": "w1", "agent": "live"}
    assert collector.metrics["barlake_disk_total_bytes"][0].as_int > 0


def test_a_collector_that_is_away_fails_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(f"http://127.0.0.1:{_free_port()}", tmp_path, monkeypatch)
    with open_operations(settings) as operations:
        log = configure_logging(settings, agent="backfill", operations=operations)
        for number in range(100):
            logging.getLogger("own").info("line %d", number)
        assert sum('"logger": "own"' in line for line in capsys.readouterr().out.splitlines()) == 100
        log.close()
        assert [one.message for one in operations.logs.tail(limit=200) if one.fields["logger"] == "own"] == [
            f"line {number}" for number in range(100)
        ]


def test_without_a_collector_a_span_is_nothing() -> None:
    with span("bars", job="x") as found:
        assert found is None


def test_a_missing_extra_is_said_and_fails_no_work(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import importlib.util; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name.startswith('opentel') else find(name, *rest)\n"
        "from app.operations.logs import configure_logging\n"
        "from barlake.settings import Settings\n"
        "configure_logging(Settings(_env_file=None), agent='live')\n"
    )
    root = str(Path(__file__).parents[3])
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={"PYTHONPATH": root, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
    )  # fmt: skip
    assert "pip install 'barlake[otel]'" in made.stdout
