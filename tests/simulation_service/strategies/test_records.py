"""A strategy of one's own is proven before its first run, once for each definition; one that looks ahead never runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import LookAheadError
from barlake.testing import temporary_lake
from simulation_service.strategies import records
from simulation_service.strategies.catalogue import definition_hash, make_strategy
from simulation_service.strategies.records import newest_minutes, require_proven

OWN = """
from simulation_service.strategies.base import Strategy

class Momentum(Strategy):
    def __init__(self, shift: int = 1):
        self.shift = shift

    def signals(self, bars):
        return bars["close"] - bars["close"].shift(self.shift)
"""


@pytest.fixture
def lake() -> Iterator[Lake]:
    with temporary_lake() as lake:
        yield lake


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


def test_a_strategy_of_ones_own_is_proven_once(
    lake: Lake, own: str, one: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = make_strategy(own)
    found = require_proven(lake, strategy, one)
    assert found == definition_hash(strategy)
    record = lake.strategies.find(found)
    assert record.source["own"] == OWN
    assert record.definition["parameters"] == {"shift": 1}
    assert record.proof is not None
    assert record.proof["clean"]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("proven twice")

    monkeypatch.setattr(records, "prove_strategy", refuse)
    assert require_proven(lake, strategy, one) == found
    with pytest.raises(AssertionError, match="proven twice"):
        require_proven(lake, make_strategy(own, {"shift": 2}), one)


def test_a_strategy_that_looks_ahead_is_on_record_but_never_proven(lake: Lake, own: str, one: pl.DataFrame) -> None:
    strategy = make_strategy(own, {"shift": -1})
    for _ in range(2):
        with pytest.raises(LookAheadError, match="looks 1 rows"):
            require_proven(lake, strategy, one)
    assert not lake.strategies.is_proven(definition_hash(strategy))


def test_one_of_the_house_needs_no_proof_unless_it_holds_one_of_ones_own(
    lake: Lake, own: str, one: pl.DataFrame
) -> None:
    house = make_strategy("day_of_week", {"strategy": "buy_and_hold"})
    assert not lake.strategies.is_proven(require_proven(lake, house, one))
    mixed = make_strategy("day_of_week", {"strategy": own, "strategy__shift": -1})
    with pytest.raises(LookAheadError, match="ahead"):
        require_proven(lake, mixed, one)


def test_the_newest_minutes_are_those_of_all_symbols(three: pl.DataFrame) -> None:
    found = newest_minutes(three, 10)
    assert found["timestamp"].n_unique() == 10
    assert found.equals(three.filter(pl.col("timestamp") >= found["timestamp"].min()))
