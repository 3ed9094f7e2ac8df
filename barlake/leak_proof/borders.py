"""Borders between a past that must stay and a future that is changed: where leaks hide, and anywhere. Pure.

A border is an instant at which some rows are known and the next ones are not. A leak over one row shows at the
row just before its cause only, so the places where causes stand (a session's last bar, the release of a figure,
the end of a longer bar) are tried by name, beside borders drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from barlake.leak_proof.world import Instants, Source, instants

__all__ = ["Borders", "bar_borders", "draw", "record_borders"]

Borders = dict[str, Instants]
"""Kind of border -> instants of that kind, rising."""

LONGER_BARS = (5, 15, 30, 60)
"""Minutes of the longer bars before whose ends a proof looks."""

_MIDDLE = (60, 300)
_FIRST_ROWS = 300
_RUNNING_US = 5 * 60 * 1_000_000


def bar_borders(bars: pl.DataFrame) -> Borders:
    """Kinds of borders in a history of minute bars.

    Parameters
    ----------
    bars
        session (a date) and timestamp; oldest first.
    """
    stamp, session = pl.col("timestamp"), pl.col("session")
    starts, ends = (session != session.shift(1)).fill_null(value=True), (session != session.shift(-1))
    minute = (stamp - stamp.min().over("session")).dt.total_minutes()
    later = stamp.shift(-1) - stamp
    inside = ~ends.fill_null(value=True)
    length = pl.len().over("session")
    kinds = {
        "first bar of a session": starts,
        "second bar of a session": starts.shift(1),
        "last bar of a session": ends,
        "bar before the last of a session": ends.shift(-1),
        "short session": (length < 0.7 * length.median()) & inside,
        "before a gap": inside & (later > pl.duration(minutes=1)),
        "after a gap": (inside & (later > pl.duration(minutes=1))).shift(1),
        "end of a month": session.dt.month() != session.shift(-1).dt.month(),
        "middle of a session": minute.is_between(*_MIDDLE),
        "first rows": pl.int_range(pl.len()) < _FIRST_ROWS,
    }
    for size in LONGER_BARS:
        # A bar of `size` minutes is whole once its last minute is known: the minute before, it is not yet.
        kinds[f"a minute before a bar of {size} minutes ends"] = (minute % size == size - 2) & inside
        kinds[f"as a bar of {size} minutes ends"] = (minute % size == size - 1) & inside
    flags = bars.select(flag.fill_null(value=False).alias(name) for name, flag in kinds.items())
    known = instants(bars, stamp + pl.duration(minutes=1))
    # Nothing comes after the last row.
    return {name: _without_last(known[flags[name].to_numpy()], known) for name in kinds}


def record_borders(source: Source, what: str, *, within: Instants) -> Borders:
    """Just before, and just as, records become known.

    Parameters
    ----------
    within
        Instants of the clock; records outside of its span are of no use.
    """
    known = np.unique(source.instants)
    if not within.size:
        return {}
    known = known[(known > within[0]) & (known < within[-1])]
    # While bars run a record that is used a minute early shows; in the hours between sessions it does not.
    waited = known - within[np.searchsorted(within, known, side="right") - 1]
    running, resting = known[waited < _RUNNING_US], known[waited >= _RUNNING_US]
    return {
        f"just before {what}": running - 1,
        f"just after {what}": running,
        f"just before {what}, between sessions": resting - 1,
    }


def draw(
    borders: Mapping[str, Instants], clock: Instants, count: int, seed: int, *, random_share: float = 0.25
) -> list[tuple[str, int]]:
    """Borders of every kind by turns, and a share of random ones."""
    chance = np.random.default_rng([seed, 7])
    random = int(count * random_share)
    kinds = [(name, chance.permutation(found)) for name, found in borders.items() if found.size]
    kinds = [kinds[place] for place in chance.permutation(len(kinds))]
    chosen = [*_by_turns(kinds, count - random)]
    if clock.size > 1:
        chosen += [("random", int(at)) for at in chance.choice(clock[:-1], size=count - len(chosen))]
    return chosen


def _by_turns(kinds: list[tuple[str, Instants]], count: int) -> Iterable[tuple[str, int]]:
    longest = max((found.size for _, found in kinds), default=0)
    turns = ((name, int(found[turn])) for turn in range(longest) for name, found in kinds if turn < found.size)
    return [border for border, _ in zip(turns, range(count), strict=False)]


def _without_last(found: Instants, known: Instants) -> Instants:
    return found[found < known[-1]] if known.size else found
