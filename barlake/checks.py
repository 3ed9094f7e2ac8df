"""What looks wrong in bars that are bars. Pure: frames in, findings out.

A finding is a reason to look, never a reason to change: raw bars stay as they came. Each check is one
function from bars to rows of `FINDINGS`; its parameters carry their units, and their defaults are set so
that a clean year of a liquid symbol raises (almost) none. Bars are given as `Lake.bars` gives them.
"""

from __future__ import annotations

from enum import StrEnum

import polars as pl

__all__ = [
    "FINDINGS",
    "CheckName",
    "Severity",
    "duplicate_minutes",
    "no_findings",
    "off_minutes",
    "outside_range",
    "quarantined",
    "spikes",
    "stale_runs",
    "volume_scale",
    "zero_volume_range",
]

_STAMP = pl.Datetime("us", "UTC")

FINDINGS = {
    "feed": pl.String(),
    "symbol": pl.String(),
    "session": pl.Date(),
    "timestamp": _STAMP,
    "check_name": pl.String(),
    "severity": pl.String(),
    "value": pl.Float64(),
    "expected": pl.Float64(),
    "detail": pl.String(),
}
"""Columns of every check's answer. `timestamp` is null where a whole session is meant, `session` where a
refused row's date could not be read; `value` is what was met and `expected` what it was held against."""

_SESSION = ["feed", "symbol", "session"]
_MINUTE_US = 60_000_000
_BPS = 10_000
_NORMAL = 1.4826
"""Standard deviations of a normal distribution in one median absolute deviation."""


class CheckName(StrEnum):
    """What was found."""

    STALE_RUN = "stale_run"
    SPIKE = "spike"
    VOLUME_SCALE = "volume_scale"
    DUPLICATE_MINUTE = "duplicate_minute"
    OFF_MINUTE = "off_minute"
    REFUSED_ROW = "refused_row"
    OUTSIDE_RANGE = "outside_range"
    ZERO_VOLUME_RANGE = "zero_volume_range"
    FEEDS_DISAGREE = "feeds_disagree"


class Severity(StrEnum):
    """How much it matters to someone who computes with these bars."""

    INFO = "info"  # true of some feeds; know it
    WARNING = "warning"  # likely wrong; look at it
    ERROR = "error"  # cannot be right


def no_findings() -> pl.DataFrame:
    """An empty table of findings."""
    return pl.DataFrame(schema=FINDINGS)


def findings(
    rows: pl.DataFrame,
    check: CheckName,
    severity: Severity | pl.Expr,
    *,
    value: pl.Expr,
    detail: pl.Expr,
    expected: pl.Expr | None = None,
) -> pl.DataFrame:
    """Rows that a check picked, as findings; a missing `timestamp` column means whole sessions."""
    columns = {
        "check_name": pl.lit(check.value),
        "severity": severity if isinstance(severity, pl.Expr) else pl.lit(severity.value),
        "value": value,
        "expected": pl.lit(None) if expected is None else expected,
        "detail": detail,
    }
    if "timestamp" not in rows.columns:
        columns["timestamp"] = pl.lit(None)
    made = rows.with_columns(**columns)
    return made.select([pl.col(name).cast(kind) for name, kind in FINDINGS.items()])


def stale_runs(bars: pl.DataFrame, *, unchanged_bars: int = 5, identical_bars: int = 5) -> pl.DataFrame:
    """Runs of bars that repeat themselves: a source that stopped and was filled forward.

    Parameters
    ----------
    unchanged_bars
        So many bars in a row with volume 0 and the close of the bar before are stale.
    identical_bars
        So many bars of consecutive minutes, equal in open, high, low, close and volume, are stale.

    Returns
    -------
    One finding a run, at its first repeated bar; `value` is the run's length in bars. A session without
    any volume, such as an index has, is not looked at: there volume says nothing.
    """
    prices = ["open", "high", "low", "close"]
    next_minute = pl.col("timestamp").diff().over(_SESSION) == pl.duration(minutes=1)
    same_close = pl.col("close").eq(pl.col("close").shift(1).over(_SESSION)).fill_null(value=True)
    same_bar = pl.all_horizontal(pl.col(name).eq(pl.col(name).shift(1).over(_SESSION)) for name in [*prices, "volume"])
    traded = bars.filter(pl.col("volume").sum().over(_SESSION) > 0)
    idle = (pl.col("volume") == 0) & same_close
    # A thin symbol repeats a trade of 100 shares now and then, but not minute after minute.
    identical = (same_bar & next_minute).fill_null(value=False) & (pl.col("volume") > 0)
    return pl.concat(
        [
            _repeats(traded, idle, unchanged_bars, unchanged_bars, "bars in a row with volume 0 and the same close"),
            # The bar that is repeated belongs to the run.
            _repeats(traded, identical, identical_bars - 1, identical_bars, "bars in a row equal in every value"),
        ]
    )


