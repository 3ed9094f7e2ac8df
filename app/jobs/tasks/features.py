"""Feature tables, made again where their bars have changed."""

from __future__ import annotations

from typing import Any

from app.jobs.context import JobContext
from app.jobs.registry import task
from feature_service.build import build_features

__all__ = ["features"]


@task("features", agent="features")
def features(context: JobContext, *, set_name: str, symbol: str, feed: str) -> dict[str, Any]:
    """One table of one symbol, from the bars there are now; a table that is current is left as it is."""
    context.progress(0, 1, unit="tables", next_step=f"{set_name} of {symbol}")
    (built,) = build_features(context.lake, [symbol], feed=feed, set_name=set_name).symbols
    context.progress(1, 1, unit="tables", rows=built.rows)
    status = "done" if built.files_written else "nothing"
    return {"status": status, "version": built.version, "rows": built.rows, "files_written": built.files_written}
