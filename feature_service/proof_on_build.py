"""No table of a set of one's own is written before the set was put to the leak proof, once for each version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from barlake.errors import InvalidInputError, LookAheadError, NotFoundError
from feature_service.inputs import MINUTE, FeatureInputs
from feature_service.leak_proof import prove_features
from feature_service.sets import FEATURE_SETS, FeatureSet
from feature_service.sources import Target
from feature_service.symbol_build import SymbolBuilder

__all__ = ["proof_of"]

_ROWS = 100_000
"""Of history that is looked at: about a year of minutes."""


def proof_of(builder: SymbolBuilder, targets: Sequence[Target]) -> dict[str, Any] | None:
    """What the proof of a set tried, for the manifest; None for a set of the house, which its tests prove.

    The first symbol whose bars can carry features is looked at. A version that was proven keeps its proof: other
    code or parameters are another version.

    Raises
    ------
    LookAheadError
        If a feature looks ahead: names it, the first wrong row and how far it looked. Nothing is written then.
    """
    if FEATURE_SETS.get(builder.feature_set.name) is not None or not targets:
        return None
    for target in targets:
        if (known := _known_proof(builder, target)) is not None:
            return known
    for target in targets:
        try:
            inputs = _beginning(builder.read(target))
        except (InvalidInputError, NotFoundError):
            continue  # building this symbol says so
        return _prove(builder.feature_set, target, inputs)
    return None


def _known_proof(builder: SymbolBuilder, target: Target) -> dict[str, Any] | None:
    try:
        proof: dict[str, Any] | None = builder.tables.definition(builder.key(target.feed)).get("proof")
    except NotFoundError:
        return None
    return proof


def _prove(feature_set: FeatureSet, target: Target, inputs: FeatureInputs) -> dict[str, Any]:
    report = prove_features(feature_set.features, inputs)
    try:
        report.require_clean()
    except LookAheadError as error:
        raise LookAheadError(f"feature set {feature_set.name!r} is not built: {error}") from error
    return {"symbol": target.symbol, "rows": report.rows, "tried": dict(report.tried)}


def _beginning(inputs: FeatureInputs) -> FeatureInputs:
    """The first bars, and what else there was until then."""
    if inputs.bars.height <= _ROWS:
        return inputs
    return inputs.known_by(inputs.bars["timestamp"][_ROWS - 1] + MINUTE)
