"""Who may ask for what: keys, and the plans behind them (https://alpaca.markets/data)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

__all__ = ["PAPER_FREE", "PAPER_PLUS", "Account", "Plan"]

PAPER_FREE, PAPER_PLUS = "PAPER_FREE", "PAPER_PLUS"
"""Key ids that are always accepted, of either plan; their secret is the one of the configuration."""


class Plan(StrEnum):
    """A plan: its budget relative to the free one's, and what it gives of the present."""

    budget: int
    has_recent_sip: bool
    stream_symbols: int | None

    def __new__(cls, value: str, budget: int, has_recent_sip: bool, stream_symbols: int | None) -> Self:  # noqa: FBT001 - the rows below are a table
        """Member whose value is its name on the command line."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.budget = budget
        member.has_recent_sip = has_recent_sip
        member.stream_symbols = stream_symbols
        return member

    BASIC = "basic", 1, False, 30
    """200 requests a minute, newest 15 minutes of SIP withheld, 30 symbols of IEX on the stream."""

    PLUS = "plus", 50, True, None
    """Algo Trader Plus: 10,000 requests a minute, nothing withheld."""


@dataclass(frozen=True)
class Account:
    """One key and its plan."""

    key_id: str
    plan: Plan
