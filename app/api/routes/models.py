"""Models over HTTP: which there are, what one is and scored, and its card."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.answering import answer, answer_document, forms
from app.api.deps import LakeDep
from app.api.paging import newest_page
from app.api.parameters import ArtifactId, Cursor, Limit
from app.api.row_models import list_of, row_model
from barlake.keys import SYNTHETIC_FEED, ArtifactKind

__all__ = ["File", "router"]

router = APIRouter(prefix="/models", tags=["models"])

_COLUMNS = {
    "model": pl.String(), "created_at": pl.Datetime("us", "UTC"), "symbols": pl.String(), "target": pl.String(),
    "horizon": pl.String(), "estimator": pl.String(), "metric": pl.String(), "value": pl.Float64(),
    "low": pl.Float64(), "high": pl.Float64(), "baseline": pl.Float64(), "beats_baseline": pl.Boolean(),
}  # fmt: skip
ModelRow = row_model("ModelRow", _COLUMNS, about="A model, and its headline score beside the baseline.")
ModelList = list_of(ModelRow, about="Models, the newest first.")


class File(BaseModel):
    """A file of a model or a run, as it was registered."""

    sha256: str
    bytes: int


class ModelAnswer(BaseModel):
    """A model: what it is, what it was made from, what it scored."""

    id: str
    created_at: dt.datetime
    feed: str = Field(description="Of the bars it learned from; those of `synthetic` are made up.")
    is_synthetic: bool
    verdict: str = Field(description="The model against the baseline that looks at no feature.")
    parameters: dict[str, Any]
    inputs: dict[str, Any] = Field(description="Feature tables and libraries, by their hashes and versions.")
    code: str = Field(description="SHA-256 over the code that made it.")
    seed: int | None
    results: dict[str, Any] = Field(description="Folds, scores, baselines.")
    files: dict[str, File]
    libraries: dict[str, str]


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
    feed = str(found.parameters.get("feed", ""))
    return ModelAnswer(
        id=found.id,
        created_at=found.created_at,
        feed=feed,
        is_synthetic=feed == SYNTHETIC_FEED,
        verdict=str(found.results.get("verdict", "")),
        parameters=found.parameters,
        inputs=found.inputs,
        code=found.code,
        seed=found.seed,
        results=found.results,
        files={name: File.model_validate(one) for name, one in found.files.items()},
        libraries=found.libraries,
    )


@router.get("/{model_id}/card", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def card(request: Request, lake: LakeDep, model_id: ArtifactId) -> Response:
    """Give a model's card: one HTML page that needs nothing else."""
    from app.use_cases.models import card_of  # noqa: PLC0415 - as above

    return answer_document(request, card_of(lake, model_id).read_bytes(), media="text/html; charset=utf-8")
