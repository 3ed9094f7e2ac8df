"""Where a collector is named, every worker sends it the lake's metrics."""

from __future__ import annotations

from app.jobs.loops import LoopContext, loop
from app.operations.observer import Observer
from app.operations.telemetry import exporting_metrics
from barlake.lake import open_lake

__all__ = ["export"]


@loop("telemetry")
def export(context: LoopContext) -> None:
    """Send metrics until the worker ends."""
    if not context.settings.otlp_endpoint:
        return
    with open_lake(settings=context.settings) as lake:
        observer = Observer(lake, context.operations, context.queue, context.clock)
        with exporting_metrics(context.settings, observer, agent="worker"):
            context.stop.wait()
