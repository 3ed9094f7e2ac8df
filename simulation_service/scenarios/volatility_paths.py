"""Synthetic sessions whose volatility comes and goes as a GARCH model says, on the minutes of real sessions.

Filtered historical simulation (Barone-Adesi, Giannopoulos and Vosper, 1999): the model takes the volatility
out of the real sessions, the residuals are resampled, and the model puts volatility back as it would go on
from the last session. What a residual drew, its session's minutes come with, stretched by the same factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from barlake.errors import InvalidInputError
from simulation_service.scenarios.resampling import IndexArray
from simulation_service.scenarios.session_blocks import SessionBlocks
from simulation_service.ticks import FloatArray

__all__ = ["FEWEST_SESSIONS", "LONGEST_WITHOUT_LEVEL", "VolatilityModel", "session_log_returns"]

FEWEST_SESSIONS = 100
"""Sessions that a model is fitted to, at least."""

LONGEST_WITHOUT_LEVEL = 63
"""Sessions of a path, at most, where volatility fitted does not come back to a level within a year: a quarter."""

_NO_LEVEL = 0.5 ** (1 / 252)  # half of a shock is left after a year
_PERCENT = 100.0  # the scale on which arch's optimiser works well


@dataclass(frozen=True, eq=False)
class VolatilityModel:
    """GARCH(1,1) or GJR-GARCH of session returns, fitted.

    Parameters
    ----------
    fitted
        What arch fitted, to returns in percent.
    volatility
        Shape (n_sessions,), of each session as seen from the one before, log return.
    persistence
        What is left of a shock to the variance after one session; near 1 there is no level to return to.
    """

    fitted: Any
    volatility: FloatArray
    persistence: float

    @classmethod
    def fit(cls, log_returns: FloatArray, *, asymmetric: bool = False) -> VolatilityModel:
        """The model of some session returns.

        Parameters
        ----------
        asymmetric
            Whether falls may raise volatility more than rises do (GJR-GARCH).

        Raises
        ------
        InvalidInputError
            If there are too few returns, the fit does not converge, or the package arch is not installed.
        """
        try:
            from arch import arch_model  # noqa: PLC0415 - seconds of import
        except ImportError as error:
            raise InvalidInputError('volatility paths need the package arch: pip install "barlake[garch]".') from error
        if log_returns.size < FEWEST_SESSIONS:
            raise InvalidInputError(
                f"{log_returns.size} sessions are too few to fit a volatility model to: take at least "
                f"{FEWEST_SESSIONS}, or resample sessions without a model."
            )
        model = arch_model(
            log_returns * _PERCENT, mean="Constant", vol="GARCH", p=1, o=int(asymmetric), q=1, rescale=False
        )
        fitted = model.fit(disp="off", show_warning=False)
        if fitted.convergence_flag != 0:
            raise InvalidInputError("the volatility model does not converge on these sessions: take a longer span.")
        terms = fitted.params
        persistence = float(terms["alpha[1]"] + terms["beta[1]"] + (terms["gamma[1]"] / 2 if asymmetric else 0.0))
        return cls(fitted, np.asarray(fitted.conditional_volatility) / _PERCENT, persistence)

    def longest(self, sessions: int) -> int:
        """Sessions that a path may have: as many as wanted, fewer where half of a shock is left after a year.

        There (IGARCH, or nearly) the spread grows without end, and quantiles of a year say nothing.
        """
        return sessions if self.persistence < _NO_LEVEL else min(sessions, LONGEST_WITHOUT_LEVEL)

    def simulate(self, order: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Log returns and volatilities, each of the shape of `order`, going on from the last session.

        Parameters
        ----------
        order
            Shape (paths, sessions): which session's residual comes at each place.
        """
        residuals = np.asarray(self.fitted.std_resid)
        paths, sessions = order.shape
        forecast = self.fitted.forecast(
            horizon=sessions,
            method="simulation",
            simulations=paths,
            rng=lambda _shape: residuals[order],
            reindex=False,
        ).simulations
        return forecast.values[-1] / _PERCENT, np.sqrt(forecast.residual_variances[-1]) / _PERCENT

    def bends(self, order: IndexArray, log_returns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How the sessions of each path are stretched and tilted, as `SessionBlocks.path` takes it.

        Parameters
        ----------
        log_returns
            Shape (n_sessions,), those that the model was fitted to.
        """
        wanted, volatility = self.simulate(order)
        stretch: FloatArray = volatility / self.volatility[order]
        return stretch, wanted - stretch * log_returns[order]


def session_log_returns(blocks: SessionBlocks, symbol: str) -> FloatArray:
    """Log return of each session of one symbol, close to close; the first from its own open."""
    own = blocks.sessions.filter(symbol=symbol)
    returns: FloatArray = np.log(own["last_close"].to_numpy() / own["previous_close"].to_numpy())
    return returns
