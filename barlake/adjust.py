"""Bars of the past in the terms of today: factors of splits and dividends, and bars times factors. Pure.

A split divides the prices of the sessions before its ex-date and multiplies their volumes; a dividend takes
its share of the last close off the prices before it and leaves volumes alone. The session of the ex-date
itself is never changed by its own action. Which statements count is decided in `actions.py`, and why the
factors are these in `docs/decisions/`.
"""

from __future__ import annotations

import datetime as dt

import polars as pl

from barlake.actions import RATIO_KINDS, ActionKind
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import Adjustment, SessionFilter
from barlake.resample import Bars, filter_session
from barlake.sessions import FIRST_SESSION_YEAR, NEW_YORK

__all__ = [
    "BUCKET_US",
    "FACTORS",
    "adjust",
    "adjustment_factors",
    "dividend_fault",
    "factor_buckets",
    "factors_by_date",
    "parse_adjustment",
    "regular_closes",
]

EARLIER_SESSIONS = 5
"""How many sessions before an ex-date are searched for a close."""

FACTORS: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "first_session": pl.Date(),  # first date it is for: the ex-date before; null: from the beginning
    "ex_date": pl.Date(),  # first date it is not for
    "split_factor": pl.Float64(),  # prices times this: old shares for a new one
    "dividend_factor": pl.Float64(),  # prices times this; null: a close is missing, see `close_from`
    "price_factor": pl.Float64(),  # the product of the two
    "volume_factor": pl.Float64(),  # volumes times this: new shares for an old one
    "close_before": pl.Float64(),  # of the dividend on the ex-date itself: the close it was measured by
    "close_from": pl.String(),  # `session`, `source`, `earlier`; `missing`, `too_low`; null: no dividend on that date
}
"""One row per symbol and ex-date; each holds for all sessions from the ex-date before it up to its own."""

BUCKET_US = 91 * 86_400 * 1_000_000
"""Width of a bucket of time: a quarter, about as far apart as dividends are."""

_PRICES = ("open", "high", "low", "close", "vwap")


def parse_adjustment(value: str) -> Adjustment:
    """Adjustment of that name, in any case; `InvalidInputError` lists the names there are.

    Examples
    --------
    >>> parse_adjustment("ALL").value
    'all'
    """
    for member in Adjustment:
        if member.value == str(value).lower():
            return member
    names = ", ".join(member.value for member in Adjustment)
    raise InvalidInputError(f"adjustment {value!r} is not known: use one of {names}.")


