"""A zoo of features that look ahead, one cage for each way to do it, and beside it those that only seem to.

Every cage tells what its feature looks at, and how many rows ahead where that is a matter of definition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from barlake.leak_proof import Finding, Frames, ProofReport, prove
from feature_service.inputs import FeatureInputs
from feature_service.leak_proof import inputs_borders, inputs_world

OPEN, HIGH, LOW, CLOSE, VOLUME = (pl.col(name) for name in ("open", "high", "low", "close", "volume"))
STAMP, SESSION = pl.col("timestamp"), pl.col("session")
KNOWN = STAMP + pl.duration(minutes=1)
ROW = pl.int_range(pl.len())
MINUTE = (STAMP - pl.col("session_open")).dt.total_minutes()
NEXT = CLOSE.shift(-1)

Make = Callable[[FeatureInputs], pl.Series]


@dataclass(frozen=True)
class Cage:
    """One leak: how it is made, which column it looks at, how many rows ahead (None: it depends)."""

    make: Make
    looks_at: str
    rows_ahead: int | None = None


def over_bars(expression: pl.Expr) -> Make:
    return lambda inputs: inputs.bars.select(expression.alias("x"))["x"]


def bars_leak(expression: pl.Expr, looks_at: str = "bars.close", rows_ahead: int | None = None) -> Cage:
    return Cage(over_bars(expression), looks_at, rows_ahead)


def joined(inputs: FeatureInputs, right: pl.DataFrame, on: str = "key") -> pl.Series:
    """`x` of the last row on the right whose key is not later than the bar's."""
    found = inputs.bars.select(on if on in inputs.bars.columns else KNOWN.alias(on)).join_asof(
        right.sort(on), on=on, strategy="backward", check_sortedness=False
    )
    return found["x"]


# Longer bars -----------------------------------------------------------------------------------------


def quarter_hours(inputs: FeatureInputs, known_after_minutes: int) -> pl.Series:
    """Close of the 15-minute bar, used so many minutes after it began. Honest is 15."""
    longer = inputs.bars.group_by_dynamic("timestamp", every="15m").agg(x=CLOSE.last())
    return joined(inputs, longer.select("x", key=STAMP + pl.duration(minutes=known_after_minutes)))


def daily_close(inputs: FeatureInputs, days_later: int) -> pl.Series:
    """Close of the session, used on the date so many sessions later. Honest is 1."""
    daily = inputs.bars.group_by("session", maintain_order=True).agg(x=CLOSE.last())
    daily = daily.with_columns(pl.col("x").shift(days_later))
    return inputs.bars.join(daily, on="session", how="left", maintain_order="left")["x"]


# Records ---------------------------------------------------------------------------------------------


def macro_known(inputs: FeatureInputs, known_at: pl.Expr, *, last_revision: bool = False) -> pl.Series:
    assert inputs.macro is not None
    macro = inputs.macro
    if last_revision:
        macro = macro.with_columns(pl.col("value").last().over("reference_date"))
    return joined(inputs, macro.select(x="value", key=known_at.dt.cast_time_unit("us")))


def news_until(inputs: FeatureInputs, until: pl.Expr) -> pl.Series:
    """How many articles are known at an instant that belongs to the bar."""
    assert inputs.news is not None
    known = np.sort(inputs.news["known_at"].dt.timestamp("us").to_numpy())
    ends = inputs.bars.select(until.dt.timestamp("us").alias("x"))["x"].to_numpy()
    return pl.Series("x", np.searchsorted(known, ends, side="right").astype(np.float64))


def context_close(inputs: FeatureInputs, *, shift: int = 0, strategy: str = "backward") -> pl.Series:
    assert inputs.context is not None
    other = inputs.context.select(x=CLOSE.shift(shift), key=KNOWN)
    left = inputs.bars.select(key=KNOWN)
    return left.join_asof(other, on="key", strategy=strategy, check_sortedness=False)["x"]  # type: ignore[arg-type]


def beta(inputs: FeatureInputs, window: int | None) -> pl.Series:
    """Slope of the symbol's returns on the context's; without a window over the whole sample."""
    frame = inputs.bars.select(y=CLOSE.pct_change()).with_columns(context_close(inputs).pct_change().alias("x"))
    x, y = pl.col("x"), pl.col("y")
    if window is None:
        return (
            frame.select((pl.cov(x, y) / x.var()).alias("b"))["b"]
            .extend_constant(None, frame.height - 1)
            .forward_fill()
        )
    return frame.select(b=pl.rolling_cov(x, y, window_size=window) / x.rolling_var(window))["b"]


# Filters ---------------------------------------------------------------------------------------------


def slope_of_everything(inputs: FeatureInputs) -> pl.Series:
    """A straight line through the whole sample, and how far each close lies off it."""
    close = inputs.bars["close"].to_numpy()
    row = np.arange(close.size, dtype=np.float64)
    slope = np.polyfit(row, close, 1) if close.size > 2 else np.zeros(2)
    return pl.Series("x", close - np.polyval(slope, row))


