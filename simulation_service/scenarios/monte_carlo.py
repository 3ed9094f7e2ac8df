"""Many futures of an account: how its value spreads, how deep it falls, how often it is ruined.

Money is relative to the cash at the start here, so 1 is the cash itself. What comes out is a spread, not a
forecast: it can only hold what the sessions resampled from held.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from barlake.errors import InvalidInputError
from simulation_service.scenarios.resampling import DEFAULT_BLOCK_SESSIONS, IndexArray, stationary_bootstrap
from simulation_service.ticks import FloatArray

__all__ = [
    "DEFAULT_RUIN",
    "QUANTILES",
    "Futures",
    "account_paths",
    "best_block_sessions",
    "require_level",
    "share_interval",
]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
DEFAULT_RUIN = 0.5
"""Ruined is an account that once is worth half its cash or less."""


@dataclass(frozen=True, eq=False)
class Futures:
    """What became of one account on many paths.

    Parameters
    ----------
    closes
        Shape (paths, sessions): value after each session, in units of the cash at the start.
    lowest, drawdowns
        Shape (paths,): lowest value at any time; deepest fall from the highest value so far, a fraction.
    """

    closes: FloatArray
    lowest: FloatArray
    drawdowns: FloatArray

    @classmethod
    def of_closes(cls, closes: FloatArray) -> Futures:
        """Futures of which nothing is known between the closes of sessions."""
        highest = np.maximum(np.maximum.accumulate(closes, axis=1), 1.0)
        return cls(closes, np.minimum(closes.min(axis=1), 1.0), (1.0 - closes / highest).max(axis=1))

    def fan(self, quantiles: Sequence[float] = QUANTILES) -> FloatArray:
        """Quantiles of the value after every session, shape (n_quantiles, sessions + 1); the first column is 1."""
        spread = np.quantile(self.closes, quantiles, axis=0)
        return np.hstack([np.ones((len(quantiles), 1)), spread])

    def ruined(self, level: float) -> float:
        """Share of paths whose value was at or below `level` at any time."""
        return float(np.mean(self.lowest <= level))

    def as_dict(self, *, cash_usd: float, ruin: float = DEFAULT_RUIN) -> dict[str, Any]:
        """Figures as JSON can hold them.

        Raises
        ------
        InvalidInputError
            If `ruin` is not a share of the cash between 0 and 1.
        """
        require_level(ruin)
        final = self.closes[:, -1]
        return {
            "paths": len(final),
            "sessions": self.closes.shape[1],
            "final_value_usd": _by_quantile(final * cash_usd),
            "total_return": _by_quantile(final - 1.0),
            "max_drawdown": _by_quantile(self.drawdowns),
            "mean_total_return": float(final.mean() - 1.0),
            "probability_of_loss": float(np.mean(final < 1.0)),
            "ruin_level_usd": ruin * cash_usd,
            "risk_of_ruin": self.ruined(ruin),
            "risk_of_ruin_interval": list(share_interval(self.ruined(ruin), len(final))),
        }


def require_level(ruin: float) -> None:
    """Refuse a share of the cash that nobody can fall to, or that everybody begins below."""
    if not 0.0 < ruin < 1.0:
        raise InvalidInputError(f"ruin {ruin!r} is no level to be ruined at: give a share of the cash such as 0.5.")


def account_paths(
    returns: FloatArray,
    *,
    paths: int,
    sessions: int | None = None,
    block_sessions: float = DEFAULT_BLOCK_SESSIONS,
    seed: int = 0,
) -> Futures:
    """Futures of an account whose session returns are resampled in runs.

    Parameters
    ----------
    returns
        Shape (n,), simple returns of consecutive sessions, close to close.
    sessions
        Length of a path. Default: as many as there are returns.

    Raises
    ------
    InvalidInputError
        If there are fewer than two returns, one is not a number, or a number is out of range.

    Examples
    --------
    >>> account_paths(np.array([0.1, 0.1]), paths=2, sessions=2).closes.round(2)
    array([[1.1 , 1.21],
           [1.1 , 1.21]])
    """
    if returns.size < 2 or not np.isfinite(returns).all():  # noqa: PLR2004 - one return has no spread
        raise InvalidInputError(
            f"{returns.size} session returns, {int((~np.isfinite(returns)).sum())} of them no numbers, cannot be "
            "resampled: take a span of at least 2 sessions in which the account is worth something."
        )
    drawn: IndexArray = stationary_bootstrap(
        np.random.default_rng(seed),
        size=returns.size,
        shape=(paths, returns.size if sessions is None else sessions),
        block_sessions=block_sessions,
    )
    # Who has lost everything, or owes, has nothing left to lose.
    growth: FloatArray = np.maximum(1.0 + returns[drawn], 0.0)
    return Futures.of_closes(np.asarray(np.cumprod(growth, axis=1), dtype=np.float64))


def best_block_sessions(returns: FloatArray) -> float:
    """Mean run that suits these returns best: Politis and White (2004), as the package arch computes it.

    Raises
    ------
    InvalidInputError
        If the package is not installed.
    """
    try:
        from arch.bootstrap import optimal_block_length  # noqa: PLC0415 - seconds of import
    except ImportError as error:
        raise InvalidInputError(
            'the best block length needs the package arch: pip install "barlake[garch]", or give a number of sessions.'
        ) from error
    return max(float(optimal_block_length(returns)["stationary"].iloc[0]), 1.0)


def share_interval(share: float, count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Range in which the true probability lies, when `share` of `count` paths had something (Wilson's interval).

    Examples
    --------
    >>> tuple(round(bound, 3) for bound in share_interval(0.0, 100))
    (0.0, 0.037)
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    # At the ends both terms are equal, but for the last bits.
    low = (centre - reach) / scale if share > 0 else 0.0
    high = (centre + reach) / scale if share < 1 else 1.0
    return low, high


def _by_quantile(values: FloatArray) -> dict[str, float]:
    return {f"{level:g}": float(value) for level, value in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)}
