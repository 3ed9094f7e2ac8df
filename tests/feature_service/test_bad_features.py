"""A feature that is none is refused by its name, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from barlake.errors import InvalidInputError
from feature_service.compute import compute_features, feature_table
from feature_service.declare import Feature, feature
from feature_service.inputs import FeatureInputs
from feature_service.trend import sma

CLOSE = pl.col("close")
GOOD = (sma.named("before", window_bars=5), sma.named("after", window_bars=6))


def made(name: str, expression: pl.Expr, **options: Any) -> Feature:
    return feature(unit="one")(lambda: expression).named(name, **options)


def raises(values: pl.Series) -> pl.Series:
    message = f"no bar like these {len(values)}"
    raise RuntimeError(message)


def refusal(expression: pl.Expr, history: pl.DataFrame, **options: Any) -> str:
    features = [GOOD[0], made("bad", expression, **options), GOOD[1]]
    with pytest.raises(InvalidInputError) as raised:
        feature_table(FeatureInputs(history), features)
    assert "feature 'bad'" in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (CLOSE.map_batches(raises, return_dtype=pl.Float64), "no bar like these"),
        (CLOSE.cast(pl.String).str.to_datetime("%Y"), "raises"),
        (CLOSE.head(5), "gives another number of rows than the"),
        (CLOSE.drop_nulls().append(CLOSE), "gives another number of rows than the"),
        (pl.lit("up"), "gives String, and must give numbers"),
        (pl.when(CLOSE.shift(1) < CLOSE).then(pl.lit("up")).otherwise(pl.lit("down")), "gives String"),
        (pl.col("timestamp"), "gives Datetime"),
        (pl.concat_list(CLOSE, CLOSE), "gives List(Float64)"),
        (pl.col("clsoe") * 2, "reads 'clsoe', which bars of 1Min do not have"),
        (pl.col("macro_"), "reads 'macro_'"),
    ],
)
def test_what_is_not_one_number_per_row_is_refused(expression: pl.Expr, said: str, history: pl.DataFrame) -> None:
    assert said in refusal(expression, history)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_infinity_is_refused_with_its_row(sign: int, history: pl.DataFrame) -> None:
    divided = sign / pl.when(pl.int_range(pl.len()) == 300).then(0.0).otherwise(CLOSE)
    said = refusal(divided, history)
    assert f"is {'-' * (sign < 0)}inf at row 300 ({history['timestamp'][300]})" in said
    assert "Divide only where the divisor is not 0" in said


def test_macro_and_news_are_not_read_over_longer_bars(history: pl.DataFrame) -> None:
    for name in ("macro_DGS10", "news_articles"):
        said = refusal(pl.col(name), history, timeframe="15Min")
        assert f"reads {name!r}, which bars of 15Min do not have" in said


@pytest.mark.parametrize(
    ("function", "parameters", "said"),
    [
        (lambda *, bars: CLOSE.shift(bars), {}, "missing a required argument: 'bars'"),
        (lambda *, bars: CLOSE.shift(bars), {"bars": 1, "lag": 2}, "unexpected keyword argument 'lag'"),
        (lambda *, bars: CLOSE.shift(1 // bars), {"bars": 0}, "ZeroDivisionError"),
        (lambda: 5, {}, "gives a int, and must give a polars expression"),
    ],
)
def test_a_function_that_makes_no_expression_is_refused_when_it_is_named(
    function: Callable[..., Any], parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInputError, match="feature 'bad' cannot be made") as raised:
        feature(unit="one")(function).named("bad", **parameters)
    assert said in str(raised.value)


def test_an_unknown_timeframe_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="timeframe '2Min' is not known"):
        sma.named("average", window_bars=5, timeframe="2Min")


def test_what_is_no_fault_of_a_feature_keeps_its_own_error(history: pl.DataFrame) -> None:
    def interrupted(values: pl.Series) -> pl.Series:
        raise KeyboardInterrupt(len(values))

    with pytest.raises(KeyboardInterrupt):
        compute_features(FeatureInputs(history), [made("one", CLOSE.map_batches(interrupted, return_dtype=pl.Float64))])


@pytest.mark.parametrize("expression", [CLOSE > 450, pl.col("volume"), CLOSE.cast(pl.Float32), pl.lit(None), pl.lit(3)])
def test_truths_counts_and_constants_are_numbers(expression: pl.Expr, history: pl.DataFrame) -> None:
    found = compute_features(FeatureInputs(history), [made("good", expression)])
    assert found.shape == (history.height, 1)
    assert found.schema == {"good": pl.Float64()}


def test_inputs_that_lack_a_column_are_refused(history: pl.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match=r"bars of the inputs lacks volume: give the columns session,"):
        FeatureInputs(history.drop("volume"))
    with pytest.raises(InvalidInputError, match="macro of the inputs lacks reference_date"):
        FeatureInputs(history, macro=pl.DataFrame({"series": ["X"], "value": [1.0], "known_at": [None]}))