def regular_closes(bars: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Close of the last regular bar of each session that has one: symbol, session, close.

    Parameters
    ----------
    bars
        Raw, with symbol, session, timestamp and close, sorted by timestamp.
    sessions
        `Calendar.frame`, or the part of it that covers the bars.
    """
    regular = filter_session(bars, sessions, SessionFilter.REGULAR)
    return regular.group_by("symbol", "session", maintain_order=True).agg(pl.col("close").last())


def adjustment_factors(
    actions: pl.DataFrame, closes: pl.DataFrame, held: pl.DataFrame, sessions: pl.DataFrame
) -> pl.DataFrame:
    """Factors by symbol and range of sessions, in the terms of the last session held.

    An action counts when its ex-date is not after the last session held of its symbol: the newest bars are
    always as traded. Actions of one date and of several dates multiply; the cash of one date is added up
    first. A dividend's factor is 1 - cash / close, with the raw close of

    1. the last regular bar of the session just before the ex-date (`session`); if that is not held,
    2. the close that the source states (`source`); if it states none,
    3. the last regular bar of the up to four sessions before that (`earlier`);
    4. else the factor is null from there back (`missing`), and adjusting with it is refused; likewise when
       the cash is not below the close (`too_low`).

    Parameters
    ----------
    actions
        Those that count: symbol, ex_date, kind, ratio, cash_usd, close_before.
    closes
        Raw regular closes held, one feed: symbol, session, close.
    held
        symbol, first, last: the oldest and the newest session held.
    sessions
        `Calendar.frame`.

    Returns
    -------
    Columns of `FACTORS`, sorted by symbol and ex_date. An action up to the first session held has no row.

    Raises
    ------
    InvalidInputError
        If a ratio is not above 0.
    """
    return _accumulated(factors_by_date(actions, closes, held, sessions))


def factors_by_date(
    actions: pl.DataFrame, closes: pl.DataFrame, held: pl.DataFrame, sessions: pl.DataFrame
) -> pl.DataFrame:
    """What the actions of each ex-date do by themselves: symbol, ex_date, ratio, dividend_factor, close_from, ...

    Parameters, rules and errors are those of `adjustment_factors`. Not sorted. No row depends on another ex-date.
    """
    known = actions.join(held, on="symbol").filter(
        pl.col("ex_date") > pl.col("first"), pl.col("ex_date") <= pl.col("last")
    )
    ratio_kinds = [kind.value for kind in RATIO_KINDS]
    known = known.filter(pl.col("kind").is_in([*ratio_kinds, ActionKind.DIVIDEND.value]))
    wrong = known.filter(pl.col("kind").is_in(ratio_kinds) & ~(pl.col("ratio") > 0).fill_null(value=False))
    if not wrong.is_empty():
        raise InvalidInputError(
            f"the split of {wrong['symbol'][0]} on {wrong['ex_date'][0]} has the ratio {wrong['ratio'][0]}: "
            "it must be above 0. Import it again with the right one."
        )
    # The order of factors decides the last digit of their product.
    per_date = (
        known.sort("symbol", "ex_date", "kind", "ratio", "cash_usd")
        .group_by("symbol", "ex_date", maintain_order=True)
        .agg(
            pl.col("ratio").filter(pl.col("kind").is_in(ratio_kinds)).product().alias("ratio"),
            pl.col("cash_usd").filter(pl.col("kind") == ActionKind.DIVIDEND.value).sum().alias("cash_usd"),
            pl.col("close_before").drop_nulls().first().alias("stated"),
        )
    )
    return _with_dividend_factor(per_date, closes, sessions)


def _with_dividend_factor(per_date: pl.DataFrame, closes: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    numbered = sessions.select("session").sort("session").with_row_index("number").cast({"number": pl.Int64()})
    held = closes.join(numbered, on="session").sort("number").select("symbol", "number", "close")
    # The number of the first session on or after the ex-date, less one, is the session before it.
    before = numbered["session"].search_sorted(per_date["ex_date"], side="left").cast(pl.Int64()) - 1
    dated = per_date.with_columns(before.alias("before")).sort("before")
    found = dated.join_asof(
        held.rename({"number": "found"}), left_on="before", right_on="found", by="symbol", strategy="backward",
        coalesce=False, check_sortedness=False,
    )  # fmt: skip
    age = pl.col("before") - pl.col("found")
    pays = pl.col("cash_usd") > 0
    place = (
        pl.when(~pays)
        .then(None)
        .when(age == 0)
        .then(pl.lit("session"))
        .when(pl.col("stated").is_not_null())
        .then(pl.lit("source"))
        .when(age < EARLIER_SESSIONS)
        .then(pl.lit("earlier"))
        .otherwise(pl.lit("missing"))
    )
    close = (
        pl.when(pl.col("close_from").is_in(["session", "earlier"]))
        .then("close")
        .when(pl.col("close_from") == "source")
        .then("stated")
    )
    measured = found.with_columns(place.alias("close_from")).with_columns(close.alias("close_before"))
    too_low = pl.col("cash_usd") >= pl.col("close_before")
    factor = (
        pl.when(~pays).then(1.0).when(too_low).then(None).otherwise(1.0 - pl.col("cash_usd") / pl.col("close_before"))
    )
    return measured.with_columns(
        pl.when(pays & too_low).then(pl.lit("too_low")).otherwise("close_from").alias("close_from"),
        factor.alias("dividend_factor"),
    )


def _accumulated(per_date: pl.DataFrame) -> pl.DataFrame:
    """Factors of each date times those of all later dates of the symbol."""
    # NaN carries a missing factor through the product, which skips nulls.
    missing_as_nan = pl.col("dividend_factor").fill_null(float("nan"))
    ordered = per_date.sort("symbol", "ex_date").with_columns(
        pl.col("ex_date").shift(1).over("symbol").alias("first_session"),
        (1.0 / pl.col("ratio")).cum_prod(reverse=True).over("symbol").alias("split_factor"),
        missing_as_nan.cum_prod(reverse=True).over("symbol").alias("dividend_factor"),
        pl.col("ratio").cum_prod(reverse=True).over("symbol").alias("volume_factor"),
    )
    return ordered.with_columns(
        pl.col("dividend_factor").fill_nan(None),
        (pl.col("split_factor") * pl.col("dividend_factor")).fill_nan(None).alias("price_factor"),
    ).select(pl.col(name).cast(kind) for name, kind in FACTORS.items())


def adjust(bars: Bars, factors: pl.DataFrame, adjustment: Adjustment) -> Bars:
    """The same bars in the terms of the last session held.

    Parameters
    ----------
    bars
        Raw, with symbol, session, open, high, low, close, volume and maybe vwap; each symbol oldest first.
    factors
        Of `adjustment_factors`.
    adjustment
        `split` scales prices and volumes by splits; `dividend` scales prices by dividends; `all` does both.
        `raw` gives the bars back untouched.

    Returns
    -------
    The same rows and columns. Prices are not rounded. Volume is a float whenever anything but `raw` is asked
    for: a reverse split leaves fractions of a share, and rounding would make a thin minute empty. trade_count
    is never scaled.

    Raises
    ------
    NotFoundError
        If a dividend after one of the bars has no close to be measured by; the message says which session
        to ingest. Also if its cash is not below that close.
    """
    if adjustment is Adjustment.RAW:
        return bars
    price, volume = _COLUMNS[adjustment]
    _refuse_missing(bars, factors, price)
    # Backwards from the ex-date: a session belongs to the first ex-date after it.
    steps = factors.lazy().select(
        "symbol",
        (pl.col("ex_date") - pl.duration(days=1)).alias("through"),
        pl.col(price).alias("price_by"),
        pl.col("volume_factor").alias("volume_by"),
    )
    joined = bars.lazy().join_asof(
        steps.sort("through"), left_on="session", right_on="through", by="symbol", strategy="forward",
        check_sortedness=False,
    )  # fmt: skip
    by = pl.col("price_by").fill_null(1.0)
    sized = pl.col("volume").cast(pl.Float64())
    if volume:
        sized *= pl.col("volume_by").fill_null(1.0)
    columns = bars.collect_schema().names()
    prices = [pl.col(name) * by for name in _PRICES if name in columns]
    adjusted = joined.with_columns(*prices, sized).select(columns)
    return adjusted.collect() if isinstance(bars, pl.DataFrame) else adjusted


_COLUMNS = {
    Adjustment.SPLIT: ("split_factor", True),
    Adjustment.DIVIDEND: ("dividend_factor", False),
    Adjustment.ALL: ("price_factor", True),
}
"""Which factor goes to prices, and whether volumes are scaled."""


def _refuse_missing(bars: pl.DataFrame | pl.LazyFrame, factors: pl.DataFrame, price: str) -> None:
    """Refuse bars before an ex-date that has no factor; only then are sessions looked at, also of lazy bars."""
    unmeasured = factors.lazy().filter(pl.col(price).is_null())
    if factors[price].null_count() == 0:
        return
    oldest = bars.lazy().group_by("symbol").agg(pl.col("session").min().alias("oldest"))
    reached = pl.col("oldest") < pl.col("ex_date")
    touched = unmeasured.join(oldest, on="symbol").filter(reached).sort("ex_date").collect()
    if touched.is_empty():
        return
    symbol, ex_date = touched.select("symbol", "ex_date").row(-1)
    unusable = pl.col("close_from").is_in(["missing", "too_low"])
    culprits = factors.filter(pl.col("symbol") == symbol, pl.col("ex_date") >= ex_date, unusable).sort("ex_date")
    date, close, why = culprits.select("ex_date", "close_before", "close_from").row(-1)
    raise dividend_fault(symbol, date, close, why)


def dividend_fault(symbol: str, ex_date: dt.date, close: float | None, why: str) -> NotFoundError:
    """What to say of a dividend that cannot be applied; `why` is its `close_from`, `missing` or `too_low`."""
    if why == "too_low":
        return NotFoundError(
            f"the dividend of {symbol} with ex-date {ex_date} cannot be applied: it is not below the close before it, "
            f"{close}. Import it again with the right amount, or ask for adjustment='split' or 'raw'."
        )
    return NotFoundError(
        f"the dividend of {symbol} with ex-date {ex_date} cannot be applied: no close of the {EARLIER_SESSIONS} "
        f"sessions before it is held, and its source states none. Ingest the session before {ex_date}, import the "
        "dividend with close_before, or ask for adjustment='split' or 'raw'."
    )


def factor_buckets(factors: pl.DataFrame) -> pl.DataFrame:
    """Factors for a join on equal keys: one row per feed, symbol, range and bucket of time that it touches.

    A join on ranges alone compares each bar with every action of its symbol; a bucket holds one or two.

    Returns
    -------
    feed, symbol, bucket (`epoch_us // BUCKET_US`), since and until (instants, half-open: New York midnight of
    the range's sessions), price_factor, volume_factor.
    """
    beginning = pl.lit(dt.date(FIRST_SESSION_YEAR, 1, 1))
    ranges = factors.select(
        "feed",
        "symbol",
        _midnight(pl.coalesce("first_session", beginning)).alias("since"),
        _midnight(pl.col("ex_date")).alias("until"),
        "price_factor",
        "volume_factor",
    )
    first = pl.col("since").dt.epoch("us") // BUCKET_US
    beyond = (pl.col("until").dt.epoch("us") - 1) // BUCKET_US + 1
    return (
        ranges.with_columns(pl.int_ranges(first, beyond).alias("bucket"))
        .explode("bucket", empty_as_null=False)
        .select("feed", "symbol", "bucket", "since", "until", "price_factor", "volume_factor")
    )


def _midnight(day: pl.Expr) -> pl.Expr:
    return day.cast(pl.Datetime("us")).dt.replace_time_zone(NEW_YORK.key).dt.convert_time_zone("UTC")
