"""Runs over HTTP: which there are, what came of one, its trades, its account over time, its tear sheet."""

from __future__ import annotations

import polars as pl
from fastapi import APIRouter, Request, Response

from app.api.answering import answer, answer_document, forms
from app.api.artifact_answers import ArtifactAnswer, facts_of
from app.api.deps import LakeDep
from app.api.paging import newest_page, row_page
from app.api.parameters import ArtifactId, Cursor, Limit
from app.api.row_models import list_of, row_model
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.run_tables import EQUITY, TRADES

__all__ = ["router"]

router = APIRouter(prefix="/runs", tags=["runs"])

_COLUMNS = {
    "run": pl.String(), "created_at": pl.Datetime("us", "UTC"), "symbols": pl.String(), "feed": pl.String(),
    "source": pl.String(), "fill": pl.String(), "bars": pl.Int64(), "total_return": pl.Float64(),
    "sharpe": pl.Float64(), "max_drawdown": pl.Float64(), "final_value": pl.String(),
}  # fmt: skip
RunRow = row_model("RunRow", _COLUMNS, about="A run and its headline figures; `final_value` is exact decimal text.")
RunList = list_of(RunRow, about="Runs, the newest first.")
TradeRow = row_model("TradeRow", TRADES, about="A trade: dollars, shares below 0 were sold short.")
TradeList = list_of(TradeRow, about="Trades by entry.")
EquityRow = row_model("EquityRow", EQUITY, about="The account after the close of a bar, dollars, beside buy and hold.")
EquityList = list_of(EquityRow, about="The account over the bars of a run.")


@router.get("", response_model=RunList, responses=forms("Runs, the newest first."))
def runs(request: Request, lake: LakeDep, limit: Limit = 1000, cursor: Cursor = None) -> Response:
    """List the simulations of the lake, the newest first."""
    from app.use_cases.runs import list_all_runs  # noqa: PLC0415 - the simulator, for the first who asks

    found = list_all_runs(lake)
    shown = pl.DataFrame(schema=_COLUMNS) if found.is_empty() else found.select(list(_COLUMNS))
    page, behind = newest_page(shown, {}, name="run", limit=limit, cursor=cursor)
    return answer(request, page, name="runs", next_cursor=behind)


@router.get("/{run_id}")
def one_run(lake: LakeDep, run_id: ArtifactId) -> ArtifactAnswer:
    """Tell what a run was made from, what came of it, and what stands beside it."""
    found = lake.artifacts.find(ArtifactKind.RUN, run_id)
    return ArtifactAnswer(**facts_of(found, feed=str(found.results.get("feed", ""))))


@router.get("/{run_id}/trades", response_model=TradeList, responses=forms("The trades of a run."))
def trades(
    request: Request, lake: LakeDep, run_id: ArtifactId, limit: Limit = 10_000, cursor: Cursor = None
) -> Response:
    """List the trades of a run, by entry."""
    return _table(request, lake, run_id, "trades", limit, cursor)


@router.get("/{run_id}/equity", response_model=EquityList, responses=forms("The account of a run over time."))
def equity(
    request: Request, lake: LakeDep, run_id: ArtifactId, limit: Limit = 10_000, cursor: Cursor = None
) -> Response:
    """List the account of a run after each bar, beside buy and hold."""
    return _table(request, lake, run_id, "equity", limit, cursor)


@router.get("/{run_id}/report", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def report(request: Request, lake: LakeDep, run_id: ArtifactId) -> Response:
    """Give the tear sheet of a run: one HTML page that needs nothing else."""
    from app.use_cases.runs import report_of  # noqa: PLC0415 - as above

    return answer_document(request, report_of(lake, run_id).read_bytes(), media="text/html; charset=utf-8")


def _table(request: Request, lake: Lake, run_id: str, name: str, limit: int, cursor: str | None) -> Response:
    from app.use_cases.runs import table_of  # noqa: PLC0415 - as above

    page, behind = row_page(table_of(lake, run_id, name), {"run": run_id}, limit=limit, cursor=cursor)
    feed = str(lake.artifacts.find(ArtifactKind.RUN, run_id).results["feed"])
    return answer(request, page, name=f"{run_id}-{name}", facts={"feed": feed}, next_cursor=behind)
