"""Models over HTTP: which there are, what one is and scored, and its card."""

from __future__ import annotations

from typing import Annotated

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.answering import answer, answer_document, forms
from app.api.artifact_answers import ArtifactAnswer, facts_of
from app.api.deps import LakeDep
from app.api.paging import newest_page
from app.api.parameters import ArtifactId, Cursor, Limit
from app.api.row_models import list_of, row_model
from barlake.keys import ArtifactKind

__all__ = ["router"]

router = APIRouter(prefix="/models", tags=["models"])

_COLUMNS = {
    "model": pl.String(), "created_at": pl.Datetime("us", "UTC"), "symbols": pl.String(), "target": pl.String(),
    "horizon": pl.String(), "estimator": pl.String(), "metric": pl.String(), "value": pl.Float64(),
    "low": pl.Float64(), "high": pl.Float64(), "baseline": pl.Float64(), "beats_baseline": pl.Boolean(),
}  # fmt: skip
ModelRow = row_model("ModelRow", _COLUMNS, about="A model, and its headline score beside the baseline.")
ModelList = list_of(ModelRow, about="Models, the newest first.")


class ModelAnswer(ArtifactAnswer):
    """A model: what it is, what it was made from, what it scored."""

    verdict: str = Field(description="The model against the baseline that looks at no feature.")


@router.get("", response_model=ModelList, responses=forms("Models, the newest first."))
def models(
    request: Request,
    lake: LakeDep,
    symbol: Annotated[str | None, Query(max_length=40, description="Only models that predict this symbol.")] = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """List the models of the lake, the newest first, each with its headline score beside the baseline."""
    from app.use_cases.models import list_models  # noqa: PLC0415 - scikit-learn, for the first who asks

    found = list_models(lake, symbol=symbol)
    page, behind = newest_page(found, {"symbol": symbol}, name="model", limit=limit, cursor=cursor)
    return answer(request, page.select(list(_COLUMNS)), name="models", next_cursor=behind)


@router.get("/{model_id}")
def one_model(lake: LakeDep, model_id: ArtifactId) -> ModelAnswer:
    """Tell what a model is, what it was made from and what it scored."""
    found = lake.artifacts.find(ArtifactKind.MODEL, model_id)
    facts = facts_of(found, feed=str(found.parameters.get("feed", "")))
    return ModelAnswer(**facts, verdict=str(found.results.get("verdict", "")))


@router.get("/{model_id}/card", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def card(request: Request, lake: LakeDep, model_id: ArtifactId) -> Response:
    """Give a model's card: one HTML page that needs nothing else."""
    from app.use_cases.models import card_of  # noqa: PLC0415 - as above

    return answer_document(request, card_of(lake, model_id).read_bytes(), media="text/html; charset=utf-8")
