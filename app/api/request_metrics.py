"""How often each route was asked, with which result and how fast: counted since the service began."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import Scope

__all__ = ["SHARED_COUNTS", "RequestMetrics"]

SHARED_COUNTS = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder where processes of one service count; https://prometheus.github.io/client_python/multiprocess/."""

_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "WEBSOCKET"}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class RequestMetrics:
    """Counts of one service, of all its processes; `registry` hands them out."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        if SHARED_COUNTS in os.environ:
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
            own = CollectorRegistry()
        self._requests = Counter(
            "barlake_api_requests", "Requests answered, by HTTP status.", ("method", "route", "status"),
            registry=own,
        )  # fmt: skip
        self._seconds = Histogram(
            "barlake_api_request_seconds", "Seconds until the answer was sent.", ("route",), buckets=_SECONDS,
            registry=own,
        )  # fmt: skip

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request. Its route is the pattern, not the path: a client must not be able to make names."""
        route = getattr(scope.get("route"), "path", "")
        method = scope.get("method", "WEBSOCKET")
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
