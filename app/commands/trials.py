"""The ledger of trials: what was tried, and what the best of it is worth."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Root
from app.console import figures, frame_rows, print_frame, print_json, say

__all__ = ["trials"]

_SHOWN = ("trial_id", "kind", "status", "begun_at", "fits", "sharpe", "artifact_id", "error")


def trials(
    study: Annotated[
        str | None, typer.Argument(help="Feed and symbol, such as 'sip SPY'. Default: a list.", show_default=False)
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """List everything that was tried, failed tries too; of one study, what the best is worth."""
    with barlake.open(root) as lake:
        frame = lake.trials.frame(study)
        summary = None if study is None or frame.is_empty() else _summary(lake, study, frame)
    if as_json:
        print_json(frame_rows(frame) if study is None else {"summary": summary, "trials": frame_rows(frame)})
    elif frame.is_empty():
        say("No trials yet: every `barlake train` is one." if study is None else f"No trials of {study!r}.")
    else:
        columns = _SHOWN if study is not None else ("study", *_SHOWN)
        print_frame(frame.select(columns), newest=True)
        if summary is not None:
            figures(summary, title=study or "")


def _summary(lake: barlake.Lake, study: str, frame: pl.DataFrame) -> dict[str, Any]:
    """Counts of a study, its best trial by Sharpe ratio and that trial's worth, and how often the best overfits."""
    draws = frame.filter(pl.col("kind") != "placebo")
    earning = draws.filter(pl.col("sharpe").is_not_null())
    best = None if earning.is_empty() else earning.sort("sharpe")["trial_id"][-1]
    worth = None if best is None else lake.trials.deflation(best)
    return {
        "different tries": draws["fingerprint"].n_unique(),
        "not finished": draws.filter(pl.col("status") != "finished").height,
        "pipelines fitted": int(frame["fits"].sum()),
        "best": best,
        **(
            {} if worth is None else {f"its {name}": value for name, value in asdict(worth).items() if name != "trials"}
        ),
        "probability of overfitting": lake.trials.overfitting(study),
    }
