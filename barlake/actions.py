"""Corporate actions: what sources state, where they disagree, and which statement counts. Pure.

A *statement* is what one source says about one action. Every statement is kept; of those that are about the
same action exactly one source is believed (`counting`), and every disagreement is shown (`conflicts`).
What an action does to prices is in `adjust.py`.
"""

from __future__ import annotations

import datetime as dt
import math
from enum import StrEnum
from fractions import Fraction

import polars as pl

from barlake.errors import InvalidInputError, did_you_mean

__all__ = ["ACTIONS", "RATIO_KINDS", "ActionKind", "conflicts", "counting", "empty_actions", "nearest_ratio"]


class ActionKind(StrEnum):
    """What happened. Only the first three change adjusted prices; the others are kept and listed."""

    SPLIT = "split"  # also reverse: `ratio` new shares for each old one
    STOCK_DIVIDEND = "stock_dividend"  # new shares for nothing: `ratio` is 1 + rate, and works as a split does
    DIVIDEND = "dividend"  # `cash_usd` for each share held before the ex-date
    SPIN_OFF = "spin_off"
    RIGHTS = "rights"
    MERGER = "merger"
    UNIT_SPLIT = "unit_split"
    NAME_CHANGE = "name_change"
    REDEMPTION = "redemption"
    REMOVAL = "removal"
    OTHER = "other"

    @classmethod
    def parse(cls, value: str) -> ActionKind:
        """Kind of that name, in any case; `cash_dividend` is a dividend.

        Raises
        ------
        InvalidInputError
            If there is no such kind; the message lists those there are.
        """
        name = str(value).strip().lower()
        if name == "cash_dividend":
            return cls.DIVIDEND
        names = [member.value for member in cls]
        if name not in names:
            raise InvalidInputError(
                f"kind {value!r} is not a corporate action: use one of {', '.join(names)}.{did_you_mean(name, names)}"
            )
        return cls(name)


RATIO_KINDS = (ActionKind.SPLIT, ActionKind.STOCK_DIVIDEND)
"""Kinds that change the number of shares."""

_STAMP = pl.Datetime("us", "UTC")

ACTIONS: dict[str, pl.DataType] = {
    "source": pl.String(),  # who says so
    "action_id": pl.String(),  # the source's own name of the action; a later statement of the same name replaces it
    "symbol": pl.String(),
    "ex_date": pl.Date(),  # first session that trades without the right; may be no session
    "kind": pl.String(),  # values of `ActionKind`
    "ratio": pl.Float64(),  # new shares for one old share; null for what is no split
    "cash_usd": pl.Float64(),  # dollars for a share held before the ex-date; null for what pays no cash
    "close_before": pl.Float64(),  # raw close before the ex-date as the source states it, or null
    "implied": pl.Boolean(),  # the figure was worked out from prices or factors, not stated
    "details": pl.String(),  # whatever else the source says, as text
    "known_at": _STAMP,  # when the lake first held this statement
    "superseded_at": _STAMP,  # when the source's later statement replaced it; null while it stands
}
"""One row per statement."""

_NEAR_DAYS = 3
_SAME = 1e-9
_WHOLE_WITHIN = 2e-3
_FRACTION_WITHIN = 1e-5
_LARGEST_TERM = 50


def empty_actions() -> pl.DataFrame:
    """No statement, with the columns and types of `ACTIONS`."""
    return pl.DataFrame(schema=ACTIONS)


def nearest_ratio(value: float) -> float:
    """The ratio of small numbers that an implied split ratio stands for, or the value itself.

    Factor files round, and what is divided out of them carries the rounding: 6.999997 is 7, 0.2496 is 1:4 (a
    product of five ratios was kept in four digits). A whole ratio, n:1 or 1:n, is taken within 0.2 %; a ratio
    of two numbers up to 50 within 0.001 %, where a wrong guess can do no harm. 1:1 is no split and is never
    guessed. Ratios that a source states as such, `2002:1000`, must not go through here.

    Examples
    --------
    >>> nearest_ratio(6.999997), nearest_ratio(0.2496), nearest_ratio(1.249993), nearest_ratio(1.0027)
    (7.0, 0.25, 1.25, 1.0027)
    """
    if not math.isfinite(value) or value <= 0:
        return value
    whole = round(value) if value > 1 else round(1 / value)
    if whole > 1:
        ratio = float(whole) if value > 1 else 1 / whole
        if abs(value / ratio - 1) <= _WHOLE_WITHIN:
            return ratio
    fraction = _simplest(value)
    return value if fraction is None else fraction.numerator / fraction.denominator


def _simplest(value: float) -> Fraction | None:
    """The ratio of numbers up to 50 nearest to a value, if it is near enough and not 1."""
    fraction = Fraction(value).limit_denominator(_LARGEST_TERM)
    if value < 1:
        fraction = 1 / Fraction(1 / value).limit_denominator(_LARGEST_TERM)
    terms = max(fraction.numerator, fraction.denominator)
    near = fraction > 0 and abs(value / float(fraction) - 1) <= _FRACTION_WITHIN
    return fraction if near and fraction != 1 and terms <= _LARGEST_TERM else None


