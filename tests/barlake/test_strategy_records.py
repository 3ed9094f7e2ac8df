"""Definitions of strategies are kept by what they say, once, and survive a rebuild."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from barlake.errors import InvalidInputError, NotFoundError
from barlake.lake import Lake
from barlake.lake_database import database_of
from barlake.rebuild import rebuild
from barlake.sessions import Calendar
from barlake.testing import make_bars

if TYPE_CHECKING:
    from tests.barlake.conftest import Clock

pytestmark = pytest.mark.both_databases
CROSS = {"class": "house:Cross", "parameters": {"fast_bars": 5, "zone": None}, "code": "ab" * 32}
SOURCE = {"house": "class Cross: ..."}


def test_a_definition_is_kept_once_and_read_back(lake: Lake, clock: Clock) -> None:
    first = lake.strategies.put(CROSS, SOURCE)
    seen = clock.moment
    clock.moment += dt.timedelta(days=1)
    assert lake.strategies.put(dict(reversed(CROSS.items())), SOURCE) == first
    found = lake.strategies.find(first[:6])
    assert (found.strategy_id, found.definition, found.source) == (first, CROSS, SOURCE)
    assert (found.first_seen_at, found.proven_at, found.proof) == (seen, None, None)
    assert lake.strategies.frame().height == 1


def test_another_parameter_is_another_definition(lake: Lake) -> None:
    one, other = (lake.strategies.put(CROSS | {"parameters": {"fast_bars": bars}}, SOURCE) for bars in (5, 6))
    assert one != other
    assert lake.strategies.frame()["strategy_id"].to_list() == sorted([one, other])


def test_the_first_proof_stands(lake: Lake, clock: Clock) -> None:
    name = lake.strategies.put(CROSS, SOURCE)
    assert not lake.strategies.is_proven(name)
    proven = clock.moment
    lake.strategies.put_proof(name, {"borders": 72})
    clock.moment += dt.timedelta(days=1)
    lake.strategies.put_proof(name, {"borders": 1})
    found = lake.strategies.find(name)
    assert (lake.strategies.is_proven(name), found.proven_at, found.proof) == (True, proven, {"borders": 72})
    assert lake.strategies.frame()["proven_at"].to_list() == [proven]


def test_an_id_that_means_none_or_several_is_told(lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="strategy 'abc' is not on record"):
        lake.strategies.find("abc")
    for bars in range(17):
        lake.strategies.put(CROSS | {"parameters": {"fast_bars": bars}}, SOURCE)
    with pytest.raises(InvalidInputError, match="strategy '' means 17 of them: give more digits"):
        lake.strategies.find("")


def test_a_rebuild_takes_definitions_and_proofs_over(lake: Lake) -> None:
    lake.write_bars(make_bars([dt.date(2024, 1, 2)], minutes=5), feed="synthetic", symbol="SPY")
    name = lake.strategies.put(CROSS, SOURCE)
    lake.strategies.put_proof(name, {"borders": 72})
    before = lake.strategies.find(name)
    lake.close()
    rebuild(lake.store, lake.root, Calendar.default(), now=lake.now, url=database_of(lake.settings))
    with Lake(lake.root, lake.settings) as again:
        assert again.strategies.find(name) == before


def test_the_catalogue_shows_them(lake: Lake) -> None:
    lake.write_bars(make_bars([dt.date(2024, 1, 2)], minutes=5), feed="synthetic", symbol="SPY")
    name = lake.strategies.put(CROSS, SOURCE)
    lake.publish()
    assert lake.sql("select strategy_id, class from strategies").rows() == [(name, "house:Cross")]
