"""How much of the account one position may be: a fixed share, or a share that follows risk or proven skill.

A method gives weights by session, each from sessions that have closed before it. A weight is the share of the account
that a signal of the symbol is worth; the sign of the signal says which side. What may be held together
is said by `simulation_service.exposure`, and when a position returns to its weight by `simulation_service.rebalance`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError, did_you_mean
from simulation_service.optimised import Objective, optimal_weights
from simulation_service.ticks import FloatArray

__all__ = [
    "MOST_KELLY",
    "SIZINGS",
    "EqualRisk",
    "FixedFraction",
    "FractionalKelly",
    "Optimised",
    "Past",
    "SignalWeight",
    "Sizing",
    "VolatilityTarget",
    "make_sizing",
    "risk_parity",
    "sizing_of_texts",
]

MOST_KELLY = 0.5
"""Full Kelly on an estimated edge overbets by the error of the estimate; half gives three quarters of its growth."""

_SESSIONS_PER_YEAR = 252
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Past:
    """Returns by session that sizes are estimated from.

    Parameters
    ----------
    returns
        Shape (n_sessions, n_symbols), simple, close to close; NaN before a symbol's second close.
    earned
        Same shape: what the symbol's signals earned in the session, per dollar of position and before
        costs; NaN in sessions before the first signal.
    months
        Shape (n_sessions,), a number that changes with the calendar month.
    """

    returns: FloatArray
    earned: FloatArray
    months: npt.NDArray[np.int64]


class Sizing(ABC):
    """Base of all methods; its parameters are the fields of the dataclass, checked when it is made."""

    name: ClassVar[str]
    by_value: ClassVar[bool] = False
    """Whether the value of a signal counts, or only its sign."""

    @abstractmethod
    def weights(self, past: Past) -> FloatArray:
        """Share of the account of one position: shape (n_sessions, n_symbols), at least 0, from earlier rows only."""

    @property
    def earlier_sessions(self) -> int:
        """Closed sessions before the first one that the method can use."""
        return int(getattr(self, "sessions", 0))

    def as_dict(self) -> dict[str, Any]:
        """Name and parameters, as JSON can hold them."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]  # every method is a dataclass


@dataclass(frozen=True)
class FixedFraction(Sizing):
    """The same share of the account for every position.

    Parameters
    ----------
    fraction
        Above 0; None divides the whole account evenly among the symbols.
    """

    name: ClassVar[str] = "fraction"
    fraction: float | None = None

    def __post_init__(self) -> None:
        if self.fraction is not None:
            _require_above_zero(self, "fraction")

    def weights(self, past: Past) -> FloatArray:
        """The fraction, everywhere."""
        share = 1.0 / past.returns.shape[1] if self.fraction is None else self.fraction
        return np.full(past.returns.shape, share)


@dataclass(frozen=True)
class SignalWeight(Sizing):
    """The signal itself is the share of the account: -0.5 is half of it, short.

    Parameters
    ----------
    scale
        The share of a signal of 1.
    """

    name: ClassVar[str] = "signal"
    by_value: ClassVar[bool] = True
    scale: float = 1.0

    def __post_init__(self) -> None:
        _require_above_zero(self, "scale")

    def weights(self, past: Past) -> FloatArray:
        """The scale, everywhere."""
        return np.full(past.returns.shape, self.scale)


@dataclass(frozen=True)
class VolatilityTarget(Sizing):
    """Small positions in restless symbols: the target by the symbol's own volatility, divided among the symbols.

    If all symbols moved together, the account would move as much as the target says; else less.

    Parameters
    ----------
    target
        Yearly volatility of the account, a fraction.
    sessions
        Closed sessions the volatility is estimated from (sample standard deviation).
    most
        No weight is above this.
    """

    name: ClassVar[str] = "volatility"
    target: float = 0.10
    sessions: int = 20
    most: float = 1.0

    def __post_init__(self) -> None:
        _require_above_zero(self, "target", "most")
        _require_sessions(self.sessions)

    def weights(self, past: Past) -> FloatArray:
        """Target by yearly volatility by number of symbols; 0 while the volatility is not known or is 0."""
        yearly = _trailing_deviation(past.returns, self.sessions) * math.sqrt(_SESSIONS_PER_YEAR)
        share = np.divide(self.target / past.returns.shape[1], yearly, out=np.zeros_like(yearly), where=yearly > 0)
        found: FloatArray = np.minimum(share, self.most)
        return found


