"""The page that Prometheus reads: everything is looked up in the databases when it asks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from app.operations.metrics import families
from app.operations.observer import Observer
from barlake.errors import InvalidInputError

__all__ = ["CONTENT_TYPE", "metrics_page", "serving_metrics"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""The form of a page of metrics."""


class _Lake(Collector):
    """The lake's metrics. Nothing is counted in a process, so any number of workers may come and go."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is shows when it is asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics now."""
        for family, samples in families(self._observer.look()):
            kind = CounterMetricFamily if family.grows else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=family.labels)
            for labels, value in samples:
                metric.add_metric(labels, value)
            yield metric


def metrics_page(observer: Observer, *others: CollectorRegistry) -> bytes:
    """The lake's metrics now, and what others have counted."""
    return b"".join(generate_latest(registry) for registry in (_registry(observer), *others))


def _registry(observer: Observer) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Lake(observer))
    return registry


@contextlib.contextmanager
def serving_metrics(observer: Observer, *, port: int, host: str = "127.0.0.1") -> Iterator[str]:
    """Address of a page with the lake's metrics, served from a thread until the block ends.

    Raises
    ------
    InvalidInputError
        If the port is taken or may not be had.
    """
    registry = _registry(observer)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise InvalidInputError(
            f"port {port} of {host} cannot be had: {error.strerror}. Name another with --port, or 0 for a free one."
        ) from error
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
