"""No feature reads later rows, and the proof of it finds those that do."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from barlake.errors import InvalidInputError, LookAheadError
from feature_service.compute import compute_features
from feature_service.inputs import FeatureInputs
from feature_service.leak_proof import history_proof, prefix_proof
from feature_service.sets import CORE

CLOSE, VOLUME = pl.col("close"), pl.col("volume")

LEAKS: dict[str, pl.Expr] = {
    "next_close": CLOSE.shift(-1),
    "centred_mean": CLOSE.rolling_mean(5, center=True),
    "global_z_score": (CLOSE - CLOSE.mean()) / CLOSE.std(),
    "global_rank": CLOSE.rank() / pl.len(),
    "full_day_vwap": (CLOSE * VOLUME).sum().over("session") / VOLUME.sum().over("session"),
    "backward_fill": pl.when(VOLUME > 2000).then(CLOSE).backward_fill(),
    "session_high": pl.col("high").max().over("session"),
}


def compute(frame: pl.DataFrame) -> pl.DataFrame:
    return compute_features(FeatureInputs(frame), CORE.features)


def test_no_feature_changes_when_later_rows_are_missing(history: pl.DataFrame) -> None:
    prefix_proof(compute, history, cuts=20, seed=1)


@pytest.mark.parametrize("row", [300, 3900, 10_000])
def test_no_feature_changes_when_later_rows_change(row: int, history: pl.DataFrame) -> None:
    is_later = pl.int_range(pl.len()) > row
    wild = [
        pl.when(is_later).then(pl.col(name) * 3).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close", "volume")
    ]
    assert compute(history.with_columns(wild)).head(row + 1).equals(compute(history).head(row + 1))


@pytest.mark.parametrize("name", list(LEAKS))
@pytest.mark.parametrize("seed", range(5))
def test_a_planted_leak_is_found_and_named(name: str, seed: int, history: pl.DataFrame) -> None:
    with pytest.raises(LookAheadError, match=rf"feature '{name}' at row \d+ \(2024-"):
        prefix_proof(lambda frame: frame.select(sma=CLOSE.rolling_mean(3), **{name: LEAKS[name]}), history, seed=seed)


def test_the_row_named_is_the_first_wrong_one(history: pl.DataFrame) -> None:
    late = pl.when(pl.int_range(pl.len()) >= 9).then(CLOSE.shift(-1)).otherwise(CLOSE)
    with pytest.raises(LookAheadError, match=r"at row 9 .* with all 12 rows but None with the first 10:"):
        prefix_proof(lambda frame: frame.select(leak=late), history.head(12), cuts=11)


def leaks(expression: pl.Expr, frame: pl.DataFrame) -> bool:
    try:
        prefix_proof(lambda part: part.select(x=expression), frame)
    except LookAheadError:
        return True
    return False


@pytest.mark.parametrize(
    "make",
    [
        lambda: CLOSE.shift(1),
        CLOSE.cum_max,
        lambda: (CLOSE * VOLUME).cum_sum().over("session"),
        lambda: pl.when(VOLUME > 2000).then(CLOSE).forward_fill(),
    ],
)
def test_what_reads_the_past_alone_passes(make: Callable[[], pl.Expr], history: pl.DataFrame) -> None:
    assert not leaks(make(), history)


def test_a_null_that_becomes_a_value_counts_as_a_change(history: pl.DataFrame) -> None:
    assert leaks(pl.when(pl.len() > 5000).then(CLOSE), history)


def test_more_cuts_than_rows_are_refused(history: pl.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="cuts 20 does not fit 5 usable rows"):
        prefix_proof(compute, history.head(5))


def test_after_4000_bars_no_feature_remembers_where_the_history_began(history: pl.DataFrame) -> None:
    history_proof(compute, history, history_bars=4000, cuts=3)


def test_a_running_total_is_found_to_remember(history: pl.DataFrame) -> None:
    signed = pl.when(CLOSE.diff() > 0).then(VOLUME).otherwise(-VOLUME)
    with pytest.raises(InvalidInputError, match="feature 'obv' still depends on where the history starts"):
        history_proof(lambda frame: frame.select(obv=signed.cum_sum()), history)


def test_the_difference_of_a_running_total_forgets(history: pl.DataFrame) -> None:
    signed = pl.when(CLOSE.diff() > 0).then(VOLUME).otherwise(-VOLUME)
    history_proof(lambda frame: frame.select(obv_change=signed.cum_sum().diff(20)), history)
