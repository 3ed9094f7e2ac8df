"""What a fill costs beside its price: spread, slippage, commission, and the fees of US regulators on sales.

Every rate is a whole number of 1e-8, so that no cost is ever a rounded float; each cost is rounded against the
trader to a whole tick of 1e-4 dollars.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulation_service.ticks import rate_units

__all__ = ["Costs"]

_BPS = 1e-4


@dataclass(frozen=True)
class Costs:
    """Costs of one fill; nothing by default.

    Parameters
    ----------
    half_spread_bps, slippage_bps
        1e-4 of the price, together added to what a buyer pays and taken from what a seller gets, rounded
        against the trader to a whole tick.
    per_share_usd, per_order_usd
        Commission of each fill, dollars, rounded up to a tick. An order filled in parts pays `per_order_usd`
        with each part.
    sell_fee_rate
        Part of the value of each sale, rounded up to a tick: the fee of section 31 of the Securities Exchange Act.
    sell_fee_per_share_usd, sell_fee_most_usd
        Dollars for each share sold and the most that one sale pays, rounded up to a tick: FINRA's trading
        activity fee. None: no upper limit.

    Raises
    ------
    InvalidInputError
        If a cost is negative or finer than 1e-8 (1e-4 bps), spread and slippage reach the whole price, a share costs
        more than a dollar or an order more than a thousand.
    """

    half_spread_bps: float = 0.0
    slippage_bps: float = 0.0
    per_share_usd: float = 0.0
    per_order_usd: float = 0.0
    sell_fee_rate: float = 0.0
    sell_fee_per_share_usd: float = 0.0
    sell_fee_most_usd: float | None = None

    def __post_init__(self) -> None:
        self.units()

    @classmethod
    def typical(cls) -> Costs:
        """An assumption for a liquid US stock, for where nobody says what trading costs; it fits no symbol.

        One basis point each for half the spread and for slippage are round numbers. No commission, as brokers of
        US stocks ask none. The fees on sales are those of May 2024 to May 2025: section 31 at 27.80 dollars for a
        million (https://www.federalregister.gov/d/2024-08512), FINRA's trading activity fee at 0.000166
        dollars a share, at most 8.30 a sale
        (https://www.finra.org/rules-guidance/rulebooks/corporate-organization/section-1-member-regulatory-fees).
        """
        return cls(
            half_spread_bps=1.0,
            slippage_bps=1.0,
            sell_fee_rate=0.0000278,
            sell_fee_per_share_usd=0.000166,
            sell_fee_most_usd=8.30,
        )

    @property
    def is_free(self) -> bool:
        """Whether no fill costs anything."""
        return not any(self.units()[:5])

    def units(self) -> npt.NDArray[np.int64]:
        """The costs as the kernel counts them, whole numbers of 1e-8.

        Returns
        -------
        Shape (6,): what worsens a price (of the price), commission of a share and of an order (dollars), fee on
        the value of a sale (of the value), fee on a share sold and the most a sale pays of it (dollars; -1: no limit).
        """
        spread = rate_units(self.half_spread_bps, name="half_spread_bps", scale=_BPS, most=9_999.0)
        slippage = rate_units(self.slippage_bps, name="slippage_bps", scale=_BPS, most=9_999.0 - self.half_spread_bps)
        most = self.sell_fee_most_usd
        return np.array(
            [
                spread + slippage,
                rate_units(self.per_share_usd, name="per_share_usd"),
                rate_units(self.per_order_usd, name="per_order_usd", most=1_000.0),
                rate_units(self.sell_fee_rate, name="sell_fee_rate", most=0.5),
                rate_units(self.sell_fee_per_share_usd, name="sell_fee_per_share_usd"),
                -1 if most is None else rate_units(most, name="sell_fee_most_usd", most=1_000.0),
            ],
            dtype=np.int64,
        )

    def as_dict(self) -> dict[str, Any]:
        """Costs by name, as JSON can hold them."""
        return asdict(self)