def zero_phase(inputs: FeatureInputs) -> pl.Series:
    """Smoothed forward, then backward: no delay, because it knows what comes."""
    forward = inputs.bars["close"].ewm_mean(span=10)
    return forward.reverse().ewm_mean(span=10).reverse()


LEAKS: dict[str, Cage] = {
    # the plain ones
    "next_close": bars_leak(NEXT, rows_ahead=1),
    "next_open": bars_leak(OPEN.shift(-1), "bars.open", 1),
    "close_five_ahead": bars_leak(CLOSE.shift(-5), rows_ahead=5),
    "label_as_feature": bars_leak((CLOSE.shift(-30) / CLOSE).log(), rows_ahead=30),
    "rises_next": bars_leak((NEXT > CLOSE).fill_null(value=False), rows_ahead=1),
    "sign_of_a_zero": bars_leak(pl.when(NEXT > CLOSE).then(-0.0).otherwise(0.0), rows_ahead=1),
    # windows
    "centred_mean": bars_leak(CLOSE.rolling_mean(5, center=True), rows_ahead=2),
    "window_moved_back": bars_leak(CLOSE.rolling_mean(20).shift(-1), rows_ahead=1),
    "local_peak": bars_leak((HIGH.shift(1) < HIGH) & (HIGH.shift(-1) < HIGH), "bars.high", 1),
    "reversed_average": bars_leak(CLOSE.reverse().ewm_mean(span=20).reverse()),
    "zero_phase_filter": Cage(zero_phase, "bars.close"),
    # the whole sample
    "global_z_score": bars_leak((CLOSE - CLOSE.mean()) / CLOSE.std()),
    "global_rank": bars_leak(CLOSE.rank() / pl.len()),
    "global_range": bars_leak((CLOSE - CLOSE.min()) / (CLOSE.max() - CLOSE.min())),
    "global_quantile_clip": bars_leak(CLOSE.clip(CLOSE.quantile(0.01), CLOSE.quantile(0.99))),
    "trend_line": Cage(slope_of_everything, "bars.close"),
    "usual_volume_of_the_minute": bars_leak(VOLUME.mean().over(MINUTE), "bars.volume"),
    "share_of_the_history": bars_leak(ROW / pl.len(), "bars (rows)"),
    # filling
    "backward_fill": bars_leak(pl.when(VOLUME > 5000).then(CLOSE).backward_fill()),
    "interpolation": bars_leak(pl.when(VOLUME > 5000).then(CLOSE).interpolate()),
    # the session
    "full_day_vwap": bars_leak((CLOSE * VOLUME).sum().over(SESSION) / VOLUME.sum().over(SESSION)),
    "session_high": bars_leak(HIGH.max().over(SESSION), "bars.high"),
    "session_close": bars_leak(CLOSE.last().over(SESSION)),
    "rank_in_the_session": bars_leak(CLOSE.rank().over(SESSION)),
    "share_of_the_volume": bars_leak(VOLUME.cum_sum().over(SESSION) / VOLUME.sum().over(SESSION), "bars.volume"),
    "bars_in_the_session": bars_leak(pl.len().over(SESSION), "bars (rows)"),
    "minutes_to_the_last_bar": bars_leak((STAMP.max().over(SESSION) - STAMP).dt.total_minutes(), "bars (rows)"),
    "minutes_to_the_next_bar": bars_leak((STAMP.shift(-1) - STAMP).dt.total_minutes(), "bars (rows)", 1),
    "high_of_the_month": bars_leak(HIGH.max().over(SESSION.dt.truncate("1mo")), "bars.high"),
    # rare
    "one_row_in_fifty": bars_leak(pl.when(MINUTE % 50 == 17).then(NEXT).otherwise(CLOSE), rows_ahead=1),
    "one_row_in_three_hundred": bars_leak(pl.when(MINUTE == 111).then(NEXT).otherwise(CLOSE), rows_ahead=1),
    # Which bar is the last of its session is itself something that only the next one tells.
    "last_bar_of_the_session": bars_leak(
        pl.when(SESSION.shift(-1) != SESSION).then(OPEN.shift(-1)).otherwise(OPEN), "bars", 1
    ),
    "tomorrow_s_gap_at_the_close": bars_leak(
        pl.when(MINUTE >= 388).then(OPEN.first().over(SESSION).shift(-2)).otherwise(OPEN), "bars.open"
    ),
    "half_days_only": bars_leak(
        pl.when((pl.col("session_close") - STAMP).dt.total_minutes() + MINUTE < 300).then(NEXT).otherwise(CLOSE),
        rows_ahead=1,
    ),
    "largest_volumes_only": bars_leak(pl.when(VOLUME > 9900).then(NEXT).otherwise(CLOSE), rows_ahead=1),
    # longer bars
    "quarter_hour_at_its_left_edge": Cage(lambda inputs: quarter_hours(inputs, 1), "bars.close"),
    "quarter_hour_a_minute_early": Cage(lambda inputs: quarter_hours(inputs, 14), "bars.close"),
    "daily_bar_of_the_same_date": Cage(lambda inputs: daily_close(inputs, 0), "bars.close"),
    # the context symbol
    "context_one_ahead": Cage(lambda inputs: context_close(inputs, shift=-1), "context.close"),
    "context_nearest": Cage(lambda inputs: context_close(inputs, strategy="nearest"), "context"),
    "context_forward": Cage(lambda inputs: context_close(inputs, strategy="forward"), "context"),
    "beta_of_everything": Cage(lambda inputs: beta(inputs, None), "bars.close"),
    # macro
    "macro_by_reference_date": Cage(
        lambda inputs: macro_known(inputs, pl.col("reference_date").cast(pl.Datetime("us", "UTC"))), "macro.value"
    ),
    "macro_from_midnight": Cage(
        lambda inputs: macro_known(inputs, pl.col("known_at").dt.truncate("1d")), "macro.value"
    ),
    "macro_one_minute_early": Cage(
        lambda inputs: macro_known(inputs, pl.col("known_at") - pl.duration(minutes=1)), "macro.value", 1
    ),
    "macro_last_revision": Cage(
        lambda inputs: macro_known(inputs, pl.col("known_at"), last_revision=True), "macro.value"
    ),
    # news
    "news_of_the_whole_day": Cage(
        lambda inputs: news_until(inputs, STAMP.dt.truncate("1d") + pl.duration(days=1)), "news (rows)"
    ),
    "news_of_the_next_minute": Cage(
        lambda inputs: news_until(inputs, STAMP + pl.duration(minutes=2)), "news (rows)", 1
    ),
}

