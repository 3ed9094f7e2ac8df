"""What one simulation is going to do: what is traded, on whose signals, with which cash, fills and rules.

A plan says nothing of how: `simulation_service.simulate` carries it out. Nothing here reads a lake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from barlake.adjust import parse_adjustment
from barlake.errors import InvalidInputError
from barlake.keys import Adjustment, SessionFilter, parse_symbols
from barlake.ranges import Boundary, time_range
from simulation_service.allocation import Allocation
from simulation_service.execution import Execution
from simulation_service.rules import Rules
from simulation_service.ticks import cash_to_ticks

__all__ = ["FileSource", "ModelSource", "SignalSource", "SimulationPlan", "StrategySource"]


@dataclass(frozen=True)
class ModelSource:
    """The out-of-sample predictions of a model of the lake, by its id, the first digits of it, or `newest`."""

    model_id: str


@dataclass(frozen=True)
class FileSource:
    """A CSV or Parquet file with timestamp and signal, and symbol where it has signals of several."""

    path: Path


@dataclass(frozen=True)
class StrategySource:
    """A strategy that looks at the bars, and at a model's predictions where one is named.

    Parameters
    ----------
    name
        As `simulation_service.strategies.catalogue.find_strategy` takes it.
    parameters
        Those that are not the strategy's own defaults.
    model_id
        A model whose predictions the strategy sees in a column `prediction`.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model_id: str | None = None


SignalSource = ModelSource | FileSource | StrategySource


@dataclass(frozen=True)
class SimulationPlan:
    """One simulation, before anything was read.

    Parameters
    ----------
    symbols
        Traded symbols; several share one cash account, which `sizing` divides.
    source
        Where signals come from.
    cash_usd
        Dollars to start with, at most four decimals.
    execution, rules
        How orders are filled, at what cost, and what else ends a position.
    sizing
        How the account is shared out, and what limits there are. None: one symbol gets the whole account, of
        several each gets an equal part.
    adjustment
        Terms of the prices that are traded and shown to a strategy.
    feed
        None: that of the model; without one `sip` before `iex` before the only other that holds every symbol.
    session
        Which bars take part. None: those of the model; without one the regular ones.
    start, end
        Traded period [start, end), within that of the signals; dates are sessions.

    Raises
    ------
    InvalidInputError
        If a symbol is none or comes twice, the cash cannot be started with, or an option is not known.

    Examples
    --------
    >>> SimulationPlan(("spy",), FileSource(Path("signals.csv"))).symbols
    ('SPY',)
    """

    symbols: tuple[str, ...]
    source: SignalSource
    cash_usd: Decimal | float | str = 100_000
    execution: Execution = field(default_factory=Execution)
    rules: Rules = field(default_factory=Rules)
    sizing: Allocation | None = None
    adjustment: str = Adjustment.RAW
    feed: str | None = None
    session: str | None = None
    start: Boundary = None
    end: Boundary = None

    def __post_init__(self) -> None:
        names = tuple(parse_symbols(self.symbols))
        if len(names) < len(self.symbols):
            raise InvalidInputError(f"symbols {list(self.symbols)}: one comes twice; name each symbol once.")
        object.__setattr__(self, "symbols", names)
        object.__setattr__(self, "adjustment", parse_adjustment(self.adjustment).value)
        if self.session is not None:
            object.__setattr__(self, "session", SessionFilter.parse(self.session).value)
        cash_to_ticks(self.cash_usd)
        time_range(self.start, self.end)
        if len(names) > 1 and self.sizing is None:
            object.__setattr__(self, "sizing", Allocation())

    @property
    def cash_ticks(self) -> int:
        """Cash to start with, in whole ticks."""
        return cash_to_ticks(self.cash_usd)
