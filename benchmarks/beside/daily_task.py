"""The task of Qlib's README: fourteen features of daily bars of 800 symbols, 3,400 days, from files to one matrix.

    python daily_task.py FOLDER [SYMBOLS DAYS]    makes the bars: Parquet for us, Qlib's own files for Qlib

Which fourteen features the published 7.4 s are of is not said there; these are ones that both sides declare.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import numpy as np
import polars as pl
from daily_expressions import PARQUET, QLIB

__all__ = ["make_bars"]

_FIELDS = ("open", "high", "low", "close", "volume")


def make_bars(folder: Path, symbols: int, days: int) -> None:
    """Made-up daily bars of every symbol on every weekday, in both forms, float32 as Qlib keeps them."""
    dates = pl.date_range(dt.date(2007, 1, 1), dt.date(2026, 1, 1), "1d", eager=True)
    dates = dates.filter(dates.dt.weekday() <= 5).head(days)
    frames = []
    for number in range(symbols):
        draw = np.random.default_rng(number)
        close = 50 * np.exp(np.cumsum(draw.normal(0, 0.02, days)))
        open_ = close * np.exp(draw.normal(0, 0.01, days))
        high = np.maximum(open_, close) * np.exp(np.abs(draw.normal(0, 0.005, days)))
        low = np.minimum(open_, close) * np.exp(-np.abs(draw.normal(0, 0.005, days)))
        volume = np.round(draw.lognormal(13, 0.5, days))
        values = dict(zip(_FIELDS, (open_, high, low, close, volume), strict=True))
        frames.append(pl.DataFrame({"symbol": f"S{number:03d}", "session": dates, **values}))
    table = pl.concat(frames).with_columns(pl.col(_FIELDS).cast(pl.Float32))
    table.write_parquet(folder / PARQUET)
    _write_qlib(folder / QLIB, table, [str(day) for day in dates])


def _write_qlib(folder: Path, table: pl.DataFrame, dates: list[str]) -> None:
    """Qlib's files: a calendar, a list of instruments, and for each field float32 after the place of its first day."""
    for name in ("calendars", "instruments"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "calendars" / "day.txt").write_text("\n".join(dates) + "\n")
    names = table["symbol"].unique(maintain_order=True).to_list()
    lines = "".join(f"{name}\t{dates[0]}\t{dates[-1]}\n" for name in names)
    (folder / "instruments" / "all.txt").write_text(lines)
    for (name,), rows in table.group_by("symbol", maintain_order=True):
        place = folder / "features" / str(name).lower()
        place.mkdir(parents=True, exist_ok=True)
        for field in _FIELDS:
            np.concatenate([[0], rows[field].to_numpy()]).astype("<f4").tofile(place / f"{field}.day.bin")


if __name__ == "__main__":
    make_bars(Path(sys.argv[1]), *(map(int, sys.argv[2:]) if len(sys.argv) > 2 else (800, 3400)))