def _repeats(bars: pl.DataFrame, repeats: pl.Expr, least: int, limit: int, what: str) -> pl.DataFrame:
    marked = bars.with_columns(repeats.alias("repeats")).with_columns(
        pl.col("repeats").rle_id().over(_SESSION).alias("run")
    )
    runs = (
        marked.filter("repeats")
        .group_by(*_SESSION, "run", maintain_order=True)
        .agg(pl.len().alias("length"), pl.col("timestamp").first(), pl.col("timestamp").last().alias("last"))
        .filter(pl.col("length") >= least)
        .with_columns(pl.col("length") + (limit - least))
    )
    detail = pl.format(f"{{}} {what}, until {{}} UTC", "length", pl.col("last").dt.strftime("%H:%M"))
    return findings(
        runs, CheckName.STALE_RUN, Severity.WARNING, value=pl.col("length"), expected=pl.lit(limit), detail=detail
    )


def spikes(
    bars: pl.DataFrame,
    *,
    robust_z: float = 12.0,
    least_move_bps: float = 50.0,
    longest_bars: int = 3,
    come_back_share: float = 0.3,
    scale_bars: int = 31,
) -> pl.DataFrame:
    """Closes that leap away from their neighbours and come back; a move that stays is a move.

    Parameters
    ----------
    robust_z
        Least distance from the bar before, in robust standard deviations of the log return: 1.4826 times
        the larger of the session's median absolute return and that of the `scale_bars` around.
    least_move_bps
        And at least so far: in a calm market a tick is many deviations.
    longest_bars
        A spike is at most so many bars wide.
    come_back_share
        What may remain of the smallest leap when it is over.

    Returns
    -------
    One finding a spike, at its first bar; `value` is its farthest close, `expected` the close before.
    Only bars of one session are compared, so an overnight gap is none. The first bar is compared with
    its own open, and nothing after a session's last bar shows that it came back.
    """
    log = pl.col("close").log()
    before = pl.coalesce(pl.col("close").shift(1).over(_SESSION), "open")
    size = (log - before.log()).abs()
    local = size.rolling_median(scale_bars, center=True, min_samples=1).over(_SESSION)
    marked = bars.with_columns(
        before.alias("before"),
        pl.max_horizontal(size.median().over(_SESSION), local).alias("scale"),
    ).with_columns(
        pl.max_horizontal(pl.col("scale") * (_NORMAL * robust_z), pl.lit(least_move_bps / _BPS)).alias("limit")
    )
    found = [_spikes_of_width(marked, width, come_back_share) for width in range(1, longest_bars + 1)]
    return pl.concat(found).sort(*_SESSION, "timestamp")


def _spikes_of_width(marked: pl.DataFrame, width: int, come_back_share: float) -> pl.DataFrame:
    leaps = [(pl.col("close").shift(-step).over(_SESSION) / pl.col("before")).log() for step in range(width)]
    sizes = [leap.abs() for leap in leaps]
    one_side = pl.all_horizontal(leap.sign() == leaps[0].sign() for leap in leaps)
    remains = (pl.col("close").shift(-width).over(_SESSION) / pl.col("before")).log().abs()
    farthest = pl.max_horizontal(sizes)
    measured = marked.with_columns(
        pl.min_horizontal(sizes).alias("smallest"),
        remains.alias("remains"),
        one_side.alias("one_side"),
        (pl.col("before") * (farthest * leaps[0].sign()).exp()).alias("value"),
        (farthest * _BPS).alias("bps"),
    )
    picked = measured.filter(
        pl.col("one_side"),
        pl.col("smallest") >= pl.col("limit"),
        pl.col("remains") <= pl.col("smallest") * come_back_share,
    )
    detail = pl.format(
        f"{{}} bps from the bar before, back after {width} bar{'s' * (width > 1)}", pl.col("bps").round(1)
    )
    return findings(
        picked, CheckName.SPIKE, Severity.WARNING, value=pl.col("value"), expected=pl.col("before"), detail=detail
    )


