"""Indices that people ask for by name: what to do instead is said where a symbol has no bars."""

import pytest

from barlake.errors import NotFoundError
from barlake.feeds import require_held
from barlake.indices import INDICES, index_advice


@pytest.mark.parametrize("symbol", INDICES)
def test_an_index_without_bars_is_answered_with_a_fund_the_sources_and_its_daily_closes(symbol: str) -> None:
    index = INDICES[symbol]
    with pytest.raises(NotFoundError) as refused:
        require_held([symbol], {"AAPL"}, None)
    message = str(refused.value)
    for part in (index.fund, f"yahoo: {index.yahoo}", f"massive: {index.massive}", index.fred or ""):
        assert part in message
    assert f"barlake ingest {symbol}`" not in message


def test_an_index_that_is_held_is_a_symbol_like_any_other() -> None:
    require_held(["VIX"], {"VIX"}, "yahoo")


def test_a_stock_gets_no_advice() -> None:
    assert index_advice("AAPL") == ""
