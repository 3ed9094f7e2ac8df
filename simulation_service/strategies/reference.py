"""The page of strategies, from their docstrings: `python -m simulation_service.strategies.reference`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

from simulation_service.strategies.catalogue import HOUSE
from simulation_service.strategies.description import Description, ParameterDescription

__all__ = ["strategies_page"]

_HEAD = """# Strategies

Written by `python -m simulation_service.strategies.reference` from the docstrings; change those. One of your own:
[add a strategy](add-a-strategy.md).

A strategy is a small class with one method, from bars to the position it wants in each of them. The value in the
row of a bar uses what is known when that bar is complete, at `timestamp` + 1 minute, and is filled one bar later
or at worse terms. Above 0 wants to be long, 0 or below flat, below 0 short where a run allows shorts; null holds
what there is. What is wanted is said in every bar, not only where it changes: after a stop it is wanted still, and
bought again. In a portfolio the value is the wanted share of equity, which sizing scales.

Windows count bars of the symbol, across sessions; a minute without a bar is no row. Of several symbols those
minutes count in which each has a bar, and the minutes between hold.

```sh
barlake strategies list
barlake strategies show moving_average_cross
barlake strategies check moving_average_cross SPY --set fast_bars=10 --set slow_bars=60
barlake prove strategy moving_average_cross SPY --set fast_bars=10 --set slow_bars=60
barlake simulate --strategy moving_average_cross --set fast_bars=10 --set slow_bars=60 --symbol SPY
barlake simulate --strategy pair --set first=SPY --set second=QQQ --symbol SPY,QQQ --direction both
```

A condition holds another strategy, whose parameters are named through it:
`--strategy time_of_day --set strategy=breakout --set strategy__entry_bars=60 --set end=15:30`. Conditions nest.

Every strategy of a run is on record in the lake under the hash of its class, parameters and code, and the view
`strategies` of the [catalogue](data-layout.md#catalogue) lists them. Those below are proven to know no later bar
by the tests of this project; one of your own [is proven](proof.md) before its first run.
"""


def strategies_page() -> str:
    """The page as Markdown: a table of all strategies, then each with its parameters. Ends with one line break."""
    described = {name: Description.of(found) for name, found in HOUSE.items()}
    table = ["| name | what |", "|---|---|"]
    table += [f"| [`{name}`](#{name}) | {one.summary} |" for name, one in described.items()]
    sections = [line for name, one in described.items() for line in _section(name, one)]
    return "\n".join([_HEAD, *table, "", *sections]).rstrip() + "\n"


def _section(name: str, one: Description) -> Iterator[str]:
    yield from (f"## {name}", "", one.summary, "")
    if one.parameters:
        yield from ("| parameter | default | meaning |", "|---|---|---|")
        for meaning, several in itertools.groupby(one.parameters, key=lambda each: each.meaning):
            named = [(f"`{each.name}`", _default(each)) for each in several]
            names, defaults = (", ".join(parts) for parts in zip(*named, strict=True))
            yield f"| {names} | {defaults} | {meaning} |"
        yield ""
    for note in one.notes:
        yield from (note, "")


def _default(one: ParameterDescription) -> str:
    return "must be given" if one.default is None else f"`{one.default}`"


def main() -> int:
    """Print the page."""
    sys.stdout.write(strategies_page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
