"""What prices did around events, beside what they do anyway. Pure.

A window holds `before` observations up to the event, the event's own at offset 0, and `after` that follow.
Over sessions, what an event did is its abnormal return: the session's log return less what the sessions well
before the event lead one to expect (MacKinlay, 1997, Journal of Economic Literature 35, 13-39). Over minutes,
where nothing is expected within an hour, it is the log price since the last one before the event, beside how
large the same minutes' moves were in the sessions before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from simulation_service.scenarios.resampling import IndexArray
from simulation_service.ticks import FloatArray

__all__ = ["CONTROL_SESSIONS", "FEWEST_EXPECTED_FROM", "EventStudy", "Window", "minute_study", "session_study"]

FEWEST_EXPECTED_FROM = 20
"""Sessions, at least, from which an expectation is taken."""

CONTROL_SESSIONS = 20
"""Sessions before an event whose same minutes its moves are compared with."""


@dataclass(frozen=True)
class Window:
    """Observations before and after an event; `expected_from` sessions before those give the expectation."""

    before: int = 5
    after: int = 5
    expected_from: int = 60

    def __post_init__(self) -> None:
        for name, value, least in (
            ("before", self.before, 0),
            ("after", self.after, 0),
            ("expected_from", self.expected_from, FEWEST_EXPECTED_FROM),
        ):
            if value < least:
                raise InvalidInputError(f"{name} {value} is too small: a window takes at least {least}.")

    @property
    def offsets(self) -> IndexArray:
        """From -before to after."""
        return np.arange(-self.before, self.after + 1)


@dataclass(frozen=True, eq=False)
class EventStudy:
    """Windows of all events that have one.

    Parameters
    ----------
    used
        Shape (n_used,): which of the events given have a whole window.
    abnormal
        Shape (n_used, n_offsets): abnormal log return of every observation in the window.
    usual_move
        Shape (n_used,): how large a move is expected to be, in the unit of `abnormal`.
    """

    offsets: IndexArray
    used: IndexArray
    abnormal: FloatArray
    usual_move: FloatArray

    @property
    def cumulative(self) -> FloatArray:
        """Sum of `abnormal` from the beginning of the window, same shape."""
        return np.cumsum(self.abnormal, axis=1)

    def table(self) -> pl.DataFrame:
        """One row per offset, over all events.

        Returns
        -------
        offset, events, mean_abnormal, share_positive, mean_cumulative, standard_error and t of the cumulative
        mean (from the spread between events; null for fewer than two), move_ratio: the root mean square of the
        abnormal returns by the usual move, about 1 where nothing happens.
        """
        cumulative, count = self.cumulative, len(self.used)
        mean = cumulative.mean(axis=0)
        error = cumulative.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(mean.size, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(error > 0, mean / error, np.nan)
            ratio = np.sqrt(np.mean((self.abnormal / self.usual_move[:, None]) ** 2, axis=0))
        columns = {
            "offset": self.offsets,
            "events": np.full(mean.size, count),
            "mean_abnormal": self.abnormal.mean(axis=0),
            "share_positive": (self.abnormal > 0).mean(axis=0),
            "mean_cumulative": mean,
            "standard_error": error,
            "t": t,
            "move_ratio": np.where(np.isfinite(ratio), ratio, np.nan),
        }
        return pl.DataFrame(columns).fill_nan(None)

    def as_dict(self) -> dict[str, Any]:
        """The table's rows as JSON can hold them."""
        return {"events": len(self.used), "offsets": self.table().to_dicts()}


def session_study(
    log_returns: FloatArray, positions: IndexArray, window: Window, *, market: FloatArray | None = None
) -> EventStudy:
    """Study over sessions.

    Parameters
    ----------
    log_returns
        Shape (n_sessions,), close to close.
    positions
        Shape (n_events,): the session at offset 0 of each event.
    market
        Shape (n_sessions,), log returns of a benchmark: what is expected is then alpha + beta times its return,
        fitted by least squares to the sessions before the window. Without it, their mean.

    Raises
    ------
    InvalidInputError
        If no event has a whole window with its sessions before it.
    """
    rows, abnormal, usual = [], [], []
    for event, position in enumerate(positions):
        first = position - window.before
        fits = slice(first - window.expected_from, first)
        # The first return of all is none: nothing closed before it.
        if fits.start < 1 or position + window.after >= log_returns.size:
            continue
        here = slice(first, position + window.after + 1)
        alpha, beta = _expectation(log_returns[fits], None if market is None else market[fits])
        expected = alpha if market is None else alpha + beta * market
        residual = log_returns - expected
        rows.append(event)
        abnormal.append(residual[here])
        usual.append(residual[fits].std(ddof=1 if market is None else 2))
    return _study(
        window, positions, rows, abnormal, usual, needs=f"{window.before + window.expected_from} sessions before"
    )


def minute_study(
    close: FloatArray, minute_of_session: IndexArray, session_number: IndexArray, positions: IndexArray, window: Window
) -> EventStudy:
    """Study over minutes, one after the other through the sessions.

    Parameters
    ----------
    close, minute_of_session, session_number
        Shape (n_minutes,): last price known at the end of every minute of every session, which minute of its
        session it is, from 0, and which session, from 0.
    positions
        Shape (n_events,): the first minute that began at or after each event.

    Raises
    ------
    InvalidInputError
        If no event has a whole window.
    """
    moves = np.diff(np.log(close), prepend=np.nan)
    by_minute = np.full((int(session_number[-1]) + 1, int(minute_of_session.max()) + 1), np.nan)
    by_minute[session_number, minute_of_session] = moves
    rows, abnormal, usual = [], [], []
    for event, position in enumerate(positions):
        here = slice(position - window.before, position + window.after + 1)
        session = session_number[position] if position < close.size else 0
        if here.start < 1 or here.stop > close.size or session < 1:
            continue
        same = by_minute[max(session - CONTROL_SESSIONS, 0) : session][:, minute_of_session[here]]
        rows.append(event)
        abnormal.append(moves[here])
        usual.append(np.sqrt(np.nanmean(same**2)))
    return _study(window, positions, rows, abnormal, usual, needs="a session before it")


def _expectation(returns: FloatArray, market: FloatArray | None) -> tuple[float, float]:
    """Level and slope of what is expected."""
    if market is None:
        return float(returns.mean()), 0.0
    spread = market - market.mean()
    beta = float(spread @ returns / (spread @ spread))
    return float(returns.mean() - beta * market.mean()), beta


def _study(
    window: Window,
    positions: IndexArray,
    rows: list[int],
    abnormal: list[FloatArray],
    usual: list[float],
    *,
    needs: str,
) -> EventStudy:
    if not rows:
        raise InvalidInputError(
            f"none of {positions.size} events has a whole window: each needs {needs} and {window.after} after it "
            "among the bars. Take a longer span, smaller windows or other dates."
        )
    return EventStudy(window.offsets, np.array(rows), np.array(abnormal), np.array(usual))
