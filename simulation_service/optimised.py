"""Weights from the optimisers of skfolio (https://skfolio.org), the only module that speaks its language."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np

from barlake.errors import InvalidInputError
from barlake.keys import parse_member
from simulation_service.ticks import FloatArray

__all__ = ["Objective", "optimal_weights"]


class Objective(StrEnum):
    """What the weights are the best for; all are at least 0 and sum to 1."""

    MIN_VARIANCE = "min_variance"
    MAX_SHARPE = "max_sharpe"
    MIN_CVAR = "min_cvar"
    HRP = "hrp"

    @classmethod
    def parse(cls, value: str) -> Objective:
        """Objective of that name; `InvalidInputError` lists the names there are."""
        return parse_member(cls, "objective", value)


def optimal_weights(returns: FloatArray, objective: Objective) -> FloatArray:
    """Weights with sum 1 for the sessions seen.

    Parameters
    ----------
    returns
        Shape (n_sessions, n_symbols), simple.

    Raises
    ------
    InvalidInputError
        If skfolio is not installed, or finds no solution for these returns.
    """
    if returns.shape[1] == 1:
        return np.ones(1)
    model = _model(objective)
    try:
        found: FloatArray = np.asarray(model.fit(returns).weights_, dtype=np.float64)
    except _solver_errors() as error:
        raise InvalidInputError(
            f"objective {objective.value!r} has no solution over {returns.shape[0]} sessions of {returns.shape[1]} "
            f"symbols ({error}): use more sessions, or another objective."
        ) from error
    # Solvers leave crumbs around 0.
    weights: FloatArray = np.maximum(found, 0.0)
    weights /= weights.sum()
    return weights


def _model(objective: Objective) -> Any:
    try:
        from skfolio import RiskMeasure  # noqa: PLC0415 - seconds of import, and an extra
        from skfolio.optimization import HierarchicalRiskParity, MeanRisk, ObjectiveFunction  # noqa: PLC0415 - same
    except ImportError as error:
        raise InvalidInputError(
            "sizing 'optimised' needs skfolio, which is not installed: pip install \"barlake[portfolio]\"."
        ) from error
    if objective is Objective.HRP:
        return HierarchicalRiskParity()
    if objective is Objective.MAX_SHARPE:
        return MeanRisk(objective_function=ObjectiveFunction.MAXIMIZE_RATIO)
    measure = RiskMeasure.CVAR if objective is Objective.MIN_CVAR else RiskMeasure.VARIANCE
    return MeanRisk(objective_function=ObjectiveFunction.MINIMIZE_RISK, risk_measure=measure)


def _solver_errors() -> tuple[type[Exception], ...]:
    from cvxpy.error import SolverError  # noqa: PLC0415 - skfolio brings it
    from skfolio.exceptions import SkfolioError  # noqa: PLC0415 - as above

    return SolverError, SkfolioError