def counting(actions: pl.DataFrame) -> pl.DataFrame:
    """The statements that count: for each action those of one source.

    Statements of one symbol and kind whose ex-dates lie within three days are about one action, told by
    several sources. The source that states its figures is believed before one that implied them from
    prices; then the one whose statement is the newest; then the first by name. All its statements of the
    action count, so a regular and a special dividend of one date are both paid.

    Parameters
    ----------
    actions
        Columns of `ACTIONS`; superseded statements never count.

    Returns
    -------
    The same columns, sorted by symbol, ex_date, kind, source and action_id.
    """
    standing = _with_action_number(actions.filter(pl.col("superseded_at").is_null()))
    group = ["symbol", "kind", "action_number"]
    best = (
        standing.group_by(*group, "source")
        .agg(pl.col("implied").any(), pl.col("known_at").max())
        .sort("implied", "known_at", "source", descending=[False, True, False])
        .unique(group, keep="first", maintain_order=True)
        .select(*group, "source")
    )
    return (
        standing.join(best, on=[*group, "source"], how="semi")
        .select(*ACTIONS)
        .sort("symbol", "ex_date", "kind", "source", "action_id")
    )


def conflicts(actions: pl.DataFrame) -> pl.DataFrame:
    """Standing statements with which another source disagrees.

    Returns
    -------
    symbol, kind, ex_date, source, ratio, cash_usd, counts (whether this statement is believed), difference
    (of the values stated, as a fraction of the largest), reason
    (`value differs`, `date differs`, or `not stated by ...` when another source has actions of that kind
    before and after it, yet not this one); sorted by symbol, kind, ex_date and source.
    """
    standing = _with_action_number(actions.filter(pl.col("superseded_at").is_null()))
    group = ["symbol", "kind", "action_number"]
    told = standing.group_by(*group, "source", "ex_date").agg(
        pl.col("ratio").product().alias("ratio_product"), pl.col("cash_usd").sum().alias("cash_sum")
    )
    spread = (
        told.group_by(group)
        .agg(
            pl.col("source").n_unique().alias("sources"),
            (pl.col("ex_date").n_unique() > 1).alias("dates_differ"),
            pl.max_horizontal(_spread("ratio_product"), _spread("cash_sum")).alias("difference"),
        )
        .with_columns((pl.col("difference") > _SAME).alias("values_differ"))
    )
    told_twice = spread.filter(pl.col("sources") > 1, pl.col("dates_differ") | pl.col("values_differ"))
    reason = pl.when("values_differ").then(pl.lit("value differs")).otherwise(pl.lit("date differs"))
    differing = standing.join(told_twice.with_columns(reason.alias("reason")), on=group)
    found = pl.concat([differing, _missing_elsewhere(standing, group)], how="diagonal")
    believed = counting(actions).select("source", "action_id", pl.lit(value=True).alias("counts"))
    return (
        found.join(believed, on=["source", "action_id"], how="left")
        .with_columns(pl.col("counts").fill_null(value=False))
        .select("symbol", "kind", "ex_date", "source", "ratio", "cash_usd", "counts", "difference", "reason")
        .sort("symbol", "kind", "ex_date", "source")
    )


def _with_action_number(standing: pl.DataFrame) -> pl.DataFrame:
    """The same rows with `action_number`, equal for statements about the same action.

    A new action begins when more than three days passed since the statement before it, or when the same
    source has begun the next date: one source never tells one action on two dates.
    """
    ordered = standing.sort("symbol", "kind", "ex_date", "source", "action_id")
    numbers: list[int] = []
    key, began = ("", ""), dt.date.min
    told: dict[str, dt.date] = {}
    number = -1
    for symbol, kind, ex_date, source in ordered.select("symbol", "kind", "ex_date", "source").iter_rows():
        is_far = key != (symbol, kind) or (ex_date - began).days > _NEAR_DAYS
        if is_far or told.get(source, ex_date) != ex_date:
            number, key, began, told = number + 1, (symbol, kind), ex_date, {}
        told[source] = ex_date
        numbers.append(number)
    return ordered.with_columns(pl.Series("action_number", numbers, dtype=pl.Int64()))


def _spread(column: str) -> pl.Expr:
    low, high = pl.col(column).min(), pl.col(column).max()
    return pl.when(high > 0).then((high - low) / high).otherwise(0.0)


def _missing_elsewhere(standing: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    """Statements of one source about an action that another source, reaching further on both sides, does not have."""
    reach = standing.group_by("symbol", "kind", "source").agg(
        pl.col("ex_date").min().alias("first"), pl.col("ex_date").max().alias("last")
    )
    others = standing.join(reach.rename({"source": "other"}), on=["symbol", "kind"]).filter(
        pl.col("source") != pl.col("other"), pl.col("ex_date") > pl.col("first"), pl.col("ex_date") < pl.col("last")
    )
    tellers = standing.select(*group, pl.col("source").alias("other")).unique()
    silent = others.join(tellers, on=[*group, "other"], how="anti")
    named = silent.group_by(*standing.columns).agg(pl.col("other").sort().str.join(", "))
    return named.with_columns(pl.format("not stated by {}", "other").alias("reason")).drop("other")
