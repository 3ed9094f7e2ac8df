"""What is told of anything that was made of bars: a model, a run."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel, Field

from barlake.artifacts import Artifact
from barlake.keys import SYNTHETIC_FEED

__all__ = ["ArtifactAnswer", "facts_of"]


class File(BaseModel):
    """A file of a model or a run, as it was registered."""

    sha256: str
    bytes: int


class ArtifactAnswer(BaseModel):
    """What something is, what it was made from, what came of it."""

    id: str
    created_at: dt.datetime
    feed: str = Field(description="Of the bars it was made from; those of `synthetic` are made up.")
    is_synthetic: bool
    parameters: dict[str, Any]
    inputs: dict[str, Any] = Field(description="What was read, by hashes and versions.")
    code: str = Field(description="SHA-256 over the code that made it.")
    seed: int | None
    results: dict[str, Any] = Field(description="Every figure, and what stands beside it to compare.")
    files: dict[str, File]
    libraries: dict[str, str]


def facts_of(made: Artifact, feed: str) -> dict[str, Any]:
    """The fields of `ArtifactAnswer`."""
    return {
        "id": made.id,
        "created_at": made.created_at,
        "feed": feed,
        "is_synthetic": feed == SYNTHETIC_FEED,
        "parameters": made.parameters,
        "inputs": made.inputs,
        "code": made.code,
        "seed": made.seed,
        "results": made.results,
        "files": {name: File.model_validate(one) for name, one in made.files.items()},
        "libraries": made.libraries,
    }
