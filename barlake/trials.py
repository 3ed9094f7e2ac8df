"""The ledger of trials: everything that was tried, whatever came of it, in rows that nobody can take out again.

The best of many tries looks good without being so. How good depends on how many there were, and only a record
that is made before the result is known, and cannot be mended afterwards, can tell. So a trial is one row when
it begins and a second one when it ends, in tables that the database itself lets only grow; one that was
killed in between stays as unfinished. This module knows nothing of models: training, searches, placebos and
simulations all write here.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Engine, insert, select

from barlake import tables
from barlake.artifacts import canonical_json, finite
from barlake.database import reading, writing
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import parse_member
from barlake.multiple_testing import SharpeFacts, deflated_sharpe, expected_best_sharpe, overfitting_of
from barlake.records import new_commit_id, utc_now

__all__ = ["TRIALS", "Attempt", "Deflation", "Ended", "TrialKind", "TrialLedger", "TrialStatus"]

_STAMP = pl.Datetime("us", "UTC")
TRIALS: dict[str, pl.DataType] = {
    "trial_id": pl.String(), "kind": pl.String(), "study": pl.String(), "status": pl.String(), "begun_at": _STAMP,
    "ended_at": _STAMP, "fits": pl.Int64(), "sharpe": pl.Float64(), "artifact_id": pl.String(),
    "parent_id": pl.String(), "fingerprint": pl.String(), "parameters": pl.String(), "scores": pl.String(),
    "error": pl.String(),
}  # fmt: skip
"""Columns of the ledger as a frame; `parameters` and `scores` are JSON text."""

Returns = Mapping[dt.date, float]
"""Return of each session, a fraction."""

_STUDY_LENGTH = 128


class TrialKind(StrEnum):
    """What was tried. Placebos are made to fail and nobody chooses among them: they do not count as draws."""

    TRAINING = "training"
    SEARCH = "search"
    SIMULATION = "simulation"
    PLACEBO = "placebo"

    @classmethod
    def parse(cls, value: str) -> TrialKind:
        """Kind of that name; `InvalidInputError` lists the names there are."""
        return parse_member(cls, "kind of trial", value)


class TrialStatus(StrEnum):
    """How a trial ended; `unfinished` is nowhere stored: it is what lacks its second row."""

    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNFINISHED = "unfinished"


@dataclass
class Attempt:
    """A trial at work; what its block puts here is recorded when it ends.

    Parameters
    ----------
    fits
        Pipelines fitted so far.
    returns
        Return of each session, of which the Sharpe ratio is made; None where the trial earns nothing.
    """

    trial_id: str
    fits: int = 0
    scores: Mapping[str, Any] = field(default_factory=dict)
    returns: Returns | None = None
    artifact_id: str | None = None


@dataclass(frozen=True)
class Ended:
    """A trial that has ended, for the ledger; fields as in `TrialLedger.record`.

    Parameters
    ----------
    sharpe
        Per session, of returns that are kept elsewhere: then `returns` is None. It counts among its study's.
    """

    parameters: Mapping[str, Any]
    outcome: str = TrialStatus.FINISHED
    scores: Mapping[str, Any] = field(default_factory=dict)
    fits: int = 1
    returns: Returns | None = None
    artifact_id: str | None = None
    error: str | None = None
    sharpe: float | None = None


@dataclass(frozen=True)
class Deflation:
    """What the Sharpe ratio of a trial is worth among all trials of its study.

    Parameters
    ----------
    sharpe, sessions
        Per session, not annualised; and of how many.
    trials
        Different tries of the study, failed ones too; the same try again is no other draw.
    sharpe_variance
        Of the tries that have a Sharpe ratio; where only one has, what chance alone gives: 1 / (sessions - 1).
    expected_best
        Sharpe ratio to expect of the best of so many tries without skill.
    probability
        The deflated Sharpe ratio: how likely a lower Sharpe ratio than this one is where the true one is
        `expected_best`. One minus it is a one-sided p-value.
    """

    sharpe: float
    sessions: int
    trials: int
    sharpe_variance: float
    expected_best: float
    probability: float


class TrialLedger:
    """The trials of one lake. Nothing here changes or deletes a row, and the database would refuse it."""

    def __init__(self, engine: Engine, *, now: Callable[[], dt.datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    @contextlib.contextmanager
    def attempt(
        self, kind: str, study: str, parameters: Mapping[str, Any], *, parent_id: str | None = None
    ) -> Iterator[Attempt]:
        """Record a trial around its work: when the block begins, and how it ended, an error or Ctrl-C included.

        Parameters
        ----------
        kind
            A `TrialKind`.
        study
            The question asked, such as `sip SPY`: its trials are the draws that the best one is chosen from.
        parameters
            Everything that was chosen for this try, as JSON can hold it. Equal ones are one draw, on newer bars too.
        parent_id
            The trial this one was made for.

        Raises
        ------
        InvalidInputError
            If the kind is not known, or the study has no name or one longer than 128 characters.
        """
        attempt = Attempt(self._begin(kind, study, parameters, parent_id))
        try:
            yield attempt
        except BaseException as error:
            status = TrialStatus.FAILED if isinstance(error, Exception) else TrialStatus.INTERRUPTED
            self._end(attempt, status, error=f"{type(error).__name__}: {error}")
            raise
        self._end(attempt, TrialStatus.FINISHED)

    def record(
        self,
        kind: str,
        study: str,
        parameters: Mapping[str, Any],
        outcome: str = TrialStatus.FINISHED,
        scores: Mapping[str, Any] | None = None,
        *,
        fits: int = 1,
        returns: Returns | None = None,
        artifact_id: str | None = None,
        parent_id: str | None = None,
        error: str | None = None,
    ) -> str:
        """Record a trial that has ended already, such as a candidate of a search; returns its id.

        Parameters
        ----------
        outcome
            A `TrialStatus` other than `unfinished`.
        error
            What a trial failed of.
        """
        ended = Ended(parameters, outcome, scores or {}, fits, returns, artifact_id, error)
        return self.record_many(kind, study, [ended], parent_id=parent_id)[0]

    def record_many(self, kind: str, study: str, trials: Iterable[Ended], *, parent_id: str | None = None) -> list[str]:
        """Record trials that have ended already in one transaction: all of them, or none; returns their ids in order.

        Parameters
        ----------
        kind, study, parent_id
            As in `attempt`, the same for all.

        Raises
        ------
        InvalidInputError
            As `attempt`, or if an outcome is `unfinished`.
        """
        ended = list(trials)
        begun = [self._first_row(kind, study, one.parameters, parent_id) for one in ended]
        # Ids of one instant differ in a random tail alone: sorted, they keep the order that was given.
        for row, name in zip(begun, sorted(row["trial_id"] for row in begun), strict=True):
            row["trial_id"] = name
        outcomes = [
            self._second_row(
                Attempt(row["trial_id"], one.fits, one.scores, one.returns, one.artifact_id),
                TrialStatus(one.outcome),
                one.error,
                one.sharpe,
            )
            for row, one in zip(begun, ended, strict=True)
        ]
        if begun:
            with writing(self._engine) as connection:
                connection.execute(insert(tables.trials), begun)
                connection.execute(insert(tables.trial_outcomes), outcomes)
        return [row["trial_id"] for row in begun]

    def frame(self, study: str | None = None) -> pl.DataFrame:
        """One row per trial, of a study or of all, oldest first; columns of `TRIALS`."""
        begun, ended = tables.trials, tables.trial_outcomes
        query = select(begun, *(column for column in ended.c if column.name not in {"trial_id", "returns"}))
        query = query.outerjoin(ended, begun.c.trial_id == ended.c.trial_id).order_by(begun.c.trial_id)
        if study is not None:
            query = query.where(begun.c.study == study)
        with reading(self._engine) as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        frame = pl.DataFrame([{name: row[name] for name in TRIALS} for row in rows], schema=TRIALS)
        return frame.with_columns(pl.col("status").fill_null(TrialStatus.UNFINISHED.value))

    def returns(self, study: str) -> pl.DataFrame:
        """Returns of a study's trials side by side: `session`, then one column per trial, null where it has none.

        Of equal tries the last one; oldest first.
        """
        begun, ended = tables.trials, tables.trial_outcomes
        query = (
            select(begun.c.trial_id, begun.c.fingerprint, ended.c.returns)
            .join(ended, begun.c.trial_id == ended.c.trial_id)
            .where(begun.c.study == study, begun.c.kind != TrialKind.PLACEBO.value, ended.c.returns.is_not(None))
            .order_by(begun.c.trial_id)
        )
        with reading(self._engine) as connection:
            last = {row.fingerprint: (row.trial_id, row.returns) for row in connection.execute(query)}
        return _side_by_side((trial_id, json.loads(text)) for trial_id, text in sorted(last.values()))

    def deflation(self, trial_id: str, returns: Returns | None = None) -> Deflation | None:
        """What a trial's Sharpe ratio is worth among all trials of its study; None where it has none.

        Parameters
        ----------
        returns
            What the trial earned, where it is still at work and its outcome not yet on record.

        Raises
        ------
        NotFoundError
            If there is no such trial.
        """
        begun = tables.trials
        query = select(begun.c.study, begun.c.fingerprint).where(begun.c.trial_id == trial_id)
        with reading(self._engine) as connection:
            trial = connection.execute(query).one_or_none()
        if trial is None:
            raise NotFoundError(f"trial {trial_id!r} is not in the ledger: `barlake trials` lists those that are.")
        own = self._facts(trial_id) if returns is None else _sharpe_facts(returns)
        if own is None:
            return None
        draws = self.frame(trial.study).filter(pl.col("kind") != TrialKind.PLACEBO.value)
        known = draws.filter(pl.col("sharpe").is_not_null()).group_by("fingerprint").agg(pl.col("sharpe").last())
        sharpes = dict(known.iter_rows())
        if returns is not None:
            sharpes[trial.fingerprint] = own.sharpe
        # In one order whatever the ledger's, so that the last digit is always the same.
        values = sorted(sharpes.values())
        spread = float(np.var(values, ddof=1)) if len(values) > 1 else 1 / (own.observations - 1)
        count = draws["fingerprint"].n_unique()
        return Deflation(
            sharpe=own.sharpe,
            sessions=own.observations,
            trials=count,
            sharpe_variance=spread,
            expected_best=expected_best_sharpe(spread, count),
            probability=deflated_sharpe(own, sharpe_variance=spread, trials=count),
        )

    def overfitting(self, study: str) -> float | None:
        """Probability that the best trial of a study is overfitted, over the sessions that all its trials share.

        Returns
        -------
        As `overfitting_of`. Trials whose returns are kept elsewhere, such as the sets of a sweep, take no part.
        """
        returns = self.returns(study).drop_nulls()
        return overfitting_of(returns.drop("session").to_numpy())

    def _facts(self, trial_id: str) -> SharpeFacts | None:
        ended = tables.trial_outcomes
        with reading(self._engine) as connection:
            text = connection.execute(select(ended.c.returns).where(ended.c.trial_id == trial_id)).scalar()
        return None if text is None else SharpeFacts.of(np.array(list(json.loads(text).values()), dtype=np.float64))

    def _begin(self, kind: str, study: str, parameters: Mapping[str, Any], parent_id: str | None) -> str:
        row = self._first_row(kind, study, parameters, parent_id)
        with writing(self._engine) as connection:
            connection.execute(insert(tables.trials), row)
        return str(row["trial_id"])

    def _end(self, attempt: Attempt, status: TrialStatus, *, error: str | None = None) -> None:
        with writing(self._engine) as connection:
            connection.execute(insert(tables.trial_outcomes), self._second_row(attempt, status, error))

    def _first_row(self, kind: str, study: str, parameters: Mapping[str, Any], parent_id: str | None) -> dict[str, Any]:
        if not 0 < len(study) <= _STUDY_LENGTH:
            raise InvalidInputError(f"study {study!r} has {len(study)} characters: use 1 to {_STUDY_LENGTH}.")
        now, parsed = self._now(), TrialKind.parse(kind)
        text = canonical_json(finite(parameters))
        return {
            "trial_id": new_commit_id(now),
            "begun_at": now,
            "kind": parsed.value,
            "study": study,
            "fingerprint": hashlib.sha256(text.encode()).hexdigest(),
            "parent_id": parent_id,
            "parameters": text,
        }

    def _second_row(
        self, attempt: Attempt, status: TrialStatus, error: str | None, sharpe: float | None = None
    ) -> dict[str, Any]:
        if status is TrialStatus.UNFINISHED:
            raise InvalidInputError("outcome 'unfinished' cannot be recorded: it is what has no outcome.")
        returns = attempt.returns or {}
        facts = _sharpe_facts(returns)
        return {
            "trial_id": attempt.trial_id,
            "ended_at": self._now(),
            "status": status.value,
            "fits": attempt.fits,
            "artifact_id": attempt.artifact_id,
            "scores": canonical_json(finite(attempt.scores)),
            "sharpe": sharpe if facts is None else facts.sharpe,
            "returns": canonical_json({day.isoformat(): value for day, value in returns.items()}) if returns else None,
            "error": error,
        }


def _side_by_side(returns: Iterable[tuple[str, Mapping[str, float]]]) -> pl.DataFrame:
    """`session`, rising, then the returns of each trial under its id, null where it has none."""
    by_trial = {trial_id: (list(own), list(own.values())) for trial_id, own in returns}
    days = sorted({day for own, _ in by_trial.values() for day in own})
    place = {day: number for number, day in enumerate(days)}
    table = {"session": pl.Series(days, dtype=pl.String).str.to_date("%Y-%m-%d")}
    for trial_id, (own, values) in by_trial.items():
        column = np.full(len(days), np.nan)
        column[[place[day] for day in own]] = values
        table[trial_id] = pl.Series(column, nan_to_null=True)
    return pl.DataFrame(table)


def _sharpe_facts(returns: Returns) -> SharpeFacts | None:
    return SharpeFacts.of(np.array([returns[day] for day in sorted(returns)], dtype=np.float64))
