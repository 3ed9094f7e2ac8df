"""What is listed, as Alpaca's trading API tells it (https://docs.alpaca.markets/reference/get-v2-assets-1)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from ingest_service.emulator.special import SPECIAL_SYMBOLS

__all__ = ["assets_answer"]

_NAMESPACE = uuid.UUID("0c7a4d3f-4f3e-4a6c-8f0e-5d6a7b8c9d10")
_DELISTED = frozenset({"DEAD", "OLDN"})


def assets_answer(
    stocks: Sequence[str], pairs: Sequence[str], parameters: Mapping[str, str]
) -> list[dict[str, object]]:
    """One array of everything that fits `status`, `asset_class` and `exchange`; there are no pages."""
    every = [
        *(_asset(symbol, "us_equity", "NASDAQ") for symbol in stocks),
        *(_asset(symbol, "crypto", "CRYPTO") for symbol in pairs),
    ]
    wanted = {"status": "status", "asset_class": "class", "exchange": "exchange"}
    return [
        asset
        for asset in every
        if all(parameters.get(name, asset[field]) == asset[field] for name, field in wanted.items())
    ]


def _asset(symbol: str, kind: str, exchange: str) -> dict[str, object]:
    is_active = symbol not in _DELISTED
    told = f" ({SPECIAL_SYMBOLS[symbol]})" if symbol in SPECIAL_SYMBOLS else ""
    return {
        "id": str(uuid.uuid5(_NAMESPACE, symbol)),
        "class": kind,
        "exchange": exchange,
        "symbol": symbol,
        "name": f"{symbol} of the emulator{told}",
        "status": "active" if is_active else "inactive",
        "tradable": is_active,
        "marginable": False,
        "shortable": False,
        "easy_to_borrow": False,
        "fractionable": kind == "crypto",
        "attributes": [],
    }
