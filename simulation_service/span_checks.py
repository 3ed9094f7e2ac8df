"""What must not lie in a simulated period, and what must be said of it: splits, dividends, volume, newer bars.

Each check gets what it needs as frames; a refusal says the way out, a remark is one sentence for the run's page.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import polars as pl

from barlake.actions import RATIO_KINDS, ActionKind
from barlake.errors import InvalidInputError
from barlake.feature_tables import feature_tables_of
from barlake.keys import Adjustment, FeatureSetKey
from barlake.sessions import session_of

if TYPE_CHECKING:
    from barlake import Lake
    from barlake.artifacts import Artifact

__all__ = ["dividend_remarks", "model_remarks", "require_features_of_these_bars", "require_no_split", "require_volume"]

_DAY = dt.timedelta(days=1)


def require_no_split(actions: pl.DataFrame, first: dt.date, last: dt.date, adjustment: str) -> None:
    """Refuse prices that jump by a split between two sessions of the period.

    Parameters
    ----------
    actions
        The statements that count: symbol, ex_date, kind, ratio.
    first, last
        Sessions of the first and the last bar. A split on the first one lies before the period.

    Raises
    ------
    InvalidInputError
        If there is one; it names the split, and what to do.
    """
    if adjustment in {Adjustment.SPLIT, Adjustment.ALL}:
        return
    found = _inside(actions, first, last, tuple(kind.value for kind in RATIO_KINDS))
    if found.height:
        one = found.row(0, named=True)
        raise InvalidInputError(
            f"{one['symbol']} has a {one['kind'].replace('_', ' ')} of {one['ratio']:g} for 1 on {one['ex_date']}, "
            f"inside [{first}, {last}], and prices with adjustment {adjustment!r} jump there: no account can be kept "
            f"across it. Use --adjustment split (or all), or end the period with --end {one['ex_date']}, or begin it "
            f"with --start {one['ex_date']}."
        )


def dividend_remarks(actions: pl.DataFrame, first: dt.date, last: dt.date, adjustment: str) -> list[str]:
    """One sentence for each symbol that paid cash inside the period which its prices leave out."""
    if adjustment in {Adjustment.DIVIDEND, Adjustment.ALL}:
        return []
    found = _inside(actions, first, last, (ActionKind.DIVIDEND.value,))
    paid = found.group_by("symbol", maintain_order=True).agg(pl.len(), pl.col("cash_usd").sum())
    return [
        f"{symbol} paid {count} dividend{'s'[: count - 1]}, {cash:.4f} dollars a share in all, between {first} and "
        f"{last}: prices with adjustment {adjustment!r} leave them out; --adjustment all counts them."
        for symbol, count, cash in paid.iter_rows()
    ]


def _inside(actions: pl.DataFrame, first: dt.date, last: dt.date, kinds: tuple[str, ...]) -> pl.DataFrame:
    day = pl.col("ex_date")
    return actions.filter(pl.col("kind").is_in(kinds), day > first, day <= last).sort("ex_date", "symbol")


def require_volume(bars: pl.DataFrame) -> list[str]:
    """One sentence for each symbol with bars in which nothing was traded; nothing can be filled in them.

    Raises
    ------
    InvalidInputError
        If a symbol has no bar with volume.
    """
    counts = bars.group_by("symbol", maintain_order=True).agg(pl.len(), (pl.col("volume") == 0).sum().alias("silent"))
    remarks = []
    for symbol, count, silent in counts.iter_rows():
        if silent == count:
            raise InvalidInputError(
                f"all {count:,} bars of {symbol} have volume 0: nothing was traded in them, so nothing can be filled. "
                "Import the bars with their volume, or name another --feed."
            )
        if silent:
            remarks.append(f"{silent:,} bars of {symbol} have volume 0: nothing is filled in them.")
    return remarks


def require_features_of_these_bars(lake: Lake, model: Artifact, bars: pl.DataFrame) -> None:
    """Refuse bars that came or changed after a model's features were made of them.

    Parameters
    ----------
    bars
        The traded ones: symbol, timestamp, ingested_at.

    Raises
    ------
    InvalidInputError
        If there are such bars; it says how many, the first, and how to train on them.
    """
    for symbol, made_from in model.inputs.get("feature_tables", {}).items():
        if symbol not in bars["symbol"] or _is_unchanged(lake, symbol, made_from):
            continue
        seen = (pl.col("symbol") == symbol) & (pl.col("timestamp") <= dt.datetime.fromisoformat(made_from["last"]))
        newer = bars.filter(seen, pl.col("ingested_at") > model.created_at)
        if newer.height:
            raise InvalidInputError(
                f"model {model.id} was trained on other bars: {newer.height:,} of {symbol} in this period came or "
                f"changed since, the first at {newer['timestamp'][0]:%Y-%m-%dT%H:%M}Z. Build features and train "
                f"again: `barlake features {' '.join(model.parameters['symbols'])}`, then `barlake train`."
            )


def _is_unchanged(lake: Lake, symbol: str, made_from: dict[str, object]) -> bool:
    """Whether the lake still holds exactly the bars that a feature table was made of."""
    first, last = (dt.datetime.fromisoformat(str(made_from[side])) for side in ("first", "last"))
    feed = str(made_from["feed"])
    edges = pl.DataFrame({"timestamp": [first, last]}).select(session_of(pl.col("timestamp"), feed)).to_series()
    snapshot = lake.snapshot(symbol, edges[0], edges[1] + _DAY, feed=feed)
    return snapshot.symbols[0].content_hash == made_from["content_hash"]


def model_remarks(lake: Lake, model: Artifact) -> list[str]:
    """A sentence where a model's version of its feature set is not the newest one of the lake."""
    if "feature_set" not in model.parameters:
        return []
    own = FeatureSetKey(**model.parameters["feature_set"])
    # A model that says nothing of it is older than adjusted prices.
    alike = {"adjustment": Adjustment.RAW.value} | {
        name: value for name, value in model.parameters.items() if name in {"feed", "session", "adjustment"}
    }
    builds = feature_tables_of(lake).versions(own.name).filter(symbol=model.parameters["symbols"][0], **alike)
    newest = None if builds.is_empty() else builds.sort("created_at")["version"][-1]
    if newest in {None, own.version}:
        return []
    remark = (
        f"model {model.id} was trained on version {own.version} of feature set {own.name}, and the newest one is "
        f"{newest}: its predictions are those of the old one. `barlake train` makes a model of the new one."
    )
    return [remark]
