"""A lake of made-up bars for measures: 50 symbols x one year by default, regular minutes, feed `synthetic`.

`python benchmarks/beside/made_up_lake.py FOLDER` makes it, or says that it is there; nothing else is written to.
Bars come from a seed, so that two lakes of the same arguments have the same root hash.
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path

import barlake
from barlake.keys import PeriodLength
from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars

__all__ = ["FEED", "YEAR", "make_lake", "open_lake", "symbol_name"]

FEED = "synthetic"
YEAR = 2025


def symbol_name(number: int) -> str:
    """`S000`, `S001` and so on."""
    return f"S{number:03d}"


def open_lake(folder: Path) -> Lake:
    """The lake in a folder, with no settings of this machine."""
    return barlake.open(folder, settings=Settings(_env_file=None))


def make_lake(folder: Path, *, symbols: int = 50, year: int = YEAR) -> None:
    """Fill the folder with what is missing of these symbols, one commit each, and publish the catalogue."""
    days = Calendar.default().in_range(dt.date(year, 1, 1), dt.date(year + 1, 1, 1))["session"].to_list()
    with open_lake(folder) as lake:
        held = set(lake.symbols(FEED)["symbol"])
        for number in range(symbols):
            name = symbol_name(number)
            if name not in held:
                bars = make_bars(days, seed=number, first_price=20.0 + 7 * number)
                lake.writer.write(bars, feed=FEED, symbol=name, source="python", longest=PeriodLength.YEAR)
        lake.publish()


def main() -> None:
    """Make the lake and say what it holds."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("folder", type=Path, help="made when missing; put it outside the project")
    options.add_argument("--symbols", type=int, default=50)
    options.add_argument("--year", type=int, default=YEAR)
    given = options.parse_args()
    make_lake(given.folder, symbols=given.symbols, year=given.year)
    with open_lake(given.folder) as lake:
        held = lake.symbols(FEED)
        print(f"{given.folder}: {held.height} symbols, {held['bars'].sum():,} bars, feed {FEED}")


if __name__ == "__main__":
    main()
