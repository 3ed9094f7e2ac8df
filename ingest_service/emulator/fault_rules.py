"""Faults that were ordered: for the next request of a path, the next so many, or any with some probability."""

from __future__ import annotations

import fnmatch
import random
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from barlake.errors import InvalidInputError
from ingest_service.emulator.faults import Fault

__all__ = ["FaultRule", "FaultRules"]


def _fault(value: object) -> Fault:
    try:
        return Fault.parse(str(value))
    except InvalidInputError as error:
        raise ValueError(str(error)) from error


class FaultRule(BaseModel, extra="forbid", frozen=True):
    """One fault, which requests it strikes, and how.

    Parameters
    ----------
    fault
        What goes wrong.
    path
        Pattern of the paths it strikes, such as `/v2/clock` or `*/bars`.
    symbol
        Only requests whose query names this symbol.
    after
        So many of these requests go through first.
    times
        So many are struck; without it one, or without end where a probability is given.
    probability, seed
        Strike by chance instead of every time.
    status, body
        Of `status`: what is answered, and in which form.
    seconds
        How late `slow` is, how long `hang` lasts, how far off `clock_skew` is, how far away the reset of
        `rate_limit` lies; below 0 it is past.
    headers
        Of `rate_limit`: false leaves the limit headers out.
    before_head
        Of `drop`: the connection closes before anything is answered.
    share
        Of `nan`, `missing_field` and `missing_minutes`: fraction of the rows, at least one.
    """

    fault: Annotated[Fault, BeforeValidator(_fault)]
    path: str = "*/bars"
    symbol: str | None = None
    after: int = Field(0, ge=0)
    times: int | None = Field(None, ge=1)
    probability: float | None = Field(None, gt=0, le=1)
    seed: int = Field(0, ge=0)
    status: int = Field(503, ge=400, le=599)
    body: Literal["json", "html", "empty"] = "json"
    seconds: float | None = None
    headers: bool = True
    before_head: bool = False
    share: float = Field(0.01, gt=0, le=1)


class FaultRules:
    """The rules in force, in the order in which they were given; the first that fits a request strikes it."""

    def __init__(self, rules: Sequence[FaultRule] = ()) -> None:
        self._waiting: list[_Waiting] = []
        self.add(rules)

    @property
    def rules(self) -> list[FaultRule]:
        """Those that may still strike."""
        return [one.rule for one in self._waiting]

    def add(self, rules: Sequence[FaultRule]) -> None:
        """Put more behind them."""
        self._waiting += [_Waiting(rule) for rule in rules if rule.fault is not Fault.NONE]

    def take(self, path: str, symbols: str) -> FaultRule | None:
        """Rule that strikes this request, or None."""
        for one in self._waiting:
            if one.strikes(path, symbols):
                if one.left == 0:
                    self._waiting.remove(one)
                return one.rule
        return None


class _Waiting:
    """A rule and what is left of it."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.left = rule.times if rule.times is not None or rule.probability is not None else 1
        self._pass = rule.after
        self._chance = random.Random(rule.seed)  # noqa: S311 - no secret

    def strikes(self, path: str, symbols: str) -> bool:
        """Whether a request is struck; counts it."""
        rule = self.rule
        if not fnmatch.fnmatchcase(path, rule.path) or (rule.symbol and rule.symbol not in symbols.split(",")):
            return False
        if self._pass:
            self._pass -= 1
            return False
        if rule.probability is not None and self._chance.random() >= rule.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True
