"""What features see besides the bars of their symbol: columns of a context symbol, of macro series, of news. Pure.

Each is what was known at the row's minute, `timestamp` + 1 minute, and nothing that was known later:

- `context_open`, `context_high`, `context_low`, `context_close`, `context_volume`, `context_timestamp`: the last
  bar of the context symbol that is complete by then. A minute without a bar of it keeps the last one, up to a week.
- `macro_<SERIES>`: the newest observation of the series released by then, in its newest version;
  `macro_<SERIES>_before`: the observation before it, as it stood at the same moment;
  `macro_<SERIES>_known_at`: when that newest observation was first released.
- `news_articles`: articles known by then, counted from the first one held; `news_articles_<N>`: those of the
  last N minutes; `news_known_at`: when the last one became known. Null before the first.

Null throughout where the inputs hold no such thing.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable

import polars as pl

from barlake.keys import Timeframe
from feature_service.inputs import MINUTE, FeatureInputs
from feature_service.longer_bars import KNOWN, longer_bars, with_known

__all__ = ["CONTEXT", "MACRO", "NEWS", "known_columns", "macro_series"]

CONTEXT, MACRO, NEWS = "context_", "macro_", "news_"
"""How the names of such columns begin."""

_OF_CONTEXT = ("timestamp", "open", "high", "low", "close", "volume")
_STALE = pl.duration(days=7)
_INSTANT = pl.Datetime("us", "UTC")
_MACRO = re.compile(r"macro_([A-Z0-9^][A-Z0-9.^/=_-]*?)(_before|_known_at)?")
_NEWS = re.compile(r"news_(articles|known_at|articles_([1-9][0-9]*))")


def known_columns(
    longer: pl.DataFrame, inputs: FeatureInputs, names: Iterable[str], timeframe: Timeframe
) -> list[pl.Series]:
    """Those of the named columns that are of the context, of macro series or of news; one value per row.

    Parameters
    ----------
    longer
        Bars of the symbol with `KNOWN`, as `longer_bars` makes them.
    names
        Of columns; others are left to the caller. Macro and news are known by the minute only: with a longer
        timeframe their names are left to the caller, too.
    """
    wanted = sorted(set(names))
    found = _context(longer, inputs.context, [name for name in wanted if name.startswith(CONTEXT)], timeframe)
    if timeframe is Timeframe.MINUTE:
        for series in macro_series(wanted):
            values = _macro(longer, inputs.macro, series)
            found += [values[name] for name in values.columns if name in wanted]
        found += _news(longer, inputs.news, [name for name in wanted if _NEWS.fullmatch(name)])
    return found


def macro_series(names: Iterable[str]) -> list[str]:
    """The macro series that columns of these names are made from, sorted."""
    return sorted({match[1] for name in names if (match := _MACRO.fullmatch(name))})


def _context(
    longer: pl.DataFrame, context: pl.DataFrame | None, names: list[str], timeframe: Timeframe
) -> list[pl.Series]:
    known = [f"{CONTEXT}{name}" for name in _OF_CONTEXT]
    chosen = [name for name in names if name in known]
    if not chosen:
        return []
    if context is None:
        types = {name: longer.schema[name.removeprefix(CONTEXT)] for name in chosen}
        return [pl.Series(name, [None] * longer.height, dtype=dtype) for name, dtype in types.items()]
    other = longer_bars(context, timeframe).select(
        KNOWN, pl.col("session").alias("_session"), *(pl.col(name).alias(f"{CONTEXT}{name}") for name in _OF_CONTEXT)
    )
    joined = with_known(longer, other)
    is_fresh = longer["session"] <= joined.select(pl.col("_session") + _STALE).to_series()
    return joined.select(pl.when(is_fresh).then(pl.col(name)).alias(name) for name in chosen).get_columns()


def _macro(longer: pl.DataFrame, macro: pl.DataFrame | None, series: str) -> pl.DataFrame:
    """The three columns of one series."""
    names = (f"{MACRO}{series}", f"{MACRO}{series}_before", f"{MACRO}{series}_known_at")
    types = (_INSTANT, pl.Float64(), pl.Float64(), _INSTANT)
    schema = dict(zip((KNOWN, *names), types, strict=True))
    states = [] if macro is None else _states(macro.filter(pl.col("series") == series))
    return with_known(
        longer, pl.DataFrame(states, schema=schema, orient="row").with_columns(pl.col(KNOWN).set_sorted())
    )


def _states(versions: pl.DataFrame) -> list[tuple[object, ...]]:
    """After each release: its instant, the newest observation, the one before it, when the newest was first known."""
    standing: dict[object, float | None] = {}
    first_known: dict[object, object] = {}
    dates: list[object] = []
    states: dict[object, tuple[object, ...]] = {}
    rows = versions.sort("known_at", "reference_date", maintain_order=True)
    for date, value, known_at in rows.select("reference_date", "value", "known_at").iter_rows():
        if date not in standing:
            bisect.insort(dates, date)
            first_known[date] = known_at
        standing[date] = value
        newest = dates[-1]
        before = standing[dates[-2]] if len(dates) > 1 else None
        states[known_at] = (known_at, standing[newest], before, first_known[newest])
    return list(states.values())


def _news(longer: pl.DataFrame, news: pl.DataFrame | None, names: list[str]) -> list[pl.Series]:
    if not names:
        return []
    given = pl.Series([], dtype=_INSTANT) if news is None else news["known_at"].cast(_INSTANT)
    instants = given.drop_nulls().sort()
    now = longer[KNOWN].cast(_INSTANT)
    total = instants.search_sorted(now, side="right").cast(pl.Int64)
    found = []
    for name in names:
        if name == f"{NEWS}known_at":
            last = pl.DataFrame({KNOWN: instants, name: instants}).with_columns(pl.col(KNOWN).set_sorted())
            found.append(with_known(longer, last)[name])
            continue
        minutes = re.fullmatch(r"news_articles_([0-9]+)", name)
        earlier = 0 if minutes is None else instants.search_sorted(now - int(minutes[1]) * MINUTE, side="right")
        counted = pl.select(pl.when(total > 0).then(total - earlier).alias(name)).to_series()
        found.append(counted)
    return found
