"""What the Sharpe ratio of a model is worth among all tries at its symbol: by the ledger, as it stands now.

No part of a model's manifest: it changes with every further try.
"""

from __future__ import annotations

from barlake.lake import Lake
from barlake.trials import Deflation, TrialKind

__all__ = ["deflation_of", "deflation_sentence"]


def deflation_of(lake: Lake, study: str, model_id: str) -> Deflation | None:
    """What the Sharpe ratio of a study's model is worth; None where it has none, or came from another lake."""
    made = lake.trials.frame(study).filter(artifact_id=model_id, kind=TrialKind.TRAINING.value)
    return None if made.is_empty() else lake.trials.deflation(made["trial_id"][-1])


def deflation_sentence(found: Deflation) -> str:
    """What the Sharpe ratio of a model is worth among all tries at its symbol, in one sentence."""
    beginning = f"Sharpe ratio of sessions {found.sharpe:.3g} before costs, "
    p_value = f"one-sided p = {1 - found.probability:.2g}"
    if found.trials == 1:
        return f"{beginning}the only try at this symbol; against 0 {p_value}"
    return (
        f"{beginning}one of {found.trials} tries at this symbol (`barlake trials`); against the "
        f"{found.expected_best:.3g} that the best of them would show without skill {p_value}"
    )
