"""Market indices that people ask for by name: where their values are to be had, and which fund follows them.

An index is a figure, not a security: nobody trades it, it has no volume, and Alpaca has no bars of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["INDICES", "Index", "index_advice"]


@dataclass(frozen=True)
class Index:
    """One index.

    Parameters
    ----------
    fund
        A fund that trades like a stock and follows the index; its price is another number.
    yahoo, massive
        What these sources call it.
    fred
        Its daily closes as a series of FRED (https://fred.stlouisfed.org); None: FRED has none.
    """

    title: str
    fund: str
    yahoo: str
    massive: str
    fred: str | None


INDICES: Mapping[str, Index] = {
    "VIX": Index("Cboe Volatility Index", "VIXY", "^VIX", "I:VIX", "VIXCLS"),
    "SPX": Index("S&P 500", "SPY", "^GSPC", "I:SPX", "SP500"),
    "NDX": Index("Nasdaq-100", "QQQ", "^NDX", "I:NDX", "NASDAQ100"),
    "DJI": Index("Dow Jones Industrial Average", "DIA", "^DJI", "I:DJI", "DJIA"),
    "RUT": Index("Russell 2000", "IWM", "^RUT", "I:RUT", None),
}
"""By symbol. A stock that bears one of these names would be found in the lake before anybody looks here."""


def index_advice(symbol: str) -> str:
    """Sentences on what to do about an index that has no bars; empty for what is no index.

    Examples
    --------
    >>> index_advice("RUT")
    'RUT is an index (Russell 2000), and Alpaca has no bars of indices. `barlake ingest IWM` fetches a fund that follows it; in securities.yaml, `names: {yahoo: ^RUT}` or `names: {massive: I:RUT}` names a source that has it.'
    >>> index_advice("SPY")
    ''
    """  # noqa: E501 - a sentence, whole
    found = INDICES.get(symbol)
    if found is None:
        return ""
    series = "" if found.fred is None else f" FRED has its daily closes: `barlake fetch macro {found.fred}`."
    return (
        f"{symbol} is an index ({found.title}), and Alpaca has no bars of indices. `barlake ingest {found.fund}` "
        f"fetches a fund that follows it; in securities.yaml, `names: {{yahoo: {found.yahoo}}}` or "
        f"`names: {{massive: {found.massive}}}` names a source that has it.{series}"
    )
