"""OpenTelemetry: logs, metrics and spans for a collector, where `OTEL_EXPORTER_OTLP_ENDPOINT` names one.

The collector is a guest: one that is away, slow or refuses delays nothing and fails nothing. What is logged was
freed of secrets before it comes here. Timeouts, headers and compression are set by the usual `OTEL_...` variables.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from app.operations.log_writer import LogSink
from app.operations.metrics import FAMILIES, Family, Sample, families
from barlake.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.resources import Resource

    from app.operations.observer import Observer

__all__ = ["exporting_metrics", "log_sink", "span"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 5.0
_FRESH_S = 1.0
_tracer: Any = None


def log_sink(settings: Settings, *, agent: str) -> LogSink | None:
    """Sink that brings log records to the collector; None when none is named, or the extra is missing."""
    if not _is_wanted(settings):
        return None
    assert settings.otlp_endpoint is not None  # noqa: S101 - `_is_wanted` looked
    return _CollectorSink(settings.otlp_endpoint, agent)


@contextlib.contextmanager
def exporting_metrics(settings: Settings, observer: Observer, *, agent: str, every_s: float = 15.0) -> Iterator[None]:
    """Send the lake's metrics to the collector, if one is named, until the block ends."""
    if not _is_wanted(settings):
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - the same
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 - the same

    exporter = OTLPMetricExporter(f"{_base(settings)}/v1/metrics", timeout=_TIMEOUT_S)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=every_s * 1000)
    provider = MeterProvider([reader], resource=_resource(agent), shutdown_on_exit=False)
    reading = _Reading(observer)
    meter = provider.get_meter("barlake")
    for family in FAMILIES:
        make = meter.create_observable_counter if family.grows else meter.create_observable_gauge
        make(family.name, [reading.callback(family)], description=family.help)
    try:
        yield
    finally:
        provider.shutdown(timeout_millis=_TIMEOUT_S * 1000)


def span(name: str, **attributes: str) -> AbstractContextManager[Any]:
    """A span around a block of work, such as a job; nothing where no collector is named."""
    if _tracer is None:
        return contextlib.nullcontext()
    found: AbstractContextManager[Any] = _tracer.start_as_current_span(name, attributes=attributes)
    return found


class _CollectorSink:
    """Log records as OpenTelemetry has them; its own thread sends them, and drops what nobody takes."""

    def __init__(self, endpoint: str, agent: str) -> None:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415 - an extra
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - the same
        from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415 - the same
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same

        global _tracer  # noqa: PLW0603 - of the process, as its log is
        base, resource = endpoint.rstrip("/"), _resource(agent)
        self._logs = LoggerProvider(resource, shutdown_on_exit=False)
        exporter = OTLPLogExporter(f"{base}/v1/logs", timeout=_TIMEOUT_S)
        self._logs.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=1000))
        self._logger = self._logs.get_logger("barlake")
        self._spans = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces", timeout=_TIMEOUT_S)))
        _tracer = self._spans.get_tracer("barlake")

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Leave records with the SDK."""
        from opentelemetry._logs import LogRecord, SeverityNumber  # noqa: PLC0415 - an extra

        for row in rows:
            fields = json.loads(row["fields"])
            if str(fields.get("logger", "")).startswith("opentelemetry"):
                continue  # what it says about a collector that is away would be for that collector
            named = {name: row[name] for name in ("agent", "symbol", "stage", "job") if row[name] is not None}
            flat = {name: held if isinstance(held, str | bool | int | float) else json.dumps(held)
                    for name, held in fields.items() if held is not None}  # fmt: skip
            stamp = int(row["logged_at"].timestamp() * 1e6) * 1000
            self._logger.emit(
                LogRecord(
                    timestamp=stamp,
                    observed_timestamp=stamp,
                    severity_number=SeverityNumber(_severity(row["level"])),
                    severity_text=logging.getLevelName(row["level"]),
                    body=row["message"],
                    attributes={**flat, **named},
                )
            )

    def close(self) -> None:
        """Send what waits; a collector that is away costs a second or so."""
        global _tracer  # noqa: PLW0603 - as above
        _tracer = None
        self._logs.shutdown()
        self._spans.shutdown()


class _Reading:
    """One look at the lake for all the instruments of one export."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._samples: dict[str, Sequence[Sample]] = {}
        self._read: float | None = None
        self._lock = threading.Lock()

    def callback(self, family: Family) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """What the SDK calls for one metric."""
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - an extra

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            found = self._fresh().get(family.name, ())
            return [Observation(value, dict(zip(family.labels, labels, strict=True))) for labels, value in found]

        return observe

    def _fresh(self) -> dict[str, Sequence[Sample]]:
        with self._lock:
            if self._read is None or time.monotonic() - self._read > _FRESH_S:
                self._samples = {family.name: found for family, found in families(self._observer.look())}
                self._read = time.monotonic()
            return self._samples


def _is_wanted(settings: Settings) -> bool:
    if not settings.otlp_endpoint:
        return False
    if importlib.util.find_spec("opentelemetry") and importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http"):
        return True
    logger.warning(
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, and nothing is sent there: pip install 'barlake[otel]', or unset it"
    )
    return False


def _base(settings: Settings) -> str:
    return (settings.otlp_endpoint or "").rstrip("/")


def _resource(agent: str) -> Resource:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra

    version = importlib.metadata.version("barlake")
    return Resource.create({"service.name": "barlake", "service.version": version, "barlake.agent": agent})


def _severity(level: int) -> int:
    """OpenTelemetry's number for one of the module `logging`: debug 5, info 9, warning 13, error 17, fatal 21."""
    return min(max(level // 10, 1), 5) * 4 + 1