@dataclass(frozen=True)
class FractionalKelly(Sizing):
    """A share of the growth-optimal bet (Kelly 1956, https://doi.org/10.1002/j.1538-7305.1956.tb03809.x), edge shrunk.

    The edge is the mean of what the symbol's own signals earned by session, shrunk towards 0 as much as it may be luck
    (positive-part James-Stein: mean * max(0, 1 - variance / (n * mean**2))); the bet is edge by variance.

    Parameters
    ----------
    share
        Above 0 and at most one half.
    sessions
        Closed sessions with signals that the edge is estimated from; before them nothing is bet.
    most
        No weight is above this.
    """

    name: ClassVar[str] = "kelly"
    share: float = MOST_KELLY
    sessions: int = 60
    most: float = 1.0

    def __post_init__(self) -> None:
        _require_above_zero(self, "share", "most")
        _require_sessions(self.sessions)
        if self.share > MOST_KELLY:
            raise InvalidInputError(
                f"share {self.share!r} of Kelly: at most {MOST_KELLY}, because the edge is only estimated and a bet "
                "twice too large grows like none at all."
            )

    @property
    def earlier_sessions(self) -> int:
        """None: before the first session there are no signals that could have earned anything."""
        return 0

    def weights(self, past: Past) -> FloatArray:
        """Share times shrunk edge by variance; 0 without an edge, or while it is not known."""
        mean = _trailing(past.earned, self.sessions, np.mean)
        variance = _trailing_deviation(past.earned, self.sessions) ** 2
        known = np.isfinite(mean) & (mean > 0) & (variance > _ROUNDING**2)
        edge, spread = np.where(known, mean, 1.0), np.where(known, variance, 1.0)
        edge = edge * np.maximum(0.0, 1.0 - spread / (self.sessions * edge**2))
        return np.where(known, np.minimum(self.share * edge / spread, self.most), 0.0)


@dataclass(frozen=True)
class EqualRisk(Sizing):
    """Every symbol adds the same to the risk of the whole (Maillard, Roncalli, Teiletche 2010), correlations included.

    Parameters
    ----------
    total
        Sum of the weights.
    sessions
        Closed sessions the covariance is estimated from.
    """

    name: ClassVar[str] = "equal_risk"
    total: float = 1.0
    sessions: int = 60

    def __post_init__(self) -> None:
        _require_above_zero(self, "total")
        _require_sessions(self.sessions)

    def weights(self, past: Past) -> FloatArray:
        """Risk parity of the trailing covariance, by session; a symbol without a full past gets 0."""
        found = np.zeros(past.returns.shape)
        for row in range(self.sessions, past.returns.shape[0]):
            window = past.returns[row - self.sessions : row]
            known = np.flatnonzero(np.isfinite(window).all(axis=0) & (np.ptp(window, axis=0) > _ROUNDING))
            if known.size:
                covariance = np.atleast_2d(np.cov(window[:, known], rowvar=False))
                found[row, known] = self.total * risk_parity(covariance)
        return found


@dataclass(frozen=True)
class Optimised(Sizing):
    """Weights of an optimiser of skfolio (extra `portfolio`), found anew on the first session of each month.

    Parameters
    ----------
    objective
        `min_variance`, `max_sharpe`, `min_cvar` or `hrp` (hierarchical risk parity).
    sessions
        Closed sessions the optimiser sees.
    total
        Sum of the weights.
    """

    name: ClassVar[str] = "optimised"
    objective: str = Objective.MIN_VARIANCE
    sessions: int = 120
    total: float = 1.0

    def __post_init__(self) -> None:
        _require_above_zero(self, "total")
        _require_sessions(self.sessions)
        object.__setattr__(self, "objective", Objective.parse(self.objective).value)

    def weights(self, past: Past) -> FloatArray:
        """The optimiser's weights since the month's first session; a symbol without a full past gets 0."""
        found = np.zeros(past.returns.shape)
        fitted = False
        for row in range(self.sessions, past.returns.shape[0]):
            if fitted and past.months[row] == past.months[row - 1]:
                found[row] = found[row - 1]
                continue
            window = past.returns[row - self.sessions : row]
            known = np.flatnonzero(np.isfinite(window).all(axis=0) & (np.ptp(window, axis=0) > _ROUNDING))
            if known.size:
                found[row, known] = self.total * optimal_weights(window[:, known], Objective(self.objective))
                fitted = True
        return found


_METHODS: dict[str, type[Sizing]] = {
    method.name: method
    for method in (FixedFraction, SignalWeight, VolatilityTarget, FractionalKelly, EqualRisk, Optimised)
}


SIZINGS = tuple(_METHODS)
"""Names of all methods."""