def outside_range(
    bars: pl.DataFrame, *, price_tolerance_bps: float = 0.01, vwap_tolerance_bps: float = 100.0
) -> pl.DataFrame:
    """Open, close or vwap outside [low, high].

    Parameters
    ----------
    price_tolerance_bps
        How far an open or close may lie outside, for prices that were rounded on their way.
    vwap_tolerance_bps
        The same of vwap: consolidated feeds count some trades for vwap that do not count for the range,
        so a vwap nearby is nothing new.

    Returns
    -------
    One finding for each session and column, at its worst minute; `value` counts the bars.
    """
    found = []
    for name, tolerance_bps in (
        ("open", price_tolerance_bps),
        ("close", price_tolerance_bps),
        ("vwap", vwap_tolerance_bps),
    ):
        price = pl.col(name)
        excess = pl.max_horizontal(pl.col("low") - price, price - pl.col("high")) / pl.col("close") * _BPS
        severity = Severity.INFO if name == "vwap" else Severity.WARNING
        worst = _worst_of_session(bars.with_columns(excess.alias("excess")), pl.col("excess") > tolerance_bps, "excess")
        detail = pl.format(
            f"{name} outside [low, high] in {{}} bar(s), by up to {{}} bps", "bars", pl.col("excess").round(1)
        )
        found.append(
            findings(worst, CheckName.OUTSIDE_RANGE, severity, value=pl.col("bars"), expected=pl.lit(0), detail=detail)
        )
    return pl.concat(found)