HONEST: dict[str, Make] = {
    "last_close": over_bars(CLOSE.shift(1)),
    "mean": over_bars(CLOSE.rolling_mean(20)),
    "average": over_bars(CLOSE.ewm_mean(span=20)),
    "score_so_far": over_bars((CLOSE - CLOSE.cum_sum() / (ROW + 1)) / (CLOSE.cum_max() - CLOSE.cum_min() + 1)),
    "forward_fill": over_bars(pl.when(VOLUME > 5000).then(CLOSE).forward_fill()),
    "vwap_so_far": over_bars((CLOSE * VOLUME).cum_sum().over(SESSION) / VOLUME.cum_sum().over(SESSION)),
    "high_so_far": over_bars(HIGH.cum_max().over(SESSION)),
    "session_open": over_bars(OPEN.first().over(SESSION)),
    "minutes_to_the_calendar_s_close": over_bars((pl.col("session_close") - STAMP).dt.total_minutes()),
    "minutes_since_the_last_bar": over_bars((STAMP - STAMP.shift(1)).dt.total_minutes()),
    "there_and_back": over_bars(CLOSE.shift(-3).shift(3)),
    "reversed_twice": over_bars(CLOSE.reverse().reverse()),
    "quarter_hour": lambda inputs: quarter_hours(inputs, 15),
    "yesterday_s_close": lambda inputs: daily_close(inputs, 1),
    "context": context_close,
    "beta": lambda inputs: beta(inputs, 100),
    "macro": lambda inputs: macro_known(inputs, pl.col("known_at")),
    "news": lambda inputs: news_until(inputs, KNOWN),
}
"""What an honest hand would have written; some of it takes steps that only look like a leak."""


def proof_of(makers: dict[str, Make], inputs: FeatureInputs, seed: int) -> ProofReport:
    def compute(frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        given = FeatureInputs(**frames)
        found = [makers[name](given).alias(name) for name in columns or makers]
        return pl.DataFrame([given.bars.select(known_at=KNOWN)["known_at"], *found])

    world = inputs_world(inputs, seed=seed)
    return prove(compute, world, inputs_borders(world), subject="feature", seed=seed)


@pytest.fixture(scope="module", params=[0])
def found(request: pytest.FixtureRequest, full_inputs: FeatureInputs) -> dict[str, Finding]:
    report = proof_of({name: cage.make for name, cage in LEAKS.items()}, full_inputs, request.param)
    return {one.column: one for one in report.findings}


@pytest.mark.parametrize("name", list(LEAKS))
def test_every_leak_in_the_zoo_is_found_with_what_it_looks_at(name: str, found: dict[str, Finding]) -> None:
    finding = found[name]
    assert finding.verdict.value == "leaks"
    assert any(column.startswith(LEAKS[name].looks_at) for column in finding.looked_at), finding.sentence
    assert finding.rows_ahead >= 1
    if LEAKS[name].rows_ahead is not None:
        assert finding.rows_ahead == LEAKS[name].rows_ahead, finding.sentence


@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_that_reads_the_past_alone_is_called_a_leak(seed: int, full_inputs: FeatureInputs) -> None:
    report = proof_of(HONEST, full_inputs, seed)
    assert report.is_clean, [one.sentence for one in report.findings]
    assert set(report.columns) == set(HONEST)
