"""The tables of a run's folder: their columns and types, for whoever writes them, reads them or shows them in SQL.

A run trades one cash account. Money is dollars, each amount the float64 nearest to the exact one; instants are UTC
and name a bar by its opening; shares are whole numbers unless the run trades fractions of one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import polars as pl

from barlake.artifacts import Artifact
from barlake.catalogue_parts import ParquetView

__all__ = ["EQUITY", "FILLS", "ORDERS", "RUN_TABLES", "SIGNALS", "TRADES", "run_views"]

logger = logging.getLogger(__name__)

_INSTANT = pl.Datetime("us", "UTC")

SIGNALS: dict[str, pl.DataType] = {
    "timestamp": _INSTANT,  # the bar it was made from
    "symbol": pl.String(),
    "signal": pl.Float64(),  # null holds
}

ORDERS: dict[str, pl.DataType] = {
    "timestamp": _INSTANT,  # the bar after whose close it was given
    "symbol": pl.String(),
    "side": pl.String(),  # `buy` or `sell`
    "reason": pl.String(),  # `signal`, or the rule that gave it
    "shares_asked": pl.Float64(),
    "shares_filled": pl.Float64(),
    "status": pl.String(),  # `filled`, `partly filled` or `not filled`
}

FILLS: dict[str, pl.DataType] = {
    "timestamp": _INSTANT,  # the bar it was granted in
    "symbol": pl.String(),
    "shares": pl.Float64(),  # below 0: sold
    "price_usd": pl.Float64(),  # of one share, worsened by spread and slippage
    "fee_usd": pl.Float64(),
    "reason": pl.String(),
    "signal_timestamp": _INSTANT,  # the bar whose signal it follows; null for a rule that needs none
}

TRADES: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "entry_timestamp": _INSTANT,
    "entry_price_usd": pl.Float64(),
    "exit_timestamp": _INSTANT,
    "exit_price_usd": pl.Float64(),
    "shares": pl.Float64(),  # below 0: sold short
    "fees_usd": pl.Float64(),
    "profit_usd": pl.Float64(),  # after fees
    "simple_return": pl.Float64(),  # profit for each dollar of the entry
    "exit_reason": pl.String(),
    "is_open": pl.Boolean(),  # not closed by the last bar, at whose close it is valued
}

EQUITY: dict[str, pl.DataType] = {
    "timestamp": _INSTANT,
    "session": pl.Date(),
    "cash_usd": pl.Float64(),  # after the bar's close, like all that follows
    "position_usd": pl.Float64(),  # shares held at the close; below 0: owed
    "equity_usd": pl.Float64(),
    "buy_and_hold_usd": pl.Float64(),  # the same cash put into the first price and kept
    "same_close_usd": pl.Float64(),  # first rung of the ladder: at the signal's close, free of cost; or null
}

RUN_TABLES = {"signals": SIGNALS, "orders": ORDERS, "fills": FILLS, "trades": TRADES, "equity": EQUITY}
"""By the name of the file, less `.parquet`."""

_SHOWN = ("trades", "equity")
_MARK = b"PAR1"
"""At both ends of a Parquet file: https://parquet.apache.org/docs/file-format/."""


def run_views(runs: Sequence[Artifact]) -> tuple[dict[str, pl.DataFrame], list[ParquetView]]:
    """Views `trades` and `equity` over the files of all runs, with a column `run`; empty tables without any.

    A damaged file is left out, with a warning in the log: one run must not hide all others.
    """
    tables, views = {}, []
    for name in _SHOWN:
        file = f"{name}.parquet"
        # A folder without fills was written by a release whose tables had other columns.
        held = [one for one in runs if {file, "fills.parquet"} <= set(one.files)]
        present: list[Path | str] = [one.path / file for one in held if _is_whole(one, file)]
        if present:
            views.append(ParquetView(name, present, keys=(), hidden=(), folder="run"))
        else:
            tables[name] = pl.DataFrame(schema={"run": pl.String(), **RUN_TABLES[name]})
    return tables, views


def _is_whole(run: Artifact, name: str) -> bool:
    """Whether a file is there, and ends as a Parquet file of its registered length; its hash would take too long."""
    path = run.path / name
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        is_whole = stream.seek(0, os.SEEK_END) == run.files[name]["bytes"] and _ends(stream) == (_MARK, _MARK)
    if not is_whole:
        logger.warning("%s is damaged, and no view shows it: make the run again", path)
    return is_whole


def _ends(stream: BinaryIO) -> tuple[bytes, bytes]:
    stream.seek(0)
    first = stream.read(len(_MARK))
    stream.seek(-len(_MARK), os.SEEK_END)
    return first, stream.read()