def sizing_of_texts(name: str, texts: Mapping[str, str]) -> Sizing:
    """As `make_sizing`, with values as a command line gives them.

    Raises
    ------
    InvalidInputError
        Also if a value is not a number where the parameter is one.

    Examples
    --------
    >>> sizing_of_texts("kelly", {"share": "0.25"})
    FractionalKelly(share=0.25, sessions=60, most=1.0)
    """
    return make_sizing(name, {parameter: _read(parameter, text) for parameter, text in texts.items()})


def _read(parameter: str, text: str) -> float | str:
    if parameter == "objective":
        return text
    try:
        return int(text) if parameter == "sessions" else float(text)
    except ValueError as error:
        kind = "whole number" if parameter == "sessions" else "number"
        raise InvalidInputError(f"{parameter} {text!r} is not a {kind}: write it as {parameter}=20.") from error


def make_sizing(name: str, parameters: Mapping[str, Any] | None = None) -> Sizing:
    """Method of that name with these parameters, the others being its defaults.

    Raises
    ------
    InvalidInputError
        If there is no such method or parameter, or a value is out of its range.

    Examples
    --------
    >>> make_sizing("volatility", {"target": 0.2})
    VolatilityTarget(target=0.2, sessions=20, most=1.0)
    """
    method = _METHODS.get(name)
    if method is None:
        hint = did_you_mean(name, _METHODS)
        raise InvalidInputError(f"sizing {name!r} is not known: use one of {', '.join(_METHODS)}.{hint}")
    known = [field.name for field in fields(method)]  # type: ignore[arg-type]  # every method is a dataclass
    for parameter in parameters or {}:
        if parameter not in known:
            hint = did_you_mean(parameter, known)
            raise InvalidInputError(f"sizing {name!r} has no parameter {parameter!r}: it has {', '.join(known)}.{hint}")
    return method(**(parameters or {}))


def risk_parity(covariance: FloatArray) -> FloatArray:
    """Positive weights with sum 1 whose shares of the variance are equal.

    Solved by cyclical coordinate descent (Griveau-Billion, Richard, Roncalli 2013, https://arxiv.org/abs/1311.4057), on
    variances scaled to 1 so that restless and calm symbols converge alike.

    Parameters
    ----------
    covariance
        Shape (n, n), positive definite.

    Examples
    --------
    >>> risk_parity(np.diag([0.04, 0.01])).round(4)
    array([0.3333, 0.6667])
    """
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    size = deviation.size
    weights = np.full(size, 1.0 / math.sqrt(size))
    for _ in range(_MOST_ROUNDS):
        before = weights.copy()
        for this in range(size):
            others = float(correlation[this] @ weights) - weights[this]
            # The positive root of w**2 + others * w - 1/n = 0: this symbol's share of the risk is 1/n.
            weights[this] = (-others + math.sqrt(others**2 + 4.0 / size)) / 2.0
        if np.abs(weights - before).max() < _ROUNDING:
            break
    found: FloatArray = weights / deviation
    found /= found.sum()
    return found


_MOST_ROUNDS = 500


def _trailing(values: FloatArray, sessions: int, measure: Any) -> FloatArray:
    """`measure` over the `sessions` rows before each row; NaN where one of them is missing."""
    found = np.full(values.shape, np.nan)
    if values.shape[0] > sessions:
        windows = np.lib.stride_tricks.sliding_window_view(values, sessions, axis=0)[:-1]
        found[sessions:] = measure(windows, axis=-1)
    return found


def _trailing_deviation(values: FloatArray, sessions: int) -> FloatArray:
    """Sample standard deviation of the rows before each row; 0 where it is nothing but rounding."""

    def deviation(windows: FloatArray, axis: int) -> FloatArray:
        found: FloatArray = windows.std(axis=axis, ddof=1)
        return np.where(np.ptp(windows, axis=axis) > _ROUNDING, found, found * 0.0)

    return _trailing(values, sessions, deviation)


def _require_above_zero(sizing: Sizing, *names: str) -> None:
    for name in names:
        value = getattr(sizing, name)
        if not (isinstance(value, int | float) and math.isfinite(value) and 0 < value <= _MOST_WEIGHT):
            raise InvalidInputError(
                f"{name} {value!r} of sizing {sizing.name!r} must be a number above 0 and at most {_MOST_WEIGHT}."
            )


_MOST_WEIGHT = 100


def _require_sessions(sessions: int) -> None:
    if not isinstance(sessions, int) or isinstance(sessions, bool) or sessions < 2:  # noqa: PLR2004 - one has no spread
        raise InvalidInputError(f"sessions {sessions!r} to estimate from must be a whole number, 2 or more.")