def zero_volume_range(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars with volume 0 whose high is above their low: prices moved, yet nothing was traded.

    Returns
    -------
    One finding a session, at its widest such bar; `value` counts the bars. A session without any volume,
    such as an index has, is not looked at.
    """
    width = (pl.col("high") / pl.col("low")).log() * _BPS
    marked = bars.filter(pl.col("volume").sum().over(_SESSION) > 0).with_columns(width.alias("width"))
    worst = _worst_of_session(marked, (pl.col("volume") == 0) & (pl.col("width") > 0), "width")
    detail = pl.format("{} bar(s) with volume 0 and high above low, by up to {} bps", "bars", pl.col("width").round(1))
    return findings(
        worst, CheckName.ZERO_VOLUME_RANGE, Severity.WARNING, value=pl.col("bars"), expected=pl.lit(0), detail=detail
    )


def _worst_of_session(bars: pl.DataFrame, picked: pl.Expr, by: str) -> pl.DataFrame:
    """One row a session that has picked bars: how many, and the minute and measure of the worst."""
    return (
        bars.filter(picked)
        .group_by(_SESSION, maintain_order=True)
        .agg(
            pl.len().alias("bars"),
            pl.col("timestamp").get(pl.col(by).arg_max()),
            pl.col(by).max(),
        )
    )


def duplicate_minutes(bars: pl.DataFrame) -> pl.DataFrame:
    """Minutes that occur more than once; `value` counts the rows. The lake itself never holds any."""
    minute = pl.col("timestamp").dt.truncate("1m")
    repeated = (
        bars.group_by(*_SESSION, minute.alias("timestamp"), maintain_order=True)
        .agg(pl.len().alias("rows"))
        .filter(pl.col("rows") > 1)
    )
    detail = pl.format("{} rows on one minute", "rows")
    return findings(
        repeated, CheckName.DUPLICATE_MINUTE, Severity.ERROR, value=pl.col("rows"), expected=pl.lit(1), detail=detail
    )


def off_minutes(bars: pl.DataFrame) -> pl.DataFrame:
    """Timestamps that are not on a whole minute; `value` is the seconds past it. The lake never holds any."""
    past_us = pl.col("timestamp").dt.epoch("us") % _MINUTE_US
    picked = bars.filter(past_us != 0)
    detail = pl.format("{} s past the minute", past_us / 1e6)
    return findings(
        picked, CheckName.OFF_MINUTE, Severity.ERROR, value=past_us / 1e6, expected=pl.lit(0), detail=detail
    )


_REFUSALS = (
    ("duplicate minute", CheckName.DUPLICATE_MINUTE),
    ("timestamp is not on a whole minute", CheckName.OFF_MINUTE),
)


def quarantined(quarantine: pl.DataFrame) -> pl.DataFrame:
    """Rows that were refused, as findings: one for each feed, symbol, session and reason.

    Parameters
    ----------
    quarantine
        As `Manifest.quarantine` gives it.

    Returns
    -------
    `value` counts the rows; `session` is null where the row's own timestamp cannot be read.
    """
    text = pl.coalesce(pl.col("raw").str.json_path_match(f"$.{name}") for name in ("timestamp", "t"))
    stamp = text.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    session = stamp.dt.convert_time_zone("America/New_York").dt.date()
    check = pl.lit(CheckName.REFUSED_ROW.value)
    for words, name in _REFUSALS:
        check = pl.when(pl.col("reason").str.starts_with(words)).then(pl.lit(name.value)).otherwise(check)
    # The number of the row that was kept instead is no reason of its own.
    reason = pl.col("reason").str.replace(r" than row \d+$", " than a row kept")
    grouped = (
        quarantine.with_columns(session.alias("session"), check.alias("kind"), reason)
        .group_by(*_SESSION, "kind", "reason", maintain_order=True)
        .agg(pl.len().alias("rows"), pl.col("origin").first())
    )
    detail = pl.format("{} row(s) refused: {}; first from {}", "rows", "reason", "origin")
    found = findings(
        grouped, CheckName.REFUSED_ROW, Severity.WARNING, value=pl.col("rows"), expected=pl.lit(0), detail=detail
    )
    return found.with_columns(grouped["kind"].alias("check_name"))


def volume_scale(
    volumes: pl.DataFrame,
    *,
    decades: float = 1.0,
    window_sessions: int = 61,
    least_sessions: int = 5,
    least_bars_share: float = 0.5,
) -> pl.DataFrame:
    """Sessions whose volume is of another order of magnitude: lots for shares, one venue for all.

    Parameters
    ----------
    volumes
        feed, symbol, session, regular_bars, regular_volume (shares) of every session of the symbols.
    decades
        How many powers of ten the mean volume a bar may lie from the median of the sessions around.
    window_sessions
        How many sessions are around, the session itself among them.
    least_sessions
        With fewer of them nothing is said.
    least_bars_share
        Nor of a session with less than this share of the bars usual around: its mean is of another hour.

    Returns
    -------
    `value` is the session's mean volume a regular bar, `expected` the median.
    """
    mean = (pl.col("regular_volume") / pl.col("regular_bars")).alias("mean")
    traded = volumes.filter(pl.col("regular_bars") > 0).sort(_SESSION).with_columns(mean)

    def around(name: str) -> pl.Expr:
        median = pl.col(name).rolling_median(window_sessions, center=True, min_samples=least_sessions)
        return median.over("feed", "symbol")

    traded = traded.with_columns(around("mean").alias("median"), around("regular_bars").alias("usual_bars"))
    ratio = pl.col("mean") / pl.col("median")
    picked = traded.filter(
        pl.col("median") > 0,
        ratio.log10().abs() > decades,
        pl.col("regular_bars") >= pl.col("usual_bars") * least_bars_share,
    )
    words = "{} shares a bar, {} times the median of the sessions around"
    return findings(
        picked,
        CheckName.VOLUME_SCALE,
        Severity.WARNING,
        value=pl.col("mean"),
        expected=pl.col("median"),
        detail=pl.format(words, pl.col("mean").round(1), ratio.round(4)),
    )
